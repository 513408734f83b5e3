// MQTT in WebSocket frames, over a stream that carries the frames.
#pragma once

#include <memory>
#include <string>

#include "transport/stream.hpp"
#include "transport/websocket_frames.hpp"
#include "transport/websocket_upgrade.hpp"

namespace amqtt {

class websocket_stream final : public stream {
  public:
    // settings must outlive the stream.
    websocket_stream(std::unique_ptr<stream> lower, const websocket_settings& settings);

    io_result read(std::span<std::uint8_t> buffer) override;
    io_result write(std::span<const bytes_view> slices) override;
    bool has_input() const noexcept override;
    bool has_output() const noexcept override;
    void set_end_reason(reason_code reason) override { end_code_ = close_code_for(reason); }
    io_status shutdown_send() override;
    std::string problem() const override;
    std::shared_ptr<const tls_peer> tls() const override { return lower_->tls(); }
    std::string_view key_question() const override { return lower_->key_question(); }
    void answer_key(bytes_view key) override { lower_->answer_key(key); }
    stream_socket& socket() noexcept override { return lower_->socket(); }

  private:
    enum class state : std::uint8_t {
        opening,  // the handshake is not complete
        refused,  // the handshake failed
        open,
        ended,  // the peer has sent Close, or has broken the rules
    };

    std::span<std::uint8_t> upgrade(std::span<std::uint8_t> input);
    void answer_control_frames();
    void queue_close(websocket_close code);
    // Begins what is next when no frame is in progress; `waiting` is the payload there is.
    void begin_frame(std::size_t waiting);

    std::unique_ptr<stream> lower_;
    std::unique_ptr<websocket_upgrade> upgrade_;  // until it is complete
    std::string problem_;
    websocket_decoder decoder_;
    std::string pending_;         // our own bytes, on their way
    std::size_t frame_left_ = 0;  // payload of the begun frame that is still to go
    std::string pong_;            // whole frames that wait for their turn
    std::string close_;
    websocket_close end_code_ = websocket_close::normal;
    state state_ = state::opening;
    bool close_begun_ = false;  // our Close frame is pending or sent: nothing may follow it
    bool end_waits_ = false;    // read() has yet to report the end
};

}  // namespace amqtt
