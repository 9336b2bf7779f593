// What the gateway keeps of one logged-in connection, as a pure state machine: the window of written and
// unacknowledged deliveries with their sync ids, what waits behind it, the newest mid written per conversation, and
// the inbound frames a session node has not confirmed. No I/O, no clock, no threads; an idle terminal owns no memory
// beside itself.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libs/base/ids.hpp"

namespace tern::gateway {

/// What an acknowledgement speaks of; the values are those of session.proto's DeliveryRef.Kind.
enum class ref_kind : uint8_t { message = 0, receipt = 1, notice = 2, batch = 3, room = 4 };

struct delivery_ref {
  ref_kind kind = ref_kind::message;
  conversation_id conversation;
  uint64_t mid = 0;
  bool operator==(const delivery_ref&) const = default;
};

/// A frame towards the client. With `wants_ack` it takes a place in the window.
struct outbound_frame {
  uint8_t type = 0;
  bool wants_ack = false;
  std::string payload;                        // as the client is to see it
  std::shared_ptr<const std::string> shared;  // instead of `payload`, for one message to many terminals
  delivery_ref ref;
  uint64_t trace = 0;
  int64_t accepted_ns = 0;  // wall clock of the sender's acceptance; 0: unknown
  int64_t taken_ns = 0;     // the same when it came here, of those whose stages are measured; else 0

  std::string_view bytes() const noexcept { return shared ? std::string_view(*shared) : std::string_view(payload); }
};

/// A frame of the client on its way to the session owner.
struct inbound_frame {
  uint64_t seq = 0;
  uint8_t type = 0;
  std::string payload;  // Thrift compact
  uint64_t trace = 0;
  int64_t received_ns = 0;
};

/// Receives frames in the order they go to the socket.
class frame_writer {
 public:
  /// `sync_id` 0: no acknowledgement wanted.
  virtual void write(const outbound_frame& frame, int32_t sync_id) = 0;

 protected:
  ~frame_writer() = default;
};

struct terminal_limits {
  size_t window = 64;
  size_t waiting_frames = 4096;
  size_t waiting_bytes = 1 << 20;
  size_t unconfirmed = 64;
  size_t conversations = 256;  // remembered newest mids
};

/// Owned by one connection handler, used on its io thread only. Times are milliseconds that wrap: only differences
/// count.
class terminal {
 public:
  /// A delivery the client has acknowledged.
  struct acknowledged {
    delivery_ref ref;
    uint64_t trace = 0;
    uint32_t written_ms = 0;
  };
  /// The state a new session owner is told.
  struct bind_state {
    std::vector<delivery_ref> unacked;  // written or certain to be written, oldest first
    std::vector<delivery_ref> written;  // newest mid per conversation and room
    uint64_t next_seq = 1;              // first inbound frame not confirmed
  };

  /// What is to become of a delivery.
  enum class verdict : uint8_t {
    write,     // there is a place in the window: take_place(), then write
    wait,      // behind a full window: wait()
    repeated,  // not newer than the newest one of its room, or unacknowledged already
    too_slow,  // the waiting queue is full
  };
  /// How far a room was acknowledged.
  struct room_ack {
    uint64_t room = 0;
    uint64_t mid = 0;
  };

  // ---- outbound ----

