// Ranges on their way from one living node to another: which are asked for, in what pieces, and what became of it.
// Pure logic over a clock. docs/flows/placement.md, "A range moves".
#pragma once

#include <algorithm>
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "libs/placement/membership_table.hpp"
#include "libs/placement/moves.hpp"
#include "libs/placement/planner.hpp"
#include "services/routing/intents.hpp"

namespace tern::routing {

struct move_options {
  uint64_t sessions = 500;                  // about so many sessions or rooms per order
  size_t per_node = 2;                      // orders under way at once, from a node and to a node
  std::chrono::milliseconds rest{30'000};   // a range that has got a new owner stays there
  std::chrono::milliseconds timeout{2000};  // an order without answer is sent again
  int attempts = 3;                         // so often; then the order has failed
  std::chrono::milliseconds keep{900};      // what stands still at its source goes on by itself after 1 s
};

/// Why a range has a new owner or epoch, or is to have one.
enum class move_reason : uint8_t { first, join, death, drain, restart, balance, by_hand };
inline constexpr size_t move_reasons = 7;
std::string_view to_string(move_reason reason) noexcept;

/// One order from beginning to end.
struct move_record {
  enum class phase : uint8_t { planned, ordered, ready, committing, done, failed };
  using time_point = clock::time_point;

  placement::move_order order;
  std::string source;
  uint64_t source_incarnation = 0;
  uint64_t target_incarnation = 0;
  move_reason reason = move_reason::balance;
  phase now = phase::ordered;
  int sent = 0;  // how often
  time_point began{}, sent_at{}, ready_at{}, ended{};
  uint64_t moved = 0;
  std::chrono::microseconds frozen{0};
  errc code = errc::ok;  // failed
};

/// An order and who gets it.
struct outgoing_order {
  std::string node;
  placement::move_order order;
};

/// Not thread-safe. One per term of a leader: whatever was under way under another one is forgotten (sources go on by
/// themselves).
class mover {
 public:
  using time_point = clock::time_point;
  using table = placement::membership_table;

  mover(const clock& time, move_options how, uint64_t term) : time_(time), how_(how), term_(term) {}

  /// What is to be of one map.
  struct situation {
    range_kind kind = range_kind::sessions;
    const placement::range_map* now = nullptr;
    const std::vector<placement::candidate>* candidates = nullptr;  // without nodes that operators drain
    const std::vector<pin>* pins = nullptr;
    const std::set<std::string>* drained = nullptr;  // those nodes
    const table* members = nullptr;
    uint64_t new_epoch = 0;
  };
  /// The map to be committed next: what must change at once, and the moves that are ready. With `order`, what else
  /// has to move is asked for, within the limits: see orders().
  placement::range_map plan(const situation& at, bool order = true);
  /// What plan() would have moved, had it no limits: for operators. Changes nothing.
  std::vector<move_record> preview(const situation& at) const;

  /// New orders, and those that are sent again. Each is returned once.
  std::vector<outgoing_order> orders() { return std::exchange(outbox_, {}); }
  /// False: of no move that is waited for.
  bool on_result(const std::string& node, const placement::move_result& result);
  /// Sends again, gives up. True: plan() may find something new.
  bool tick();
  /// Drops moves whose source or target is not what it was, or is not among those that `takes` ranges any more.
  void review(const table& members, const std::function<bool(const std::string&)>& takes);
  /// What plan() returned is in force.
  void committed(range_kind kind, const placement::range_map& before, const placement::range_map& after);
  /// What plan() returned was not committed: the moves in it are ready again, as long as they keep.
  void uncommitted();
  /// It has only lately come to take ranges.
  bool is_new(const table::member* who) const;
  /// An operator says: now. No range rests.
  void wake();

  const std::vector<move_record>& active() const noexcept { return active_; }
  const std::deque<move_record>& ended() const noexcept { return ended_; }  // the last ones, newest first
  uint64_t done() const noexcept { return done_; }
  uint64_t failed() const noexcept { return failed_; }
  /// Ended since the last call: for metrics.
  std::vector<move_record> take_ended() { return std::exchange(fresh_, {}); }

 private:
  struct board;
  /// A node that orders failed with.
  struct trouble {
    int failures = 0;                                       // in a row
    time_point not_before{};                                // no order until then
    bool deaf = false;                                      // orders are not answered at all
    std::vector<std::pair<slot_type, slot_type>> forced{};  // draining: these go without an order, as in a takeover
    bool is_forced(size_t slot) const {
      return std::any_of(forced.begin(), forced.end(),
                         [slot](const auto& each) { return each.first <= slot && slot <= each.second; });
    }
  };
  struct run;

  board survey(const situation& at) const;
  void read(const situation& at, board& on) const;
  void read_moves(const situation& at, board& on) const;
  void read_pins(const situation& at, board& on) const;
  /// Does what can be done without asking anybody; what is left to do is in `want`.
  void settle(const situation& at, board& on);
  static std::vector<run> runs(const board& on);
  void issue(const situation& at, const board& on);
  size_t issue(const situation& at, const board& on, const run& one);
  size_t piece(const board& on, const run& one) const;
  bool blocked(const std::string& node);
  move_reason reason_of(const board& on, const run& one) const;
  bool at_once(const board& on, size_t unit) const;
  void end(move_record& one, move_record::phase how, errc code);
  void sweep();
  void fail(move_record& one, errc code, bool silent);
  void look_at(time_point when) { look_at_ = std::min(look_at_, when); }
  size_t busy(const std::string& node) const;

  const clock& time_;
  const move_options how_;
  const uint64_t term_;
  uint64_t counter_ = 0;
  std::vector<move_record> active_;
  std::deque<move_record> ended_;
  std::vector<move_record> fresh_;
  std::vector<outgoing_order> outbox_;
  std::map<std::string, trouble> troubles_;             // by node
  std::map<std::string, size_t> busy_;                  // orders from and to each node
  std::map<range_kind, std::vector<time_point>> rest_;  // units stay until then
  time_point look_at_ = time_point::max();
  uint64_t done_ = 0;
  uint64_t failed_ = 0;
};

}  // namespace tern::routing
