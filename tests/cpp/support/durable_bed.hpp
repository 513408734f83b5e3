// A broker that keeps its state in a store, and may crash.
#pragma once

#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "support/broker_bed.hpp"

namespace amqtt::test {

inline const connect_spec keeper{.client_id = "s", .clean = false};

struct durable_bed : testing::Test {
    durable_bed() { start(); }

    void start(const journal_settings& how = {}, const broker_settings& settings = {}) {
        bed.reset();
        bed = std::make_unique<broker_bed>(settings);
        bed->keep_in(store, how);
    }
    // The process ends here and now, and another one begins.
    void crash() { start(); }
    peer& at(const std::string& name) { return (*bed)[name]; }
    // A session with a subscription, which is away.
    void leave_subscriber(unsigned level = 2) {
        at("s").send(connect(keeper)).send(subscribe(9, {{"t/#", level}}));
        bed->commit_all();
        at("s").send(disconnect()).take();
        bed->commit_all();
    }

    memory_store store;
    std::unique_ptr<broker_bed> bed;
};

}  // namespace amqtt::test
