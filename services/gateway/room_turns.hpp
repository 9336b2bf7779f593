// Messages of rooms on their way to the terminals of one io thread, in turns with everything else that thread does.
#pragma once

#include <atomic>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "services/gateway/room_frame.hpp"
#include "services/gateway/stream.hpp"

namespace tern::gateway {

class lane;

/// Used on the lane's io thread.
///
/// A write to each of some thousand terminals takes the thread some ten milliseconds. So a message goes to `per_turn`
/// of them at once, in the order of its list (the sender's come first), and to the others after what else has come
/// meanwhile. Order stays as it is on the stream:
/// - a message of the same room waits until the one before it has gone everywhere;
/// - an item for one terminal makes that terminal's share of the messages before it come first (before()). So the
///   answer to a Bind still parts what was sent without knowing of it from what was not;
/// - with its stream a message ends. Who has not had it is bound anew and says so.
/// Only what goes to other terminals, and messages of other rooms, may overtake.
///
/// When a room's messages come faster than they leave, or much waits, there are no turns: several messages leave in
/// one write per terminal, and what stands behind them on the stream waits, so that the senders feel it.
class room_turns {
 public:
  static constexpr size_t per_turn = 128;
  /// Beyond, terminals are served before anything else is.
  static constexpr size_t most_terminals = 16'384;
  static constexpr size_t most_messages = 64;

  explicit room_turns(lane& of) noexcept : lane_(of) {}

  /// The next message of the stream, for `conns`. `coming`, unless null, counts the stream's messages of rooms that
  /// are on their way to this thread, this one included.
  void add(link_handle stream, const room_frame::message_ptr& message, std::span<const uint64_t> conns,
           std::shared_ptr<std::atomic<size_t>> coming);
  /// Called ahead of an item of the stream for this connection.
  void before(link_handle stream, uint64_t conn);
  void on_link_down(link_handle stream);
  /// Messages that have not gone everywhere yet.
  size_t waiting() const noexcept { return waiting_.size(); }

 private:
  struct fan_out {
    link_handle stream;
    room_frame frame;
    std::vector<uint64_t> conns;  // 0: has had it
    std::shared_ptr<std::atomic<size_t>> coming;
    std::bitset<65536> those;  // by the low bits of the connection: whether to look for it
    size_t next = 0;
    size_t given = 0;

    size_t left() const noexcept { return conns.size() - next; }
  };
  using queue = std::deque<std::unique_ptr<fan_out>>;

  size_t give(link_handle stream, room_frame& frame, std::span<const uint64_t> conns);
  void step(fan_out& one, size_t most, bool at_once);
  void end(const room_frame& frame, size_t given) const;
  queue::iterator find(link_handle stream, uint64_t room);
  size_t terminals() const noexcept;
  void kick();
  void turn();

  lane& lane_;
  queue waiting_;  // the first has the next turn
  /// Streams and rooms of which several messages came together: the rest of them goes out with the first ones.
  std::vector<std::pair<link_handle, uint64_t>> together_;
  bool posted_ = false;
};

}  // namespace tern::gateway
