#include "net/network_list.hpp"

#include <algorithm>
#include <cstddef>
#include <stdexcept>

namespace amqtt {
namespace {

constexpr unsigned int v4_bits = 32;
constexpr unsigned int v6_bits = 128;

bool same_prefix(const asio::ip::address_v6::bytes_type& a,
                 const asio::ip::address_v6::bytes_type& b, unsigned int bits) noexcept {
    const std::size_t whole = bits / 8;
    if (!std::equal(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(whole), b.begin())) {
        return false;
    }
    const unsigned int rest = bits % 8;
    return rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0;
}

}  // namespace

network_list::network_list(const std::vector<std::string>& texts) {
    for (const std::string& text : texts)
        add(text);
}

void network_list::add(const std::string& text) {
    const bool whole = text.find('/') == std::string::npos;
    error_code error;
    if (text.find(':') == std::string::npos) {
        const auto network =
            asio::ip::make_network_v4(whole ? text + "/" + std::to_string(v4_bits) : text, error);
        if (!error) v4_.push_back({network.network().to_uint(), network.netmask().to_uint()});
    } else {
        const auto network =
            asio::ip::make_network_v6(whole ? text + "/" + std::to_string(v6_bits) : text, error);
        if (!error) {
            v6_.push_back(
                {network.address().to_bytes(), static_cast<unsigned int>(network.prefix_length())});
        }
    }
    if (error) throw std::invalid_argument("'" + text + "' is no address and no network");
}

bool network_list::contains(const asio::ip::address& address) const noexcept {
    if (address.is_v6() && !address.to_v6().is_v4_mapped()) {
        const auto bytes = address.to_v6().to_bytes();
        return std::any_of(v6_.begin(), v6_.end(), [&](const v6& each) {
            return same_prefix(each.network, bytes, each.prefix);
        });
    }
    const auto number =
        (address.is_v4() ? address.to_v4()
                         : asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6()))
            .to_uint();
    return std::any_of(v4_.begin(), v4_.end(),
                       [&](const v4& each) { return (number & each.mask) == each.network; });
}

}  // namespace amqtt
