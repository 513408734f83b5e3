// A value, or what was wrong with the input. Parsing never throws.
#pragma once

#include <boost/system/result.hpp>

#include "base/reason_code.hpp"

namespace amqtt {

struct protocol_violation {
    reason_code code = reason_code::malformed_packet;
    const char* what = "";  // a static text, for the log

    friend bool operator==(const protocol_violation& a, const protocol_violation& b) noexcept {
        return a.code == b.code;
    }
};

// Required by boost::system::result, whose value() throws on an error.
[[noreturn]] void throw_exception_from_error(const protocol_violation& violation,
                                             const boost::source_location& where);

template <class T>
using result = boost::system::result<T, protocol_violation>;

inline protocol_violation malformed(const char* what) noexcept {
    return {reason_code::malformed_packet, what};
}

inline protocol_violation protocol_error(const char* what) noexcept {
    return {reason_code::protocol_error, what};
}

}  // namespace amqtt
