// Rates per client address, in a table that does not grow.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <string_view>
#include <vector>

#include "services/gateway/rate.hpp"

namespace tern::gateway {

/// What limits count by: an IPv4 address, or the /64 of an IPv6 one (a subscriber has that many). 0 for no address.
uint64_t address_key(std::string_view text) noexcept;

/// A token bucket for each of the last addresses seen. The table has sets of eight: a ninth address of a set takes
/// the place of the one with most tokens left, so whoever is over the limit stays remembered. Thread-safe.
class address_rates {
 public:
  /// `rate` per second, 0 for none (then there is no table); `burst` at once.
  address_rates(uint64_t rate, uint64_t burst, size_t addresses = 65536);

  bool limits() const noexcept { return rate_ != 0; }
  /// False when the address has used up its rate.
  bool take(uint64_t key, uint32_t tick);

 private:
  struct entry {
    uint64_t key = 0;
    token_bucket tokens;
  };
  using set = std::array<entry, 8>;
  static constexpr size_t locks = 64;

  const uint64_t rate_, burst_;
  std::vector<set> sets_;
  std::array<std::mutex, locks> mutexes_;
};

}  // namespace tern::gateway
