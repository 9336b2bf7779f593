// The clients of one io thread that a drain closes: who is next, and who is given a moment to come to rest first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

namespace tern::gateway {

class lane;

/// Used on the lane's io thread.
///
/// A client that is at rest (nothing of it is unanswered, nothing for it is unwritten or unacknowledged) is closed
/// when its turn comes. Another one has up to `gateway.drain.client_ms` to come to rest; for the second half of it
/// nothing more is read from it.
class leaving {
 public:
  explicit leaving(lane& of) : lane_(of) {}

  /// Closes up to `most` clients, the oldest connections first. At the end of a drain (`all`) at once everybody.
  void step(size_t most, bool all);
  /// The drain is off: who has not been closed stays.
  void cancel();

 private:
  struct one {
    uint64_t conn = 0;
    uint32_t since_ms = 0;
  };

  void list();
  size_t close_rested(size_t most);
  void close_all();

  lane& lane_;
  std::vector<uint64_t> next_;  // newest first, so that the oldest is at the back
  std::deque<one> leaving_;
};

}  // namespace tern::gateway
