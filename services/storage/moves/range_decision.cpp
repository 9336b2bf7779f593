// range_move: after the seal, until one of the two serves again.
#include "libs/log/log.hpp"
#include "services/storage/moves/range_move.hpp"

namespace tern::storage {
namespace {

const log::logger logger{"storage"};

}  // namespace

result<void> range_move::unseal() {
  auto done = source_->transact(epoch_, [&] { return write_own(slot_state::exporting); });
  if (done) own_.state = slot_state::exporting;
  return done;
}

result<void> range_move::leave() {
  if (auto begun = read_own(); !begun) return begun;
  if (own_.state != slot_state::sealed) {
    return own_.state == slot_state::moved ? result<void>{}
                                           : result<void>{error{errc::internal, "it was not sealed"}};
  }
  step("leave");
  auto done = source_->transact(epoch_, [&]() -> result<void> {
    if (auto gone = source_->erase_outbox(own_.range, false); !gone) return gone;
    if (auto gone = source_->drop_log_of(own_.range); !gone) return gone;
    return write_own(slot_state::moved);
  });
  if (!done) return done;
  own_.state = slot_state::moved;
  end_logging(*source_, epoch_);
  return {};
}

/// Should it not be had now, because of locks, the next range that is done with ends it.
void range_move::end_logging(move_side& side, uint64_t epoch) {
  if (auto done = side.stop_logging(epoch); !done) {
    logger.info("changes of moved ranges are still logged", {{"why", done.error().detail}});
  }
}

result<void> range_move::read_own() {
  if (!source_) {
    auto made = move_side::open(plan_.source_dsn);
    if (!made) return made.error();
    source_ = std::move(*made);
  }
  auto known = source_->range_of(plan_.move);
  if (!known) return known.error();
  own_ = *known ? **known : range_row{};
  return {};
}

result<void> range_move::reopen() {
  if (auto begun = read_own(); !begun) return begun;
  if (own_.state == slot_state::moved) return error{errc::config, "the range has been moved"};
  if (own_.state != slot_state::exporting && own_.state != slot_state::sealed) return {};
  step("reopen");
  // The way back of an earlier move goes on: its changes are logged as before.
  auto done = source_->transact(epoch_, [&] {
    return write_own(own_.before == slot_state::open ? slot_state::exporting : slot_state::aborted);
  });
  if (done) own_.state = own_.before == slot_state::open ? slot_state::exporting : slot_state::aborted;
  return done;
}

result<void> range_move::clean_target() {
  if (auto there = connect(); !there) return there;
  auto row = target_->range_of(plan_.move);
  if (!row) return row.error();
  if (*row && (*row)->state == slot_state::open) return error{errc::config, "the target has opened the range"};
  if (*row) {
    if (auto claimed = claim_target(); !claimed) return claimed;
    // A rollback's target keeps its image: the next one goes on from there.
    for (const auto& table : moved_tables()) {
      while (plan_.back_of == 0) {
        step("clean");
        size_t gone = 0;
        auto done = target_->transact(0, [&]() -> result<void> {
          if (auto mine = target_->check_mover((*row)->range, plan_.move, mover_); !mine) return mine;
          auto some = target_->erase_some(table, (*row)->range, how_.page_rows);
          if (!some) return some.error();
          gone = *some;
          return {};
        });
        if (!done) return done;
        if (gone == 0) break;
      }
    }
    auto done = target_->transact(0, [&]() -> result<void> {
      if (auto mine = target_->check_mover((*row)->range, plan_.move, mover_); !mine) return mine;
      if (auto gone = target_->erase_outbox((*row)->range, true); !gone) return gone;
      if ((*row)->before != slot_state::moved) return target_->remove((*row)->range);
      auto kept = **row;
      kept.state = slot_state::moved;
      kept.before = slot_state::served;
      kept.move = plan_.back_of != 0 ? plan_.back_of : -plan_.move;
      // Nothing of it is left here, or the image that a way back needs.
      kept.phase = plan_.back_of != 0 ? phase_copied : phase_deleted;
      return target_->write(kept);
    });
    if (!done) return done;
    end_logging(*target_, 0);
  }
  if (own_.move != plan_.move) return {};
  step("cleaned");
  auto done = source_->transact(epoch_, [&]() -> result<void> {
    if (own_.before == slot_state::open) {
      auto kept = own_;
      kept.state = slot_state::open;
      kept.before = slot_state::served;
      kept.move = plan_.back_of;
      return source_->write(kept);
    }
    if (auto gone = source_->drop_log_of(own_.range); !gone) return gone;
    return source_->remove(own_.range);
  });
  if (!done) return done;
  own_ = {};
  end_logging(*source_, epoch_);
  return {};
}

result<void> range_move::open_target(const move_plan& plan, uint64_t target_epoch,
                                     const std::function<uint64_t(size_t)>& number) {
  auto target = move_side::open(plan.target_dsn);
  if (!target) return target.error();
  return open_target(plan, **target, target_epoch, number);
}

result<void> range_move::open_target(const move_plan& plan, move_side& at, uint64_t target_epoch,
                                     const std::function<uint64_t(size_t)>& number) {
  return at.transact(target_epoch, [&]() -> result<void> {
    auto known = at.range_of(plan.move);
    if (!known) return known.error();
    if (!*known) return error{errc::config, "nothing of this move is here"};
    auto row = **known;
    if (row.state == slot_state::open) return {};
    if (row.state != slot_state::importing) return error{errc::config, "the range is not an import"};
    // Made with the import, and kept for it.
    auto logged = at.logging();
    if (!logged) return logged.error();
    if (!*logged) return error{errc::config, "changes would not be logged"};
    auto waiting = at.imported(row.range);
    if (!waiting) return waiting.error();
    if (*waiting > 0) {
      if (auto put = at.open_outbox(row.range, number(*waiting)); !put) return put;
    }
    row.state = slot_state::open;
    row.epoch = plan.epoch;
    row.mover = 0;
    return at.write(row);
  });
}

}  // namespace tern::storage
