// MQTT in WebSocket frames, the client's side: its frames are masked, with one packet in each.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "net/stream.hpp"
#include "websocket/websocket_frames.hpp"
#include "websocket/websocket_packets.hpp"
#include "websocket/websocket_request.hpp"

namespace amqtt {

class websocket_client_stream final : public stream {
  public:
    websocket_client_stream(std::unique_ptr<stream> lower,
                            const websocket_request_settings& settings);

    io_result read(std::span<std::uint8_t> buffer) override;
    io_result write(std::span<const bytes_view> slices) override;
    bool has_input() const noexcept override { return lower_->has_input(); }
    bool has_output() const noexcept override;
    void set_end_reason(reason_code reason) override { end_code_ = close_code_for(reason); }
    io_status shutdown_send() override;
    std::string problem() const override;
    std::shared_ptr<const tls_peer> tls() const override { return lower_->tls(); }
    stream_socket& socket() noexcept override { return lower_->socket(); }

  private:
    enum class state : std::uint8_t { opening, open, ended };

    std::span<std::uint8_t> upgrade(std::span<std::uint8_t> input);
    void answer_control_frames();
    void queue_close(websocket_close code);
    // Masks what is next into pending_, when nothing is on its way.
    void fill(std::span<const bytes_view> slices);
    // Control frames have their whole payload behind them.
    void append_control(websocket_opcode opcode, std::string_view payload);
    void append_header(websocket_opcode opcode, std::size_t payload);
    void append_masked(bytes_view payload);

    // Also bounds what is copied to be masked.
    static constexpr std::size_t largest_frame = 64 * 1024;

    std::unique_ptr<stream> lower_;
    std::unique_ptr<websocket_request> request_;  // until it is answered
    websocket_decoder decoder_{websocket_decoder::role::client};
    std::string problem_;
    std::string pending_;  // bytes on their way, the first sent_ of them gone
    std::size_t sent_ = 0;
    std::size_t framed_ = 0;  // payload of the caller that is in pending_
    packet_cutter cutter_{largest_frame};
    std::size_t frame_left_ = 0;  // payload of the begun frame that is not in pending_ yet
    std::array<std::uint8_t, 4> mask_{};
    std::size_t mask_at_ = 0;                // which byte of it is next
    std::array<std::uint8_t, 64> random_{};  // for masks
    std::size_t random_left_ = 0;
    std::string pong_;  // payload of a Pong that waits for its turn
    bool pong_waits_ = false;
    std::string close_;  // payload of Close
    bool close_waits_ = false;
    bool close_begun_ = false;  // nothing may follow it
    websocket_close end_code_ = websocket_close::normal;
    state state_ = state::opening;
};

}  // namespace amqtt
