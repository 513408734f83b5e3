#include "net/signals.hpp"

#include <csignal>
#include <pthread.h>

namespace amqtt {

void block_all_signals() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, nullptr);
}

}  // namespace amqtt
