#include "services/routing/leader.hpp"

#include <utility>

namespace tern::routing {

election::election(const clock& time, leader_options how, leader_row self)
    : time_(time), how_(how), self_(std::move(self)), due_(time.now()) {}

std::optional<uint64_t> election::leads() const {
  if (!term_ || time_.now() - renewed_at_ >= how_.trust()) return std::nullopt;
  return term_;
}

leader_row election::leader() const {
  if (leads()) return seen_;
  const bool stale = seen_.incarnation == self_.incarnation || time_.now() - changed_at_ >= how_.lease;
  return stale ? leader_row{} : seen_;
}

bool election::at_once() const {
  if (seen_.node.empty()) return true;
  return seen_.node == self_.node && (seen_.incarnation == self_.incarnation || seen_ == before_us_);
}

election::step election::next() {
  const auto now = time_.now();
  if (term_ && !leads()) refused();  // somebody else may lead any moment: see what is
  if (retired_ || now < due_) return step::none;
  if (term_) {
    due_ = now + how_.renew();
    return step::renew;
  }
  due_ = now + how_.look();
  // The compare-and-set fails if the row has changed since it was seen.
  if (!look_first_ && (at_once() || now - changed_at_ >= how_.lease)) return step::take_over;
  return step::look;
}

void election::looked(leader_row row) {
  const bool first = !std::exchange(looked_once_, true);
  if (first && row.node == self_.node) before_us_ = row;
  if (first || row != seen_) changed_at_ = time_.now();
  seen_ = std::move(row);
  look_first_ = false;
  if (at_once()) due_ = time_.now();
}

void election::took_over(uint64_t term, time_point sent) {
  term_ = term;
  renewed_at_ = sent;
  seen_ = self_;
  seen_.term = term;
  changed_at_ = time_.now();
  due_ = sent + how_.renew();
}

void election::renewed(uint64_t term, time_point sent) {
  if (term_ == term && sent > renewed_at_) renewed_at_ = sent;
}

void election::refused() {
  term_.reset();
  look_first_ = true;
  due_ = time_.now();
}

void election::failed() { due_ = time_.now() + how_.look(); }

void election::retire() {
  term_.reset();
  retired_ = true;
}

}  // namespace tern::routing
