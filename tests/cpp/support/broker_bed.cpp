#include "support/broker_bed.hpp"

#include <algorithm>
#include <array>

#include <gtest/gtest.h>

namespace amqtt::test {

// -- peer

peer::peer(broker_bed& bed, std::string name) : bed_(bed), name_(std::move(name)) {
    core_ = bed.core.open(*this, {"192.0.2.1", 40'000, "memory"}, bed.now);
}

peer::~peer() = default;

void peer::fail(const std::string& what, place where) const {
    ADD_FAILURE_AT(where.file_name(), static_cast<int>(where.line()))
        << "peer '" << name_ << "': " << what;
}

peer& peer::send(const bytes& data) {
    give_input(data);
    bed_.settle();
    return *this;
}

peer& peer::send_split(const bytes& data, std::size_t piece) {
    for (std::size_t at = 0; at < data.size(); at += piece) {
        const auto first = data.begin() + static_cast<std::ptrdiff_t>(at);
        send(bytes(first, first + static_cast<std::ptrdiff_t>(std::min(piece, data.size() - at))));
    }
    return *this;
}

void peer::give_input(const bytes& data) {
    if (!core_ || data.empty()) return;
    if (lags_) {
        under_way_ = under_way_ + data;
        return;
    }
    if (!broker_reads_) {
        kernel_buffer_ = kernel_buffer_ + data;
        return;
    }
    // A copy that is gone afterwards, as the buffer of a transport is.
    const auto buffer = std::make_unique<std::uint8_t[]>(data.size());
    std::copy(data.begin(), data.end(), buffer.get());
    broker_reads_ = bed_.core.receive(*core_, {buffer.get(), data.size()}, bed_.now);
}

void peer::drain(std::size_t most) {
    std::array<bytes_view, 4> slices;
    output_queue& output = core_->connection.output();
    std::size_t taken = 0;
    while (taken < most && !output.empty()) {
        const std::size_t count = output.gather(slices);
        std::size_t size = 0;
        for (std::size_t i = 0; i < count && taken < most; ++i) {
            const auto part = slices[i].first(std::min(slices[i].size(), most - taken));
            received_.insert(received_.end(), part.begin(), part.end());
            size += part.size();
            taken += part.size();
        }
        output.consume(size);
    }
    if (taken > 0) bed_.core.output_sent(*core_, taken);
}

bool peer::perform_wishes() {
    if (!core_) return false;
    if (resume_wished_) {
        resume_wished_ = false;
        broker_reads_ = true;
        give_input(std::exchange(kernel_buffer_, {}));
        return true;
    }
    if (flush_wished_) {
        flush_wished_ = false;
        core_->flush_requested = false;
        if (reads_) drain(SIZE_MAX);
        return true;
    }
    if (close_wished_ && core_->connection.output().empty()) {
        closed_by_broker_ = true;
        close();
        return true;
    }
    return false;
}

void peer::close() {
    bed_.core.closed(*core_, bed_.now);
    core_.reset();
}

peer& peer::lag() {
    lags_ = true;
    return *this;
}

peer& peer::arrive() {
    lags_ = false;
    give_input(std::exchange(under_way_, {}));
    if (std::exchange(catch_up_wished_, false) && core_) bed_.core.caught_up(*core_, bed_.now);
    bed_.settle();
    return *this;
}

void peer::abort() {
    if (!core_) return;
    close();
    bed_.settle();
}

peer& peer::stop_reading() {
    reads_ = false;
    return *this;
}

peer& peer::read_on() {
    reads_ = true;
    return read_some(SIZE_MAX);
}

peer& peer::read_some(std::size_t n) {
    if (core_) drain(n);
    bed_.settle();
    return *this;
}

peer& peer::login(const connect_spec& what, bool session_present, place where) {
    send(connect(what));
    return expect(connack(session_present), where);
}

peer& peer::subscribe(std::string_view filter, unsigned level, place where) {
    send(test::subscribe(9, {{std::string(filter), level}}));
    return expect(suback(9, {level}), where);
}

peer& peer::expect(const bytes& data, place where) {
    const std::size_t size = std::min(data.size(), received_.size());
    const bytes got(received_.begin(), received_.begin() + static_cast<std::ptrdiff_t>(size));
    if (got != data) fail("expected " + shown(data) + "\n     got " + shown(received_), where);
    received_.erase(received_.begin(), received_.begin() + static_cast<std::ptrdiff_t>(size));
    return *this;
}

peer& peer::expect(std::string_view notation, place where) {
    return expect(wire(notation), where);
}

peer& peer::expect_in_any_order(const std::vector<bytes>& packets, place where) {
    std::vector<bytes> got = split_packets(received_);
    if (got.size() > packets.size()) got.resize(packets.size());
    std::size_t size = 0;
    for (const bytes& one : got)
        size += one.size();
    std::vector<bytes> wanted = packets;
    std::sort(got.begin(), got.end());
    std::sort(wanted.begin(), wanted.end());
    if (got != wanted) fail("other packets than expected: " + shown(received_), where);
    received_.erase(received_.begin(), received_.begin() + static_cast<std::ptrdiff_t>(size));
    return *this;
}

peer& peer::expect_nothing(place where) {
    if (!received_.empty()) fail("unexpected " + shown(received_), where);
    return *this;
}

void peer::expect_closed(place where) {
    expect_nothing(where);
    if (!closed_by_broker_) fail("still open", where);
}

void peer::expect_open(place where) {
    if (closed_by_broker_) fail("was closed", where);
}

bytes peer::take() {
    return std::exchange(received_, {});
}

std::vector<bytes> peer::take_packets() {
    return split_packets(take());
}

std::size_t peer::unread_output() const {
    return core_ ? core_->connection.output().size() : 0;
}

// -- broker_bed

broker_bed::~broker_bed() {
    abort_all();
}

peer& broker_bed::operator[](const std::string& name) {
    std::unique_ptr<peer>& found = peers_[name];
    if (!found) found = std::make_unique<peer>(*this, name);
    return *found;
}

peer& broker_bed::reopen(const std::string& name) {
    (*this)[name].abort();
    peers_.erase(name);
    return (*this)[name];
}

void broker_bed::settle() {
    bool busy = true;
    while (busy) {
        busy = false;
        for (auto& [name, each] : peers_)
            busy = each->perform_wishes() || busy;
        if (!busy && store_ && std::exchange(store_->is_changed, false)) {
            core.commit_if_due(now);
            busy = true;
        }
        if (!busy && works && std::exchange(hooks.has_work_left, false)) {
            hooks.work_requests = 0;
            core.work(now);
            busy = true;
        }
    }
}

void broker_bed::keep_in(memory_store& store, const journal_settings& how) {
    store_ = &store;
    store.is_changed = false;
    store.handed_over.reset();
    core.keep_in(store, how);
    core.restore(store.content(), now);
    core.finish_restore(now);
    settle();
}

void broker_bed::commit() {
    if (!store_->handed_over) return;
    core.committed(store_->write(), now);
    settle();
}

void broker_bed::commit_all() {
    do {
        commit();
        now += std::chrono::seconds(1);
        core.commit_if_due(now);
        settle();
    } while (store_->handed_over);
}

void broker_bed::advance(duration time, bool coarse) {
    const duration step = coarse ? std::max(time / 16, timer_wheel::tick) : timer_wheel::tick;
    const instant until = now + time;
    while (now < until) {
        now = std::min(now + step, until);
        core.advance(now);
        if (store_) core.commit_if_due(now);
        settle();
    }
}

void broker_bed::decide(std::size_t n, bool allowed) {
    core.decide(hooks.tickets.at(n), {allowed ? verdict::allow : verdict::deny}, now);
    settle();
}

void broker_bed::reply(std::size_t n, const authentication_reply& answer) {
    core.reply(hooks.tickets.at(n), answer, now);
    settle();
}

void broker_bed::publish(std::string_view topic, std::string_view payload, std::optional<qos> level,
                         bool retain) {
    core.publish(topic, as_bytes(payload), level, retain, now);
    settle();
}

void broker_bed::shutdown() {
    core.shutdown(now);
    settle();
}

void broker_bed::abort_all() {
    for (auto& [name, each] : peers_)
        each->abort();
}

void broker_bed::expect_consistent(peer::place where) {
    std::size_t connected = 0;
    std::size_t subscriptions = 0;
    core.sessions().for_each([&](session& s) {
        if (s.connection) {
            ++connected;
            EXPECT_EQ(s.connection->state, &s);
            EXPECT_EQ(s.connection->phase, client_phase::connected);
        } else {
            EXPECT_FALSE(s.ends_with_connection()) << s.client_id();
        }
        subscriptions += s.subscriptions().size();
    });
    std::size_t open = 0;
    for (const auto& [name, each] : peers_) {
        if (each->core_ && each->core_->phase == client_phase::connected) ++open;
    }
    const testing::ScopedTrace trace(where.file_name(), static_cast<int>(where.line()), "here");
    EXPECT_EQ(core.stats().clients_connected, connected);
    EXPECT_EQ(open, connected);
    EXPECT_GE(core.stats().clients_maximum, connected);
    EXPECT_EQ(core.routes().subscription_count(), subscriptions);
}

std::size_t broker_bed::queued(std::string_view client_id) {
    session* found = session_of(client_id);
    return found ? found->queue().size() : 0;
}

}  // namespace amqtt::test
