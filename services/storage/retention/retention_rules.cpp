#include "services/storage/retention/retention_rules.hpp"

#include <algorithm>
#include <charconv>

namespace tern::storage {
namespace {

using days = retention_rules::days;

constexpr int64_t most_days = 36'500;

std::optional<days> bounded(days age) { return age.count() == 0 ? std::nullopt : std::optional(age); }

bool possible(int64_t count) { return count == 0 || (count >= least_days_kept && count <= most_days); }

}  // namespace

bool retention_rules::any() const { return shortest().has_value(); }

std::optional<days> retention_rules::of(const std::string& domain) const {
  const auto at = by_domain.find(domain);
  return bounded(at == by_domain.end() ? others : at->second);
}

std::optional<days> retention_rules::shortest() const {
  auto least = bounded(others);
  for (const auto& [domain, age] : by_domain) {
    if (const auto one = bounded(age); one && (!least || *one < *least)) least = one;
  }
  return least;
}

std::optional<days> retention_rules::longest() const {
  auto most = bounded(others);
  for (const auto& [domain, age] : by_domain) {
    const auto one = bounded(age);
    most = most && one ? std::optional(std::max(*most, *one)) : std::nullopt;
  }
  return most;
}

result<retention_rules> parse_retention(uint64_t days_of_others, const std::vector<std::string>& list) {
  const std::string range =
      "0 (for ever) or " + std::to_string(least_days_kept) + " to " + std::to_string(most_days) + " days";
  retention_rules rules;
  if (!possible(static_cast<int64_t>(days_of_others))) {
    return error{errc::config, "storage.retention.days: " + range + ": repeated messages are known for a week"};
  }
  rules.others = days(days_of_others);
  for (const auto& text : list) {
    const auto cut = text.rfind('=');
    int64_t count = -1;
    if (cut != std::string::npos) {
      const auto* end = text.data() + text.size();
      const auto read = std::from_chars(text.data() + cut + 1, end, count);
      if (read.ec != std::errc{} || read.ptr != end) count = -1;
    }
    if (count < 0 || !possible(count)) {
      return error{errc::config, "storage.retention.domain_days: " + text + " is not domain=days with " + range};
    }
    if (!rules.by_domain.emplace(text.substr(0, cut), days(count)).second) {
      return error{errc::config, "storage.retention.domain_days: " + text + ": the domain comes twice"};
    }
  }
  return rules;
}

}  // namespace tern::storage
