// The current TLS context of a listener, which follows its files.
#pragma once

#include <memory>

#include "tls/tls_context.hpp"
#include "tls/watched_files.hpp"

namespace amqtt {

class tls_source {
  public:
    // Throws tls_settings_error.
    explicit tls_source(tls_settings settings);

    // For new connections; established ones keep the one they began with.
    const std::shared_ptr<const tls_context>& current() const noexcept { return current_; }

    // Reads all files again. Throws tls_settings_error and keeps what it has.
    void reload();

    // To be called now and then: does that when the files have changed. True if it did. Files
    // that cannot be used are not tried again until they have changed again.
    bool reload_if_changed();

  private:
    static std::vector<std::string> files_of(const tls_settings& settings);

    tls_settings settings_;
    watched_files files_;
    std::shared_ptr<const tls_context> current_;
};

}  // namespace amqtt
