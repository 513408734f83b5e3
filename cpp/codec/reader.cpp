#include "codec/reader.hpp"

#include "codec/varint.hpp"

namespace amqtt {

std::uint32_t reader::varint() noexcept {
    const varint_result read = read_varint(data_);
    const bool shortest = read.size == varint_size(read.value);
    if (read.status != varint_status::complete || !shortest) {
        ok_ = false;
        data_ = {};
        return 0;
    }
    data_ = data_.subspan(read.size);
    return read.value;
}

}  // namespace amqtt
