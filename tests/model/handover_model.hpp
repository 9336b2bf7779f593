// The hand-over of one slot range between two nodes, with everything that can go wrong around it, as a state machine
// small enough to be explored to the end. README.md says what is modelled and what is not.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>

#include "tests/model/checker.hpp"

namespace tern::model {

/// How much of everything there is; each number is a bound.
struct budget {
  uint8_t messages = 1;         // to the account of the range; 3 at most
  uint8_t frames = 0;           // from its client; 3 at most
  uint8_t moves = 1;            // orders; 2 at most
  uint8_t crashes = 0;          // of the two nodes; they come back
  uint8_t suspicions = 0;       // a living node loses its range: it was paused, or cut off
  uint8_t leader_crashes = 0;   // of routing replicas
  uint8_t depositions = 0;      // another replica is elected while the leader lives on
  uint8_t meta_faults = 0;      // answers of the meta database that are lost; half of them with the commit
  uint8_t link_breaks = 0;      // of a stream between the gateway and a node
  uint8_t reconnects = 0;       // the client comes back by a new connection; 3 at most, with the next
  uint8_t gateway_crashes = 0;  // likewise, and the gateway has forgotten everything
};

/// Planted bugs: each must be found.
enum class mutation : uint8_t {
  none,
  gateway_takes_any_epoch,
  storage_has_no_fence,
  dispatcher_has_no_fence,
  state_needs_no_verdict,
  valid_after_thaw,
  no_term_at_commit,
  no_check_at_commit,  // neither of the term nor of the version
  target_acts_before_commit,
  frozen_source_settles,    // the source writes CLEAR after the state was made
  frozen_source_takes_new,  // it goes on with entries after the state was made
  source_acts_after_verdict,
  source_owns_after_claim,  // its map says so still, and a mail makes a new actor
  claim_survives_newer_map,
  entries_without_epoch,  // the dispatcher's newer map and the node's older one mean the same owner
  answer_is_guessed,      // of a commit whose answer was lost
  restart_keeps_epoch,
  bind_tells_nothing,
  bind_answers_look_alike,  // the answer to an earlier Bind passes for that to the newest
  append_without_key,
  receipt_before_commit,
  source_never_thaws,
  orders_never_end,  // a leader waits for an answer for ever
};

inline constexpr uint8_t node_count = 2;
inline constexpr uint8_t move_count = 2;

/// What is on its way about one move. Bits: a message that was sent may arrive at any later time, again and again, or
/// never.
enum move_bits : uint8_t {
  prepare_sent = 1,
  prepared_sent = 2,
  states_sent = 4,  // State… and Complete
  taken_sent = 8,
  result_sent = 16,
  claimed_sent = 32,
  valid_sent = 64,
  cancel_sent = 128,
};

/// `spent`: failed, thawed or overtaken; no verdict of such a move is valid.
enum class source_step : uint8_t { none, asked, frozen, stated, ended, spent };
enum class target_step : uint8_t { none, prepared, has_states, dropped };
enum class actor_step : uint8_t { none, live, frozen, claiming };
enum class leader_step : uint8_t { off, idle, ordered, ready, unknown };
enum class bind_step : uint8_t { none, binding, bound };
enum class write_kind : uint8_t { none, append, mark, clear };

struct meta_part {
  uint8_t epoch, owner, incarnation, term;
};
struct leader_part {
  leader_step step;
  uint8_t term, epoch, owner, incarnation, move;
};
struct move_part {
  uint8_t exists, source, target, epoch;
  uint8_t source_incarnation, target_incarnation;
  uint8_t sent;  // move_bits
  uint8_t failed_sent, invalid_sent;
  uint8_t dirty, position;  // the State
  uint8_t claimed_epoch;
};
struct node_part {
  uint8_t alive, incarnation;
  uint8_t map_epoch, map_owner, map_incarnation;
  uint8_t
      claimed;  // epoch in which another has claimed the range: nothing is owned here below it, whatever the map says
  actor_step actor;
  uint8_t epoch;                           // the actor acts under
  uint8_t claim;                           // move whose states wait for the verdict
  uint8_t bound;                           // connection + 1
  uint8_t bound_epoch;                     // the gateway's, in its Bind
  uint8_t dirty, position, sent, waiting;  // delivery: `waiting` has a bit per message on its way to the terminal
  uint8_t entries;                         // of the outbox, not answered yet
  uint8_t held;                            // frames taken and not worked on yet
  write_kind writing;                      // under way to storage; survives the node, as what a socket has taken does
  uint8_t write_value, write_epoch;
  std::array<source_step, move_count> source;
  std::array<target_step, move_count> target;
};
struct gateway_part {
  uint8_t map_epoch, map_owner;
  bind_step step;
  uint8_t node, epoch;  // bound to
  uint8_t connection;
  uint8_t written, unacknowledged;
  uint8_t frames_sent, frames_confirmed;
  uint8_t newest_epoch;  // of all frames taken: for the check
};
struct client_part {
  uint8_t shown;         // on this connection
  uint8_t acknowledged;  // ever
};
struct storage_part {
  uint8_t head, pending;         // log and outbox
  uint8_t dirty, delivered;      // cursor row
  uint8_t fence;                 // newest epoch seen for the range
  uint8_t map_epoch, map_owner;  // whom the dispatcher sends to
  uint8_t stored;                // frames
};
struct link_part {
  std::array<uint16_t, 3> up, down;  // 0: free
};

/// Everything; trivially copyable, bytes and aligned pairs only.
struct handover_state {
  std::array<link_part, node_count> links;
  meta_part meta;
  std::array<leader_part, 2> leaders;
  std::array<move_part, move_count> moves;
  std::array<node_part, node_count> nodes;
  gateway_part gateway;
  client_part client;
  storage_part storage;
  budget left;     // what may still happen; of messages and frames: how many there are in all
  uint8_t broken;  // number of a promise broken by the last step
  uint8_t odd;     // keeps the size even
};

class handover_model {
 public:
  using state = handover_state;
  using visitor = std::function<void(const state&, const action&)>;

  explicit handover_model(budget limits, mutation bug = mutation::none) : limits_(limits), bug_(bug) {}

  state initial() const;
  template <class Visit>
  void next(const state& from, Visit& visit) const {
    all_steps(from, visitor(std::ref(visit)));
  }
  const char* violation(const state& at) const;
  bool good(const state& at) const;
  std::string describe(const action& what) const;
  std::string describe(const state& what) const;

 private:
  void all_steps(const state& from, const visitor& visit) const;
  budget limits_;
  mutation bug_;
};

/// Everything reachable within `limits`, or the shortest way to what is wrong. Gives up after `most_states`.
report explore(const budget& limits, mutation bug, uint64_t most_states);

}  // namespace tern::model
