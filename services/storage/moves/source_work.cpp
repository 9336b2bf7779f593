// source_work: COPY, SEAL and what follows the decision, at the node that serves the source.
#include <algorithm>

#include "libs/log/log.hpp"
#include "services/storage/moves/mover_work.hpp"

namespace tern::storage {
namespace {

using std::chrono::steady_clock;
using namespace std::chrono_literals;
const log::logger logger{"storage"};

constexpr auto tell_every = 1s;
constexpr auto try_again = 500ms;
constexpr size_t little_left = 2'000;  // changed rows: so many are carried in some tens of milliseconds
constexpr int refusals_most = 20;      // of the database, of a step that others wait for

}  // namespace

void source_work::run() {
  served_wanted_ = steady_clock::now();
  while (true) {
    ShardMoveOrder order;
    {
      const std::lock_guard guard(in_.mutex);
      if (in_.stopping) return;
      order = job_.order;
      if (given_ != job_.given) {
        given_ = job_.given;
        seal_attempts_ = refusals_ = 0;
        served_wanted_ = steady_clock::now();
      }
    }
    auto then = next::wait;
    auto pause = 50ms;
    if (serves(order)) {
      const auto earlier = answered(order);
      if (earlier) {
        in_.tell(*earlier);
        then = next::done;
      } else {
        then = step(order);
        pause = pause_;
      }
    } else if (since(served_wanted_) > in_.how.patience) {
      return;
    }
    std::unique_lock guard(in_.mutex);
    if (in_.stopping) return;
    if (given_ != job_.given) continue;
    if (then == next::done) return;
    if (then == next::wait) in_.wait(guard, pause);
  }
}

bool source_work::serves(const ShardMoveOrder& order) {
  slot_ = in_.shards->find(order.source());
  const uint64_t epoch = slot_ ? slot_->port->open_epoch() : 0;
  if (epoch == 0) return false;
  move_ = order.move();
  range_ = {order.first(), order.last()};
  if (epoch == epoch_) return true;
  // Another owner may have had it meanwhile.
  epoch_ = epoch;
  range_move_.reset();
  told_ = ShardMoveProgress::NONE;
  sealed_here_ = reported_ = false;
  closed_at_.reset();
  return true;
}

/// What failed is not tried again for the same order: routing has heard of it or will. Of a move that has ended here
/// nothing is begun again.
std::optional<ShardMoveProgress> source_work::answered(const ShardMoveOrder& order) {
  const std::lock_guard guard(in_.mutex);
  if (!job_.answer) return std::nullopt;
  const auto state = job_.answer->state();
  const bool over = state == ShardMoveProgress::REOPENED || state == ShardMoveProgress::FINISHED;
  const bool begins = order.step() == ShardMoveOrder::COPY || order.step() == ShardMoveOrder::SEAL;
  if (over && begins) return job_.answer;
  if (state != ShardMoveProgress::FAILED || job_.answered_epoch != epoch_) return std::nullopt;
  return job_.answered.step() == order.step() ? job_.answer : std::nullopt;
}

source_work::next source_work::step(const ShardMoveOrder& order) {
  pause_ = 100ms;
  if (!range_move_) {
    const auto stopped = [this] { return in_.ended() || (limit_at_ && steady_clock::now() > *limit_at_); };
    move_tuning tuning;
    tuning.bytes_per_second = order.bytes_per_second() != 0 ? order.bytes_per_second() : in_.how.bytes_per_second;
    tuning.page_rows = in_.how.page_rows;
    tuning.at_step = in_.how.at_step;
    range_move_ = std::make_unique<range_move>(plan_of(*in_.shards, order), tuning, epoch_, stopped);
    begun_ = false;
  }
  switch (order.step()) {
    case ShardMoveOrder::COPY:
    case ShardMoveOrder::SEAL: return forward(order);
    case ShardMoveOrder::ABORT: return abort(order);
    case ShardMoveOrder::FINISH: return finish(order);
    default: return next::done;
  }
}

/// Nothing: the range is being exported, or sealed.
std::optional<source_work::next> source_work::begin(const ShardMoveOrder& order) {
  if (begun_) return std::nullopt;
  if (auto done = range_move_->begin(order.step() == ShardMoveOrder::SEAL); !done) {
    // The owner of a new target may not have made its tables yet.
    const bool early = done.code() == errc::internal && ++refusals_ < refusals_most;
    return failed(early ? error{errc::unavailable, done.error().detail} : done.error(), order);
  }
  begun_ = true;
  rows_counted_ = rows_told_ = range_move_->progress().rows;
  bytes_counted_ = range_move_->progress().bytes;
  switch (range_move_->source_state()) {
    case slot_state::exporting: open_door(); return std::nullopt;
    case slot_state::sealed:
      in_.set_door(*slot_, epoch_, range_, slot_door::wait);
      if (!closed_at_) closed_at_ = steady_clock::now();
      return std::nullopt;
    case slot_state::moved: return next::done;  // it was decided
    default: return failed({errc::config, "the move was given up"}, order);
  }
}

// ---- COPY --------------------------------------------------------------------------------------------------------

source_work::next source_work::forward(const ShardMoveOrder& order) {
  if (reported_) return sealed(order);
  if (const auto ends = begin(order)) return *ends;
  if (range_move_->source_state() == slot_state::sealed) {
    // By somebody who has died since and may have said so, or the routing that heard of it has: it is not unsealed
    // without an order, and sealed is more than a copy.
    if (auto done = range_move_->hand_over(); !done) return failed(done.error(), order);
    return now_sealed(order);
  }
  if (order.step() == ShardMoveOrder::COPY || !range_move_->compared()) return copy(order);
  return try_seal(order);
}

source_work::next source_work::copy(const ShardMoveOrder& order) {
  if (!range_move_->compared()) {
    if (const auto done = range_move_->advance(); !done) return failed(done.error(), order);
    say(ShardMoveProgress::COPYING);
    return next::again;
  }
  const auto left = range_move_->catch_up(8);
  if (!left) return failed(left.error(), order);
  const auto knows = range_move_->target_knows();
  if (!knows) return failed(knows.error(), order);
  refusals_ = 0;
  say(*knows && *left <= little_left ? ShardMoveProgress::READY : ShardMoveProgress::COPYING);
  return *left > 0 ? next::again : next::wait;
}

/// stale_epoch: another mover has the target now, or another node the source: begins anew, if it is still ours.
source_work::next source_work::failed(const error& why, const ShardMoveOrder& order) {
  range_move_.reset();
  const bool lost = why.code == errc::unavailable || why.code == errc::deadline || why.code == errc::stale_epoch;
  const bool waited_for = order.step() == ShardMoveOrder::SEAL;
  if ((lost && (!waited_for || ++refusals_ < refusals_most)) || (why.code == errc::database && ++refusals_ < 5)) {
    if (order.step() == ShardMoveOrder::COPY) say(ShardMoveProgress::COPYING, why.detail);
    pause_ = try_again;
    return next::wait;
  }
  answer(ShardMoveProgress::FAILED, order, why.detail);
  return next::done;
}

// ---- SEAL --------------------------------------------------------------------------------------------------------

source_work::next source_work::try_seal(const ShardMoveOrder& order) {
  // While writes go on.
  const auto left = range_move_->catch_up(64);
  if (!left) return failed(left.error(), order);
  if (*left > little_left) {
    say(ShardMoveProgress::COPYING);
    return next::again;
  }
  at("close");
  closed_at_ = steady_clock::now();
  limit_at_ = *closed_at_ + in_.how.seal_limit;
  const auto done = close_and_hand_over();
  const bool late = steady_clock::now() > *limit_at_;
  limit_at_.reset();
  if (done && !late) return now_sealed(order);
  const auto why = done ? error{errc::deadline, "it took too long"} : done.error();
  slot_->metrics->move_seals_given_up.add();
  logger.info("seal given up", {{"move", move_}, {"shard", slot_->name()}, {"why", why.detail}});
  unseal();
  if (++seal_attempts_ < in_.how.seal_attempts) {
    pause_ = std::chrono::duration_cast<std::chrono::milliseconds>(in_.how.seal_pause) * seal_attempts_;
    return next::wait;
  }
  answer(ShardMoveProgress::FAILED, order, "could not be sealed within the limit: " + why.detail);
  return next::done;
}

result<void> source_work::close_and_hand_over() {
  const auto left = [this] {
    return std::max(1ms, std::chrono::duration_cast<std::chrono::milliseconds>(*limit_at_ - steady_clock::now()));
  };
  if (!in_.how.without_seal) {
    if (!in_.set_door(*slot_, epoch_, range_, slot_door::wait))
      return error{errc::unavailable, "the shard is not served"};
    auto settled = in_.follow(*slot_, epoch_, door_range(range_, slot_door::wait), true, {}, left());
    if (!settled) return settled;
  }
  sealed_here_ = true;  // from here on it may be, whatever we hear
  if (auto done = range_move_->seal(); !done) return done.error();
  return range_move_->hand_over();
}

source_work::next source_work::now_sealed(const ShardMoveOrder& order) {
  at("sealed");
  stalled_us_ = static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(steady_clock::now() - *closed_at_).count());
  slot_->metrics->move_sealed_seconds.observe(static_cast<double>(stalled_us_) * 1e-6);
  reported_ = true;
  sealed_here_ = false;
  logger.info("range is sealed", {{"move", move_}, {"shard", slot_->name()}, {"us", stalled_us_}});
  return sealed(order);
}

