#include "base/result.hpp"

#include <stdexcept>

namespace amqtt {

void throw_exception_from_error(const protocol_violation& violation,
                                const boost::source_location&) {
    throw std::logic_error(violation.what);
}

}  // namespace amqtt
