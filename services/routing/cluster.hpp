// What routing decides: who is there, who owns what, and what to write down next. Pure logic over a clock.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "libs/placement/membership_table.hpp"
#include "services/routing/meta_store.hpp"
#include "services/routing/moves.hpp"

namespace tern::routing {

struct cluster_options {
  placement::table_options leases;
  std::vector<std::string> shards;  // configured names
  placement::node self;             // routing's own entry among the nodes
  move_options moves;
};

/// Cycle: events go to members() and on_result(); plan() says what should be true next; when that is in the meta
/// database, committed(). Nobody may see a plan before that. After each plan(), and after tick(), orders() are to be
/// sent. Not thread-safe.
class cluster {
 public:
  cluster(const clock& time, cluster_options how, uint64_t term = 0)
      : how_(std::move(how)), members_(time, how_.leases), moves_(time, how_.moves, term) {}

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
  void want(intents what) { wanted_ = std::move(what); }
  bool drained(const std::string& node) const { return wanted_.drains.contains(node); }
  /// What would move, if all of it did at once, were `what` wanted.
  std::vector<move_record> preview(const intents& what) const;
  /// Whatever shall move may do so at once: nothing rests.
  void rebalance() { moves_.wake(); }
  /// Nodes that take ranges or shards of a service now, were `what` wanted.
  std::vector<placement::candidate> candidates(const std::string& service, const intents& what) const;

 private:
  std::vector<placement::candidate> candidates(const std::string& service) const {
    return candidates(service, wanted_);
  }
  void add_configured_shards(meta_state& next) const;
  void forget_intents();
  move_reason reason_of(const std::string& before, const std::string& after) const;
  static std::vector<std::string> owners(const meta_state& of);

  const cluster_options how_;
  placement::membership_table members_;
  mover moves_;
  intents wanted_;
  meta_state state_;
};

}  // namespace tern::routing
