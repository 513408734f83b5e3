// Properties of every packet.
#include "codec/properties.hpp"

#include "allocations.hpp"
#include "input.hpp"

using namespace amqtt;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::input in(data, size);
    const auto scope = static_cast<property_scope>(in.byte() % 14);
    reader source(in.rest());
    const fuzz::allocation_bound bound(size);
    const auto decoded = properties::decode(source, scope);
    if (!decoded) return 0;
    std::vector<std::uint8_t> once;
    fuzz::check(decoded->encode(once));
    reader second(once);
    const auto again = properties::decode(second, scope);
    fuzz::check(again.has_value() && second.at_end());
    fuzz::check(again->all().size() == decoded->all().size());
    for (const property& p : decoded->all())
        fuzz::check(decoded->contains(p.id));
    std::vector<std::uint8_t> twice;
    fuzz::check(again->encode(twice));
    fuzz::check(once == twice);
    return 0;
}
