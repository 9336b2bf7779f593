// What routing decides: who is there, who owns what, and what to write down next. Pure logic over a clock.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "libs/placement/membership_table.hpp"
#include "services/routing/meta_store.hpp"
#include "services/routing/moves.hpp"
#include "services/routing/shard_driver.hpp"

namespace tern::routing {

struct cluster_options {
  placement::table_options leases;
  std::vector<std::string> shards;  // configured names
  placement::node self;             // routing's own entry among the nodes
  move_options moves;
  shard_move_options shard_moves = {};
  bool embedded = false;  // one process with its own files: a SQLite shard may move into PostgreSQL
};

/// What a storage node says of a shard it can serve.
struct shard_health {
  uint64_t bytes = 0;
  uint64_t term = 0;
  uint32_t copies = 0;
  std::string problem{};
};

/// Cycle: events go to members() and on_result(); plan() says what should be true next; when that is in the meta
/// database, committed(). Nobody may see a plan before that. After each plan(), and after tick(), orders() are to be
/// sent. Not thread-safe.
class cluster {
 public:
  cluster(const clock& time, cluster_options how, uint64_t term = 0)
      : time_(time),
        how_(std::move(how)),
        members_(time, how_.leases),
        moves_(time, how_.moves, term),
        shard_moves_(time, how_.shard_moves) {}

  /// After a start: the state of the meta database. Its live nodes get the grace to join again.
  void load(meta_state stored);

  placement::membership_table& members() noexcept { return members_; }
  const placement::membership_table& members() const noexcept { return members_; }
  /// The next state, one version on, when it differs from the committed one in anything. What has to move and may not
  /// do so without an order is put into orders().
  std::optional<meta_state> plan();
  void committed(meta_state next);
  /// It could not be written.
  void uncommitted() { moves_.uncommitted(); }
  const meta_state& state() const noexcept { return state_; }

  std::vector<outgoing_order> orders() { return moves_.orders(); }
  /// True: plan() may find something new.
  bool on_result(const std::string& node, const placement::move_result& result);
  bool tick();

  /// Ranges and shards with a new owner or epoch in `next`, which plan() returned, by reason; index: move_reason.
  std::vector<size_t> count_changes(const meta_state& next) const;
  const placement::node& self() const noexcept { return how_.self; }
  /// Ranges or shards, in the committed state.
  bool owns_any(const std::string& node) const;
  const mover& moves() const noexcept { return moves_; }
  /// Orders that have ended since the last call: for metrics.
  std::vector<move_record> take_ended() { return moves_.take_ended(); }

  // ---- operators ----
  const intents& wanted() const noexcept { return wanted_; }
  /// What of it is in the meta database.
  void stored(intents what) { stored_ = std::move(what); }
  void want(intents what) { wanted_ = std::move(what); }
  bool drained(const std::string& node) const { return wanted_.drains.contains(node); }
  /// What would move, if all of it did at once, were `what` wanted.
  std::vector<move_record> preview(const intents& what) const;
  /// Whatever shall move may do so at once: nothing rests.
  void rebalance() { moves_.wake(); }
  /// Nodes that take ranges or shards of a service now, were `what` wanted.
  std::vector<placement::candidate> candidates(const std::string& service, const intents& what) const;

  // ---- shards ----
  std::vector<shard_order> shard_orders() { return shard_moves_.orders(shard_situation()); }
  /// True: something is to be stored, planned or ordered.
  bool on_shard_progress(const std::string& node, const shard_progress& what) {
    return shard_moves_.heard(shard_situation(), node, what);
  }
  /// A storage node says what it can serve.
  void on_shards_served(const std::string& node, std::map<std::string, shard_health> shards);
  /// Of the node that owns the shard, else of anybody; null: nobody has said anything.
  const shard_health* health_of(const std::string& shard) const;
  /// What storage nodes are to know beside their own configuration.
  std::map<std::string, shard_place> known_shards() const;
  const shard_driver& shard_moves() const noexcept { return shard_moves_; }
  shard_driver::outcomes take_shard_outcomes() { return shard_moves_.take_outcomes(); }
  std::vector<shard_move_view> shard_move_views() const { return shard_moves_.moves({state_, wanted_}); }
  bool can_abort(uint64_t move) const { return shard_moves_.can_abort({state_, wanted_}, move); }
  bool embedded() const noexcept { return how_.embedded; }

  /// A shard is only added when a storage node has opened it. begin_adding(), then added() until it is done or
  /// failed.
  enum class adding : uint8_t { waiting, accepted, done, failed };
  void begin_adding(const std::string& name, const std::string& dsn);
  /// accepted: it is wanted from now on. done: a node serves it. failed: `why`; it is forgotten.
  adding added(const std::string& name, std::string& why);

 private:
  struct newcomer {
    std::string dsn;
    clock::time_point until{};
  };
  shard_driver::situation shard_situation() { return {state_, wanted_, stored_}; }
  std::vector<placement::candidate> candidates(const std::string& service) const {
    return candidates(service, wanted_);
  }
  /// Configured and added ones come, those that were drained and that nobody serves any more go.
  void renew_shards(meta_state& next) const;
  bool is_over(const std::string& shard) const;
  void forget_intents();
  move_reason reason_of(const std::string& before, const std::string& after) const;
  static std::vector<std::string> owners(const meta_state& of);

  const clock& time_;
  const cluster_options how_;
  placement::membership_table members_;
  mover moves_;
  shard_driver shard_moves_;
  intents wanted_;
  intents stored_;
  std::map<std::string, std::map<std::string, shard_health>> health_;  // by node, then by shard
  std::map<std::string, newcomer> newcomers_;
  meta_state state_;
};

}  // namespace tern::routing
