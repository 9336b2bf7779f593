// Drives moves of slots between shards: which orders storage nodes get, and when the storage map changes. Pure logic
// over a clock. docs/flows/shard-move.md.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "libs/base/clock.hpp"
#include "services/routing/shard_plan.hpp"

namespace tern::routing {

struct shard_move_options {
  std::chrono::milliseconds again{1500};              // an order nobody answers is sent again
  std::chrono::milliseconds pause{2000};              // after a seal that took too long
  int seals = 5;                                      // so many that took too long; then the move is given up
  std::chrono::seconds keep{std::chrono::hours{24}};  // a way back is given up after this
  /// Seconds since 1970.
  std::function<int64_t()> wall = [] {
    return static_cast<int64_t>(std::chrono::system_clock::to_time_t(std::chrono::system_clock::now()));
  };
};

/// As v1.ShardMoveOrder and v1.ShardMoveProgress, with their numbers.
enum class shard_step : uint8_t { copy, seal, open, abort, finish };
enum class shard_told : uint8_t { none, copying, ready, sealed, reopened, open, finished, failed };
enum class shard_stage : uint8_t {
  waiting,
  copying,
  sealing,
  deciding,
  opening,
  kept,
  finishing,
  aborting,
  done,
  aborted
};
inline constexpr size_t shard_stages = 10;
std::string_view to_string(shard_stage of) noexcept;

struct shard_order {
  std::string node;
  shard_step step = shard_step::copy;
  shard_move what;
  uint64_t epoch = 0;                  // of the range in the storage map
  std::string source_dsn, target_dsn;  // empty: in the storage nodes' configuration
};

/// What a storage node says of a move.
struct shard_progress {
  uint64_t move = 0;
  shard_told told = shard_told::none;
  uint64_t rows = 0, rows_all = 0, bytes = 0, behind = 0, rows_per_second = 0;
  std::chrono::microseconds stalled{0};
  std::string error;
};

/// One move as it stands, for people.
struct shard_move_view {
  shard_move what;
  shard_stage stage = shard_stage::waiting;
  shard_progress progress;
  double seconds = 0;  // since this leader knows of it, or how long it took
};

/// Not thread-safe. One per term of a leader. Everything that counts is in the records (intents), in the storage map
/// and in the databases themselves: another leader goes on from there.
///
/// An order is only given for what is stored. After a decision was sent to the meta database nothing is ordered for
/// its move until a commit has come back: nobody may serve the source again while the decision may be in force.
class shard_driver {
 public:
  shard_driver(const clock& time, shard_move_options how) : time_(time), how_(std::move(how)) {}

  /// What is true: the committed maps and what is wanted.
  struct standing {
    const meta_state& now;
    const intents& wanted;
  };
  /// And what of it is in the meta database.
  struct situation {
    const meta_state& now;
    intents& wanted;
    const intents& stored;
    operator standing() const { return {now, wanted}; }
  };

  /// Orders to be sent now. Each is returned again until it is answered.
  std::vector<shard_order> orders(const situation& at);
  /// `node` says so. True: something is to be stored, planned or ordered.
  bool heard(const situation& at, const std::string& node, const shard_progress& what);
  /// Puts what is sealed into the next maps.
  void decide(const situation& at, meta_state& next);
  /// A commit has succeeded, so what is in force is known. After one that has not nothing is called: a decision in it
  /// may be in force all the same.
  void committed();
  /// True: something is to be stored.
  bool tick(const situation& at);

  /// May it still be given up?
  bool can_abort(const standing& at, uint64_t move) const;
  std::vector<shard_move_view> moves(const standing& at) const;
  /// The last ones that ended, newest first.
  const std::deque<shard_move_view>& ended() const noexcept { return ended_; }
  struct outcomes {
    uint64_t done = 0, aborted = 0, rolled_back = 0;
  };
  /// Since the last call: for metrics.
  outcomes take_outcomes() { return std::exchange(outcomes_, {}); }

 private:
  struct live {
    clock::time_point began{};
    shard_progress progress;
    clock::time_point heard_at{};
    std::string sent_to;
    shard_step sent = shard_step::copy;
    clock::time_point sent_at{};
    bool started = false;
    bool seal = false;
    bool sealed = false;
    bool sent_decision = false;  // and it is not known whether it is in force
    int seals = 0;
    clock::time_point not_before{};
  };

  live& at(uint64_t move);
  static bool decided(const meta_state& now, const shard_move& what);
  static const std::string& owner(const meta_state& now, const std::string& shard);
  shard_stage stage_of(const standing& at, const shard_move& what) const;
  std::optional<shard_step> step_of(shard_stage stage) const;
  bool may_start(const standing& at, const shard_move& what) const;
  void give_up(shard_move& what, std::string why);
  void end(const situation& at, const shard_move& what, shard_stage how);
  bool failed(shard_move& what, shard_stage stage, live& one);

  const clock& time_;
  const shard_move_options how_;
  std::map<uint64_t, live> live_;
  std::deque<shard_move_view> ended_;
  outcomes outcomes_;
};

}  // namespace tern::routing
