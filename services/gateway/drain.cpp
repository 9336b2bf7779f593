#include "services/gateway/drain.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "services/gateway/core.hpp"
#include "services/gateway/lane.hpp"

namespace tern::gateway {

namespace {

using seconds = std::chrono::duration<double>;

clock::time_point part_of(clock::time_point from, clock::time_point to, double share) {
  return from + std::chrono::duration_cast<clock::time_point::duration>((to - from) * share);
}

}  // namespace

// A quarter of the time at most is spent on the notice.
drain_pace::drain_pace(clock::time_point now, std::chrono::milliseconds limit, std::chrono::milliseconds notice,
                       uint64_t least)
    : closing_from_(now + std::min(notice, limit / 4)),
      over_(part_of(closing_from_, now + limit, 0.7)),
      end_(part_of(closing_from_, now + limit, 0.85)),
      least_(static_cast<double>(least)) {}

drain_pace::step drain_pace::next(clock::time_point now, size_t open) {
  if (now < closing_from_) return {};
  if (now >= end_) return {false, open, true};
  if (rate_ == 0) {
    const double left = std::max(seconds(over_ - now).count(), seconds(drain_step_length).count());
    rate_ = std::max(least_, std::ceil(static_cast<double>(open) / left));
  }
  carry_ += rate_ * seconds(drain_step_length).count();
  const double whole = std::floor(carry_);
  carry_ -= whole;
  return {false, static_cast<size_t>(whole), false};
}

drainer::drainer(core& shared, std::vector<std::shared_ptr<lane>> lanes, port to)
    : core_(shared), lanes_(std::move(lanes)), port_(std::move(to)), carry_(lanes_.size(), 0.0) {}

void drainer::begin(std::shared_ptr<drain_progress> progress) {
  progress_ = std::move(progress);
  const auto notice = listens_ ? core_.config.drain_notice : std::chrono::milliseconds{0};
  pace_ = std::make_unique<drain_pace>(core_.time.now(), progress_->limit(), notice, core_.config.close_per_second);
  core_.metrics.draining.set(1);
  core_.metrics.drain_remaining.set(static_cast<double>(port_.open()));
  core_.log.info("drain", {{"connections", port_.open()}, {"limit_ms", progress_->limit().count()}});
}

void drainer::cancel() {
  if (!progress_) return;
  progress_->finish();
  progress_.reset();
  pace_.reset();
  for (const auto& each : lanes_) {
    each->post([each] { each->leavers().cancel(); });
  }
  core_.draining = false;
  if (!std::exchange(listens_, true)) port_.listen(true);
  core_.metrics.draining.set(0);
  core_.metrics.drain_remaining.set(0);
  core_.log.info("drain taken back");
}

bool drainer::step() {
  if (!pace_) return false;
  const size_t open = port_.open();
  core_.metrics.drain_remaining.set(static_cast<double>(open));
  const drain_pace::step now = pace_->next(core_.time.now(), open);
  if (now.listens) return true;
  if (std::exchange(listens_, false)) {
    core_.draining = true;
    port_.listen(false);
  }
  if (open == 0) {
    core_.log.info("drained");
    progress_->finish();
    pace_.reset();
    return false;
  }
  share(now);
  return true;
}

void drainer::share(const drain_pace::step& now) {
  size_t all = 0;
  std::vector<size_t> clients;
  for (const auto& each : lanes_) all += clients.emplace_back(each->clients());
  for (size_t i = 0; i < lanes_.size(); ++i) {
    if (all > 0)
      carry_[i] += static_cast<double>(now.most) * static_cast<double>(clients[i]) / static_cast<double>(all);
    const double whole = std::floor(carry_[i] + 1e-9);
    carry_[i] -= whole;
    lanes_[i]->post([at = lanes_[i], most = static_cast<size_t>(std::max(whole, 0.0)), rest = now.all] {
      at->leavers().step(most, rest);
    });
  }
}

}  // namespace tern::gateway
