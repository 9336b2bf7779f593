// How long messages are kept, by domain.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "libs/base/result.hpp"

namespace tern::storage {

/// A message is known by its de-duplication key for 7 days after it was sent: its row has to be there so long.
inline constexpr int64_t least_days_kept = 8;

struct retention_rules {
  using days = std::chrono::days;
  days others{0};                         // domains that are not named; 0: for ever
  std::map<std::string, days> by_domain;  // 0: for ever

  /// Whether there is anything to do at all.
  bool any() const;
  /// Nothing: for ever.
  std::optional<days> of(const std::string& domain) const;
  /// The shortest and the longest time; nothing: for ever.
  std::optional<days> shortest() const;
  std::optional<days> longest() const;
};

/// `list`: "domain=days", a domain of no name is "=days". errc::config: an entry is something else, a domain comes
/// twice, or a time is shorter than least_days_kept (0 is for ever).
result<retention_rules> parse_retention(uint64_t days_of_others, const std::vector<std::string>& list);

}  // namespace tern::storage
