// Order of the commands of one terminal: appends are pipelined, every other command is a barrier. Pure, no I/O.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

namespace tern::delivery {

/// Frames of a connection are numbered 1, 2, 3, … A frame may start when all earlier barriers have ended and, if it
/// is a barrier itself, all earlier frames have. Frames end in any order; `confirmed` follows the ended prefix. Item:
/// what is needed to run the frame. Not thread-safe: belongs to one session actor.
template <class Item>
class inbound {
 public:
  enum class verdict : uint8_t {
    taken,   // kept: call next() until it gives nothing
    replay,  // a frame that has been taken before
    gap,     // frames before it are missing
    full,    // more frames than a gateway may have unconfirmed
  };

  /// A frame that may run now. `item` is valid until the next call of a method.
  struct runnable {
    uint64_t seq = 0;
    Item item;
  };

  /// `next`: the first frame that is still to come; `most`: frames kept at once.
  explicit inbound(uint64_t next = 1, size_t most = 256) : next_(next == 0 ? 1 : next), most_(most) {}

  verdict accept(uint64_t seq, bool barrier, Item item) {
    if (seq < next_) return verdict::replay;
    if (seq > next_) return verdict::gap;
    if (frames_.size() >= most_) return verdict::full;
    ++next_;
    frames_.push_back({std::move(item), barrier, false});
    return verdict::taken;
  }

  /// Moves the next frame that may start into `out`; false when there is none.
  bool next(runnable& out) {
    if (started_ >= frames_.size()) return false;
    frame& candidate = frames_[started_];
    if (candidate.barrier ? has_running() : barrier_running()) return false;
    out.seq = first() + started_;
    out.item = std::move(candidate.item);
    ++started_;
    return true;
  }

  /// The frame is answered or stored. True when `confirmed` moved.
  bool finish(uint64_t seq) {
    if (seq < first() || seq >= first() + started_) return false;
    frames_[seq - first()].ended = true;
    size_t ended = 0;
    while (ended < started_ && frames_[ended].ended) ++ended;
    if (ended == 0) return false;
    frames_.erase(frames_.begin(), frames_.begin() + static_cast<std::ptrdiff_t>(ended));
    started_ -= ended;
    if (frames_.empty() && frames_.capacity() > 8) frames_.shrink_to_fit();
    return true;
  }

  /// All frames up to here have ended.
  uint64_t confirmed() const noexcept { return first() - 1; }
  /// The number expected next.
  uint64_t expected() const noexcept { return next_; }
  bool idle() const noexcept { return frames_.empty(); }

 private:
  struct frame {
    Item item;
    bool barrier = false;
    bool ended = false;
  };

  uint64_t first() const noexcept { return next_ - frames_.size(); }
  bool has_running() const noexcept {
    for (size_t i = 0; i < started_; ++i) {
      if (!frames_[i].ended) return true;
    }
    return false;
  }
  bool barrier_running() const noexcept {
    for (size_t i = 0; i < started_; ++i) {
      if (frames_[i].barrier && !frames_[i].ended) return true;
    }
    return false;
  }

  std::vector<frame> frames_;  // not confirmed, oldest first; the first `started_` have been started
  size_t started_ = 0;
  uint64_t next_;
  size_t most_;
};

}  // namespace tern::delivery
