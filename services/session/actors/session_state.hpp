// The live side of one account: its terminals, their commands, its deliveries. Used by its actor only.
#pragma once

#include <bit>
#include <caf/all.hpp>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "libs/actor/actor.hpp"
#include "libs/delivery/account_delivery.hpp"
#include "libs/delivery/inbound.hpp"
#include "libs/wire/frame.hpp"
#include "services/session/environment.hpp"
#include "services/session/events.hpp"
#include "services/session/presence/session_presence.hpp"
#include "services/session/rate_limit.hpp"
#include "services/session/rooms/live_room.hpp"

namespace tern::session {

/// A connection: two gateways use the same numbers.
struct connection_key {
  uint64_t gateway = 0;  // its incarnation
  uint64_t conn = 0;
  bool operator==(const connection_key&) const = default;
};

/// Where a command came from; what its answer needs. Small, copied into continuations.
struct origin {
  delivery::terminal_slot slot = 0;
  uint32_t generation = 0;  // of the terminal's binding: an answer for an older one is not sent
  wire::frame_type type = wire::frame_type::message;
  uint64_t seq = 0;
  uint64_t trace = 0;
  int64_t received_ns = 0;
  connection_key connection = {};
  bool again = false;    // the gateway sent it before: it may be done already
  int64_t taken_ns = 0;  // wall clock when it was taken up, of messages whose stages are measured; else 0
};

/// The code a refusal carries: one of the protocol's, unknown (5103) where a command may have been done before.
errc shown_to_client(const origin& from, errc code);

/// One terminal of the account.
struct terminal {
  struct command {
    uint32_t type = 0;
    std::string payload;
    uint64_t trace = 0;
    int64_t received_ns = 0;
    bool again = false;
  };
  gateway_ptr gateway;
  uint64_t conn = 0;
  uint32_t generation = 0;
  int32_t termtyp = 0;
  int64_t login_ns = 0;
  std::string resource;
  delivery::inbound<command> inbound;

  connection_key connection() const { return {gateway->incarnation, conn}; }
};

/// Commands waiting for a look at another account.
struct contact_check {
  account_id other;
  std::vector<std::function<void(session_state&, errc)>> waiting;
};

/// A pair whose next message waits for a permit (`held`); what comes after it waits here. See commands/pair_turns.
struct pair_turn {
  account_id other;
  bool held = false;
  std::deque<std::function<void(session_state&)>> waiting;
};

/// A room as the account's own row has it.
struct own_room {
  room_id room;
  uint64_t version = 0;   // of the row
  uint64_t position = 0;  // when the last terminal went
  uint32_t bits = 0;      // storage::v1::RoomBits
  bool open = false;      // the hub does not know yet whether anything waits
  bool fresh = false;     // came while the list was read
};

/// What the account is in a room has changed, or it is told something of one.
struct room_change {
  delivery::entry_ref entry;
  v1::RoomMembership change;
};

/// What waits for an account's own row of a room to have a version, or (room 0) for its rows of all rooms to be read.
/// errc::deadline after two seconds.
struct room_wait {
  room_id room;
  uint64_t version = 0;
  uint64_t number = 0;
  std::function<void(session_state&, errc)> then;
};

/// The answer to a sender of whom is not known yet whether the hub brings it its own message.
struct late_receipt {
  origin from;
  room_id room;
  storage::v1::Appended stored;
  std::string payload;
};

struct state_timer {
  clock::time_point at;
  std::function<void(session_state&)> run;
};

/// What gateways told of rooms when they bound terminals here, until the list of rooms is there.
struct bound_rooms {
  struct one {
    delivery::terminal_slot slot = 0;
    uint32_t generation = 0;
    room_id room;
    std::optional<uint64_t> written;  // newest mid that came live
    uint64_t acked = 0;               // as room_terminal
  };
  std::vector<one> written;
  std::vector<room_id> listed;  // lists of a former owner are under way
};

/// What waits while the account is on its way from or to another node, in the order it came.
struct held_work {
  enum class stage : uint8_t {
    freezing,   // here: no new work; what is asked is still to be answered
    handed,     // the state is at the next owner: nothing happens here any more
    verdict,    // at the next owner: whether the state counts is not known yet
    terminals,  // the state is in place; the terminals it speaks of are still coming
  };
  stage now = stage::freezing;
  uint64_t move = 0;
  uint32_t format = 0;
  clock::time_point due{};
  bool binds = false;  // some are among the events: whatever comes, comes after them
  std::vector<event> events;
  std::vector<uint64_t> coming;  // connections of terminals that have not come yet
  std::vector<own_room> rooms;   // stage terminals
  std::vector<room_id> behind;   // of these
  bool rooms_known = false;
};

/// Files: session_state.cpp (mails, output), session_terminals.cpp (binds, limits, frames), session_delivery.cpp (the
/// port of account_delivery, relation changes), session_rooms.cpp (its places in rooms), session_move.cpp (the way to
/// another node and from there).
class session_state : private delivery::port {
 public:
  static inline const char* name = "session";

