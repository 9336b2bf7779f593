// One room as far as this node's terminals are concerned: who is on line, which terminals get its messages, and from
// where on. Pure: what is to be sent is returned, nothing is asked.
#pragma once

#include <tern/session/v1/session.pb.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "libs/base/clock.hpp"
#include "libs/base/ids.hpp"
#include "services/session/links/streams.hpp"

namespace tern::session {

/// A terminal as its actor tells of it.
struct room_terminal {
  gateway_ptr gateway;
  uint64_t conn = 0;
  std::optional<uint64_t> written = {};  // newest mid of the room written to it before it was bound here
  uint64_t acked = 0;                    // of that, everything up to here was acknowledged; 0: nothing is known
  int64_t login_ns = 0;                  // wall clock: what was stored before may have come on an earlier connection
};

/// What is to be sent to one gateway.
struct room_send {
  gateway_ptr gateway;
  v1::SessionItem item;
};

/// A stored row of the room, from a frame or a page.
struct room_row {
  uint64_t mid = 0;
  account_id sender;
  int64_t timestamp_ns = 0;
  std::string_view body;  // empty: a tombstone
  uint64_t target = 0;
  uint64_t trace = 0;
  int64_t accepted_ns = 0;
};

/// What is stored nowhere.
struct live_row {
  account_id sender;
  std::string payload;
  uint64_t trace = 0;
  int64_t accepted_ns = 0;
};

/// Where a member stands.
enum class room_place : uint8_t {
  waiting,  // the room's newest mid is not known yet
  live,     // its terminals get what comes
  behind,   // something waits for it in the log
};

/// Not thread-safe. A terminal of a live member is in one of two lists: `live`, it has everything up to last() and
/// gets every new row, or `lagging`, it has another position: it is brought there by pages of the log (have < last)
/// or skips what it has already (have > last). A terminal gets rows older than its login only from a page asked for
/// since it came: a frame or page that was long on its way may show what has been taken back meanwhile.
class live_room {
 public:
  /// So far behind a terminal is brought up by the hub; beyond, by lists with the pace of its acknowledgements.
  static constexpr uint64_t near = 500;

  explicit live_room(room_id id) : id_(id) {}

  room_id id() const noexcept { return id_; }
  bool empty() const noexcept { return members_.empty(); }
  bool known() const noexcept { return known_; }
  uint64_t last() const noexcept { return last_; }
  size_t members() const noexcept { return members_.size(); }
  /// When the newest row that was handed out here was stored (wall clock); 0: none was.
  int64_t newest_ns() const noexcept { return newest_ns_; }

  // ---- members ----

  /// `delivered`: stored position. `listed`: lists of a former owner are under way to one of the terminals, so the
  /// log is drained in any case.
  room_place join(account_id account, uint64_t delivered, bool listed, const std::vector<room_terminal>& terminals);
  bool has(account_id account) const { return members_.contains(account); }
  /// The room's version at the change that made it a member, as its owner knows; 0: no member here.
  uint64_t member_since(account_id account) const {
    const auto at = members_.find(account);
    return at == members_.end() ? 0 : at->second.version;
  }
  void set_member_since(account_id account, uint64_t version) {
    if (const auto at = members_.find(account); at != members_.end()) at->second.version = version;
  }
  void attach(account_id account, const room_terminal& added);
  /// The terminal comes over another stream.
  void rebind(account_id account, const gateway_stream& old, const room_terminal& now);
  /// False when the account has no terminal left (or none ever): it is to leave.
  bool detach(account_id account, const gateway_stream& gateway, uint64_t conn);
  void leave(account_id account);
  /// A drain has brought everything up to `reached`. 0: live (or live as soon as the newest mid is known); else the
  /// mid to drain on to.
  uint64_t make_live(account_id account, uint64_t reached);
  /// The terminal has acknowledged a list that ends there.
  void listed(account_id account, const gateway_stream& gateway, uint64_t conn, uint64_t mid);
  /// The terminal has a position of its own: what comes after is sent to it when the member is live, so no list is.
  bool placed(account_id account, const gateway_stream& gateway, uint64_t conn) const;
  /// The terminal gets every message of the room by itself.
  bool reaches(account_id account, const gateway_stream& gateway, uint64_t conn) const;
  /// Members that wait for the newest mid count as behind from now on; returns them.
  std::vector<account_id> give_up_waiting();
  std::optional<room_place> place_of(account_id account) const;

