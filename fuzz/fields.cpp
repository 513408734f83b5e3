// Runs of fields, and whole packets of any type.
#include "codec/fields.hpp"

#include <algorithm>
#include <iterator>

#include "allocations.hpp"
#include "codec/packet.hpp"
#include "input.hpp"

namespace {

using namespace amqtt;

constexpr std::string_view layouts[] = {"sBBH", "sHp", "HBp", "sB*", "s*", "sb", "v", ""};

// What was read must be what is written, but for Variable Byte Integers that are longer than they
// need to be.
void check_fields(std::string_view layout, bytes_view data) {
    const auto run = read_fields(layout, data);
    if (!run || run->missing != 0) return;
    std::vector<std::uint8_t> written;
    for (std::size_t i = 0; i < run->values.size(); ++i) {
        const auto type =
            static_cast<field_type>(layout[i % (layout.size() - layout.ends_with('*'))]);
        fuzz::check(field_problem(type, run->values[i]) == nullptr);
        write_field(type, run->values[i], written);
    }
    fuzz::check(written.size() <= data.size());
    if (layout == "v") return;
    fuzz::check(std::equal(written.begin(), written.end(), data.begin()));
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const fuzz::allocation_bound bound(size);
    fuzz::input in(data, size);
    const std::uint8_t choice = in.byte();
    const bytes_view rest = in.rest();
    check_fields(layouts[choice % std::size(layouts)], rest);
    const auto version = static_cast<protocol_version>(3 + choice % 3);
    const auto packet = decode_packet(rest, version, tolerances(choice));
    if (packet) fuzz::check(packet->remaining_length < rest.size());
    return 0;
}
