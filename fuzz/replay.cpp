// Runs a target over files, for compilers without libFuzzer: seeds and inputs that once failed.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include "input.hpp"

namespace {

void run(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    const std::vector<char> text(std::istreambuf_iterator<char>(in), {});
    // Of exactly its size, so that reading too far shows.
    const std::vector<std::uint8_t> data(text.begin(), text.end());
    std::fprintf(stderr, "%s\n", file.c_str());  // the last one is the one that fails
    LLVMFuzzerTestOneInput(data.data(), data.size());
}

}  // namespace

int main(int count, char** folders) {
    std::size_t files = 0;
    for (int i = 1; i < count; ++i) {
        for (const auto& entry : std::filesystem::recursive_directory_iterator(folders[i])) {
            if (!entry.is_regular_file()) continue;
            run(entry.path());
            ++files;
        }
    }
    std::printf("%zu inputs ran\n", files);
    return files > 0 ? 0 : 1;
}