/// Nobody was told that it is sealed. Its requests wait until it is known not to be.
void source_work::unseal() {
  while (sealed_here_ && !in_.ended()) {
    const auto done = range_move_->unseal();
    if (done) {
      sealed_here_ = false;
    } else if (done.code() == errc::stale_epoch) {
      return;  // the next owner reads what it is
    } else {
      std::unique_lock guard(in_.mutex);
      in_.wait(guard, 50ms);
    }
  }
  if (!sealed_here_) open_door();
}

void source_work::open_door() {
  closed_at_.reset();
  const auto doors = slot_->port->doors();
  if (doors.at(static_cast<slot_type>(range_.first)) == slot_door::open &&
      doors.at(static_cast<slot_type>(range_.last)) == slot_door::open)
    return;
  in_.set_door(*slot_, epoch_, range_, slot_door::open);
  follow(slot_door::open);
}

/// The dispatcher and the writer hear of a door. Should the shard have gone its next owner reads what it is.
void source_work::follow(slot_door door) {
  const auto told = in_.follow(*slot_, epoch_, door_range(range_, door), false, {}, 1s);
  if (!told) logger.info("door is not followed", {{"shard", slot_->name()}, {"why", told.error().detail}});
}

source_work::next source_work::sealed(const ShardMoveOrder& order) {
  bool decided = false;
  {
    const std::lock_guard guard(in_.mutex);
    decided = in_.has_left(order.source(), range_, order.epoch());
  }
  if (decided) return left(order);
  say(ShardMoveProgress::SEALED);
  pause_ = 1s;
  return next::wait;
}

