// What one account's session owner knows of deliveries: which messages are on their way to which terminals, which
// conversations are dirty (waiting in the log), how far a drain has come. A pure state machine: effects go through
// `port`, answers come back through the on_… calls. docs/adr/0006-delivery.md explains the rules.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "libs/base/ids.hpp"

namespace tern::delivery {

/// Number of a terminal within its account, given by the session: 0 … 31.
using terminal_slot = uint8_t;
/// Bit n stands for terminal n.
using terminal_set = uint32_t;
inline constexpr size_t max_terminals = 32;
constexpr terminal_set only(terminal_slot slot) noexcept { return terminal_set{1} << slot; }

/// An outbox entry that must be confirmed to the stream it came on.
struct entry_ref {
  std::shared_ptr<void> source;  // opaque; null: nobody waits
  uint64_t entry = 0;
};

/// A stored message on its way to this account.
struct message {
  conversation_id conversation;
  account_id sender;
  uint64_t mid = 0;
  int64_t timestamp_ns = 0;
  std::string body;  // TimMessage, Thrift compact, without mid and timestamp
  uint64_t trace = 0;
  int64_t accepted_ns = 0;
  uint64_t target = 0;  // not 0: a recall of this mid, which clients see as the message's
};
using message_ptr = std::shared_ptr<const message>;

struct position {
  conversation_id conversation;
  uint64_t mid = 0;
};

/// What a gateway tells of a terminal that had another owner or link before.
struct restored {
  std::vector<position> messages;  // written, not acknowledged
  std::vector<position> batches;   // the same for drained batches; mid = the batch's last message
  std::vector<uint64_t> notices;   // the same for notices
  std::vector<position> written;   // newest mid written per conversation
};

enum class cursor_change : uint8_t { mark, advance, clear };

struct waiting_conversation {
  conversation_id conversation;
  account_id other;
  uint64_t delivered = 0;
};
struct waiting_notice {
  uint64_t id = 0;
  std::string body;
};
struct backlog {
  std::vector<waiting_conversation> conversations;
  std::vector<waiting_notice> notices;
  bool more = false;  // the list was cut
};
/// Messages after the position asked for, oldest first, the reader's own left out.
struct page {
  std::vector<message> rows;
  uint64_t head = 0;     // newest mid of the conversation at the time of the read
  uint64_t reached = 0;  // all mids up to here have been looked at
};

/// What an account takes along to another owner that is to go on at once, without a look at storage.
struct memory {
  struct dirty {
    conversation_id conversation;
    account_id other;
    uint64_t delivered = 0;
    bool automatic = false;  // brought without being asked
  };
  struct seen {
    conversation_id conversation;
    account_id other;
    uint64_t last = 0;  // entries up to here are done, should they come again
  };
  bool known = false;  // `waiting` is all there is; else nothing of it is known
  std::vector<dirty> waiting;
  std::vector<seen> dialogs;           // all that wait, and the newest of the others
  std::vector<uint64_t> acknowledged;  // notices
  bool room_automatic = false;         // what waits of a room is brought without being asked
};

/// Effects. Nothing of this may call back into the state machine at once.
class port {
 public:
  virtual ~port() = default;
  virtual void deliver(terminal_set to, const message& what) = 0;
  /// `batch` names the list in acknowledgements: mid of its last message.
  virtual void deliver_batch(terminal_set to, const conversation_id& conversation, uint64_t batch,
                             const std::vector<message>& rows) = 0;
  virtual void deliver_notice(terminal_set to, uint64_t id, const std::string& body, bool from_backlog) = 0;
  /// Everything that waited has been acknowledged.
  virtual void drained(terminal_set to) = 0;
  /// A terminal has acknowledged it; done() follows.
  virtual void acknowledged(const message& what) = 0;
  /// It was stored well before one of the terminals logged on: for that one it is of the backlog, however late its
  /// entry comes.
  virtual bool predates(const message& what) = 0;
  /// The entry may be deleted.
  virtual void done(const entry_ref& entry) = 0;
  /// Answered by on_cursor, in the order of the calls.
  virtual void put_cursor(const conversation_id& conversation, account_id other, cursor_change kind,
                          uint64_t delivered) = 0;
  /// Answered by on_backlog or on_backlog_failed.
  virtual void load_backlog() = 0;
  /// Answered by on_page or on_page_failed with the same token.
  virtual void read(const conversation_id& conversation, uint64_t after, uint64_t token) = 0;
  /// Those of the terminals that are to get lists of the room; the others have positions of their own behind it.
  virtual terminal_set listeners(const conversation_id& room, terminal_set all) = 0;
  /// A drain of a room has come to `reached`. 0: from here on its messages come without us; else the mid to go on to.
  virtual uint64_t make_live(const conversation_id& room, uint64_t reached) = 0;
  /// Answered by on_notices_dropped.
  virtual void drop_notices(const std::vector<uint64_t>& ids) = 0;
  /// An entry came again, or after its message: nothing is sent. done() follows unless it still has to wait.
  virtual void suppressed() {}
  /// Calls on_timer in about a second.
  virtual void later() = 0;
};

struct delivery_limits {
  size_t in_flight = 256;  // unacknowledged messages of an account; beyond, conversations turn dirty
  size_t in_flight_bytes = 1 << 20;
  size_t draining = 4;         // conversations drained at once
  size_t conversations = 256;  // clean conversations remembered
};

inline const delivery_limits& default_limits() {
  static const delivery_limits limits;
  return limits;
}

/// Not thread-safe: belongs to one session actor. Holds memory only for what is going on.
class account_delivery {
 public:
  /// `limits`, when not the default ones, must outlive this.
  explicit account_delivery(port& out, const delivery_limits& limits = default_limits())
      : out_(out), limits_(&limits) {}
  void set_limits(const delivery_limits& limits) noexcept { limits_ = &limits; }

