#pragma once

namespace amqtt {

// Signals are Python's business, on Python's main thread: to be called first on every other thread.
void block_all_signals();

}  // namespace amqtt
