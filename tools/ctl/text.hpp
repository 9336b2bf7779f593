// What people read: tables, slot ranges, ages, shares. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "libs/base/result.hpp"

namespace tern::ctl {

/// Columns as wide as their widest cell, two blanks apart, no blanks at the end of a line. Columns of numbers are
/// aligned to the right.
class table {
 public:
  /// A title that begins with '>' is a column of numbers.
  explicit table(std::vector<std::string> titles);
  /// Missing cells are empty.
  void add(std::vector<std::string> cells);
  bool empty() const { return rows_.empty(); }
  size_t size() const { return rows_.size(); }
  /// With the titles as the first line; every line ends in '\n'.
  std::string text() const;

 private:
  std::vector<std::string> titles_;
  std::vector<bool> numbers_;
  std::vector<std::vector<std::string>> rows_;
};

/// Slots, both inclusive.
struct slot_range {
  uint32_t first = 0;
  uint32_t last = 0;
  uint32_t count() const { return last - first + 1; }
  bool operator==(const slot_range&) const = default;
};

/// "0-1023", "0x0-0x3ff", "25%-50%" (from a quarter up to the slot before half), "7" (one slot).
/// errc::bad_parameter with a hint.
result<slot_range> parse_slots(const std::string& text);
/// "0x00000-0x003ff".
std::string hex_range(slot_range range);
/// Part of all slots: "12.50 %", "0 %", "< 0.01 %".
std::string share(uint64_t slots);
/// "0.4 s", "12 s", "3 min 05 s", "2 h 10 min"; "never" for less than nothing.
std::string age(int64_t milliseconds);
/// "1,048,576".
std::string grouped(uint64_t number);
/// The entry of `known` that is nearest to `text`, if one is near: for hints.
std::string nearest(const std::string& text, const std::vector<std::string>& known);

}  // namespace tern::ctl
