#include "codec/topic_syntax.hpp"

#include <string>

#include <gtest/gtest.h>

namespace amqtt {
namespace {

TEST(TopicName, HasAtLeastOneCharacter) {
    for (const char* topic : {"/", "//", " ", "a", "a/b", "/a", "a/", "$SYS/x", "Accounts payable"})
        EXPECT_TRUE(is_topic_name(topic)) << topic;
    EXPECT_TRUE(is_topic_name(std::string(65'535, '/')));
    EXPECT_FALSE(is_topic_name(""));
}

// 3.1.1:MQTT-4.7.1-1@server 3.1.1:MQTT-3.3.2-2@server
TEST(TopicName, HasNoWildcardAnywhere) {
    for (const char* topic : {"#", "+", "a/#", "a/+/b", "+a", "a#", "a/b+", "$SYS/#"})
        EXPECT_FALSE(is_topic_name(topic)) << topic;
}

}  // namespace
}  // namespace amqtt
