#include "codec/fields.hpp"

#include "codec/utf8.hpp"
#include "codec/varint.hpp"
#include "codec/writer.hpp"

namespace amqtt {
namespace {

constexpr std::size_t length_size = 2;  // of text and binary data

// Bytes that a field has at least.
constexpr std::size_t least_size(field_type type) noexcept {
    switch (type) {
        case field_type::two_bytes:
        case field_type::text:
        case field_type::binary:
            return 2;
        default:
            return 1;
    }
}

std::size_t least_size(std::string_view layout) noexcept {
    std::size_t size = 0;
    for (const char letter : layout)
        size += least_size(static_cast<field_type>(letter));
    return size;
}

std::uint32_t integer_at(bytes_view data, std::size_t size) noexcept {
    std::uint32_t value = 0;
    for (const std::uint8_t byte : data.first(size))
        value = value << 8 | byte;
    return value;
}

// A field at the start of some data; size may exceed the data.
struct extent {
    std::size_t prefix;  // bytes before the content
    std::size_t size;    // the whole field, as far as is known yet
};

result<extent> counted_extent(field_type type, bytes_view data) noexcept {
    const varint_result read = read_varint(data);
    if (read.status == varint_status::malformed) {
        return malformed("Variable Byte Integer exceeds four bytes");
    }
    if (read.status == varint_status::incomplete) return extent{0, data.size() + 1};
    const std::size_t content = type == field_type::counted ? read.value : 0;
    return extent{read.size, read.size + content};
}

result<extent> extent_of(field_type type, bytes_view data) noexcept {
    switch (type) {
        case field_type::byte:
        case field_type::two_bytes:
            return extent{0, least_size(type)};
        case field_type::text:
        case field_type::binary: {
            if (data.size() < length_size) return extent{0, length_size};
            return extent{length_size, length_size + integer_at(data, length_size)};
        }
        case field_type::varint:
        case field_type::counted:
            break;
    }
    return counted_extent(type, data);
}

// Precondition: the field is complete.
result<field_value> value_of(field_type type, bytes_view field, std::size_t prefix) {
    const bytes_view content = field.subspan(prefix);
    switch (type) {
        case field_type::byte:
        case field_type::two_bytes:
            return field_value(integer_at(content, content.size()));
        case field_type::varint:
            return field_value(read_varint(field).value);
        case field_type::text:
            if (!is_valid_utf8(as_text(content))) {
                return malformed("text is not UTF-8, or has a null character");
            }
            return field_value(as_text(content));
        case field_type::binary:
            return field_value(content);
        case field_type::counted:
            break;
    }
    return field_value(field);
}

}  // namespace

result<field_run> read_fields(std::string_view layout, bytes_view data) {
    const bool repeat = layout.ends_with(repeated_layout);
    if (repeat) layout.remove_suffix(1);
    field_run run;
    if (layout.empty()) return run;
    do {
        if (repeat && data.empty()) break;
        for (std::size_t i = 0; i < layout.size(); ++i) {
            const auto type = static_cast<field_type>(layout[i]);
            const auto field = extent_of(type, data);
            if (!field) return field.error();
            if (data.size() < field->size) {
                run.missing = field->size - data.size() + least_size(layout.substr(i + 1));
                return run;
            }
            auto value = value_of(type, data.first(field->size), field->prefix);
            if (!value) return value.error();
            run.values.push_back(*value);
            data = data.subspan(field->size);
        }
    } while (repeat);
    return run;
}

const char* field_problem(field_type type, const field_value& value) noexcept {
    const auto* number = std::get_if<std::uint32_t>(&value);
    const auto* text = std::get_if<std::string_view>(&value);
    const auto* bytes = std::get_if<bytes_view>(&value);
    switch (type) {
        case field_type::byte:
            return number && *number <= UINT8_MAX ? nullptr : "expected a number of one byte";
        case field_type::two_bytes:
            return number && *number <= UINT16_MAX ? nullptr : "expected a number of two bytes";
        case field_type::varint:
            return number && *number <= varint_max ? nullptr
                                                   : "expected a number of at most 268,435,455";
        case field_type::text:
            if (!text || text->size() > UINT16_MAX) return "expected text of at most 65,535 bytes";
            return is_valid_utf8(*text) ? nullptr : "text is not UTF-8, or has a null character";
        case field_type::binary:
            return bytes && bytes->size() <= UINT16_MAX ? nullptr : "expected at most 65,535 bytes";
        case field_type::counted:
            return bytes ? nullptr : "expected bytes";
    }
    return "unknown field type";
}

void write_field(field_type type, const field_value& value, std::vector<std::uint8_t>& out) {
    writer to(out);
    switch (type) {
        case field_type::byte:
            to.u8(static_cast<std::uint8_t>(std::get<std::uint32_t>(value)));
            break;
        case field_type::two_bytes:
            to.u16(static_cast<std::uint16_t>(std::get<std::uint32_t>(value)));
            break;
        case field_type::varint:
            to.varint(std::get<std::uint32_t>(value));
            break;
        case field_type::text:
            to.utf8(std::get<std::string_view>(value));
            break;
        case field_type::binary:
            to.binary(std::get<bytes_view>(value));
            break;
        case field_type::counted:
            to.bytes(std::get<bytes_view>(value));
            break;
    }
}

}  // namespace amqtt
