#include "services/gateway/placing.hpp"

#include <algorithm>
#include <utility>

#include "services/gateway/client.hpp"
#include "services/gateway/lane.hpp"

namespace tern::gateway {

namespace {

/// Clients placed in one go; then the sockets of the io thread have theirs.
constexpr size_t per_turn = 128;
/// Unanswered Binds of one io thread at one session node, which has others to serve, too.
constexpr size_t most_unanswered = 1024;
/// Waiting clients looked at per tick; a new map or link looks at all of them.
constexpr size_t waiting_per_tick = 10'000;
constexpr std::chrono::milliseconds first_delay{2}, longest_delay{100};

}  // namespace

placing::turn placing::ticket_for(client& who) {
  if (++tickets_ == 0) ++tickets_;  // 0 is none
  who.set_ticket(tickets_);
  return {who.id(), tickets_};
}

void placing::give(const turn& whose) {
  if (client* who = lane_.find(whose.conn)) who->on_turn(whose.ticket);
}

void placing::wait(client& who) { waiting_.push_back(ticket_for(who)); }

void placing::soon(client& who) {
  soon_.push_back(ticket_for(who));
  kick();
}

void placing::again(client& who, unsigned attempt) {
  const auto delay = std::min(first_delay * (1U << std::min(attempt, 6U)), longest_delay);
  delayed_.push_back({ticket_for(who), lane_.shared().milliseconds() + static_cast<uint32_t>(delay.count())});
  arm();
}

bool placing::begin(const link_handle& stream, client& who) {
  window& of = windows_[stream.link];
  if (of.generation != stream.generation) {
    of.generation = stream.generation;
    of.unanswered = 0;
  }
  if (of.unanswered >= most_unanswered) {
    of.held.push_back(ticket_for(who));
    return false;
  }
  ++of.unanswered;
  return true;
}

void placing::ended(const link_handle& stream) {
  const auto found = windows_.find(stream.link);
  if (found == windows_.end() || found->second.generation != stream.generation) return;
  window& of = found->second;
  if (of.unanswered > 0) --of.unanswered;
  if (of.held.empty()) return;
  soon_.push_back(of.held.front());
  of.held.pop_front();
  kick();
}

void placing::owners_changed() {
  soon_.insert(soon_.end(), waiting_.begin(), waiting_.end());
  waiting_.clear();
}

void placing::on_link_down(const link_handle& stream) {
  const auto found = windows_.find(stream.link);
  if (found == windows_.end()) return;
  soon_.insert(soon_.end(), found->second.held.begin(), found->second.held.end());
  windows_.erase(found);
  kick();
}

void placing::kick() {
  if (posted_ || soon_.empty()) return;
  posted_ = true;
  lane_.post([this] {
    posted_ = false;
    run();
    lane_.flush();
  });
}

void placing::run() {
  for (size_t left = per_turn; left > 0 && !soon_.empty(); --left) {
    const turn next = soon_.front();
    soon_.pop_front();
    give(next);
  }
  kick();
}

void placing::arm() {
  if (std::exchange(armed_, true)) return;
  lane_.thread().after(first_delay, [this] {
    armed_ = false;
    look_at_delayed();
  });
}

void placing::look_at_delayed() {
  const uint32_t now = lane_.shared().milliseconds();
  const auto due = [now](const delayed& one) { return static_cast<int32_t>(now - one.due_ms) >= 0; };
  for (const delayed& one : delayed_) {
    if (due(one)) soon_.push_back(one.whose);
  }
  std::erase_if(delayed_, due);
  if (!delayed_.empty()) arm();
  run();
  lane_.flush();
}

void placing::on_tick() {
  if (waiting_.empty()) return;
  const auto count = static_cast<ptrdiff_t>(std::min(waiting_per_tick, waiting_.size()));
  const std::vector<turn> now(waiting_.begin(), waiting_.begin() + count);
  waiting_.erase(waiting_.begin(), waiting_.begin() + count);
  for (const turn& each : now) give(each);
}

}  // namespace tern::gateway
