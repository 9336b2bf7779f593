// What routing decides: who is there, who owns what, and what to write down next. Pure logic over a clock.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "libs/placement/membership_table.hpp"
#include "services/routing/meta_store.hpp"

namespace tern::routing {

struct cluster_options {
  placement::table_options leases;
  std::vector<std::string> shards;  // configured names
  placement::node self;             // routing's own entry among the nodes
};

/// Cycle: events go to members(); plan() says what should be true next; when that is in the meta database,
/// committed(). Nobody may see a plan before that. Not thread-safe.
class cluster {
 public:
  cluster(const clock& time, cluster_options how) : how_(std::move(how)), members_(time, how_.leases) {}

  /// After a start: the state of the meta database. Its live nodes get one lease to join again.
  void load(meta_state stored);
  /// The meta database has another state than we thought (another routing wrote it): that one counts.
  void adopt(meta_state stored) { state_ = std::move(stored); }

  placement::membership_table& members() noexcept { return members_; }
  /// The next state, one version on, when it differs from the committed one in anything.
  std::optional<meta_state> plan();
  void committed(meta_state next);
  const meta_state& state() const noexcept { return state_; }

 private:
  void add_configured_shards(meta_state& next) const;
  static std::vector<std::string> owners(const meta_state& of);

  const cluster_options how_;
  placement::membership_table members_;
  meta_state state_;
};

/// Why a range has a new owner or epoch.
enum class move_reason : uint8_t { first, join, death, drain, restart };
/// Number of ranges (and shards) changed between two states, by reason; index: move_reason.
std::vector<size_t> count_moves(const meta_state& before, const meta_state& after);

}  // namespace tern::routing
