#include "libs/placement/lease_trust.hpp"

#include <algorithm>

namespace tern::placement {

bool lease_trust::valid(time_point now) const {
  if (now >= until_) return false;
  // A leader that has our Hello, and never heard of us again, counts from there.
  const auto answered = [&](const auto& each) { return each.second.leased || now < each.second.asked + of_lease; };
  return std::all_of(streams_.begin(), streams_.end(), answered) &&
         std::all_of(unanswered_.begin(), unanswered_.end(),
                     [&](const auto& sent) { return !sent || now < *sent + of_lease; });
}

void lease_trust::lapse(time_point now) {
  if (!valid(now)) until_ = {};
}

void lease_trust::up(uint64_t stream, size_t replica, time_point now) {
  lapse(now);
  streams_[stream] = {replica, now, false};
}

void lease_trust::leased(uint64_t stream, time_point sent) {
  const auto at = streams_.find(stream);
  if (at == streams_.end()) return;
  at->second.leased = true;
  renewed_at_ = renewed_at_ ? std::max(*renewed_at_, sent) : sent;
  until_ = *renewed_at_ + of_lease;
  for (auto& each : unanswered_) {
    if (each && *each < sent) each.reset();  // whoever heard that led before this one, if ever
  }
}

void lease_trust::lost_leader(const joined& which) {
  if (until_ == time_point{}) return;
  // With one replica: as long as it is away there is nobody who could give anything away.
  if (refused_at_.size() == 1) {
    until_ = time_point::max();
  } else if (which.leased && renewed_at_) {
    until_ = std::max(until_, *renewed_at_ + of_grace);
  }
}

void lease_trust::broke(uint64_t stream, time_point now) {
  const auto at = streams_.find(stream);
  if (at == streams_.end()) return;
  lapse(now);
  lost_leader(at->second);
  streams_.erase(at);
}

void lease_trust::not_leader(uint64_t stream, time_point now) {
  const auto at = streams_.find(stream);
  if (at == streams_.end()) return;
  lapse(now);
  const auto which = at->second;
  const auto since = which.leased ? *renewed_at_ : which.asked;
  streams_.erase(at);  // it gives nothing away, now and for its 10 s: what we sent there does not count
  auto& open = unanswered_[place(which)];
  if (open && *open < since) open.reset();
  if (which.replica < refused_at_.size()) refused_at_[which.replica] = since;
  lost_leader(which);
  if (until_ == time_point{}) return;
  auto oldest = time_point::max();
  for (const auto& each : refused_at_) {
    if (!each) return;
    oldest = std::min(oldest, *each);
  }
  if (refused_at_.size() > 1) until_ = std::max(until_, oldest + of_grace);
}

void lease_trust::abandoned(uint64_t stream, time_point now) {
  const auto at = streams_.find(stream);
  if (at == streams_.end()) return;
  lapse(now);
  const auto& which = at->second;
  auto& open = unanswered_[place(which)];
  const auto sent = which.leased ? *renewed_at_ : which.asked;
  open = open ? std::min(*open, sent) : sent;
  if (which.replica < refused_at_.size()) refused_at_[which.replica].reset();
  streams_.erase(at);
}

}  // namespace tern::placement
