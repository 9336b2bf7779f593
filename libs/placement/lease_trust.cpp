#include "libs/placement/lease_trust.hpp"

#include <algorithm>

namespace tern::placement {

bool lease_trust::valid(time_point now) const {
  if (now >= until_) return false;
  // A leader that has our Hello, and never heard of us again, counts from there.
  return std::all_of(streams_.begin(), streams_.end(),
                     [&](const auto& each) { return each.second.leased || now < each.second.asked + of_lease; });
}

void lease_trust::up(uint64_t stream, size_t replica, time_point now) { streams_[stream] = {replica, now, false}; }

void lease_trust::leased(uint64_t stream, time_point sent) {
  const auto at = streams_.find(stream);
  if (at == streams_.end()) return;
  at->second.leased = true;
  renewed_at_ = renewed_at_ ? std::max(*renewed_at_, sent) : sent;
  until_ = *renewed_at_ + of_lease;
}

void lease_trust::lost_leader(const joined& which, time_point now) {
  // With one replica: as long as it is away there is nobody who could give anything away.
  if (refused_at_.size() == 1) {
    until_ = time_point::max();
  } else if (which.leased && renewed_at_) {
    until_ = std::max(until_, *renewed_at_ + of_grace);
  }
  static_cast<void>(now);
}

void lease_trust::broke(uint64_t stream, time_point now) {
  const auto at = streams_.find(stream);
  if (at == streams_.end()) return;
  if (valid(now)) lost_leader(at->second, now);
  streams_.erase(at);
}

void lease_trust::not_leader(uint64_t stream, time_point now) {
  const auto at = streams_.find(stream);
  if (at == streams_.end()) return;
  const auto which = at->second;
  streams_.erase(at);  // it gives nothing away: our Hello there does not count
  if (which.replica < refused_at_.size()) refused_at_[which.replica] = which.leased ? *renewed_at_ : which.asked;
  if (!valid(now)) return;
  lost_leader(which, now);
  auto oldest = time_point::max();
  for (const auto& each : refused_at_) {
    if (!each) return;
    oldest = std::min(oldest, *each);
  }
  until_ = refused_at_.size() == 1 ? time_point::max() : std::max(until_, oldest + of_grace);
}

void lease_trust::abandoned(uint64_t stream) {
  const auto at = streams_.find(stream);
  if (at == streams_.end()) return;
  if (!at->second.leased) until_ = std::min(until_, at->second.asked + of_lease);
  streams_.erase(at);
}

}  // namespace tern::placement
