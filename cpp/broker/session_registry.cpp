#include "broker/session_registry.hpp"

#include <utility>

namespace amqtt {

session* session_registry::find(std::string_view client_id) noexcept {
    const auto it = sessions_.find(client_id);
    return it == sessions_.end() ? nullptr : it->get();
}

session& session_registry::create(std::string client_id) {
    auto fresh = std::make_unique<session>(std::move(client_id), limits_, &total_);
    session& created = *fresh;
    sessions_.insert(std::move(fresh));
    return created;
}

void session_registry::remove(session& s) {
    count(s, 0);
    const auto it = sessions_.find(std::string_view(s.client_id()));
    sessions_.erase(it);
    shrink_if_sparse(sessions_);
}

std::unique_ptr<session> session_registry::take(session& s) {
    count(s, 0);
    const auto it = sessions_.find(std::string_view(s.client_id()));
    // What is erased by its place is not looked at any more.
    auto taken = std::move(const_cast<std::unique_ptr<session>&>(*it));
    sessions_.erase(it);
    shrink_if_sparse(sessions_);
    return taken;
}

std::string session_registry::new_client_id() {
    static constexpr std::string_view letters =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    std::uniform_int_distribution<std::size_t> any(0, letters.size() - 1);
    std::string id;
    do {
        id = "amqtt/";
        for (int i = 0; i < 16; ++i)
            id += letters[repeatable_ ? any(*repeatable_) : any(random_)];
    } while (find(id));
    return id;
}

}  // namespace amqtt
