// Where the broker's state is kept beyond the process. Everything is called on the broker's thread.
#pragma once

#include <cstddef>
#include <memory>

#include "base/time.hpp"
#include "storage/state_changes.hpp"

namespace amqtt {

class state_store {
  public:
    virtual ~state_store() = default;

    // Something has changed: broker::commit_if_due() is to be called before the thread goes to
    // sleep. Called once until then.
    virtual void changed() = 0;
    // Stores a batch; broker::committed() is to follow. The next batch comes after that.
    virtual void commit(std::unique_ptr<state_changes> batch) = 0;
};

struct journal_settings {
    bool durable = true;  // acknowledgements wait for the commit of what they depend on
    // How long a batch waits after its first change for others, and for what undoes them.
    duration commit_delay = std::chrono::milliseconds(2);
    // Of a batch; above them clients that cause changes are not read from.
    std::size_t most_changes = 100'000;
    std::size_t most_bytes = 64 * 1024 * 1024;
};

}  // namespace amqtt
