// MQTT in WebSocket frames, over a stream that carries the frames: one packet in each, several in
// one write.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "net/stream.hpp"
#include "websocket/websocket_frames.hpp"
#include "websocket/websocket_packets.hpp"
#include "websocket/websocket_upgrade.hpp"

namespace amqtt {

class websocket_stream final : public stream {
  public:
    // settings must outlive the stream. scratch: at least 4 KiB for the time of a write, which the
    // stream below does not use.
    websocket_stream(std::unique_ptr<stream> lower, const websocket_settings& settings,
                     std::span<std::uint8_t> scratch);

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
    // Where the output is, in frames.
    struct progress {
        packet_cutter cutter{largest_frame};
        std::array<std::uint8_t, websocket_header_size> header{};
        std::size_t header_at = 0;  // of the begun frame
        std::size_t header_size = 0;
        std::size_t payload_left = 0;

        bool is_between_frames() const noexcept {
            return header_at == header_size && payload_left == 0;
        }
        // False: it cannot be told what the next frame holds.
        bool begin_frame(const slice_reader& in, bool at_once) noexcept;
    };
    // What one write offers to the stream below.
    struct batch {
        std::array<bytes_view, 66> slices;
        std::size_t count = 0;
        std::size_t size = 0;
        std::size_t payload = 0;  // of that
    };

    // Some clients refuse larger messages, and a Pong has to wait for the end of a frame.
    static constexpr std::size_t largest_frame = 256 * 1024;

    bool control_waits() const noexcept {
        return !close_begun_ && (!pong_.empty() || !close_.empty());
    }
    void take_control_frames();
    io_result write_pending();
    void fill(batch& out, progress& at, slice_reader in) const;
    // Moves on by n bytes of frames; returns how many of them are payload.
    std::size_t advance(std::size_t n, slice_reader in);

    std::unique_ptr<stream> lower_;
    std::unique_ptr<websocket_upgrade> upgrade_;  // until it is complete
    std::string problem_;
    websocket_decoder decoder_;
    std::span<std::uint8_t> scratch_;
    progress at_;
    // The stream below has no room for so many bytes that it was offered, and may have taken in
    // some of them without saying so: they have to be offered again, and more only behind them.
    std::size_t owed_ = 0;
    std::string pending_;  // our own bytes, on their way
    std::string pong_;     // whole frames that wait for their turn
    std::string close_;
    websocket_close end_code_ = websocket_close::normal;
    state state_ = state::opening;
    bool close_begun_ = false;  // our Close frame is pending or sent: nothing may follow it
    bool end_waits_ = false;    // read() has yet to report the end
};

}  // namespace amqtt
