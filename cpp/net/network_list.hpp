// Networks that addresses are looked up in.
#pragma once

#include <string>
#include <vector>

#include <boost/asio/ip/network_v4.hpp>
#include <boost/asio/ip/network_v6.hpp>

#include "net/asio.hpp"

namespace amqtt {

class network_list {
  public:
    // Takes addresses and networks, such as 192.0.2.1, 10.0.0.0/8 and fd00::/8. Throws
    // std::invalid_argument, which names the text.
    explicit network_list(const std::vector<std::string>& texts);

    // An IPv4 address that is written as one of IPv6 counts as IPv4.
    bool contains(const asio::ip::address& address) const noexcept;

  private:
    struct v4 {
        asio::ip::address_v4::uint_type network;
        asio::ip::address_v4::uint_type mask;
    };
    struct v6 {
        asio::ip::address_v6::bytes_type network;
        unsigned int prefix;
    };

    void add(const std::string& text);

    std::vector<v4> v4_;
    std::vector<v6> v6_;
};

}  // namespace amqtt
