#include "services/gateway/addresses.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>
#include <string>

namespace tern::gateway {

uint64_t address_key(std::string_view text) noexcept {
  std::array<char, INET6_ADDRSTRLEN> zero_ended{};
  if (text.empty() || text.size() >= zero_ended.size()) return 0;
  std::copy(text.begin(), text.end(), zero_ended.begin());
  in_addr v4{};
  if (inet_pton(AF_INET, zero_ended.data(), &v4) == 1) return uint64_t{1} << 32U | v4.s_addr;
  in6_addr v6{};
  if (inet_pton(AF_INET6, zero_ended.data(), &v6) != 1) return 0;
  uint64_t key = 0;
  std::memcpy(&key, v6.s6_addr, sizeof key);
  return std::max<uint64_t>(key, 1);  // ::1
}

address_rates::address_rates(uint64_t rate, uint64_t burst, size_t addresses) : rate_(rate), burst_(burst) {
  if (rate != 0) sets_.resize(std::max<size_t>(addresses / set().size(), 1));
}

bool address_rates::take(uint64_t key, uint32_t tick) {
  if (rate_ == 0 || key == 0) return true;
  // Neighbouring addresses belong into different sets (Fibonacci hashing, Knuth 6.4).
  const auto index = static_cast<size_t>((key * 0x9E3779B97F4A7C15U) >> 20U) % sets_.size();
  const std::lock_guard lock(mutexes_[index % locks]);
  set& among = sets_[index];
  entry* free = nullptr;
  for (entry& one : among) {
    if (one.key == key) return one.tokens.take(tick, rate_, burst_);
    if (free == nullptr || (free->key != 0 && (one.key == 0 || one.tokens.left(tick, rate_, burst_) >
                                                                   free->tokens.left(tick, rate_, burst_)))) {
      free = &one;
    }
  }
  free->key = key;
  free->tokens.reset(tick, burst_);
  return free->tokens.take(tick, rate_, burst_);
}

}  // namespace tern::gateway
