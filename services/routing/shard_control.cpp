#include "services/routing/shard_control.hpp"

#include <tern/routing/v1/routing.pb.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <utility>

#include "libs/sql/probe.hpp"

namespace tern::routing {
namespace {

using plan = result<std::vector<shard_move>>;

error complaint(errc code, std::string text) { return {code, std::move(text)}; }

bool is_sqlite(const std::string& dsn) { return dsn.starts_with("sqlite:"); }

void fill(const shard_move_view& from, v1::ShardMoveStatus& to) {
  to.set_move(from.what.move);
  to.set_first(from.what.first);
  to.set_last(from.what.last);
  to.set_source(from.what.source);
  to.set_target(from.what.target);
  to.set_state(std::string(to_string(from.stage)));
  to.set_seconds(from.seconds);
  to.set_back_of(from.what.back_of);
  const auto& told = from.progress;
  to.set_error(from.what.error.empty() ? told.error : from.what.error);
  auto& progress = *to.mutable_progress();
  progress.set_move(from.what.move);
  progress.set_state(static_cast<v1::ShardMoveProgress::State>(told.told));
  progress.set_rows(told.rows);
  progress.set_rows_all(told.rows_all);
  progress.set_bytes(told.bytes);
  progress.set_behind(told.behind);
  progress.set_rows_per_second(told.rows_per_second);
  progress.set_stalled_us(static_cast<uint64_t>(told.stalled.count()));
  progress.set_error(told.error);
  if (from.stage == shard_stage::copying && told.rows_per_second > 0 && told.rows_all > told.rows) {
    to.set_left_seconds(static_cast<double>(told.rows_all - told.rows) / static_cast<double>(told.rows_per_second));
  }
}

void show(const std::vector<shard_move>& moves, v1::ControlReply& reply) {
  for (const auto& each : moves) {
    auto& one = *reply.add_shard_plan();
    fill({each, shard_stage::waiting, {}, 0}, one);
    if (each.move == 0) one.set_state("planned");
  }
}

/// Gives the planned moves numbers and wants them, unless it is a dry run; shows them.
void carry_out(cluster& at, intents next, plan planned, bool dry_run, uint64_t rate, v1::ControlReply& reply) {
  if (!planned) {
    reply.set_code(static_cast<int32_t>(planned.code()));
    reply.set_text(planned.error().detail);
    return;
  }
  for (auto& each : *planned) {
    each.bytes_per_second = rate;
    if (dry_run) continue;
    each.move = ++next.last_shard_move;
    next.shard_moves.push_back(each);
  }
  show(*planned, reply);
  if (!dry_run) at.want(std::move(next));
}

void move(cluster& at, const v1::ShardMove& what, v1::ControlReply& reply) {
  auto planned = what.split()
                     ? plan_split(at.state(), at.wanted(), what.source(), what.target())
                     : plan_move(at.state(), at.wanted(), what.source(), what.target(), {what.first(), what.last()});
  carry_out(at, at.wanted(), std::move(planned), what.dry_run(), what.bytes_per_second(), reply);
}

void drain(cluster& at, const v1::ShardDrain& what, v1::ControlReply& reply) {
  auto next = at.wanted();
  if (at.state().find_shard(what.shard()) == nullptr) {
    carry_out(at, next, complaint(errc::not_found, "no shard '" + what.shard() + "' is known"), true, 0, reply);
    return;
  }
  next.shards[what.shard()].draining = what.on();
  auto planned = what.on() ? plan_drain(at.state(), at.wanted(), what.shard()) : plan{std::vector<shard_move>{}};
  carry_out(at, std::move(next), std::move(planned), what.dry_run(), what.bytes_per_second(), reply);
}

/// A change of one move that is there; `how` says why not, or changes it.
void change(cluster& at, uint64_t move, v1::ControlReply& reply,
            const std::function<result<void>(const shard_move_view&, shard_move&, intents&)>& how) {
  auto next = at.wanted();
  const auto all = at.shard_move_views();
  const auto seen = std::find_if(all.begin(), all.end(), [&](const auto& one) { return one.what.move == move; });
  const auto found = std::find_if(next.shard_moves.begin(), next.shard_moves.end(),
                                  [&](const auto& one) { return one.move == move; });
  if (seen == all.end() || found == next.shard_moves.end()) {
    reply.set_code(static_cast<int32_t>(errc::not_found));
    reply.set_text("no move " + std::to_string(move) + " is under way or kept");
    return;
  }
  if (const auto done = how(*seen, *found, next); !done) {
    reply.set_code(static_cast<int32_t>(done.code()));
    reply.set_text(done.error().detail);
    return;
  }
  std::vector<shard_move> changed;
  std::copy_if(next.shard_moves.begin(), next.shard_moves.end(), std::back_inserter(changed),
               [&](const auto& one) { return one.move == move || one.back_of == move; });
  show(changed, reply);
  at.want(std::move(next));
}

error not_in(const shard_move_view& seen, const std::string& wanted) {
  return complaint(errc::unavailable, "move " + std::to_string(seen.what.move) + " is " +
                                          std::string(to_string(seen.stage)) + ", not " + wanted);
}

result<void> roll_back(const shard_move_view& seen, shard_move& what, intents& all) {
  if (seen.stage != shard_stage::kept) return not_in(seen, "kept");
  if (all.is_draining(what.source)) return complaint(errc::unavailable, "shard " + what.source + " is being drained");
  auto made = way_back(what);
  made.move = ++all.last_shard_move;
  const auto former = what.move;
  std::erase_if(all.shard_moves, [&](const auto& one) { return one.move == former; });
  all.shard_moves.push_back(std::move(made));
  return {};
}

result<void> finish(const shard_move_view& seen, shard_move& what, intents&) {
  if (seen.stage == shard_stage::finishing) return {};
  if (seen.stage != shard_stage::kept) return not_in(seen, "kept");
  what.what = shard_move::wish::finish;
  what.error.clear();
  return {};
}

/// Why a shard may not be added; ok: it may be tried.
result<void> may_add(const cluster& at, const v1::ShardAdd& what) {
  const auto& name = what.name();
  const bool plain = !name.empty() && name.size() <= 32 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
  if (!plain) return complaint(errc::bad_parameter, "a shard's name is 1 to 32 of a-z, 0-9, _ and -");
  if (what.dsn().empty()) return complaint(errc::bad_parameter, "a DSN is needed");
  if (const auto clean = sql::without_secrets(what.dsn()); !clean) {
    return complaint(errc::bad_parameter,
                     clean.error().detail +
                         ". It is kept in the meta database and shown; passwords belong into the "
                         "storage nodes' environment (PGPASSWORD) or password file (PGPASSFILE)");
  }
  if (at.state().find_shard(name) != nullptr) {
    const auto known = at.wanted().shards.find(name);
    const bool same = known != at.wanted().shards.end() && known->second.dsn == what.dsn();
    return complaint(errc::bad_parameter,
                     "shard " + name + (same ? " is there already" : " is there, with another DSN"));
  }
  for (const auto& [other, place] : at.known_shards()) {
    if (place.dsn == what.dsn()) return complaint(errc::bad_parameter, "shard " + other + " has this DSN");
  }
  if (at.embedded()) return {};
  for (const auto& each : at.state().shards) {
    const auto* health = at.health_of(each.name);
    if (health == nullptr || health->bytes == 0) continue;
    const bool sqlite = health->term == 0;
    if (sqlite != is_sqlite(what.dsn())) {
      return complaint(errc::bad_parameter, "shard " + each.name + " is " +
                                                (sqlite ? "a SQLite file" : "PostgreSQL") +
                                                ": a cluster's shards are all PostgreSQL or all SQLite files");
    }
  }
  return {};
}

void add(cluster& at, const v1::ShardAdd& what, v1::ControlReply& reply) {
  if (const auto may = may_add(at, what); !may) {
    reply.set_code(static_cast<int32_t>(may.code()));
    reply.set_text(may.error().detail);
    return;
  }
  at.begin_adding(what.name(), what.dsn());
}

}  // namespace

bool answer_of_shards(cluster& at, const v1::ControlRequest& request, v1::ControlReply& reply) {
  switch (request.op_case()) {
    case v1::ControlRequest::kShardAdd: add(at, request.shard_add(), reply); return true;
    case v1::ControlRequest::kShardMove: move(at, request.shard_move(), reply); return true;
    case v1::ControlRequest::kShardDrain: drain(at, request.shard_drain(), reply); return true;
    case v1::ControlRequest::kShardRebalance:
      carry_out(at, at.wanted(), plan_rebalance(at.state(), at.wanted()), request.shard_rebalance().dry_run(),
                request.shard_rebalance().bytes_per_second(), reply);
      return true;
    case v1::ControlRequest::kShardRollback:
      change(at, request.shard_rollback().move(), reply, roll_back);
      return true;
    case v1::ControlRequest::kShardFinish: change(at, request.shard_finish().move(), reply, finish); return true;
    case v1::ControlRequest::kShardAbort:
      change(at, request.shard_abort().move(), reply,
             [&](const shard_move_view& seen, shard_move& what, intents&) -> result<void> {
               if (!at.can_abort(what.move)) return not_in(seen, "before its decision: roll it back when it is kept");
               what.what = shard_move::wish::abort;
               what.error = "an operator gave it up";
               return {};
             });
      return true;
    default: return false;
  }
}

void fill_shards(const cluster& at, v1::Status& status) {
  for (const auto& each : at.state().shards) {
    auto& one = *status.add_shards();
    one.set_name(each.name);
    one.set_owner(each.owner);
    one.set_epoch(each.epoch);
    one.set_slots(static_cast<uint32_t>(slots_now(at.state(), each.name)));
    if (const auto place = at.wanted().shards.find(each.name); place != at.wanted().shards.end()) {
      one.set_dsn(place->second.dsn);
      one.set_draining(place->second.draining);
    }
    if (const auto* health = at.health_of(each.name)) {
      one.set_bytes(health->bytes);
      one.set_term(health->term);
      one.set_copies(health->copies);
      one.set_problem(health->problem);
    }
  }
  for (const auto& each : at.shard_move_views()) fill(each, *status.add_shard_moves());
  for (const auto& each : at.shard_moves().ended()) fill(each, *status.add_shard_moves());
}

}  // namespace tern::routing
