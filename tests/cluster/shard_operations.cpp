#include "tests/cluster/shard_operations.hpp"

#include <algorithm>
#include <thread>

namespace tern::testing {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

bool under_way(const std::string& state) { return state != "kept" && state != "done" && state != "aborted"; }

}  // namespace

shard_operations::shard_operations(std::vector<std::string> routing_addresses) {
  ctl::settings how;
  how.routing = std::move(routing_addresses);
  how.timeout = 20s;
  auto made = ctl::control_client::make(how);
  if (made) control_ = std::move(*made);
  if (!made) trouble_ = made.error().detail;
}

shard_operations::control_reply shard_operations::ask(const control_request& what) {
  if (!control_) return {};
  auto reply = control_->call(what);
  if (!reply) {
    trouble_ += what.ShortDebugString() + ": " + reply.error().detail + "\n";
    return {};
  }
  if (reply->code() != 0) trouble_ += what.ShortDebugString() + ": refused: " + reply->text() + "\n";
  return *std::move(reply);
}

routing::v1::Status shard_operations::status() {
  control_request what;
  what.mutable_status();
  return ask(what).status();
}

void shard_operations::add(const std::string& shard, const std::string& dsn) {
  control_request what;
  what.mutable_shard_add()->set_name(shard);
  what.mutable_shard_add()->set_dsn(dsn);
  ask(what);
}

std::vector<uint64_t> shard_operations::carry_out(const control_request& what) {
  const auto reply = ask(what);
  std::vector<uint64_t> out;
  for (const auto& each : reply.shard_plan()) out.push_back(each.move());
  return out;
}

std::vector<uint64_t> shard_operations::move(const std::string& source, const std::string& target, uint32_t first,
                                             uint32_t last, uint64_t bytes_per_second) {
  control_request what;
  auto& one = *what.mutable_shard_move();
  one.set_source(source);
  one.set_target(target);
  one.set_first(first);
  one.set_last(last);
  one.set_bytes_per_second(bytes_per_second);
  return carry_out(what);
}

std::vector<uint64_t> shard_operations::rebalance(uint64_t bytes_per_second) {
  control_request what;
  what.mutable_shard_rebalance()->set_bytes_per_second(bytes_per_second);
  return carry_out(what);
}

std::vector<uint64_t> shard_operations::drain(const std::string& shard, uint64_t bytes_per_second) {
  control_request what;
  what.mutable_shard_drain()->set_shard(shard);
  what.mutable_shard_drain()->set_on(true);
  what.mutable_shard_drain()->set_bytes_per_second(bytes_per_second);
  return carry_out(what);
}

void shard_operations::roll_back(uint64_t move) {
  control_request what;
  what.mutable_shard_rollback()->set_move(move);
  ask(what);
}

void shard_operations::finish(uint64_t move) {
  control_request what;
  what.mutable_shard_finish()->set_move(move);
  ask(what);
}

void shard_operations::abort(uint64_t move) {
  control_request what;
  what.mutable_shard_abort()->set_move(move);
  ask(what);
}

uint64_t shard_operations::slots(const std::string& shard) {
  const auto now = status();
  for (const auto& each : now.shards()) {
    if (each.name() == shard) return each.slots();
  }
  return 0;
}

std::string shard_operations::owner(const std::string& shard) {
  const auto now = status();
  for (const auto& each : now.shards()) {
    if (each.name() == shard) return each.owner();
  }
  return {};
}

std::vector<shard_operations::move_status> shard_operations::moves() {
  const auto now = status();
  return {now.shard_moves().begin(), now.shard_moves().end()};
}

std::vector<shard_operations::move_status> shard_operations::moves(const std::string& state) {
  auto all = moves();
  std::erase_if(all, [&](const auto& each) { return each.state() != state; });
  return all;
}

bool shard_operations::wait_all(const std::set<std::string>& states, std::chrono::milliseconds limit) {
  const auto end = steady_clock::now() + limit;
  std::vector<move_status> all;
  do {
    all = moves();
    if (std::all_of(all.begin(), all.end(), [&](const auto& each) { return states.contains(each.state()); }))
      return true;
    std::this_thread::sleep_for(100ms);
  } while (steady_clock::now() < end);
  trouble_ += "moves do not end:\n";
  for (const auto& each : all) trouble_ += "  " + each.ShortDebugString() + "\n";
  return false;
}

void shard_operations::wait_some(const std::string& state, std::chrono::milliseconds limit) {
  const auto end = steady_clock::now() + limit;
  while (steady_clock::now() < end) {
    bool open = false;
    for (const auto& each : moves()) {
      if (each.state() == state) return;
      open = open || under_way(each.state());
    }
    if (!open) return;
    std::this_thread::sleep_for(10ms);
  }
}

void shard_operations::wait_copied(std::chrono::milliseconds limit) {
  const auto end = steady_clock::now() + limit;
  for (; steady_clock::now() < end; std::this_thread::sleep_for(10ms)) {
    for (const auto& each : moves("copying")) {
      if (each.progress().rows() > 0) return;
    }
  }
  trouble_ += "nothing was copied in time\n";
}

}  // namespace tern::testing
