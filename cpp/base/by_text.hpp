// Hash tables whose keys are found by their text.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <type_traits>

#include <boost/unordered/unordered_flat_map.hpp>
#include <boost/unordered/unordered_flat_set.hpp>

namespace amqtt {

// Differs from process to process: the texts come from peers, who could choose those that collide.
struct text_hash {
    using is_transparent = void;
    using is_avalanching = void;

    std::size_t operator()(std::string_view text) const noexcept;
};

// Of strings, which are found by views of text too.
template <class Value>
using map_by_text = boost::unordered_flat_map<std::string, Value, text_hash, std::equal_to<>>;

// Hash and equality of keys that have a text, Text::of(key), by which alone they are looked up.
template <class Text>
struct by_text {
    using is_transparent = void;
    using is_avalanching = void;

    std::size_t operator()(const auto& key) const noexcept { return text_hash()(of(key)); }
    bool operator()(const auto& a, const auto& b) const noexcept { return of(a) == of(b); }

  private:
    template <class Key>
    static std::string_view of(const Key& key) noexcept {
        if constexpr (std::is_convertible_v<const Key&, std::string_view>) {
            return key;
        } else {
            return Text::of(key);
        }
    }
};

template <class Key, class Text>
using set_by_text = boost::unordered_flat_set<Key, by_text<Text>, by_text<Text>>;

}  // namespace amqtt
