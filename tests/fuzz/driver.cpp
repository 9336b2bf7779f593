// A small stand-in for libFuzzer, for compilers without it: runs the entry point over a corpus, then over mutations
// of it until the time is over. Deterministic for a seed up to the point where time ends. Usage:
//   <target>_fuzz_test CORPUS [SECONDS [SEED]]
// A failing input is left in ./crash-<target pid> by the sanitizer's abort: it is written before each run in
// memory-mapped form, so no run costs a system call.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

constexpr size_t largest_input = 16384;

/// The input being run, in a file that outlives a crash; removed when all went well.
class last_input {
 public:
  last_input() : path_("crash-" + std::to_string(getpid())) {
    const int file = open(path_.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (file < 0 || ftruncate(file, map_bytes) != 0) return;
    void* map = mmap(nullptr, map_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (map != MAP_FAILED) map_ = static_cast<char*>(map);
  }
  ~last_input() { unlink(path_.c_str()); }
  last_input(const last_input&) = delete;
  last_input& operator=(const last_input&) = delete;

  /// Layout: 8 bytes of size, then the bytes.
  void set(const std::string& input) {
    if (map_ == nullptr) return;
    const uint64_t size = input.size();
    std::memcpy(map_, &size, sizeof size);
    std::memcpy(map_ + sizeof size, input.data(), std::min<size_t>(size, largest_input));
  }

 private:
  static constexpr size_t map_bytes = largest_input + 8;
  std::string path_;
  char* map_ = nullptr;
};

void run_one(last_input& last, const std::string& input) {
  last.set(input);
  // Exactly its own size on the heap, so the address sanitizer sees every read beyond.
  const std::vector<uint8_t> bytes(input.begin(), input.end());
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
}

class mutator {
 public:
  explicit mutator(uint64_t seed) : engine_(seed) {}

  std::string next(const std::vector<std::string>& corpus) {
    std::string made = corpus[below(corpus.size())];
    for (size_t i = 1 + below(4); i != 0; --i) mutate(made, corpus);
    if (made.size() > largest_input) made.resize(largest_input);
    return made;
  }

 private:
  size_t below(size_t bound) { return bound == 0 ? 0 : engine_() % bound; }

  void mutate(std::string& input, const std::vector<std::string>& corpus) {
    static constexpr unsigned char edges[] = {0,    1,    0x7F, 0x80, 0xFF, 0x1C, 0x19,
                                              0x0F, 0xF9, '"',  '\\', '{',  '[',  '9'};
    const size_t at = below(input.size() + 1);
    switch (below(8)) {
      case 0:
        if (at < input.size()) input[at] = static_cast<char>(input[at] ^ static_cast<char>(1U << below(8)));
        break;
      case 1:
        if (at < input.size()) input[at] = static_cast<char>(edges[below(sizeof edges)]);
        break;
      case 2: input.insert(at, 1, static_cast<char>(below(2) == 0 ? edges[below(sizeof edges)] : below(256))); break;
      case 3: input.erase(at, 1 + below(8)); break;
      case 4: input.resize(at); break;
      case 5: input.insert(at, input.substr(below(input.size() + 1), 1 + below(64))); break;
      case 6: {
        const std::string& other = corpus[below(corpus.size())];
        input.replace(at, 1 + below(32), other.substr(below(other.size() + 1), 1 + below(64)));
        break;
      }
      default:
        if (!input.empty() && below(8) == 0) input[0] = static_cast<char>("fbABCDEFGHIJKLPQRSTUVWXYZ["[below(26)]);
        input.insert(at, 1 + below(16), static_cast<char>(0xFF));
    }
  }

  std::mt19937_64 engine_;
};

std::vector<std::string> load(const char* directory) {
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  std::vector<std::string> corpus;
  for (const auto& path : paths) {
    std::ifstream file(path, std::ios::binary);
    corpus.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return corpus;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s CORPUS [SECONDS [SEED]]\n", argv[0]);
    return 2;
  }
  const std::vector<std::string> corpus = load(argv[1]);
  if (corpus.empty()) {
    std::fprintf(stderr, "no corpus in %s\n", argv[1]);
    return 2;
  }
  const double seconds = argc > 2 ? std::atof(argv[2]) : 5;
  const uint64_t seed = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 1;
  last_input last;
  for (const auto& input : corpus) run_one(last, input);
  mutator mutations(seed);
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  uint64_t runs = 0;
  while (std::chrono::steady_clock::now() < end) {
    for (int i = 0; i < 64; ++i, ++runs) run_one(last, mutations.next(corpus));
  }
  std::printf("%zu inputs of the corpus, %llu mutations, seed %llu\n", corpus.size(),
              static_cast<unsigned long long>(runs), static_cast<unsigned long long>(seed));
  return 0;
}
