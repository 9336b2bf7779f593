// Routing played by the simulation: who is alive, the maps, and who hears of them when. Ranges change their owners
// without a hand-over, as in a takeover, or with one, by orders.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "libs/placement/moves.hpp"
#include "libs/placement/view.hpp"
#include "tests/sim/network.hpp"

namespace tern::sim {

/// Its own host is "control": blocked paths to and from there cut a node off from the maps.
class control {
 public:
  control(world& in, network& net, referee& watch) : world_(in), net_(net), referee_(watch) {}

  void know(host& which, const std::string& service);
  /// Spreads all slots and shards over the hosts that are known, and begins to watch them.
  void begin(const std::vector<std::string>& shards);
  /// Of the process that runs there now.
  bool lease_valid(const host& of) const;
  /// A part of a range goes to another session or group node.
  void move_some();
  /// Orders the owner of a part of a range to hand it over to another node.
  void order_some();
  /// The answer to an order, from the process of `of`.
  void on_result(host& of, const placement::move_result& result);
  size_t handed_over() const noexcept { return handed_over_; }
  /// Which shard has the slot.
  std::string shard_of(slot_type slot) const;
  placement::snapshot_ptr map() const { return current_; }

 private:
  struct known {
    host* where = nullptr;
    std::string service;
    bool alive = false;
    uint64_t life = 0;
    duration contact{0};  // heard of last
    duration renewed{0};  // its lease counts from then
    uint64_t leased = 0;  // the process that has it
  };

  struct ordered {
    placement::move_order what;
    std::string source;
    duration at{0};
  };

  bool reaches(const known& one) const;
  void commit(const ordered& done);
  void tick();
  void look_at(known& one);
  void restarted(known& one);
  void dead(known& one);
  std::vector<std::string> alive(const std::string& service) const;
  void change(placement::snapshot next);
  placement::snapshot next() const;

  world& world_;
  network& net_;
  referee& referee_;
  std::vector<ordered> orders_;
  uint64_t last_move_ = 0;
  size_t handed_over_ = 0;
  std::deque<known> known_;  // stay where they are
  placement::snapshot_ptr current_ = std::make_shared<const placement::snapshot>();
};

}  // namespace tern::sim
