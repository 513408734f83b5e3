#include "support/vectors.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <ostream>
#include <set>
#include <stdexcept>

#include <boost/json.hpp>

namespace amqtt::test {
namespace {

namespace json = boost::json;

constexpr std::pair<const char*, action> action_names[] = {
    {"send", action::send},
    {"expect", action::expect},
    {"expect_set", action::expect_set},
    {"expect_close", action::expect_close},
    {"abort", action::abort},
    {"ping", action::ping},
    {"advance", action::advance},
};

std::string text_of(const json::value& value) {
    return std::string(value.as_string());
}

vector_step read_step(const json::object& from) {
    vector_step step;
    const json::value* value = nullptr;
    for (const auto& [name, what] : action_names) {
        if (const json::value* found = from.if_contains(name)) {
            if (value) throw std::invalid_argument("two actions in one step");
            value = found;
            step.what = what;
        }
    }
    const bool has_connection = from.contains("on");
    if (!value || has_connection == (step.what == action::advance) ||
        from.size() != (has_connection ? 2U : 1U)) {
        throw std::invalid_argument("bad step " + json::serialize(from));
    }
    if (has_connection) step.on = text_of(from.at("on"));
    if (step.what == action::advance) {
        const std::chrono::duration<double> seconds(value->to_number<double>());
        step.time = std::chrono::duration_cast<duration>(seconds);
    } else if (step.what == action::expect_set) {
        for (const json::value& one : value->as_array())
            step.packets.push_back(wire(text_of(one)));
    } else if (value->is_string()) {
        step.packets.push_back(wire(text_of(*value)));
    }
    return step;
}

void read_file(const std::filesystem::path& path, std::vector<vector_case>& cases) {
    std::ifstream in(path, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    const json::value document = json::parse(text);
    for (const json::value& raw : document.at("cases").as_array()) {
        vector_case read{path.filename().string(), text_of(raw.at("name")), {}};
        for (const json::value& step : raw.at("steps").as_array())
            read.steps.push_back(read_step(step.as_object()));
        cases.push_back(std::move(read));
    }
}

}  // namespace

void PrintTo(const vector_case& which, std::ostream* out) {
    *out << which.file << ": " << which.name;
}

std::vector<vector_case> load_vectors(const std::string& folder) {
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        if (entry.path().extension() == ".json") files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    std::vector<vector_case> cases;
    for (const auto& path : files) {
        try {
            read_file(path, cases);
        } catch (const std::exception& problem) {
            throw std::runtime_error(path.filename().string() + ": " + problem.what());
        }
    }
    std::set<std::string> names;
    for (const vector_case& each : cases) {
        if (!names.insert(each.name).second) {
            throw std::runtime_error(each.file + ": name used twice: " + each.name);
        }
    }
    return cases;
}

void perform(broker_bed& bed, const vector_step& step, std::size_t send_piece) {
    if (step.what == action::advance) {
        bed.advance(step.time, step.time > std::chrono::hours(1));
        return;
    }
    peer& on = bed[step.on];
    switch (step.what) {
        case action::send:
            on.send_split(step.packets.front(), send_piece);
            break;
        case action::expect:
            on.expect(step.packets.front());
            break;
        case action::expect_set:
            on.expect_in_any_order(step.packets);
            break;
        case action::expect_close:
            on.expect_closed();
            break;
        case action::abort:
            on.abort();
            break;
        case action::ping:
            on.send(pingreq()).expect(pingresp());
            break;
        case action::advance:
            break;
    }
}

void perform_unchecked(broker_bed& bed, const vector_step& step) {
    switch (step.what) {
        case action::advance:
            bed.advance(step.time, true);
            break;
        case action::send:
            bed[step.on].send(step.packets.front());
            break;
        case action::ping:
            bed[step.on].send(pingreq());
            break;
        case action::abort:
            bed[step.on].abort();
            break;
        default:
            break;
    }
}

}  // namespace amqtt::test
