// Whose turn it is to be placed at a session node: after a new map thousands of clients may want to be, and the
// others of their io thread, and what else goes over the link, are not to wait for that.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <unordered_map>
#include <vector>

namespace tern::gateway {

class client;
class lane;
struct link_handle;

/// Used on the lane's io thread. A client stands in one of the lists at a time, by its newest ticket; what an older
/// one says is passed over. client::on_turn is called when a ticket's turn has come.
class placing {
 public:
  explicit placing(lane& of) : lane_(of) {}

  /// Until there may be an owner: a new map, a link that is up, the next tick.
  void wait(client& who);
  /// As soon as those before it had their turn.
  void soon(client& who);
  /// In a while: the node did not know yet (or any more) that it is the owner. 2 ms after the first `attempt` (0),
  /// twice as long after each further one, 100 ms at most.
  void again(client& who, unsigned attempt);
  /// A Bind may be sent over the stream. False: too many there are unanswered, and the client's turn comes with
  /// ended(). True: ended() must follow.
  bool begin(const link_handle& stream, client& who);
  /// A Bind was answered, or nobody waits for the answer any more.
  void ended(const link_handle& stream);

  /// Those who wait for an owner may find one.
  void owners_changed();
  void on_link_down(const link_handle& stream);
  /// Gives a first part its turn now; the rest follows as posts. The lane flushes.
  void run();
  void on_tick();

 private:
  struct turn {
    uint64_t conn = 0;
    uint32_t ticket = 0;
  };
  struct delayed {
    turn whose;
    uint32_t due_ms = 0;
  };
  struct window {
    uint32_t generation = 0;
    size_t unanswered = 0;
    std::deque<turn> held;
  };

  turn ticket_for(client& who);
  void give(const turn& whose);
  void kick();
  void arm();
  void look_at_delayed();

  lane& lane_;
  std::vector<turn> waiting_;
  std::deque<turn> soon_;
  std::vector<delayed> delayed_;
  std::unordered_map<uint32_t, window> windows_;  // by link
  uint32_t tickets_ = 0;
  bool posted_ = false;
  bool armed_ = false;
};

}  // namespace tern::gateway
