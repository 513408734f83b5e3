// Hosts one MQTT client of Eclipse Paho in C, the asynchronous API of its library with TLS.
// tests/support/peers/host.py describes the JSON lines that drive it; `abort` is to kill it.
#include <iostream>
#include <memory>
#include <mutex>
#include <string>

#include "client.hpp"
#include "json.hpp"

namespace {

// Answers come from the threads of the library.
void write(const json& value) {
    static std::mutex mutex;
    const std::string line = value.dump() + '\n';
    const std::lock_guard guard(mutex);
    std::cout << line << std::flush;
}

void serve(std::unique_ptr<client>& hosted, const json& request) {
    const std::string op = request.at("op");
    const auto answer = [id = request.at("id")](json result) {
        result["id"] = id;
        write(result);
    };
    try {
        if (op == "connect") {
            hosted = std::make_unique<client>(request.at("client"), request, write);
            hosted->connect(answer);
        } else if (hosted == nullptr) {
            answer({{"error", "there is no client"}});
        } else if (op == "subscribe") {
            hosted->subscribe(request, answer);
        } else if (op == "publish") {
            hosted->publish(request, answer);
        } else if (op == "disconnect") {
            hosted->disconnect(answer);
        } else {
            answer({{"error", "there is no operation " + op}});
        }
    } catch (const std::exception& error) {
        answer({{"error", error.what()}});
    }
}

}  // namespace

int main() {
    std::ios::sync_with_stdio(false);
    MQTTAsync_init_options options = MQTTAsync_init_options_initializer;
    options.do_openssl_init = 1;
    MQTTAsync_global_init(&options);
    std::unique_ptr<client> hosted;
    for (std::string line; std::getline(std::cin, line);)
        serve(hosted, json::parse(line));
    return 0;
}
