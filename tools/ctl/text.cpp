#include "tools/ctl/text.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include "libs/base/ids.hpp"

namespace tern::ctl {
namespace {

template <class... Values>
std::string printed(const char* format, Values... values) {
  char text[96];
  const int size = std::snprintf(text, sizeof text, format, values...);
  return {text, static_cast<size_t>(std::max(size, 0))};
}

/// A slot, or with "%" the first slot of that part. The end of a range in percent is the slot before it.
std::optional<uint64_t> parse_bound(const std::string& text, bool is_end) {
  if (text.empty() || text[0] == '-' || text[0] == '+' || text[0] == ' ') return std::nullopt;
  char* end = nullptr;
  if (text.back() == '%') {
    const double part = std::strtod(text.c_str(), &end);
    if (*end != '%' || end + 1 != text.c_str() + text.size() || !(part >= 0 && part <= 100)) return std::nullopt;
    const auto slot = static_cast<uint64_t>(std::llround(part / 100 * slot_count));
    if (is_end && slot == 0) return std::nullopt;
    return is_end ? slot - 1 : slot;
  }
  const bool hex = text.starts_with("0x") || text.starts_with("0X");
  const uint64_t value = std::strtoull(text.c_str(), &end, hex ? 16 : 10);
  if (*end != '\0' || text.size() > 12) return std::nullopt;
  return value;
}

size_t distance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j < row.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t corner = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t changed = corner + (a[i - 1] == b[j - 1] ? 0 : 1);
      corner = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, changed});
    }
  }
  return row.back();
}

}  // namespace

table::table(std::vector<std::string> titles) : titles_(std::move(titles)) {
  for (auto& title : titles_) {
    numbers_.push_back(title.starts_with('>'));
    if (numbers_.back()) title.erase(0, 1);
  }
}

void table::add(std::vector<std::string> cells) {
  cells.resize(titles_.size());
  rows_.push_back(std::move(cells));
}

std::string table::text() const {
  std::vector<size_t> widths(titles_.size());
  const auto widen = [&](const std::vector<std::string>& row) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  };
  widen(titles_);
  for (const auto& row : rows_) widen(row);
  std::string out;
  const auto print = [&](const std::vector<std::string>& row) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string blanks(widths[i] - row[i].size(), ' ');
      line += (i == 0 ? "" : "  ") + (numbers_[i] ? blanks + row[i] : row[i] + blanks);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  };
  print(titles_);
  for (const auto& row : rows_) print(row);
  return out;
}

result<slot_range> parse_slots(const std::string& text) {
  const std::string hint =
      "; FIRST-LAST is two slots of 0-" + std::to_string(slot_count - 1) + ", e.g. 0-1023, 0x0-0x3ff or 0%-25%";
  const auto dash = text.find('-');
  const bool single = dash == std::string::npos;
  const auto first = parse_bound(text.substr(0, dash), single && text.ends_with('%'));
  const auto last = single ? first : parse_bound(text.substr(dash + 1), true);
  if (!first || !last || (single && text.ends_with('%'))) {
    return error{errc::bad_parameter, "'" + text + "' is not a range of slots" + hint};
  }
  if (*last >= slot_count || *first >= slot_count) {
    return error{errc::bad_parameter, "'" + text + "' goes beyond the last slot" + hint};
  }
  if (*first > *last) return error{errc::bad_parameter, "'" + text + "' ends before it begins" + hint};
  return slot_range{static_cast<uint32_t>(*first), static_cast<uint32_t>(*last)};
}

std::string hex_range(slot_range range) { return printed("0x%05x-0x%05x", range.first, range.last); }

std::string share(uint64_t slots) {
  if (slots == 0) return "0 %";
  const double percent = 100.0 * static_cast<double>(slots) / slot_count;
  return percent < 0.005 ? "< 0.01 %" : printed("%.2f %%", percent);
}

std::string age(int64_t milliseconds) {
  if (milliseconds < 0) return "never";
  const double seconds = static_cast<double>(milliseconds) / 1000;
  if (seconds < 9.95) return printed("%.1f s", seconds);
  const auto whole = static_cast<long>(seconds + 0.5);
  if (whole < 60) return printed("%ld s", whole);
  if (whole < 3600) return printed("%ld min %02ld s", whole / 60, whole % 60);
  return printed("%ld h %02ld min", whole / 3600, whole % 3600 / 60);
}

std::string grouped(uint64_t number) {
  std::string text = std::to_string(number);
  for (size_t at = text.size(); at > 3;) text.insert(at -= 3, ",");
  return text;
}

std::string nearest(const std::string& text, const std::vector<std::string>& known) {
  std::string best;
  size_t least = std::max<size_t>(text.size() / 2, 2) + 1;
  for (const auto& each : known) {
    const size_t far = each.starts_with(text) && !text.empty() ? 1 : distance(text, each);
    if (far < least) {
      least = far;
      best = each;
    }
  }
  return best;
}

}  // namespace tern::ctl