  // ---- terminals ----

  /// A terminal that has just logged on. Gets what is on its way to others.
  void attach(terminal_slot slot);
  /// A terminal that comes from another owner or over another link; it may be attached already.
  void reattach(terminal_slot slot, restored what);
  /// The terminal is gone; what it alone had unacknowledged goes to the backlog.
  void detach(terminal_slot slot);
  terminal_set terminals() const noexcept { return terminals_; }

  // ---- from the dispatchers and clients ----

  void on_message(entry_ref entry, message_ptr what);
  /// A notice that has just been stored. Goes to the terminals there are; stays stored until acknowledged.
  void on_notice(uint64_t id, const std::string& body);
  void on_message_ack(terminal_slot slot, const position& what);
  void on_batch_ack(terminal_slot slot, const position& what);
  void on_notice_ack(terminal_slot slot, uint64_t id);
  /// OFFLINEMSG.
  void on_drain_request(terminal_slot slot);

  // ---- rooms: live messages do not pass here; what waits in the log does, as for any conversation ----

  /// Something waits in the room's log behind `delivered`: delivered by a drain, asked for or (`automatic`) not.
  void on_room_behind(const conversation_id& room, uint64_t delivered, bool automatic);
  /// A new message has come for a room that is behind: it is drained without being asked.
  void on_room_wake(const conversation_id& room);
  /// The account is no member any more, or has no terminal: the room is forgotten. Returns the position, 0: unknown.
  uint64_t on_room_gone(const conversation_id& room);
  /// Rooms of which it is not known yet whether anything waits: a drain does not end before.
  void on_rooms_open(size_t count);

  // ---- answers ----

  void on_cursor(const conversation_id& conversation, cursor_change kind, bool stored);
  void on_backlog(backlog found);
  void on_backlog_failed();
  void on_page(const conversation_id& conversation, uint64_t token, page found);
  void on_page_failed(const conversation_id& conversation, uint64_t token);
  void on_notices_dropped(const std::vector<uint64_t>& ids, bool stored);
  void on_timer();

  // ---- moves to another owner ----

  /// Nothing is asked or to be asked again, and all that terminals are owed can be told from what their gateways
  /// know: remember() is everything the next owner needs beside their binds.
  bool still() const noexcept;
  memory remember() const;
  /// Before anything else. The terminals follow by reattach().
  void restore(const memory& what);
  /// All terminals that come have come.
  void settled();

  // ---- for the owner ----

  /// Forgets what gateways told about former writes; called some time after the last reattach.
  void forget_restored() {
    if (!known_ || more_) return;
    // All or none: beside what is awaited it counts what the others had.
    if (std::all_of(seeds_.begin(), seeds_.end(),
                    [](const seed& one) { return one.what.messages.empty() && one.what.batches.empty(); }))
      seeds_.clear();
  }
  /// True when nothing is on its way, so that the account may be forgotten if it has no terminals.
  bool idle() const noexcept;
  /// Takes out all entries that are not done (the range went to another node).
  std::vector<entry_ref> abandon();
  /// Messages and notices waiting for an acknowledgement.
  size_t unacked() const noexcept { return flights_.size() + notices_.size(); }
  /// Number of conversations known to be dirty.
  size_t dirty() const noexcept { return dirty_; }

 private:
  enum class state : uint8_t { clean, marking, dirty, draining };

