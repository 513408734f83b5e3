#include "tls/tls_source.hpp"

#include <string>
#include <utility>
#include <vector>

namespace amqtt {

tls_source::tls_source(tls_settings settings)
    : settings_(std::move(settings)),
      files_(files_of(settings_)),
      current_(std::make_shared<tls_context>(settings_)) {}

void tls_source::reload() {
    // First: what is written while the files are read is a change.
    files_.look();
    current_ = std::make_shared<tls_context>(settings_);
}

bool tls_source::reload_if_changed() {
    if (!files_.have_changed()) return false;
    reload();
    return true;
}

std::vector<std::string> tls_source::files_of(const tls_settings& settings) {
    std::vector<std::string> files = {settings.psk_file, settings.cafile, settings.capath,
                                      settings.crlfile};
    for (const tls_certificate_files& each : settings.certificates) {
        files.push_back(each.certfile);
        files.push_back(each.keyfile);
    }
    return files;
}

}  // namespace amqtt
