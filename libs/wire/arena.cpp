#include <algorithm>
#include <cstring>
#include <vector>

#include "libs/wire/codec.hpp"

namespace tern::wire {
namespace {
constexpr size_t block_bytes = 4096;
}

struct arena::blocks {
  struct block {
    std::unique_ptr<char[]> bytes;
    size_t size;
  };
  std::vector<block> all;
  size_t used = 0;  // of the last block
};

arena::arena() = default;
arena::~arena() = default;
arena::arena(arena&&) noexcept = default;
arena& arena::operator=(arena&&) noexcept = default;

char* arena::room(size_t size) {
  if (!blocks_) blocks_ = std::make_unique<blocks>();
  blocks& own = *blocks_;
  if (own.all.empty() || own.all.back().size - own.used < size) {
    const size_t wanted = std::max(size, block_bytes);
    own.all.push_back({std::unique_ptr<char[]>(new char[wanted]), wanted});
    own.used = 0;
  }
  char* start = own.all.back().bytes.get() + own.used;
  own.used += size;
  return start;
}

std::string_view arena::keep(std::string_view bytes) {
  if (bytes.empty()) return {};
  char* copy = room(bytes.size());
  std::memcpy(copy, bytes.data(), bytes.size());
  return {copy, bytes.size()};
}

void arena::clear() noexcept {
  if (!blocks_) return;
  auto& all = blocks_->all;
  // A block made for one huge text is given back: an arena must not keep a peak for ever.
  std::erase_if(all, [](const blocks::block& b) { return b.size > block_bytes; });
  if (all.size() > 1) all.erase(all.begin() + 1, all.end());
  blocks_->used = 0;
}

}  // namespace tern::wire