  /// Writes the frame, or lets it wait behind a full window; a repeated one goes nowhere. False: the waiting
  /// queue is full, the client is too slow.
  bool offer(outbound_frame frame, uint32_t now_ms, const terminal_limits& limits, frame_writer& out);
  /// The same in steps, for a payload that many terminals share: decides, and remembers the newest mid.
  verdict admit(const delivery_ref& ref, size_t bytes, const terminal_limits& limits);
  /// Enters a delivery that is written now; its sync id.
  int32_t take_place(const delivery_ref& ref, uint64_t trace, uint32_t now_ms);
  /// Lets an admitted delivery wait.
  void wait(outbound_frame frame);
  /// Takes an acknowledgement and writes what may follow. Nothing for a sync id that is not in the window.
  std::optional<acknowledged> acknowledge(int32_t sync_id, uint32_t now_ms, const terminal_limits& limits,
                                          frame_writer& out);
  /// When the oldest unacknowledged frame was written.
  std::optional<uint32_t> oldest_unacked() const noexcept;
  /// Keeps an acknowledgement that came while there was no owner to tell; state() still lists its delivery.
  void hold(const delivery_ref& ref) { busy().held.push_back(ref); }
  /// The acknowledgements held, to be sent behind the Bind.
  std::vector<delivery_ref> take_held();
  /// An acknowledgement of this room message, or of a list of the room, has just been taken. True: the room has
  /// something to tell and is not noted yet: take_room_ack() is to be called in a while.
  bool note_room_ack(const delivery_ref& ref);
  /// How far the room is acknowledged: all that was written up to there. Nothing when it was told already, or while a
  /// list of it is still unacknowledged.
  std::optional<uint64_t> take_room_ack(uint64_t room);
  /// The same for all rooms with something to tell: the terminal is leaving its owner.
  std::vector<room_ack> take_room_acks();
  /// The sync id is of a frame in the window.
  bool awaits(int32_t sync_id) const noexcept;
  size_t unacked() const noexcept { return window_.size(); }
  size_t waiting() const noexcept { return queues_ ? queues_->waiting.size() : 0; }
  size_t waiting_bytes() const noexcept { return queues_ ? queues_->waiting_bytes : 0; }

  // ---- inbound ----

  /// Numbers a frame and keeps it until it is confirmed. The reference is valid until the next call.
  const inbound_frame& accept(uint8_t type, std::string payload, uint64_t trace, int64_t received_ns);
  /// Forgets all frames up to `seq`; a number never given out is ignored (false).
  bool confirm(uint64_t seq) noexcept;
  size_t unconfirmed() const noexcept { return queues_ ? queues_->inbound.size() : 0; }
  bool full(const terminal_limits& limits) const noexcept { return unconfirmed() >= limits.unconfirmed; }
  /// Frames to send again after a Bind, in order.
  const std::deque<inbound_frame>& kept() const noexcept;
  uint64_t next_seq() const noexcept { return next_seq_; }

  bind_state state() const;
  /// A Bind has been sent: the owner may repeat what it was told of too late.
  void note_rebound() noexcept { rebound_ = true; }
  /// Gives memory back that an idle terminal does not need.
  void trim();

 private:
  struct written_frame {
    delivery_ref ref;
    uint64_t trace = 0;
    int32_t sync_id = 0;
    uint32_t written_ms = 0;
  };
  struct newest_mid {
    conversation_id conversation;
    uint64_t mid = 0;
    uint32_t used = 0;  // value of uses_ when last touched
    ref_kind kind = ref_kind::message;
    bool owed = false;   // room: an acknowledgement has not been told yet
    bool noted = false;  // room: take_room_ack() will be called
  };
  struct queues {
    std::deque<inbound_frame> inbound;
    std::deque<outbound_frame> waiting;
    std::vector<delivery_ref> held;
    size_t waiting_bytes = 0;
  };

  void remember(const delivery_ref& ref, size_t most);
  newest_mid* find_newest(const conversation_id& conversation) noexcept;
  const delivery_ref* first_unacked(ref_kind kind, const conversation_id& conversation) const noexcept;
  bool is_unacked(const delivery_ref& ref) const noexcept;
  uint64_t acked_up_to(const newest_mid& room) const noexcept;
  bool tellable(const newest_mid& room) const noexcept;
  queues& busy();

  std::vector<written_frame> window_;  // oldest first
  std::vector<newest_mid> newest_;
  std::unique_ptr<queues> queues_;  // none until something is kept
  uint64_t next_seq_ = 1;           // of the next inbound frame
  uint32_t uses_ = 0;
  int32_t last_sync_id_ = 0;
  bool rebound_ = false;
};

}  // namespace tern::gateway