  explicit session_state(actor::stateful<session_state>* self) : self_(self) {}
  ~session_state() override;
  void init(const environment& env, account_id account);

  // ---- handlers of the actor ----
  void on_mail(mail& what);
  void on_answer(answer& what);
  void on_poke();

  // ---- for commands ----
  const environment& env() const noexcept { return *env_; }
  account_id account() const noexcept { return account_; }
  const std::string& domain() const noexcept { return domain_; }
  /// nullptr when the terminal is gone or was bound anew since.
  terminal* find(const origin& from);
  /// Asks storage; `then` runs in this actor.
  void ask(slot_type slot, storage::v1::StorageRequest request, patience how,
           std::function<void(session_state&, storage_answer&)> then);
  /// Asks the owner of `request.room()`; `then` runs in this actor.
  void ask_group(group::v1::GroupRequest request, std::function<void(session_state&, group_answer&)> then);
  /// Sends the answer and ends the command.
  void reply(const origin& from, wire::frame_type type, std::string payload);
  /// ACK TimAck{ok false, error}. ok would be answered as undefined.
  void refuse(const origin& from, errc code);
  /// Ends a command that has no (further) answer.
  void finish(const origin& from);
  /// MESSAGE with mid to the terminal it came from and, unless it repeats an earlier one, to all others.
  void send_receipt(const origin& from, const conversation_id& conversation, uint64_t mid, std::string payload,
                    bool duplicate);
  /// After the owner of `room` has answered an append or a recall (payload as clients see it): ends the command.
  /// Where the hub brings the message to the terminal anyway nothing is sent; else, or when it repeats an earlier
  /// one, the terminal gets it as a receipt. The account's other terminals get it as members do. While the account's
  /// place in the room is not settled the command stays open: a receipt at once would be the first of two.
  void send_room_receipt(const origin& from, room_id room, const storage::v1::Appended& stored, std::string payload);
  /// Calls `then` when the account's own row of `room` has `version` (RoomChanged.version) or a newer one: what the
  /// account asks afterwards sees its change, and messages reach it. After two seconds in any case. For changes of
  /// the caller's own place (create, apply, leave, block), before the command is answered.
  void await_room(room_id room, uint64_t version, std::function<void(session_state&)> then);
  /// Calls `then` when the account's own rows of rooms are known: at once, or when they were read, after two seconds
  /// with errc::deadline.
  void with_rooms(std::function<void(session_state&, errc)> then);
  /// By the account's own row. With with_rooms() only.
  bool is_member_of(room_id room);
  /// The account's own row of `room` was stored by its own command: it counts from here on, not only when the outbox
  /// tells of it.
  void note_own_row(room_id room, uint64_t version, uint32_t bits);
  /// Ends all terminals but `from` with LOGOUT (password changed, account replaced). Returns how many.
  size_t log_out_others(const origin& from, errc reason);
  /// Runs `then` in this actor after `delay` (rounded up to 128 ms), unless the actor has ended. Cannot be called
  /// off: `then` looks whether it is still wanted.
  void call_later(std::chrono::milliseconds delay, std::function<void(session_state&)> then);
  /// OFFLINEMSG of a terminal.
  void start_drain(const origin& from);
  /// De-duplication key of a message without a client id.
  std::string frame_key(const origin& from);
  /// The last one is remembered: a keyed hash per message would be the most expensive part of accepting it.
  conversation_id conversation_with(account_id other);
  std::vector<contact_check>& contact_checks() noexcept { return contact_checks_; }
  std::vector<pair_turn>& pair_turns() noexcept { return pair_turns_; }
  /// Appends on their way to storage: the frame each was asked for, then the same frame again, from later bindings.
  std::vector<std::vector<origin>>& appends() {
    if (!appends_) appends_ = std::make_unique<std::vector<std::vector<origin>>>();
    return *appends_;
  }
  /// Gives the memory back that an idle account does not need.
  void trim_appends() {
    if (appends_ && appends_->empty()) appends_.reset();
  }
  const delivery::account_delivery& deliveries() const noexcept { return delivery_; }
  /// The account's printable node, made once.
  const std::string& own_node();

