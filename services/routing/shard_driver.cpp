#include "services/routing/shard_driver.hpp"

#include <algorithm>
#include <utility>

#include "libs/log/log.hpp"

namespace tern::routing {
namespace {

const log::logger logger{"routing"};
constexpr size_t most_ended = 20;
const std::string nobody;

shard_move* find(intents& in, uint64_t move) {
  const auto at =
      std::find_if(in.shard_moves.begin(), in.shard_moves.end(), [&](const auto& one) { return one.move == move; });
  return at == in.shard_moves.end() ? nullptr : &*at;
}

void erase(intents& in, uint64_t move) {
  std::erase_if(in.shard_moves, [&](const auto& one) { return one.move == move; });
}

void put(intents& in, shard_move what) {
  in.shard_moves.push_back(std::move(what));
  std::sort(in.shard_moves.begin(), in.shard_moves.end(),
            [](const auto& a, const auto& b) { return a.move < b.move; });
}

}  // namespace

std::string_view to_string(shard_stage of) noexcept {
  switch (of) {
    case shard_stage::waiting: return "waiting";
    case shard_stage::copying: return "copying";
    case shard_stage::sealing: return "sealing";
    case shard_stage::deciding: return "deciding";
    case shard_stage::opening: return "opening";
    case shard_stage::kept: return "kept";
    case shard_stage::finishing: return "finishing";
    case shard_stage::aborting: return "aborting";
    case shard_stage::done: return "done";
    case shard_stage::aborted: break;
  }
  return "aborted";
}

shard_driver::live& shard_driver::at(uint64_t move) {
  auto [found, fresh] = live_.try_emplace(move);
  if (fresh) found->second.began = time_.now();
  return found->second;
}

bool shard_driver::decided(const meta_state& now, const shard_move& what) {
  const auto* range = now.storage.find(what.first);
  return range != nullptr && range->owner == what.target;
}

const std::string& shard_driver::owner(const meta_state& now, const std::string& shard) {
  const auto* found = now.find_shard(shard);
  return found == nullptr ? nobody : found->owner;
}

shard_stage shard_driver::stage_of(const standing& at, const shard_move& what) const {
  if (decided(at.now, what)) {
    if (what.kept_since == 0) return shard_stage::opening;
    return what.what == shard_move::wish::finish ? shard_stage::finishing : shard_stage::kept;
  }
  if (what.what == shard_move::wish::abort) return shard_stage::aborting;
  const auto known = live_.find(what.move);
  if (known == live_.end() || !known->second.started) return shard_stage::waiting;
  if (known->second.sealed) return shard_stage::deciding;
  return known->second.seal ? shard_stage::sealing : shard_stage::copying;
}

std::optional<shard_step> shard_driver::step_of(shard_stage stage) const {
  switch (stage) {
    case shard_stage::copying: return shard_step::copy;
    case shard_stage::sealing:
    case shard_stage::deciding: return shard_step::seal;
    case shard_stage::opening: return shard_step::open;
    case shard_stage::finishing: return shard_step::finish;
    case shard_stage::aborting: return shard_step::abort;
    default: return std::nullopt;
  }
}

/// A shard gives to one and takes from one at a time: the others wait.
bool shard_driver::may_start(const standing& at, const shard_move& what) const {
  for (const auto& other : at.wanted.shard_moves) {
    if (other.move == what.move) return true;  // by number: all before it were looked at
    const auto stage = stage_of(at, other);
    const bool aside =
        stage == shard_stage::kept || stage == shard_stage::finishing || stage == shard_stage::aborting;
    if (aside) continue;
    if (other.source == what.source || other.target == what.target) return false;
  }
  return true;
}

std::vector<shard_order> shard_driver::orders(const situation& at) {
  std::vector<shard_order> out;
  const auto now = time_.now();
  for (const auto& what : at.wanted.shard_moves) {
    const auto* stored = at.stored.find_shard_move(what.move);
    if (stored == nullptr || stored->what != what.what || stored->kept_since != what.kept_since) continue;
    auto& one = this->at(what.move);
    if (!one.started && may_start(at, what)) one.started = true;
    const auto step = step_of(stage_of(at, what));
    if (!step || one.sent_decision || now < one.not_before) continue;
    const auto& node = owner(at.now, *step == shard_step::open ? what.target : what.source);
    if (node.empty()) continue;
    const bool another = one.sent_to != node && !one.sent_to.empty();
    if (another && (*step == shard_step::seal)) {
      // Whoever serves the source now finds out how far it is.
      one.seal = one.sealed = false;
    }
    const auto due = step_of(stage_of(at, what)).value_or(*step);
    const bool fresh = one.sent_to != node || one.sent != due;
    if (!fresh && now - std::max(one.sent_at, one.heard_at) < how_.again) continue;
    one.sent_to = node;
    one.sent = due;
    one.sent_at = now;
    const auto dsn = [&](const std::string& shard) {
      const auto place = at.wanted.shards.find(shard);
      return place == at.wanted.shards.end() ? std::string() : place->second.dsn;
    };
    const auto* range = at.now.storage.find(what.first);
    out.push_back({node, due, what, range == nullptr ? 0 : range->epoch, dsn(what.source), dsn(what.target)});
  }
  return out;
}

bool shard_driver::heard(const situation& at, const std::string& node, const shard_progress& said) {
  auto* what = find(at.wanted, said.move);
  if (what == nullptr) return false;
  const auto stage = stage_of(at, *what);
  if (stage == shard_stage::waiting || stage == shard_stage::kept) return false;
  auto& one = this->at(said.move);
  if (node != one.sent_to) return false;
  const auto before = std::exchange(one.progress, said);
  if (said.rows_all == 0) {  // the target and the end know nothing of the copy
    one.progress.rows = before.rows;
    one.progress.rows_all = before.rows_all;
    one.progress.bytes = before.bytes;
  }
  if (said.stalled.count() == 0) one.progress.stalled = before.stalled;
  one.heard_at = time_.now();
  const bool before_decision = stage == shard_stage::copying || stage == shard_stage::sealing;
  switch (said.told) {
    case shard_told::ready:
      if (stage != shard_stage::copying || one.heard_at < one.not_before) return false;
      one.seal = true;
      return true;
    case shard_told::sealed:
      if (!before_decision) return false;
      one.seal = one.sealed = true;
      return true;
    case shard_told::reopened:
      if (stage != shard_stage::aborting) return false;
      end(at, *what, shard_stage::aborted);
      return true;
    case shard_told::open:
      if (stage != shard_stage::opening) return false;
      what->kept_since = std::max<int64_t>(how_.wall(), 1);
      if (what->back_of != 0) ++outcomes_.rolled_back;
      logger.info("slots have moved to another shard",
                  {{"move", what->move}, {"source_shard", what->source}, {"target_shard", what->target}});
      return true;
    case shard_told::finished:
      if (stage != shard_stage::finishing) return false;
      end(at, *what, shard_stage::done);
      return true;
    case shard_told::failed: return failed(*what, stage, one);
    case shard_told::copying:
    case shard_told::none: break;
  }
  return false;
}

bool shard_driver::failed(shard_move& what, shard_stage stage, live& one) {
  logger.warn("a move between shards has failed in a step",
              {{"move", what.move}, {"phase", to_string(stage)}, {"why", one.progress.error}});
  if (stage == shard_stage::sealing && ++one.seals < how_.seals) {
    one.seal = false;
    one.sent_to.clear();
    one.not_before = time_.now() + how_.pause;
    return true;
  }
  if (stage == shard_stage::copying || stage == shard_stage::sealing) {
    give_up(what, one.progress.error.empty() ? "the storage node gave no reason" : one.progress.error);
    return true;
  }
  if (stage == shard_stage::finishing) {
    // What the source kept is not what the target has: nothing is deleted, somebody has to look.
    what.what = shard_move::wish::go;
    what.error = one.progress.error;
    return true;
  }
  one.not_before = time_.now() + how_.pause;  // opening, aborting: until it can be done
  one.sent_to.clear();
  return false;
}

void shard_driver::give_up(shard_move& what, std::string why) {
  what.what = shard_move::wish::abort;
  what.error = std::move(why);
}

void shard_driver::end(const situation& at, const shard_move& what, shard_stage how) {
  const auto& one = this->at(what.move);
  ended_.push_front({what, how, one.progress, std::chrono::duration<double>(time_.now() - one.began).count()});
  if (ended_.size() > most_ended) ended_.pop_back();
  ++(how == shard_stage::done ? outcomes_.done : outcomes_.aborted);
  logger.info(
      how == shard_stage::done ? "a move between shards is finished" : "a move between shards was given up",
      {{"move", what.move}, {"source_shard", what.source}, {"target_shard", what.target}, {"why", what.error}});
  const auto ending = what;
  live_.erase(ending.move);
  erase(at.wanted, ending.move);
  if (how == shard_stage::aborted && ending.back_of != 0) {
    auto former = way_back(ending);  // the target of the way back is the source again
    former.move = ending.back_of;
    former.back_of = 0;
    former.kept_since = std::max<int64_t>(how_.wall(), 1);
    put(at.wanted, std::move(former));
  }
}

void shard_driver::decide(const situation& at, meta_state& next) {
  for (const auto& what : at.wanted.shard_moves) {
    if (stage_of(at, what) != shard_stage::deciding) continue;
    if (at.stored.find_shard_move(what.move) == nullptr) continue;
    next.storage = given(next.storage, what.source, what.target, {what.first, what.last}, next.version);
    this->at(what.move).sent_decision = true;
  }
}

void shard_driver::committed() {
  for (auto& [move, one] : live_) one.sent_decision = false;
}

bool shard_driver::tick(const situation& at) {
  bool changed = false;
  std::erase_if(live_, [&](const auto& each) { return at.wanted.find_shard_move(each.first) == nullptr; });
  for (auto& what : at.wanted.shard_moves) {
    if (stage_of(at, what) != shard_stage::kept || !what.error.empty()) continue;
    if (how_.wall() - what.kept_since < how_.keep.count()) continue;
    what.what = shard_move::wish::finish;
    changed = true;
  }
  return changed;
}

bool shard_driver::can_abort(const standing& at, uint64_t move) const {
  const auto* what = at.wanted.find_shard_move(move);
  if (what == nullptr || decided(at.now, *what)) return false;
  const auto known = live_.find(move);
  return known == live_.end() || !known->second.sent_decision;
}

std::vector<shard_move_view> shard_driver::moves(const standing& at) const {
  std::vector<shard_move_view> out;
  for (const auto& what : at.wanted.shard_moves) {
    shard_move_view one{what, stage_of(at, what), {}, 0};
    if (const auto known = live_.find(what.move); known != live_.end()) {
      one.progress = known->second.progress;
      one.seconds = std::chrono::duration<double>(time_.now() - known->second.began).count();
    }
    out.push_back(std::move(one));
  }
  return out;
}

}  // namespace tern::routing