/// The decision is the target.
source_work::next source_work::left(const ShardMoveOrder& order) {
  in_.set_door(*slot_, epoch_, range_, slot_door::gone);
  at("left");
  if (auto done = range_move_->leave(); !done) return failed(done.error(), order);
  follow(slot_door::gone);
  logger.info("range has left the shard", {{"move", move_}, {"shard", slot_->name()}, {"to", order.target()}});
  slot_->metrics->move_behind.set(0);
  return next::done;
}

// ---- ABORT, FINISH -----------------------------------------------------------------------------------------------

source_work::next source_work::abort(const ShardMoveOrder& order) {
  if (auto done = range_move_->reopen(); !done) return failed(done.error(), order);
  sealed_here_ = reported_ = false;
  open_door();
  if (auto done = range_move_->clean_target(); !done) return failed(done.error(), order);
  answer(ShardMoveProgress::REOPENED, order);
  return next::done;
}

source_work::next source_work::finish(const ShardMoveOrder& order) {
  if (auto done = range_move_->leave(); !done) return failed(done.error(), order);
  in_.set_door(*slot_, epoch_, range_, slot_door::gone);
  if (auto done = range_move_->finish(); !done) return failed(done.error(), order);
  answer(ShardMoveProgress::FINISHED, order);
  return next::done;
}

// ---- what is told ------------------------------------------------------------------------------------------------

/// On changes, and each second.
void source_work::say(ShardMoveProgress::State state, const std::string& error) {
  const auto now = steady_clock::now();
  if (state == told_ && now - told_at_ < tell_every) return;
  ShardMoveProgress out;
  out.set_move(move_);
  out.set_state(state);
  out.set_error(error);
  if (range_move_) {
    const auto& so_far = range_move_->progress();
    const uint64_t rows = so_far.rows, bytes = so_far.bytes;
    const double seconds = std::chrono::duration<double>(now - told_at_).count();
    if (told_ != ShardMoveProgress::NONE && rows >= rows_told_ && seconds > 0)
      rate_ = static_cast<double>(rows - rows_told_) / seconds;
    rows_told_ = rows;
    slot_->metrics->move_rows.add(static_cast<double>(rows - std::min(rows_counted_, rows)));
    slot_->metrics->move_bytes.add(static_cast<double>(bytes - std::min(bytes_counted_, bytes)));
    rows_counted_ = rows;
    bytes_counted_ = bytes;
    slot_->metrics->move_behind.set(static_cast<double>(so_far.behind));
    out.set_rows(rows);
    out.set_rows_all(so_far.rows_all);
    out.set_bytes(bytes);
    out.set_behind(so_far.behind);
    out.set_rows_per_second(static_cast<uint64_t>(rate_));
  }
  if (state == ShardMoveProgress::SEALED) out.set_stalled_us(stalled_us_);
  slot_->metrics->move_state.set(static_cast<double>(state));
  told_ = state;
  told_at_ = now;
  in_.tell(out);
}

void source_work::answer(ShardMoveProgress::State state, const ShardMoveOrder& order, const std::string& error) {
  ShardMoveProgress out;
  out.set_move(move_);
  out.set_state(state);
  out.set_error(error);
  if (state == ShardMoveProgress::FAILED) {
    slot_->metrics->moves_failed.add();
    logger.warn("move failed", {{"move", move_}, {"shard", slot_->name()}, {"why", error}});
  }
  slot_->metrics->move_state.set(state == ShardMoveProgress::FAILED ? static_cast<double>(state) : 0.0);
  slot_->metrics->move_behind.set(0);
  told_ = state;
  told_at_ = steady_clock::now();
  {
    const std::lock_guard guard(in_.mutex);
    job_.told = true;
    job_.answer = out;
    job_.answered = order;
    job_.answered_epoch = epoch_;
  }
  in_.tell(out);
}

}  // namespace tern::storage
