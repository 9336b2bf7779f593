#include "services/group/moves.hpp"

#include "services/group/directory.hpp"
#include "services/group/live/directory.hpp"

namespace tern::group {
namespace {

auto within(slot_type first, slot_type last) {
  return [first, last](room_id room) {
    const slot_type slot = slot_of(room);
    return first <= slot && slot <= last;
  };
}

/// Rooms of the ordered epoch, or of an older one nobody has ended yet.
auto moved_by(const placement::move_order& what) {
  return [in = within(what.first, what.last), most = what.epoch](room_id room, uint64_t epoch) {
    return in(room) && epoch <= most;
  };
}

}  // namespace

size_t room_moves::freeze(const placement::move_order& what, uint32_t format) {
  const freeze_event told{what.move, format};
  return env_.directory->tell_if(moved_by(what), told) + env_.vrooms->tell_if(moved_by(what), told);
}

void room_moves::thaw(const placement::move_order& what, bool all) {
  const thaw_event told{what.move, all};
  env_.directory->tell_if(moved_by(what), told);
  env_.vrooms->tell_if(moved_by(what), told);
}

void room_moves::end(const placement::move_order& what) {
  env_.directory->end_if(moved_by(what));
  env_.vrooms->end_if(moved_by(what));
}

void room_moves::decided(std::vector<uint64_t> keys) {
  for (const uint64_t key : keys) {
    env_.directory->post_if_present(room_id{key}, decided_event{});
    env_.vrooms->post_if_present(room_id{key}, decided_event{});
  }
}

uint64_t room_moves::keys(slot_type first, slot_type last) {
  const auto in = [says = within(first, last)](room_id room, uint64_t) { return says(room); };
  return env_.directory->count_if(in) + env_.vrooms->count_if(in);
}

void room_moves::count(handover::fate what, uint64_t states) {
  env_.metrics.moved_total[static_cast<size_t>(what)].add(static_cast<double>(states));
}

void room_moves::frozen(std::chrono::nanoseconds time) {
  env_.metrics.frozen_seconds.observe(std::chrono::duration<double>(time).count());
}

}  // namespace tern::group
