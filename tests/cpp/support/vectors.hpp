// The wire cases of tests/conformance/vectors (the README there describes their format).
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "support/broker_bed.hpp"

namespace amqtt::test {

enum class action { send, expect, expect_set, expect_close, abort, ping, advance };

struct vector_step {
    action what = action::send;
    std::string on;              // the connection
    std::vector<bytes> packets;  // one, but for expect_set
    duration time{0};            // of advance
};

struct vector_case {
    std::string file;
    std::string name;
    std::vector<vector_step> steps;
};

// How gtest shows a case.
void PrintTo(const vector_case& which, std::ostream* out);

// Every case of every file, in file order. Throws on what breaks the format.
std::vector<vector_case> load_vectors(const std::string& folder);

// Performs one step. send_piece: bytes sent at a time.
void perform(broker_bed& bed, const vector_step& step, std::size_t send_piece);
// Performs what peers and clock do in a step, whatever comes of it.
void perform_unchecked(broker_bed& bed, const vector_step& step);

}  // namespace amqtt::test
