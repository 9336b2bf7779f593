// What a viewer of a stream has had of it, told from the numbers in the frames. Pure: no I/O, no clock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tern::bench {

/// The first bytes of every frame of a measured stream.
struct frame_stamp {
  int64_t due_ns = 0;     // steady clock: when the frame was to be sent
  uint64_t sequence = 0;  // of its publisher, from 0 without holes
  bool operator==(const frame_stamp&) const = default;
};

inline constexpr size_t frame_stamp_bytes = 16;

/// Writes the stamp over the first bytes of `body`, which has at least frame_stamp_bytes.
void put_stamp(const frame_stamp& stamp, std::string& body);
/// Nothing when `body` is too short to have one.
std::optional<frame_stamp> read_stamp(std::string_view body);

/// One viewer's account of one publisher's frames in the span that is measured. Frames of a publisher come in order,
/// so a number that is skipped is a frame that was dropped.
class frame_account {
 public:
  /// The span starts with this number; frames with smaller ones are not counted any more.
  void open(uint64_t first);
  /// True when the frame belongs to the span and is newer than all before it.
  bool take(uint64_t sequence);

  uint64_t delivered() const noexcept { return delivered_; }
  /// Frames of the span below `end` that did not come: holes, and what is missing behind the newest.
  uint64_t missed(uint64_t end) const noexcept { return holes_ + (end > next_ ? end - next_ : 0); }
  /// One more than the newest number that came, or where the span starts.
  uint64_t expected_next() const noexcept { return next_; }
  /// Of the span, but not newer than one that came before: repeated or out of order.
  uint64_t stale() const noexcept { return stale_; }

 private:
  uint64_t first_ = 0, next_ = 0;
  uint64_t delivered_ = 0, holes_ = 0, stale_ = 0;
};

}  // namespace tern::bench
