// Stand-ins for what surrounds the broker's core.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "broker/connection_control.hpp"
#include "broker/hooks.hpp"

namespace amqtt::test {

// Notes what the broker wishes.
class fake_link : public connection_control {
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

    bool has_room_for(const client&) override { return has_room; }
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
    void work_left() override {
        has_work_left = true;
        ++work_requests;
    }
    bool has_work_left = false;
    int work_requests = 0;
    // Time goes on by that with each look at it.
    instant time() const noexcept override { return now += look; }
    duration look{0};
    mutable instant now{0};
    void client_refused(const client& who) override { refused.push_back(who.request->client_id); }
    std::vector<std::string> refused;
    void client_connected(const client& who, bool) override {
        events.push_back("connected " + who.request->client_id);
    }
    void client_disconnected(const client& who, reason_code reason) override {
        events.push_back("disconnected " + who.request->client_id);
        reasons.push_back(reason);
    }
    void user_changed(const session& who) override {
        changed_users.push_back(who.client_id() + " " + who.user_name.value_or(""));
    }
    decision check_topic(const session& who, topic_action action, std::string_view topic,
                         std::uint64_t ticket, instant) override {
        const std::string question = question_of(who, action, topic);
        const verdict made = judge_topic ? judge_topic(question) : verdict::pending;
        if (made == verdict::pending) {
            topics.push_back(question);
            topic_tickets.push_back(ticket);
        }
        return {made, refusal};
    }
    bool is_refused(const session& who, std::string_view topic, instant) override {
        return judge_topic &&
               judge_topic(question_of(who, topic_action::receive, topic)) == verdict::deny;
    }
    void topic_decided(const session& who, topic_action action, std::string_view topic,
                       const decision& made, instant) override {
        decided.push_back(question_of(who, action, topic) +
                          (made.answer == verdict::allow ? ": allow" : ": deny"));
    }
    void local_message(std::uint64_t subscriber, const message_ptr& m, bool) override {
        local.push_back(std::to_string(subscriber) + " " + std::string(m->topic()) + " " +
                        std::string(as_text(m->payload())));
    }
    void packet_received(const client&, bytes_view packet) override {
        packets.emplace_back(packet.begin(), packet.end());
    }
    void packet_sent(const client&, bytes_view packet) override {
        packets.emplace_back(packet.begin(), packet.end());
    }
    bool is_congested() const noexcept override { return congested; }
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

    bool has_room = true;
    verdict answer = verdict::allow;
    std::function<verdict(const client&)> judge;  // instead of answer, when set
    std::deque<authentication_reply> replies;     // to steps of enhanced authentication, in turn
    std::vector<std::string> steps;               // "method:data", " first", " again"
    std::vector<std::uint64_t> ended;             // tickets of exchanges that are over
    std::vector<std::string> asked;               // client identifiers
    std::vector<std::uint64_t> tickets;           // of all questions
    std::vector<std::string> events;              // "connected a", "disconnected a"
    std::vector<reason_code> reasons;             // of the disconnections
    std::vector<std::string> changed_users;       // "client user"
    std::vector<log_record> logs;

    std::function<verdict(std::string_view)> judge_topic;  // else every question is pending
    reason_code refusal = reason_code::not_authorized;     // of what it denies
    std::vector<std::string> topics;                       // "client action topic", if pending
    std::vector<std::uint64_t> topic_tickets;              // of these
    std::vector<std::string> decided;                      // "client action topic: allow"
    std::vector<std::string> local;                        // "subscriber topic payload"
    std::vector<std::vector<std::uint8_t>> packets;
    bool congested = false;

  private:
    static std::string question_of(const session& who, topic_action action,
                                   std::string_view topic) {
        static constexpr const char* names[] = {" subscribe ", " publish ", " receive "};
        return who.client_id() + names[static_cast<int>(action)] + std::string(topic);
    }
};

}  // namespace amqtt::test