  // ---- presence (presence/session_presence.cpp) ----
  /// Calls `then` when the account's roster is known: at once, or after a look at storage, whose error it gets.
  void with_roster(std::function<void(session_state&, errc)> then);
  /// What with_roster has found.
  const roster_book& roster();
  /// A relation of the account has changed.
  void note_relation(const roster_book::row& change);
  /// PRESENCE for all terminals but the one of this connection.
  void tell_own_terminals(const std::string& payload, const connection_key& but_not);
  /// Sends something unstored to the owner of `to` when the actor has done what it had.
  void relay(account_id to, v1::PeerItem item);

 private:
  // ---- delivery::port ----
  void deliver(delivery::terminal_set to, const delivery::message& what) override;
  void deliver_batch(delivery::terminal_set to, const conversation_id& conversation, uint64_t batch,
                     const std::vector<delivery::message>& rows) override;
  void deliver_notice(delivery::terminal_set to, uint64_t id, const std::string& body, bool from_backlog) override;
  void drained(delivery::terminal_set to) override;
  void acknowledged(const delivery::message& what) override;
  void done(const delivery::entry_ref& entry) override;
  void put_cursor(const conversation_id& conversation, account_id other, delivery::cursor_change kind,
                  uint64_t delivered) override;
  void load_backlog() override;
  void read(const conversation_id& conversation, uint64_t after, uint64_t token) override;
  bool predates(const delivery::message& what) override;
  delivery::terminal_set listeners(const conversation_id& room, delivery::terminal_set all) override;
  uint64_t make_live(const conversation_id& room, uint64_t reached) override;
  void drop_notices(const std::vector<uint64_t>& ids) override;
  void suppressed() override { env_->metrics.count(kind::message, outcome::suppressed); }
  void later() override;

  // ---- events ----
  void on(bind_event& what);
  void on(frame_event& what);
  void on(acked_event& what);
  void on(closed_event& what);
  void on(delivery_event& what);
  void on(gateway_gone_event& what);
  void on(range_lost_event& what);
  void on(room_event& what);
  void on(peer_event& what);
  void on(freeze_event& what);
  void on(thaw_event& what);
  void on(decided_event& what);

  // ---- moves: session_move.cpp ----
  bool holds(event& what);
  bool hold(event& what);
  void release();
  void refuse_held();
  /// Nothing is going on: everything is with storage, with gateways or in what hand_over() tells.
  bool quiet() const;
  void hand_over();
  std::string exported(uint32_t format);
  void claim_state();
  bool restore(uint32_t format, const std::string& body);
  void terminal_came(uint64_t conn);
  void terminals_came();

  void bind_fresh(bind_event& what);
  void rebind(bind_event& what);
  std::optional<delivery::terminal_slot> place(const bind_event& what);
  bool make_room(int32_t termtyp);
  void log_out(delivery::terminal_slot slot, errc reason);
  void remove(delivery::terminal_slot slot);
  /// The account sends more than it may: the frame is refused with 5105 and its connection closed.
  void cut_off(delivery::terminal_slot slot, const v1::Frame& frame);
  std::optional<delivery::terminal_slot> slot_of_conn(const gateway_stream& from, uint64_t conn) const;
  void pump(delivery::terminal_slot slot);
  void run(delivery::terminal_slot slot, uint64_t seq, terminal::command what);
  void measure_route(origin& from) const;
  void count_delivered(delivery_kind what, account_id sender, int64_t accepted_ns) const;
  /// False when the message cannot be decoded.
  bool deliver_as(delivery::terminal_set to, const delivery::message& what, bool offline);
  void damaged(delivery::terminal_set to, const delivery::message& what);
  void stored_message(delivery_event& what);
  void relation_change(delivery_event& what);
  uint64_t epoch() const;
  presence_state& presence();
  /// After a terminal was taken out for good.
  void terminal_gone(const terminal& gone);
  void presence_timer();
  /// Something of the moment for all terminals; may move out of `item` if it is for this account alone.
  void tell_live(v1::PeerItem& item);
  void flush_peers();

