#include "tools/bench/histogram.hpp"

#include <algorithm>
#include <cstdio>

namespace tern::bench {

uint64_t histogram::upper_edge(size_t bucket) {
  if (bucket < sub_count) return bucket;
  const auto power = bucket / sub_count + sub_bits - 1;
  const auto sub = bucket % sub_count;
  return ((sub_count + sub + 1) << (power - sub_bits)) - 1;
}

void histogram::merge(const histogram& other) {
  for (size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
  total_ += other.total_;
  sum_ += other.sum_;
  most_ = std::max(most_, other.most_);
}

int64_t histogram::percentile(double share) const {
  if (total_ == 0) return 0;
  const auto wanted = static_cast<uint64_t>(share * static_cast<double>(total_) + 0.5);
  uint64_t seen = 0;
  for (size_t i = 0; i < counts_.size(); ++i) {
    seen += counts_[i];
    if (seen >= wanted && seen > 0) return static_cast<int64_t>(std::min(upper_edge(i), most_));
  }
  return max();
}

std::string show_duration(double nanoseconds) {
  static constexpr std::array<const char*, 4> units{"ns", "µs", "ms", "s"};
  size_t unit = 0;
  while (nanoseconds >= 1000 && unit + 1 < units.size()) {
    nanoseconds /= 1000;
    ++unit;
  }
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(),
                nanoseconds < 10    ? "%.2f %s"
                : nanoseconds < 100 ? "%.1f %s"
                                    : "%.0f %s",
                nanoseconds, units[unit]);
  return text.data();
}

std::string histogram::picture() const {
  std::array<uint64_t, 65> by_power{};
  for (size_t i = 0; i < counts_.size(); ++i) {
    if (counts_[i] != 0) by_power[static_cast<size_t>(std::bit_width(upper_edge(i)))] += counts_[i];
  }
  const auto used = [](uint64_t n) { return n != 0; };
  const auto first = std::find_if(by_power.begin(), by_power.end(), used);
  const auto last = std::find_if(by_power.rbegin(), by_power.rend(), used).base();
  const auto largest = *std::max_element(by_power.begin(), by_power.end());
  std::string text;
  for (auto it = first; it < last; ++it) {
    const auto power = static_cast<unsigned>(it - by_power.begin());
    const double low = power == 0 ? 0 : static_cast<double>(uint64_t{1} << (power - 1));
    const auto bar = static_cast<size_t>(*it * 50 / std::max<uint64_t>(largest, 1));
    std::array<char, 96> line{};
    std::snprintf(line.data(), line.size(), "  %9s .. %9s  %6.2f %%  ", show_duration(low).c_str(),
                  show_duration(low * 2).c_str(), 100.0 * static_cast<double>(*it) / static_cast<double>(total_));
    text += line.data() + std::string(bar, '#') + "\n";
  }
  return text;
}

}  // namespace tern::bench
