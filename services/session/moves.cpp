#include "services/session/moves.hpp"

#include "services/session/directory.hpp"

namespace tern::session {
namespace {

auto within(slot_type first, slot_type last) {
  return [first, last](account_id account, uint64_t = 0) {
    const slot_type slot = slot_of(account);
    return first <= slot && slot <= last;
  };
}

}  // namespace

size_t range_moves::freeze(const placement::move_order& what, uint32_t format) {
  return env_.directory->tell_if(within(what.first, what.last), freeze_event{what.move, format});
}

void range_moves::thaw(const placement::move_order& what, bool all) {
  env_.directory->tell_if(within(what.first, what.last), thaw_event{what.move, all});
}

void range_moves::end(const placement::move_order& what) { env_.directory->end_if(within(what.first, what.last)); }

void range_moves::decided(std::vector<uint64_t> keys) {
  for (const uint64_t key : keys) env_.directory->post_if_present(account_id{key}, decided_event{});
}

uint64_t range_moves::keys(slot_type first, slot_type last) { return env_.directory->count_if(within(first, last)); }

void range_moves::count(handover::fate what, uint64_t states) {
  switch (what) {
    case handover::fate::cold: return env_.metrics.count_moved(moved::cold, states);
    case handover::fate::dropped: return env_.metrics.count_moved(moved::dropped, states);
    case handover::fate::checksum: return env_.metrics.count_moved(moved::checksum, states);
    case handover::fate::format: return env_.metrics.count_moved(moved::format, states);
    case handover::fate::sent: return env_.metrics.count_moved(moved::sent, states);
    case handover::fate::used: return;  // counted by who uses it
  }
}

void range_moves::frozen(std::chrono::nanoseconds time) {
  env_.metrics.frozen_seconds.observe(std::chrono::duration<double>(time).count());
}

}  // namespace tern::session
