// The real membership client of a simulated process, stepped by the world's clock.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "libs/placement/membership.hpp"
#include "tests/sim/network.hpp"
#include "tests/sim/process.hpp"

namespace tern::sim {

class membership_client {
 public:
  /// `routing`: addresses of all replicas. `shards`: what a storage node can serve.
  membership_client(process& of, network& net, referee& watch, const std::string& service, const std::string& routing,
                    std::vector<std::string> shards);
  ~membership_client() { *alive_ = false; }

  bool lease_valid() const { return membership_.lease_valid(); }
  void move_done(const placement::move_result& result) { membership_.move_done(result); }

 private:
  void tick();

  process& of_;
  placement::membership membership_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace tern::sim
