#include "net/stream.hpp"

#include <array>

namespace amqtt {

void stream::close() noexcept {
    error_code ignored;  // nothing could be done about it
    socket().close(ignored);
}

io_result write_queue(stream& to, output_queue& out) {
    std::array<bytes_view, 64> slices;
    std::size_t sent = 0;
    while (!out.empty() || to.has_output()) {
        const std::size_t count = out.gather(slices);
        io_result result = to.write(std::span(slices).first(count));
        if (result.status != io_status::done) {
            result.size = sent;
            return result;
        }
        out.consume(result.size);
        sent += result.size;
    }
    return {io_status::done, sent, {}};
}

}  // namespace amqtt
