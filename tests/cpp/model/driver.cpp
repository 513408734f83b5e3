// The broker core under a fake clock, as a process that obeys lines of text. The model test
// (tests/model) starts it and compares what it does with a model of the standard.
//
//     reset [SETTING=VALUE ...]     a new broker with these settings, without clients
//     send NAME HEX                 bytes of a connection, which is opened when it is new
//     stall NAME                    the peer takes no more of what is sent to it
//     read NAME                     it does again, and takes all there is
//     drop NAME                     the network connection breaks
//     advance MILLISECONDS          time passes
//     restart                       the broker dies, and another one has what its store has; only
//                                   of a durable one (setting durable=1), without connections
//
// Each line is answered by what the connections saw, one line for each, and a full stop:
//
//     NAME HEX          received
//     NAME closed       closed by the broker
//     .
//
// A line that cannot be obeyed is answered by `! REASON` and ends the process with status 2.
#include <charconv>
#include <chrono>
#include <iostream>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "support/broker_bed.hpp"
#include "support/hex.hpp"

namespace amqtt::test {
namespace {

std::uint32_t number(std::string_view text) {
    std::uint32_t value = 0;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, value);
    if (error != std::errc{} || stop != end || text.empty()) {
        throw std::invalid_argument("not a number: '" + std::string(text) + "'");
    }
    return value;
}

std::string hex_of(bytes_view data) {
    static constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    text.reserve(data.size() * 2);
    for (const std::uint8_t byte : data) {
        text += digits[byte >> 4U];
        text += digits[byte & 0x0FU];
    }
    return text;
}

void set(broker_settings& settings, std::string_view key, std::uint32_t value) {
    const auto u16 = static_cast<std::uint16_t>(value);
    if (key == "max_inflight_messages") {
        settings.max_inflight_messages = value;
    } else if (key == "session_expiry") {
        settings.session_expiry = std::chrono::seconds(value);
    } else if (key == "output_high_water") {
        settings.output_high_water = value;
    } else if (key == "max_qos") {
        settings.max_qos = static_cast<qos>(value);
    } else if (key == "max_published_qos") {
        settings.limits.max_qos = static_cast<qos>(value);
    } else if (key == "retain_available") {
        settings.limits.retain_available = value != 0;
    } else if (key == "receive_maximum") {
        settings.limits.receive_maximum = u16;
    } else if (key == "topic_alias_maximum") {
        settings.limits.topic_alias_maximum = u16;
    } else if (key == "sent_topic_alias_maximum") {
        settings.sent_topic_alias_maximum = u16;
    } else if (key == "max_keep_alive") {
        settings.limits.max_keep_alive = u16;
    } else if (key == "shared") {
        settings.shared = static_cast<shared_strategy>(value);
    } else {
        throw std::invalid_argument("unknown setting '" + std::string(key) + "'");
    }
}

class driver {
  public:
    // Throws std::invalid_argument.
    void obey(const std::string& line) {
        std::istringstream words(line);
        std::string command;
        std::string name;
        words >> command;
        if (command == "reset") {
            reset(words);
            return;
        }
        if (command == "restart" && is_durable_ && connections_.empty()) {
            const instant now = bed_->now;
            begin();
            bed_->now = now;
            keep();
            return;
        }
        words >> name;
        if (command == "send") {
            std::string data;
            words >> data;
            connections_.insert(name);
            (*bed_)[name].send(hex(data));
        } else if (command == "stall" && connections_.contains(name)) {
            (*bed_)[name].stop_reading();
        } else if (command == "read" && connections_.contains(name)) {
            (*bed_)[name].read_on();
        } else if (command == "drop" && connections_.contains(name)) {
            (*bed_)[name].abort();
            connections_.erase(name);
        } else if (command == "advance") {
            bed_->advance(std::chrono::milliseconds(number(name)));
        } else {
            throw std::invalid_argument("cannot obey '" + line + "'");
        }
        commit();
    }

    // What was seen since the last call.
    void report(std::ostream& out) {
        std::vector<std::string> gone;
        for (const std::string& name : connections_) {
            peer& seen = (*bed_)[name];
            if (const bytes data = seen.take(); !data.empty()) {
                out << name << ' ' << hex_of(data) << '\n';
            }
            if (!seen.closed_by_broker()) continue;
            out << name << " closed\n";
            gone.push_back(name);
        }
        for (const std::string& name : gone)
            connections_.erase(name);
        out << ".\n" << std::flush;
    }

  private:
    void reset(std::istream& assignments) {
        settings_ = {};
        is_durable_ = false;
        std::string assignment;
        while (assignments >> assignment) {
            const std::size_t equals = std::min(assignment.find('='), assignment.size() - 1);
            const std::string key = assignment.substr(0, equals);
            const std::uint32_t value = number(assignment.substr(equals + 1));
            if (key == "durable") {
                is_durable_ = value != 0;
            } else {
                set(settings_, key, value);
            }
        }
        connections_.clear();
        begin();
        store_ = {};
        if (is_durable_) keep();
    }
    void begin() {
        bed_.reset();
        bed_ = std::make_unique<broker_bed>(settings_);
    }
    void keep() {
        bed_->keep_in(store_, {.commit_delay = duration{0}});
        commit();
    }
    // The store is as fast as the clients.
    void commit() {
        while (is_durable_ && store_.handed_over)
            bed_->commit();
    }

    memory_store store_;
    broker_settings settings_;
    bool is_durable_ = false;
    std::unique_ptr<broker_bed> bed_ = std::make_unique<broker_bed>();
    std::set<std::string> connections_;  // that are open
};

}  // namespace
}  // namespace amqtt::test

int main() {
    std::ios::sync_with_stdio(false);
    amqtt::test::driver driver;
    std::string line;
    try {
        while (std::getline(std::cin, line)) {
            driver.obey(line);
            driver.report(std::cout);
        }
    } catch (const std::exception& error) {
        std::cout << "! " << error.what() << '\n' << std::flush;
        return 2;
    }
    return 0;
}
