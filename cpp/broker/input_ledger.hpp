#pragma once

#include <array>
#include <cstddef>

#include <boost/intrusive/list.hpp>

#include "broker/client.hpp"

namespace amqtt {

// The memory of input that is kept for all clients: parts of packets, and what comes behind a
// packet that waits for a decision. Peers that are not admitted have a bound of their own, so that
// they leave room to clients. Knows who has most without looking at all of them.
class input_ledger {
  public:
    // Bytes for admitted clients; others may have a quarter of that besides.
    explicit input_ledger(std::size_t most) noexcept : bounds_{most / 4, most} {}

    // What is kept for a client has become that much.
    void note(client& c, std::size_t kept) noexcept {
        if (kept == c.kept_input && (kept == 0 || c.kept_as_admitted == is_admitted(c))) return;
        change(c, kept);
    }
    // Of those that are together over their bound, one that has about most; null: none is.
    client* over_bound() noexcept;
    std::size_t bytes() const noexcept { return bytes_[0] + bytes_[1]; }

  private:
    // Each is for twice the size of the one before. Less than least is not worth closing for.
    static constexpr std::size_t least = 1024;
    static constexpr std::size_t class_count = 20;
    using list = boost::intrusive::list<
        client,
        boost::intrusive::member_hook<client, decltype(client::among_kept), &client::among_kept>,
        boost::intrusive::constant_time_size<false>>;

    static bool is_admitted(const client& c) noexcept { return c.phase == client_phase::connected; }
    void change(client& c, std::size_t kept) noexcept;

    std::array<std::size_t, 2> bounds_;  // of strangers, of admitted clients
    std::array<std::size_t, 2> bytes_{};
    std::array<std::array<list, class_count>, 2> holders_;
};

}  // namespace amqtt
