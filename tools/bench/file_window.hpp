// Both ends of a file that crosses a channel which may drop pieces but keeps their order: a window of bytes under
// way, cumulative acknowledgements, and sending again from the first hole (go-back-N). Pure: no I/O, time is given.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace tern::bench {

struct file_plan {
  uint64_t total = 0;                       // bytes of the file
  size_t chunk = 128 * 1024;                // of a piece
  uint64_t window = 1024 * 1024;            // bytes sent and not acknowledged, at most (a whole chunk at least)
  size_t ack_every = 2;                     // pieces per acknowledgement
  std::chrono::milliseconds timeout{1000};  // without progress: again from the first hole
};

/// The sender's end.
class send_window {
 public:
  using time_point = std::chrono::steady_clock::time_point;
  struct piece {
    uint64_t offset = 0;
    size_t size = 0;
  };

  explicit send_window(const file_plan& plan) : plan_(plan) {}

  /// The next piece to send; nothing while the window is full or everything has been sent.
  std::optional<piece> next(time_point now);
  /// Everything below `offset` has arrived. `hole`: a later piece came before the one at `offset`; the first such
  /// word about an offset makes sending start again there.
  void acknowledge(uint64_t offset, bool hole, time_point now);
  /// Starts again from the first hole when nothing has been acknowledged for the timeout; true when it did.
  bool expire(time_point now);

  bool complete() const noexcept { return acknowledged_ == plan_.total; }
  uint64_t acknowledged() const noexcept { return acknowledged_; }
  uint64_t under_way() const noexcept { return next_ - acknowledged_; }
  uint64_t sent_again() const noexcept { return sent_again_; }
  uint64_t timeouts() const noexcept { return timeouts_; }
  uint64_t rewinds() const noexcept { return rewinds_; }

 private:
  void rewind();

  file_plan plan_;
  uint64_t acknowledged_ = 0, next_ = 0;
  uint64_t newest_ = 0;                   // end of the newest piece ever sent
  std::optional<uint64_t> rewound_to_{};  // a hole there has been answered by sending again
  time_point progress_{};
  uint64_t sent_again_ = 0, timeouts_ = 0, rewinds_ = 0;
};

/// The receiver's end. Takes pieces in order only.
class receive_window {
 public:
  enum class verdict : uint8_t { taken, repeated, hole };

  explicit receive_window(const file_plan& plan) : plan_(plan) {}

  verdict take(uint64_t offset, size_t size);
  /// Whether an acknowledgement of arrived() is to be sent now; asking takes it as sent.
  bool acknowledgement_due();
  /// Of that acknowledgement: whether a piece was missing when it became due.
  bool hole() const noexcept { return hole_; }

  uint64_t arrived() const noexcept { return arrived_; }
  bool complete() const noexcept { return arrived_ == plan_.total; }
  uint64_t repeated() const noexcept { return repeated_; }
  uint64_t holes() const noexcept { return holes_; }

 private:
  file_plan plan_;
  uint64_t arrived_ = 0;
  size_t unanswered_ = 0;
  bool hole_ = false, due_ = false;
  uint64_t repeated_ = 0, holes_ = 0;
};

}  // namespace tern::bench
