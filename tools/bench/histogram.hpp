// Latency histogram with a bounded relative error (after HdrHistogram): 64 sub-buckets per power of two, about 1.6 %.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <string>
#include <vector>

namespace tern::bench {

/// Nanoseconds in, percentiles out. Not thread-safe.
class histogram {
 public:
  void add(int64_t nanoseconds) {
    const auto value = static_cast<uint64_t>(nanoseconds < 0 ? 0 : nanoseconds);
    ++counts_[bucket_of(value)];
    ++total_;
    sum_ += static_cast<double>(value);
    most_ = value > most_ ? value : most_;
  }
  void merge(const histogram& other);
  void clear() { *this = histogram(); }

  uint64_t count() const { return total_; }
  /// Upper edge of the bucket that holds the given share (0..1) of the values; 0 when empty.
  int64_t percentile(double share) const;
  int64_t max() const { return static_cast<int64_t>(most_); }
  double mean() const { return total_ == 0 ? 0 : sum_ / static_cast<double>(total_); }

  /// One line per power of two from the first to the last used: "  1.0 ms .. 2.1 ms  ######  12.3 %".
  std::string picture() const;

 private:
  static constexpr size_t sub_bits = 6;
  static constexpr size_t sub_count = size_t{1} << sub_bits;
  static constexpr size_t bucket_count = (64 - sub_bits + 1) * sub_count;

  static size_t bucket_of(uint64_t value) {
    if (value < sub_count) return value;
    const auto power = static_cast<size_t>(std::bit_width(value)) - 1;
    return (power - sub_bits + 1) * sub_count + ((value >> (power - sub_bits)) & (sub_count - 1));
  }
  static uint64_t upper_edge(size_t bucket);

  std::vector<uint32_t> counts_ = std::vector<uint32_t>(bucket_count);
  uint64_t total_ = 0;
  uint64_t most_ = 0;
  double sum_ = 0;
};

/// "1.23 ms", "45.6 µs": three significant digits.
std::string show_duration(double nanoseconds);

}  // namespace tern::bench
