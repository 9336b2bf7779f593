// Inside of the doctor: what its checks share.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "tools/ctl/doctor/checks.hpp"

namespace tern::ctl::detail {

/// Ranks of findings: what a lower one breaks explains a higher one.
enum rank : int { rank_own = 0, rank_process = 1, rank_reach = 2, rank_effect = 3 };

inline constexpr const char* all_services[] = {"routing", "storage", "group", "session", "gateway"};

/// An observation with the look-ups checks need.
class scene {
 public:
  explicit scene(const observations& all) : seen(all) {}
  const observations& seen;

  /// "session" of session-1 by its report, routing's word or its name; empty: not known.
  std::string service_of(const std::string& node) const;
  /// The node that announces the address; empty: none that is known.
  std::string node_at(const std::string& address) const;
  const node_seen* find(const std::string& node) const;
  /// Routing's word: up, dead, …; empty: it does not know the node, or there is no word of it.
  std::string state_of(const std::string& node) const;
  /// Nodes with a report.
  std::vector<const node_seen*> reporting() const;
  bool stores() const;
  /// It is one ternd: all services in one process, which nobody asks as routing.
  bool single() const;
};

finding well(std::string check, std::string subject, std::string text);
finding ill(severity level, std::string check, std::string subject, std::string text, std::string advice);
/// A finding about a node and what hangs on it.
finding about_node(const scene& at, finding what, const std::string& node, rank of);

/// What nodes say of themselves.
void check_processes(const scene& at, std::vector<finding>& out);
void check_dependencies(const scene& at, std::vector<finding>& out);
void check_disks(const scene& at, std::vector<finding>& out);
void check_certificates(const scene& at, std::vector<finding>& out);
void check_secrets(const scene& at, std::vector<finding>& out);
void check_clocks(const scene& at, std::vector<finding>& out);
void check_versions(const scene& at, std::vector<finding>& out);
/// What holds between them.
void check_routing(const scene& at, std::vector<finding>& out);
void check_membership(const scene& at, std::vector<finding>& out);
void check_links(const scene& at, std::vector<finding>& out);
void check_services(const scene& at, std::vector<finding>& out);
void check_ranges(const scene& at, std::vector<finding>& out);
void check_shard_moves(const scene& at, std::vector<finding>& out);
void check_readiness(const scene& at, std::vector<finding>& out);

/// The value most of {who, value} have; empty when two are equally frequent.
std::string most_frequent(const std::vector<std::pair<std::string, std::string>>& all);
std::string joined(const std::vector<std::string>& all, const std::string& between = ", ");

}  // namespace tern::ctl::detail
