// Stand-ins for what surrounds the broker's core.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "broker/hooks.hpp"
#include "broker/link.hpp"

namespace amqtt::test {

// Notes what the broker wishes.
class fake_link : public link {
  public:
    void flush_soon() override { ++flushes; }
    void close_soon(reason_code) override { ++closes; }
    void resume_reading() override { ++resumes; }

    int flushes = 0;
    int closes = 0;
    int resumes = 0;
};

// Answers as it is told and notes what it was told.
class fake_hooks : public hooks {
  public:
    fake_hooks() { want({hook::client_connected, hook::client_disconnected}); }

    verdict authenticate(const client& who, std::uint64_t ticket) override {
        asked.push_back(who.request->client_id);
        tickets.push_back(ticket);
        return judge ? judge(who) : answer;
    }
    authentication_reply authenticate(const client&, const authentication_step& step,
                                      std::uint64_t ticket) override {
        steps.push_back(std::string(step.method) + ":" + std::string(as_text(step.data)) +
                        (step.is_first ? " first" : "") + (step.is_repeated ? " again" : ""));
        tickets.push_back(ticket);
        if (replies.empty()) return {};
        authentication_reply next = std::move(replies.front());
        replies.pop_front();
        return next;
    }
    void authentication_ended(std::uint64_t ticket) override { ended.push_back(ticket); }
    void want(std::initializer_list<hook> events) {
        for (const hook event : events)
            mask_ |= to_bit(event);
    }
    void want_nothing() { mask_ = 0; }
    void client_connected(const client& who, bool) override {
        events.push_back("connected " + who.request->client_id);
    }
    void client_disconnected(const client& who, reason_code reason) override {
        events.push_back("disconnected " + who.request->client_id);
        reasons.push_back(reason);
    }
    void log(log_level level, std::string text) override {
        logs.push_back({level, {}, std::move(text)});
    }

    std::size_t logs_with(std::string_view part) const {
        std::size_t n = 0;
        for (const log_record& record : logs) {
            if (record.text.find(part) != std::string::npos) ++n;
        }
        return n;
    }

    verdict answer = verdict::allow;
    std::function<verdict(const client&)> judge;  // instead of answer, when set
    std::deque<authentication_reply> replies;  // to steps of enhanced authentication, in turn
    std::vector<std::string> steps;            // "method:data", " first", " again"
    std::vector<std::uint64_t> ended;          // tickets of exchanges that are over
    std::vector<std::string> asked;            // client identifiers
    std::vector<std::uint64_t> tickets;        // of all questions
    std::vector<std::string> events;           // "connected a", "disconnected a"
    std::vector<reason_code> reasons;          // of the disconnections
    std::vector<log_record> logs;
};

}  // namespace amqtt::test
