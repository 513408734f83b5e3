// Topics and filters for the tests of topic/.
#pragma once

#include <cstddef>
#include <random>
#include <string>

namespace amqtt::test {

// The most levels a topic of 65,535 bytes can have.
inline constexpr std::size_t most_levels = 32'768;

// "a/a/a" for 'a' and three levels.
inline std::string repeated_level(char level, std::size_t levels) {
    std::string text(1, level);
    for (std::size_t i = 1; i < levels; ++i) {
        text += '/';
        text += level;
    }
    return text;
}

// Short topics and filters of few different levels, so that they often match.
class random_topics {
  public:
    explicit random_topics(unsigned seed) : random_(seed) {}

    std::size_t below(std::size_t n) { return random_() % n; }

    std::string topic() {
        while (true) {
            std::string text = level();
            for (std::size_t i = below(4); i > 0; --i)
                text += '/' + level();
            if (!text.empty()) return text;
        }
    }

    std::string filter() {
        while (true) {
            std::string text = level_or_plus();
            for (std::size_t i = below(4); i > 0; --i)
                text += '/' + level_or_plus();
            if (below(5) == 0) return "#";
            if (below(3) == 0) return text + "/#";
            if (!text.empty()) return text;
        }
    }

  private:
    std::string level() {
        static constexpr const char* levels[] = {"", "a", "b", "aa", "$", "$SYS"};
        return levels[below(std::size(levels))];
    }
    std::string level_or_plus() { return below(3) == 0 ? "+" : level(); }

    std::mt19937 random_;
};

}  // namespace amqtt::test
