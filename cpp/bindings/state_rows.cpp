#include "bindings/state_rows.hpp"

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <pybind11/stl.h>

#include "bindings/convert.hpp"
#include "codec/properties.hpp"
#include "codec/reader.hpp"

namespace amqtt {
namespace {

double epoch() {
    using seconds = std::chrono::duration<double>;
    return seconds(std::chrono::system_clock::now().time_since_epoch()).count();
}

// Between instants of the engine and seconds since the epoch.
class calendar {
  public:
    explicit calendar(instant now)
        : now_(now), offset_(epoch() - std::chrono::duration<double>(now).count()) {}

    instant now() const noexcept { return now_; }

    py::object to_python(const std::optional<instant>& when) const {
        if (!when) return py::none();
        return py::float_(std::chrono::duration<double>(*when).count() + offset_);
    }
    std::optional<instant> to_instant(const py::handle& when) const {
        if (when.is_none()) return std::nullopt;
        return to_duration(when.cast<double>() - offset_);
    }

  private:
    instant now_;
    double offset_;
};

// The clock of the system may be set while the broker is not there. So how much of a message's life
// is left goes along with its properties, as the Message Expiry Interval that they do not have
// otherwise: it is never delivered with more than that.
std::vector<std::uint8_t> with_expiry(const message& m, instant now) {
    const bytes_view properties = m.properties();
    std::vector<std::uint8_t> all;
    if (m.expires_at()) {
        const auto left = std::chrono::ceil<std::chrono::seconds>(*m.expires_at() - now).count();
        const auto seconds =
            static_cast<std::uint32_t>(std::clamp<std::int64_t>(left, 0, UINT32_MAX));
        (void)encode_property({property_id::message_expiry_interval, seconds}, all);
    }
    all.insert(all.end(), properties.begin(), properties.end());
    return all;
}

// Takes it out again; nothing when it is not there, as in rows of earlier versions.
std::optional<duration> take_expiry(std::vector<std::uint8_t>& properties) {
    reader in(properties);
    if (!in.skip(static_cast<std::uint8_t>(property_id::message_expiry_interval))) {
        return std::nullopt;
    }
    const std::uint32_t seconds = in.u32();
    if (!in.ok()) return std::nullopt;
    properties.erase(properties.begin(),
                     properties.end() - static_cast<std::ptrdiff_t>(in.remaining()));
    return std::chrono::seconds(seconds);
}

py::object text_or_none(const std::optional<std::string>& text) {
    return text ? py::object(to_python(std::string_view(*text))) : py::none();
}

std::string listed(const std::shared_ptr<const std::vector<std::uint32_t>>& identifiers) {
    std::string text;
    if (!identifiers) return text;
    for (const std::uint32_t each : *identifiers) {
        if (!text.empty()) text += ',';
        text += std::to_string(each);
    }
    return text;
}

std::shared_ptr<const std::vector<std::uint32_t>> to_identifiers(const std::string& text) {
    if (text.empty()) return nullptr;
    std::vector<std::uint32_t> all;
    for (std::size_t at = 0; at < text.size();) {
        std::size_t length = 0;
        all.push_back(static_cast<std::uint32_t>(std::stoul(text.substr(at), &length)));
        at += length + 1;
    }
    return std::make_shared<const std::vector<std::uint32_t>>(std::move(all));
}

// -- to Python

py::object to_row(const std::optional<will_row>& will) {
    if (!will) return py::none();
    return py::make_tuple(to_python(std::string_view(will->topic)),
                          to_python(as_bytes(will->payload)), to_byte(will->level), will->retain,
                          will->delay, to_python(bytes_view(will->properties)),
                          will->expiry_interval);
}

py::object to_row(const session_row& row, const calendar& times) {
    return py::make_tuple(row.id, to_python(std::string_view(row.client_id)),
                          text_or_none(row.user_name), row.expiry_interval,
                          times.to_python(row.disconnected_at), row.keep_alive, row.clean_start,
                          to_row(row.will));
}

py::object to_row(const subscription_row& row, const calendar&) {
    return py::make_tuple(row.id, row.session, to_python(std::string_view(row.name)),
                          to_byte(row.level), row.no_local, row.retain_as_published,
                          row.retain_handling, row.identifier);
}

py::object to_row(const message_row& row, const calendar& times) {
    const message& m = *row.content;
    return py::make_tuple(row.id, to_python(m.topic()), to_python(m.payload()), to_byte(m.level()),
                          m.retain(), to_python(bytes_view(with_expiry(m, times.now()))),
                          times.to_python(m.expires_at()));
}

py::object to_row(const delivery_row& row, const calendar&) {
    const py::object share =
        row.share ? py::object(to_python(std::string_view(*row.share))) : py::none();
    return py::make_tuple(row.id, row.session, row.message, to_byte(row.level), row.retain,
                          listed(row.identifiers), share, row.packet_id,
                          static_cast<int>(row.state));
}

py::object to_row(const delivery_change& row, const calendar&) {
    return py::make_tuple(row.id, row.packet_id, static_cast<int>(row.state));
}

py::object to_row(const received_row& row, const calendar&) {
    return py::make_tuple(row.session, row.packet_id);
}

py::object to_row(std::uint64_t id, const calendar&) {
    return py::int_(id);
}

template <class Row>
py::list to_rows(const std::vector<Row>& rows, const calendar& times) {
    py::list all(rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i)
        all[i] = to_row(rows[i], times);
    return all;
}

// -- from Python

template <class T>
T value(const py::tuple& row, std::size_t i) {
    return row[i].cast<T>();
}

qos level_of(const py::tuple& row, std::size_t i) {
    return to_qos(value<int>(row, i));
}

std::vector<std::uint8_t> bytes_of(const py::handle& data) {
    const buffer_view view(py::reinterpret_borrow<py::object>(data));
    return {view.bytes().begin(), view.bytes().end()};
}

std::string name_of_field(const py::tuple& row, std::size_t i, const char* what) {
    return require_text(what, value<std::string>(row, i));
}

std::optional<will_row> will_from(const py::handle& given) {
    if (given.is_none()) return std::nullopt;
    const auto row = given.cast<py::tuple>();
    will_row will;
    will.topic = name_of_field(row, 0, "the topic of a will");
    const auto payload = bytes_of(row[1]);
    will.payload.assign(payload.begin(), payload.end());
    will.level = level_of(row, 2);
    will.retain = value<bool>(row, 3);
    will.delay = value<std::uint32_t>(row, 4);
    will.properties = bytes_of(row[5]);
    will.expiry_interval = value<std::optional<std::uint32_t>>(row, 6);
    return will;
}

session_row session_from(const py::tuple& row, const calendar& times) {
    session_row s;
    s.id = value<std::uint64_t>(row, 0);
    s.client_id = name_of_field(row, 1, "a client identifier");
    s.user_name = value<std::optional<std::string>>(row, 2);
    s.expiry_interval = value<std::uint32_t>(row, 3);
    s.disconnected_at = times.to_instant(row[4]);
    s.keep_alive = value<std::uint16_t>(row, 5);
    s.clean_start = value<bool>(row, 6);
    s.will = will_from(row[7]);
    return s;
}

subscription_row subscription_from(const py::tuple& row, const calendar&) {
    subscription_row s;
    s.id = value<std::uint64_t>(row, 0);
    s.session = value<std::uint64_t>(row, 1);
    s.name = name_of_field(row, 2, "a topic filter");
    s.level = level_of(row, 3);
    s.no_local = value<bool>(row, 4);
    s.retain_as_published = value<bool>(row, 5);
    s.retain_handling = value<std::uint8_t>(row, 6);
    if (s.retain_handling > 2) throw py::value_error("retain_handling must be 0, 1 or 2");
    s.identifier = value<std::uint32_t>(row, 7);
    return s;
}

message_row message_from(const py::tuple& row, const calendar& times) {
    const std::string topic = name_of_field(row, 1, "a topic");
    const buffer_view payload(py::reinterpret_borrow<py::object>(row[2]));
    std::vector<std::uint8_t> properties = bytes_of(row[5]);
    std::optional<instant> expires_at = times.to_instant(row[6]);
    if (const auto left = take_expiry(properties); left && expires_at) {
        expires_at = std::min(*expires_at, times.now() + *left);
    }
    return {value<std::uint64_t>(row, 0),
            message::create(topic, payload.bytes(), level_of(row, 3), value<bool>(row, 4),
                            properties, expires_at)};
}

delivery_row delivery_from(const py::tuple& row, const calendar&) {
    delivery_row d;
    d.id = value<std::uint64_t>(row, 0);
    d.session = value<std::uint64_t>(row, 1);
    d.message = value<std::uint64_t>(row, 2);
    d.level = level_of(row, 3);
    d.retain = value<bool>(row, 4);
    d.identifiers = to_identifiers(value<std::string>(row, 5));
    if (const auto share = value<std::optional<std::string>>(row, 6)) {
        d.share = std::make_shared<const std::string>(*share);
    }
    d.packet_id = value<std::uint16_t>(row, 7);
    const int state = value<int>(row, 8);
    if (state < 0 || state > static_cast<int>(delivery_state::undecided)) {
        throw py::value_error("the state of a delivery is none of DeliveryState");
    }
    d.state = static_cast<delivery_state>(state);
    return d;
}

received_row received_from(const py::tuple& row, const calendar&) {
    return {value<std::uint64_t>(row, 0), value<std::uint16_t>(row, 1)};
}

template <class Row>
std::vector<Row> from_rows(const py::object& part, const char* name, const calendar& times,
                           Row (*convert)(const py::tuple&, const calendar&)) {
    std::vector<Row> rows;
    const py::object given = part.attr(name);
    for (const py::handle& row : given.cast<py::sequence>())
        rows.push_back(convert(row.cast<py::tuple>(), times));
    return rows;
}

}  // namespace

py::dict to_python(const state_changes& batch, instant now) {
    const calendar times(now);
    py::dict all;
    all["number"] = batch.number;
    all["sessions"] = to_rows(batch.sessions, times);
    all["subscriptions"] = to_rows(batch.subscriptions, times);
    all["messages"] = to_rows(batch.messages, times);
    all["deliveries"] = to_rows(batch.deliveries, times);
    all["received"] = to_rows(batch.received, times);
    all["retained"] = to_rows(batch.retained, times);
    all["ended_sessions"] = to_rows(batch.ended_sessions, times);
    all["removed_subscriptions"] = to_rows(batch.removed_subscriptions, times);
    all["removed_messages"] = to_rows(batch.removed_messages, times);
    all["delivery_states"] = to_rows(batch.delivery_states, times);
    all["removed_deliveries"] = to_rows(batch.removed_deliveries, times);
    all["removed_received"] = to_rows(batch.removed_received, times);
    all["removed_retained"] = to_rows(batch.removed_retained, times);
    return all;
}

stored_state to_stored_state(const py::object& part, instant now) {
    const calendar times(now);
    stored_state state;
    state.sessions = from_rows(part, "sessions", times, session_from);
    state.subscriptions = from_rows(part, "subscriptions", times, subscription_from);
    state.messages = from_rows(part, "messages", times, message_from);
    state.deliveries = from_rows(part, "deliveries", times, delivery_from);
    state.received = from_rows(part, "received", times, received_from);
    state.retained = from_rows(part, "retained", times, message_from);
    return state;
}

}  // namespace amqtt