  // ---- rows ----

  /// The newest mid, as the room's owner said. The first time it settles who waits; returns them, and who was given
  /// up waiting.
  std::vector<account_id> set_head(uint64_t head);
  enum class frame_verdict : uint8_t { taken, old, gap };
  /// A row from the owner; the next one, or nothing is done with it.
  frame_verdict take(const room_row& row, std::vector<room_send>& out);
  /// Something of the moment, as clients get it: to every terminal of every member but the sender's account, wherever
  /// they stand. It has no position.
  void pass_on(live_row row, std::vector<room_send>& out) const;
  /// The mid to read on from, if anything is missing.
  std::optional<uint64_t> missing() const;
  /// The read for the next fill() begins: terminals that come later get nothing of it.
  void begin_read() { read_ = ++turn_; }
  /// The page read from there: rows in order, everything up to `reached` looked at. False when it got nobody further.
  bool fill(uint64_t from, const std::vector<room_row>& rows, uint64_t reached, std::vector<room_send>& out);
  /// Members behind that have not been told of a new message yet.
  std::vector<account_id> take_asleep() { return std::exchange(asleep_, {}); }

  // ---- acknowledgements ----

  /// Everything up to `mid` was acknowledged over `gateway`. True when the position is to be stored and nobody knows
  /// that yet.
  bool acked(account_id account, const gateway_stream* gateway, uint64_t mid);
  /// A Bind may have told more than is stored. True as with acked().
  bool note_position(account_id account);
  /// The position to store, 0: none. It counts as stored from now on.
  uint64_t take_position(account_id account);
  /// It was not. True when it is to be tried again and nobody knows that yet.
  bool store_failed(account_id account, uint64_t mid);
  /// Position up to which the account has acknowledged everything; 0 when it is not here.
  uint64_t position(account_id account) const;

 private:
  enum class listing : uint8_t { none, live, lagging };
  struct bound {
    uint64_t conn = 0;
    uint64_t at = 0;    // what lies up to here never comes by the hub: written before, drained or acknowledged
    uint64_t turn = 0;  // when it came
    int64_t login_ns = 0;
    uint32_t lane = 0;
    listing where = listing::none;
    bool placed = false;  // `at` is known
  };
  struct member {
    uint64_t acked = 0;
    uint64_t stored = 0;
    uint64_t joined = 0;  // position at the beginning
    uint64_t version = 0;
    room_place place = room_place::waiting;
    bool listed = false;
    bool drained = false;
    bool queued = false;  // known to have a position to store
    std::vector<bound> terminals;
  };
  struct lane {  // one gateway stream
    gateway_ptr stream;
    std::vector<uint64_t> live;  // connections
    uint32_t uses = 0;
  };
  struct laggard {
    uint64_t conn = 0;
    uint64_t have = 0;
    uint64_t turn = 0;     // of the terminal
    int64_t login_ns = 0;  // of the terminal
    account_id account;
    uint32_t lane = 0;
  };

  uint32_t lane_of(const gateway_ptr& stream);
  member* find(account_id account);
  bound* find_bound(member& of, const gateway_stream& gateway, uint64_t conn);
  bound bind(const room_terminal& from);
  void settle(account_id account, member& who);
  void put(account_id account, bound& one, uint64_t have);
  template <class Which>
  void set_back(const Which& which);
  void take_out(bound& one);
  void drop(bound& one);
  bool near_enough(const bound& one) const;
  void promote();
  uint32_t lane_of_sender(account_id sender) const;
  void emit(const room_row& row, bool to_live, uint64_t from, std::vector<room_send>& out);
  std::vector<uint64_t> all_terminals(uint32_t of) const;
  void sender_first(account_id sender, uint32_t from, google::protobuf::RepeatedField<uint64_t>& conns) const;

  room_id id_;
  bool known_ = false;
  uint64_t last_ = 0;     // every row up to here has been handed out
  uint64_t highest_ = 0;  // newest mid heard of
  int64_t newest_ns_ = 0;
  int64_t newest_login_ns_ = 0;
  uint64_t turn_ = 0;
  uint64_t read_ = 0;    // turn of the read under way
  uint64_t newest_ = 0;  // turn of the terminal that came last
  std::unordered_map<account_id, member> members_;
  std::vector<lane> lanes_;
  std::vector<laggard> lagging_;
  std::vector<account_id> asleep_;
};

}  // namespace tern::session
