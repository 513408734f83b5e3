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

// 5.0:MQTT-3.3.2-14@server
TEST(ResponseTopic, IsATopicNameIfThereIsOne) {
    EXPECT_EQ(response_topic_problem({}), nullptr);
    const auto problem = [](std::string_view topic) {
        properties props;
        props.add(property_id::response_topic, topic);
        return response_topic_problem(props);
    };
    for (const char* topic : {"a", "a/b", "$SYS/x", "/"})
        EXPECT_EQ(problem(topic), nullptr) << topic;
    for (const char* topic : {"", "#", "a/+", "a#"})
        EXPECT_NE(problem(topic), nullptr) << topic;
}

}  // namespace
}  // namespace amqtt