  // ---- rooms: session_rooms.cpp ----
  /// `old`: the stream the terminal was bound over until now, if it was bound here.
  void enter_rooms(delivery::terminal_slot slot, const v1::Bind& bind, const gateway_ptr& old);
  void wait_for_room(room_wait what);
  void leave_rooms(const terminal& gone);
  void leave_hub();
  void load_rooms();
  void rooms_loaded(storage_answer& got);
  /// The account's own rows are `found`. `live`: its places in the rooms are known, too, but for those in `behind`.
  void rooms_read(std::vector<own_room> found, bool live, const std::vector<room_id>& behind);
  void join_room(own_room& room, bool fresh);
  bool standing(own_room& room);
  void look_for_news(room_id room);
  bool came_since_login(int64_t stored_ns) const;
  /// Not known yet whether the room's messages come from the hub.
  bool place_is_open(room_id room);
  void send_late_receipts(room_id room);
  void write_room_receipt(const origin& from, room_id room, const storage::v1::Appended& stored, std::string payload);
  void count_open_rooms();
  own_room* find_room(room_id room);
  void note_room(const v1::RoomMembership& change);
  void membership_change(delivery_event& what);
  void store_change(room_id room);
  void change_stored(room_id room, errc code, uint64_t notice_id, const std::string& notice);
  void stored_notice(delivery_event& what);
  void tell_again(const delivery::entry_ref& entry, errc code, const char* what);

  // ---- output, handed over when the actor has done what it had ----
  v1::SessionItem& out(const terminal& to);
  v1::Out& out_frame(const terminal& to, wire::frame_type type);
  void send_confirm(terminal& to);
  void flush();
  void after_work();
  void run_timers(clock::time_point now);
  void count_state();
  void died();

  actor::stateful<session_state>* self_;
  const environment* env_ = nullptr;
  account_id account_;
  std::string domain_;
  std::vector<std::unique_ptr<terminal>> terminals_;  // by slot; null: free
  delivery::account_delivery delivery_{*this};
  std::vector<contact_check> contact_checks_;
  std::vector<own_room> rooms_;  // by id; positions are kept while the actor lingers
  std::vector<room_wait> room_waits_;
  std::unique_ptr<std::vector<room_change>> room_changes_;  // of each room the oldest is being stored
  std::vector<late_receipt> late_receipts_;
  std::vector<state_timer> timers_;
  std::unique_ptr<bound_rooms> bound_rooms_;  // null: nothing
  std::vector<pair_turn> pair_turns_;
  std::unique_ptr<std::vector<std::vector<origin>>> appends_;  // null: nothing
  rate_limit rate_;
  std::pair<account_id, conversation_id> last_conversation_;
  uint32_t generations_ = 0;
  uint32_t asked_ = 0;  // answers still to come
  uint64_t mails_ = 0;
  int64_t counted_unacked_ = 0;
  int64_t drain_started_ns_ = 0;
  clock::time_point idle_since_{};
  clock::time_point later_at_{};   // of delivery_.on_timer(); epoch: none
  clock::time_point forget_at_{};  // of delivery_.forget_restored()
  enum class rooms_state : uint8_t { none, loading, loaded } rooms_now_ = rooms_state::none;
  uint32_t rooms_round_ = 0;          // of the last list asked for
  bool rooms_by_themselves_ = false;  // terminals came from elsewhere: what waits is brought without being asked
  bool was_online_ = false;
  bool idle_ = false;
  bool pumping_ = false;
  bool leaving_ = false;
  std::vector<std::pair<gateway_ptr, std::vector<v1::SessionItem>>> out_;
  std::vector<std::pair<source_ptr, v1::DeliveryReply>> replies_;
  std::vector<std::pair<std::string, std::vector<v1::PeerItem>>> peer_out_;  // by node
  std::unique_ptr<presence_state> presence_;
  std::string own_node_;
  std::unique_ptr<held_work> held_;  // null: nothing
};

}  // namespace tern::session
