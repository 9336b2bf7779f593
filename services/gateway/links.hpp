// The links to session nodes. Each is a client link that hands what it receives to the lanes: one post per batch and
// io thread. The set of links follows the cluster view.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "libs/placement/view.hpp"
#include "libs/rpc/network.hpp"
#include "services/gateway/lane.hpp"

namespace tern::gateway {

using lane_list = std::vector<std::shared_ptr<lane>>;

/// Creates and removes links as session nodes come and go. Used by the supervisor only, one call at a time; the
/// links' own calls come on transport threads.
class session_links {
 public:
  session_links(core& shared, rpc::network& network, rpc::peer self, lane_list lanes);
  ~session_links();

  /// A link for each session node of the snapshot; those of nodes that are gone, or have moved, end. Then the
  /// snapshot goes to the lanes.
  void apply(const placement::snapshot_ptr& current);
  /// Ends all links. Afterwards the lanes get nothing from them.
  void clear();
  size_t size() const noexcept { return links_.size(); }

 private:
  struct entry {
    std::string address;
    std::unique_ptr<rpc::link> link;
  };

  core& core_;
  rpc::network& network_;
  rpc::peer self_;
  lane_list lanes_;
  std::map<std::string, entry> links_;  // by node name
  uint32_t next_link_ = 0;              // numbers are never used twice
};

}  // namespace tern::gateway
