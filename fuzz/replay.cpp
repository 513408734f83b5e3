// Drives a target where there is no libFuzzer: over files, which are seeds and inputs that once
// failed, and then over inputs made of them by random changes. These are the same in every run
// unless AMQTT_FUZZ_SEED is set to another number; AMQTT_FUZZ_CHANGED is how many there are.
#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <unistd.h>
#include <vector>

#include "input.hpp"

namespace {

using bytes = std::vector<std::uint8_t>;

constexpr std::size_t longest_shown = 4096;

bytes current;  // the input that is running, for show_current()

// Writes the input in hexadecimal, with nothing but what a signal handler may use.
void show_current(int number) {
    static constexpr char digits[] = "0123456789abcdef";
    char line[2 * longest_shown + 1];
    std::size_t size = 0;
    for (std::size_t i = 0; i < std::min(current.size(), longest_shown); ++i) {
        line[size++] = digits[current[i] >> 4];
        line[size++] = digits[current[i] & 0x0F];
    }
    line[size++] = '\n';
    static constexpr char title[] = "the input that fails: ";
    (void)!write(STDERR_FILENO, title, sizeof title - 1);
    (void)!write(STDERR_FILENO, line, size);
    (void)std::signal(number, SIG_DFL);
    (void)std::raise(number);
}

void run(bytes input) {
    input.shrink_to_fit();  // of exactly its size, so that reading too far shows
    current = std::move(input);
    LLVMFuzzerTestOneInput(current.data(), current.size());
}

bytes read_file(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    const std::vector<char> text(std::istreambuf_iterator<char>(in), {});
    return {text.begin(), text.end()};
}

unsigned long number_from(const char* name, unsigned long absent) {
    const char* text = std::getenv(name);
    return text ? std::strtoul(text, nullptr, 10) : absent;
}

class changes {
  public:
    changes(const std::vector<bytes>& seeds, unsigned long seed) : seeds_(seeds), random_(seed) {}

    bytes next() {
        bytes made = seeds_[below(seeds_.size())];
        for (std::size_t left = 1 + below(4); left > 0; --left)
            change(made);
        return made;
    }

  private:
    std::size_t below(std::size_t end) { return random_() % end; }
    auto place(bytes& in) { return in.begin() + static_cast<std::ptrdiff_t>(below(in.size() + 1)); }

    void change(bytes& in) {
        static constexpr std::uint8_t telling[] = {0x00, 0x01, 0x7F, 0x80, 0xFF,
                                                   '/',  '+',  '#',  '$'};
        const bool can_take = !in.empty();
        switch (below(can_take ? 6 : 1)) {
            case 0:
                in.insert(place(in), telling[below(std::size(telling))]);
                break;
            case 1:
                in[below(in.size())] ^= static_cast<std::uint8_t>(1U << below(8));
                break;
            case 2:
                in[below(in.size())] = telling[below(std::size(telling))];
                break;
            case 3:
                in.resize(below(in.size() + 1));
                break;
            case 4: {
                const auto from = in.begin() + static_cast<std::ptrdiff_t>(below(in.size()));
                in.erase(from, from + std::min<std::ptrdiff_t>(in.end() - from, 1 + below(8)));
                break;
            }
            default: {
                const bytes& other = seeds_[below(seeds_.size())];
                const std::size_t start = below(other.size() + 1);
                in.insert(place(in), other.begin() + static_cast<std::ptrdiff_t>(start),
                          other.end());
            }
        }
    }

    const std::vector<bytes>& seeds_;
    std::mt19937_64 random_;
};

}  // namespace

int main(int count, char** folders) {
    for (const int number : {SIGABRT, SIGSEGV, SIGILL, SIGFPE, SIGBUS})
        (void)std::signal(number, show_current);
    std::vector<std::filesystem::path> files;
    for (int i = 1; i < count; ++i) {
        for (const auto& entry : std::filesystem::recursive_directory_iterator(folders[i])) {
            if (entry.is_regular_file()) files.push_back(entry.path());
        }
    }
    std::sort(files.begin(), files.end());  // the same order on every machine
    std::vector<bytes> seeds;
    for (const auto& file : files) {
        std::fprintf(stderr, "%s\n", file.c_str());  // the last one is the one that fails
        seeds.push_back(read_file(file));
        run(seeds.back());
    }
    if (seeds.empty()) return 1;
    const unsigned long changed = number_from("AMQTT_FUZZ_CHANGED", 100'000);
    changes from(seeds, number_from("AMQTT_FUZZ_SEED", 1));
    for (unsigned long i = 0; i < changed; ++i)
        run(from.next());
    std::printf("%zu inputs ran, and %lu made of them\n", seeds.size(), changed);
    return 0;
}
