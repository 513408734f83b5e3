// Pre-shared keys: TLS without certificates (RFC 4279, RFC 8446 4.2.11).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace amqtt {

class psk_table {
  public:
    // Reads a file with lines `identity:key`, the key in hexadecimal; empty lines and those that
    // begin with '#' count for nothing. Throws tls_settings_error with file and line.
    static psk_table read(const std::string& path);
    // The same of a text; `name` stands for the file in errors.
    static psk_table parse(std::string_view text, const std::string& name);

    using key = std::vector<std::uint8_t>;
    using entry = std::pair<const std::string, key>;

    // Identity and key, valid as long as the table; nullptr if there is none.
    const entry* find(std::string_view identity) const;
    std::size_t size() const noexcept { return keys_.size(); }

    psk_table() = default;
    ~psk_table();
    psk_table(psk_table&&) = default;
    psk_table& operator=(psk_table&&) = default;
    psk_table(const psk_table&) = delete;
    psk_table& operator=(const psk_table&) = delete;

  private:
    void add_line(std::string_view line, const std::string& where);

    std::unordered_map<std::string, key> keys_;
};

}  // namespace amqtt
