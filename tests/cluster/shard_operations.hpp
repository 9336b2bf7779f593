// What an operator does with shards, for tests: over the Control stream, as ternctl does.
#pragma once

#include <tern/routing/v1/routing.pb.h>

#include <chrono>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tools/ctl/control_client.hpp"

namespace tern::testing {

/// Not thread-safe; calls wait. What is refused is kept in trouble().
class shard_operations {
 public:
  using control_reply = routing::v1::ControlReply;
  using control_request = routing::v1::ControlRequest;
  using move_status = routing::v1::ShardMoveStatus;
  static constexpr uint32_t all_slots = 1U << 20U;

  explicit shard_operations(std::vector<std::string> routing_addresses);

  /// Empty while all was done that was asked for.
  const std::string& trouble() const noexcept { return trouble_; }
  control_reply ask(const control_request& what);
  routing::v1::Status status();
  void add(const std::string& shard, const std::string& dsn);
  /// The numbers of the moves that came of it.
  std::vector<uint64_t> move(const std::string& source, const std::string& target, uint32_t first = 0,
                             uint32_t last = all_slots - 1, uint64_t bytes_per_second = 0);
  std::vector<uint64_t> rebalance(uint64_t bytes_per_second = 0);
  std::vector<uint64_t> drain(const std::string& shard, uint64_t bytes_per_second = 0);
  void roll_back(uint64_t move);
  void finish(uint64_t move);
  void abort(uint64_t move);

  uint64_t slots(const std::string& shard);
  /// The storage node that serves it.
  std::string owner(const std::string& shard);
  std::vector<move_status> moves();
  std::vector<move_status> moves(const std::string& state);
  /// Until every move is in one of these states; false after `limit`, with trouble().
  bool wait_all(const std::set<std::string>& states, std::chrono::milliseconds limit);
  /// Until some move is in this state, or none is under way any more.
  void wait_some(const std::string& state, std::chrono::milliseconds limit);
  /// Until rows of a move that is being copied have arrived.
  void wait_copied(std::chrono::milliseconds limit);

 private:
  std::vector<uint64_t> carry_out(const control_request& what);

  std::unique_ptr<ctl::control_client> control_;
  std::string trouble_;
};

}  // namespace tern::testing
