#include "services/routing/actors/control_desk.hpp"

#include <iterator>
#include <utility>

#include "services/routing/control.hpp"

namespace tern::routing {
namespace {

constexpr auto between_news = std::chrono::milliseconds(250);
constexpr size_t most_watches = 8;  // of one stream

/// What tells one state of things from the next: not how long ago something was.
std::string essence(v1::Status status) {
  for (auto& each : *status.mutable_nodes()) each.set_heard_ms(0);
  for (auto& each : *status.mutable_moves()) {
    if (each.state() != "done" && each.state() != "failed") each.set_seconds(0);
  }
  for (auto& each : *status.mutable_shard_moves()) {
    if (each.state() != "done" && each.state() != "aborted") each.set_seconds(0);
  }
  return status.SerializeAsString();
}

}  // namespace

void control_desk::send(uint64_t to, v1::ControlReply reply) {
  const auto at = streams_.find(to);
  if (at == streams_.end()) return;
  if (!at->second.out->send(std::move(reply))) at->second.out->close();  // it does not read
}

void control_desk::turn_away(v1::ControlReply& reply, const std::string& leader) {
  reply.set_code(static_cast<int32_t>(errc::wrong_owner));
  reply.set_text(leader.empty() ? "no replica leads at the moment" : "the replica at " + leader + " leads");
  reply.set_leader(leader);
}

/// The next tick tells.
void control_desk::watch_from(uint64_t stream, uint64_t call) {
  const auto at = streams_.find(stream);
  if (at == streams_.end()) return;
  if (at->second.watches.size() >= most_watches) {
    at->second.out->close();
    return;
  }
  at->second.watches.push_back({call, {}});
}

bool control_desk::asked(uint64_t stream, const v1::ControlRequest& request, const clock& time,
                         const standing& where) {
  v1::ControlReply reply;
  reply.set_call(request.call());
  if (where.at == nullptr) {
    turn_away(reply, where.leader);
    send(stream, std::move(reply));
    return false;
  }
  if (request.has_status()) {
    if (request.status().watch()) {
      watch_from(stream, request.call());
    } else {
      fill(*where.at, time, where.term, *reply.mutable_status());
      send(stream, std::move(reply));
    }
    return false;
  }
  const auto before = where.at->wanted();
  answer(*where.at, request, reply);
  const bool changed = !(where.at->wanted() == before);
  if (request.has_shard_add() && reply.code() == 0) {
    adding_.push_back({stream, std::move(reply), request.shard_add().name()});
    return true;  // storage nodes are to hear of it
  }
  if (changed) {
    waiting_.push_back({stream, std::move(reply), {}});
  } else {
    send(stream, std::move(reply));
  }
  return changed || (request.has_rebalance() && !request.rebalance().dry_run());
}

void control_desk::storing() {
  storing_.insert(storing_.end(), std::make_move_iterator(waiting_.begin()), std::make_move_iterator(waiting_.end()));
  waiting_.clear();
}

void control_desk::stored(errc code) {
  for (auto& each : std::exchange(storing_, {})) {
    if (code != errc::ok) {
      each.reply.set_code(static_cast<int32_t>(errc::unavailable));
      each.reply.set_text("it is being done, but the meta database cannot be reached: another leader would not know");
    }
    send(each.stream, std::move(each.reply));
  }
}

bool control_desk::settle_additions(cluster& at) {
  bool changed = false;
  for (auto& each : std::exchange(adding_, {})) {
    std::string why;
    switch (at.added(each.shard, why)) {
      case cluster::adding::accepted: changed = true; [[fallthrough]];
      case cluster::adding::waiting: adding_.push_back(std::move(each)); break;
      case cluster::adding::done: send(each.stream, std::move(each.reply)); break;
      case cluster::adding::failed:
        each.reply.set_code(static_cast<int32_t>(errc::unavailable));
        each.reply.set_text("shard " + each.shard + " was not added: " + why);
        send(each.stream, std::move(each.reply));
        changed = true;
        break;
    }
  }
  return changed;
}

bool control_desk::tick(const clock& time, const standing& where) {
  if (where.at == nullptr) return false;
  const bool changed = settle_additions(*where.at);
  if (time.now() - told_at_ >= between_news) tell_watchers(time, where);
  return changed;
}

void control_desk::tell_watchers(const clock& time, const standing& where) {
  v1::Status status;
  std::string now;
  for (auto& [id, each] : streams_) {
    if (each.watches.empty()) continue;
    if (now.empty()) {
      fill(*where.at, time, where.term, status);
      now = essence(status);
      told_at_ = time.now();
    }
    for (auto& one : each.watches) {
      if (one.told == now) continue;
      one.told = now;
      v1::ControlReply reply;
      reply.set_call(one.call);
      *reply.mutable_status() = status;
      if (!each.out->send(std::move(reply))) each.out->close();
    }
  }
}

void control_desk::lost(const std::string& leader) {
  const auto away = [&](uint64_t stream, v1::ControlReply reply) {
    reply.clear_plan();
    reply.clear_shard_plan();
    turn_away(reply, leader);
    send(stream, std::move(reply));
  };
  for (auto* list : {&waiting_, &storing_, &adding_}) {
    for (auto& each : std::exchange(*list, {})) away(each.stream, std::move(each.reply));
  }
  for (auto& [id, each] : streams_) {
    for (const auto& one : std::exchange(each.watches, {})) {
      v1::ControlReply reply;
      reply.set_call(one.call);
      away(id, std::move(reply));
    }
  }
}

}  // namespace tern::routing
