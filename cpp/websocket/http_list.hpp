// Headers of HTTP whose value is a list, and may stand on several lines (RFC 9110, 5.3).
#pragma once

#include <boost/beast/core/string.hpp>
#include <boost/beast/http/field.hpp>
#include <boost/beast/http/rfc7230.hpp>

namespace amqtt {

// Calls visit(token) with each token of the header, in their order, until it returns true; returns
// whether it did.
template <class Fields, class Visit>
bool any_token(const Fields& fields, boost::beast::http::field name, const Visit& visit) {
    const auto [begin, end] = fields.equal_range(name);
    for (auto line = begin; line != end; ++line) {
        for (const auto& token : boost::beast::http::token_list(line->value())) {
            if (visit(token)) return true;
        }
    }
    return false;
}

// Whether the header has the token, in upper or lower case.
template <class Fields>
bool has_token(const Fields& fields, boost::beast::http::field name,
               boost::beast::string_view wanted) {
    return any_token(fields, name, [wanted](boost::beast::string_view token) {
        return boost::beast::iequals(token, wanted);
    });
}

}  // namespace amqtt