  /// A page on its way to the terminals. There is one per conversation.
  struct drain {
    terminal_set audience = 0;
    uint64_t token = 0;
    uint64_t position = 0;  // everything up to here is acknowledged or not to be sent
    uint64_t batch = 0;     // mid of the last message sent; 0: none on its way
    uint64_t reached = 0;
    uint64_t head = 0;
    uint64_t began = 0;       // position at the beginning
    uint64_t first_head = 0;  // head of the first page
  };
  /// A conversation there is something to know of.
  struct dialog {
    conversation_id id;
    account_id other;
    uint64_t last = 0;   // newest mid that came by; entries up to it are repeats, but for those in gaps
    uint64_t sent = 0;   // newest mid sent live
    uint64_t floor = 0;  // dirty: the stored position
    /// Dirty: up to here messages are done or on their way, the log has the rest. The stored position follows what is
    /// acknowledged up to here.
    uint64_t live_to = 0;
    uint64_t found = 0;  // the stored position in the backlog: what it covers was acknowledged, done or not
    uint64_t base = 0;   // drained here: everything in (base, drained], whether its entry has come yet or not
    uint64_t drained = 0;
    uint64_t used = 0;
    uint32_t marks = 0;  // MARK writes without an answer
    uint32_t clears = 0;
    state now = state::clean;
    bool room = false;               // only while it is dirty
    bool known = false;              // we know the stored state: read in a backlog, or not in one that was complete
    bool automatic = false;          // to be drained without being asked
    bool retry = false;              // a write failed
    std::vector<entry_ref> waiting;  // to be done when the MARK is stored
    std::vector<std::pair<uint64_t, uint64_t>>
        gaps;                        // mids passed over: one's own messages, or entries that are late
    std::vector<uint64_t> recalled;  // of those in gaps
    std::unique_ptr<drain> work;
  };
  struct flight {
    message_ptr what;
    entry_ref entry;
    terminal_set holders = 0;
    bool late = false;      // sent after newer ones: that those are written says nothing of it
    bool recalled = false;  // not to be written any more
  };
  struct notice {
    uint64_t id = 0;
    terminal_set holders = 0;
    terminal_set sent = 0;
  };
  struct seed {
    terminal_slot slot = 0;
    restored what;
  };

  dialog& get(const conversation_id& id, account_id other);
  static bool passed_over(const dialog& c, uint64_t mid);
  static void come_by(dialog& c, uint64_t mid);
  dialog* find(const conversation_id& id);
  void trim_dialogs();
  void accept(dialog& c, entry_ref entry, message_ptr what);
  static bool covered(const dialog& c, uint64_t mid) noexcept { return mid > c.base && mid <= c.drained; }
  void repeat(dialog& c, entry_ref entry, message_ptr what);
  void adopt(dialog& c, entry_ref entry, message_ptr what);
  bool acknowledged_elsewhere(const dialog& c, uint64_t mid) const;
  void to_log(dialog& c, entry_ref entry, uint64_t mid);
  void send_live(entry_ref entry, message_ptr what, terminal_set to, terminal_set holders, bool late = false);
  void mark(dialog& c, uint64_t floor, entry_ref entry);
  void marked(dialog& c);
  uint64_t first_awaited(const conversation_id& id) const;
  void settle(dialog& c);
  void orphan(flight lost);
  size_t find_flight(const conversation_id& id, uint64_t mid) const;
  void land(size_t index);
  bool window_full() const noexcept;
  void request_backlog();
  void release_held();

  void drain_some();
  bool exhausted() const noexcept;
  bool wanted(const dialog& c) const noexcept;
  terminal_set audience_of(const dialog& c);
  void start_drain(dialog& c);
  void go_on(dialog& c);
  void read_on(dialog& c);
  void advance(dialog& c);
  void finish(dialog& c, uint64_t reached);
  void stop_drain(dialog& c);
  void leave_drain(dialog& c, terminal_slot slot);
  void check_end();
  void set_dirty(dialog& c, uint64_t floor);
  void forget(dialog& c);
  void recall(dialog& c, const message& what);
  static bool withdrawn(const dialog& c, const message& what);
  void send_waiting_notices(std::vector<waiting_notice>& found);
  bool was_acknowledged(uint64_t id) const;

  void restore_flights(terminal_slot slot, restored& what);
  void restore_notices(terminal_slot slot, const std::vector<uint64_t>& ids);
  void restore_batches(terminal_slot slot, restored& what);
  void give_up_claims(terminal_slot slot);
  seed* seed_of(terminal_slot slot);
  uint64_t surely_done(const dialog& c) const;
  bool claimed(const conversation_id& id) const;
  bool claimed(const position& where) const;
  uint64_t written_before(const conversation_id& id) const;

  port& out_;
  const delivery_limits* limits_;
  terminal_set terminals_ = 0;
  terminal_set asked_ = 0;  // terminals that wait for the end of a drain
  bool known_ = false;      // the stored backlog has been read; from then on dialogs_ knows what is dirty
  bool more_ = false;       // the backlog is longer than the list we have
  bool loading_ = false;
  bool reload_ = false;  // asked again while loading
  bool drain_all_ = false;
  bool backlog_retry_ = false;
  bool restored_ = false;  // terminals are still coming after restore()
  size_t dirty_ = 0;       // conversations that are not clean
  size_t draining_ = 0;
  size_t flight_bytes_ = 0;
  size_t rooms_open_ = 0;
  uint64_t tokens_ = 0;
  uint64_t uses_ = 0;
  std::unordered_map<conversation_id, dialog> dialogs_;
  std::vector<flight> flights_;  // oldest first
  std::vector<notice> notices_;
  std::vector<uint64_t> acknowledged_;  // the last notices, oldest first: their entries may be late
  std::vector<uint64_t> drop_retry_;
  std::vector<std::pair<entry_ref, message_ptr>> held_;  // until the backlog is known
  std::vector<seed> seeds_;
};

}  // namespace tern::delivery
