// A broker's core with peers in memory and a clock of its own.
//
//     broker_bed bed;
//     bed["sub"].login({.client_id = "s"}).subscribe("a/+", 1);
//     bed["pub"].login({.client_id = "p"}).send(publish({.topic = "a/b", .payload = "x"}));
//     bed["sub"].expect(publish({.topic = "a/b", .payload = "x"}));
//
// A peer that is named for the first time opens its connection. Everything the broker decides
// has been done when a call returns. Wrong expectations are failures of the running test.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <boost/assert/source_location.hpp>

#include "broker/broker.hpp"
#include "support/fakes.hpp"
#include "support/memory_store.hpp"
#include "support/wire.hpp"

namespace amqtt::test {

class broker_bed;

// The far end of a connection together with the transport under it.
class peer : private connection_control {
  public:
    using place = boost::source_location;

    peer(broker_bed& bed, std::string name);
    ~peer() override;
    peer(const peer&) = delete;
    peer& operator=(const peer&) = delete;

    // -- what it does

    peer& send(const bytes& data);
    peer& send(std::string_view notation) { return send(wire(notation)); }
    // Sends data in pieces of that many bytes.
    peer& send_split(const bytes& data, std::size_t piece);
    // CONNECT, to be answered with an accepting CONNACK.
    peer& login(const connect_spec& what, bool session_present = false,
                place where = BOOST_CURRENT_LOCATION);
    // SUBSCRIBE with packet identifier 9, to be granted.
    peer& subscribe(std::string_view filter, unsigned level = 0,
                    place where = BOOST_CURRENT_LOCATION);
    // Stops to take output, and takes it again.
    peer& stop_reading();
    peer& read_on();
    // Takes at most n bytes of output, though it has stopped reading.
    peer& read_some(std::size_t n);
    // What it sends is under way from now on, and arrives when it is told to.
    peer& lag();
    peer& arrive();
    // The broker has asked for what is under way.
    bool is_asked_to_catch_up() const noexcept { return catch_up_wished_; }
    // Drops the connection without DISCONNECT.
    void abort();

    // -- what it sees

    peer& expect(const bytes& data, place where = BOOST_CURRENT_LOCATION);
    peer& expect(std::string_view notation, place where = BOOST_CURRENT_LOCATION);
    peer& expect_in_any_order(const std::vector<bytes>& packets,
                              place where = BOOST_CURRENT_LOCATION);
    peer& expect_nothing(place where = BOOST_CURRENT_LOCATION);
    // Closed by the broker, with nothing sent before that was not taken yet.
    void expect_closed(place where = BOOST_CURRENT_LOCATION);
    void expect_open(place where = BOOST_CURRENT_LOCATION);
    // Everything received and not yet taken.
    bytes take();
    std::vector<bytes> take_packets();

    bool is_open() const noexcept { return core_ != nullptr; }
    bool closed_by_broker() const noexcept { return closed_by_broker_; }
    // Output the broker has for it that it did not read.
    std::size_t unread_output() const;
    client& core() { return *core_; }

  private:
    friend class broker_bed;

    void flush_soon() override { flush_wished_ = true; }
    void close_soon(reason_code) override { close_wished_ = true; }
    void resume_reading() override { resume_wished_ = true; }
    bool catch_up() override { return catch_up_wished_ = lags_; }

    bool perform_wishes();
    void give_input(const bytes& data);
    void drain(std::size_t most);
    void close();
    void fail(const std::string& what, place where) const;

    broker_bed& bed_;
    std::string name_;
    std::unique_ptr<client> core_;
    bytes received_;
    bytes kernel_buffer_;  // sent while the broker does not read
    bytes under_way_;
    bool lags_ = false;
    bool catch_up_wished_ = false;
    bool reads_ = true;
    bool broker_reads_ = true;
    bool flush_wished_ = false;
    bool close_wished_ = false;
    bool resume_wished_ = false;
    bool closed_by_broker_ = false;
};

class broker_bed {
  public:
    explicit broker_bed(const broker_settings& settings = {}) : core(settings, hooks) {}
    ~broker_bed();
    broker_bed(const broker_bed&) = delete;
    broker_bed& operator=(const broker_bed&) = delete;

    peer& operator[](const std::string& name);
    // A new connection under a name whose connection, if there is one, is dropped.
    peer& reopen(const std::string& name);
    // Lets time pass in ticks; in few large steps when coarse.
    void advance(duration time, bool coarse = false);
    // Begins with what a store has and keeps everything in it from now on. It has to outlive the
    // bed.
    void keep_in(memory_store& store, const journal_settings& how = {});
    // Lets the store write what it was handed, and tells the broker.
    void commit();
    // The same again and again until nothing is left to be stored.
    void commit_all();
    // Answers the question about the client that asked n-th.
    void decide(std::size_t n, bool allowed);
    // Replies to the n-th step, of enhanced authentication.
    void reply(std::size_t n, const authentication_reply& answer);
    void publish(std::string_view topic, std::string_view payload, std::optional<qos> level = {},
                 bool retain = false);
    void shutdown();
    void abort_all();
    // Performs what the core decided when it was called directly.
    void settle_now() { settle(); }

    // Counters and structures must agree whatever has happened.
    void expect_consistent(peer::place where = BOOST_CURRENT_LOCATION);
    // How many messages wait for a client.
    std::size_t queued(std::string_view client_id);
    session* session_of(std::string_view client_id) { return core.sessions().find(client_id); }

    // Whether what the broker leaves for later is done as soon as nothing else is to do.
    bool works = true;

    fake_hooks hooks;
    broker core;
    instant now = std::chrono::seconds(1);

  private:
    friend class peer;

    void settle();

    std::map<std::string, std::unique_ptr<peer>> peers_;
    memory_store* store_ = nullptr;
};

}  // namespace amqtt::test
