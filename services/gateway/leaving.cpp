#include "services/gateway/leaving.hpp"

#include <algorithm>
#include <functional>
#include <utility>

#include "services/gateway/client.hpp"
#include "services/gateway/lane.hpp"

namespace tern::gateway {

namespace {

/// So many are given time to come to rest at once, beside what one second closes: who never rests is not to hold up
/// the others.
constexpr size_t least_leaving = 64;
constexpr size_t steps_per_second = 10;

}  // namespace

void leaving::list() {
  lane_.thread().for_each([this](websocket::connection& each) {
    auto& who = static_cast<client&>(each.handler());
    if (!who.is_closing() && !who.is_leaving()) next_.push_back(each.id());
  });
  std::sort(next_.begin(), next_.end(), std::greater<>());  // ids grow
}

size_t leaving::close_rested(size_t most) {
  const uint32_t now = lane_.shared().milliseconds();
  const auto patience = static_cast<uint32_t>(lane_.shared().config.drain_client.count());
  for (size_t left = leaving_.size(); left > 0; --left) {
    const one each = leaving_.front();
    leaving_.pop_front();
    client* who = lane_.find(each.conn);
    if (who == nullptr || who->is_closing()) continue;
    const uint32_t waited = now - each.since_ms;
    const bool quiet = waited >= patience / 2;
    if (most > 0 && (who->is_at_rest(!quiet) || waited >= patience)) {
      who->close_for_drain();
      --most;
      continue;
    }
    if (quiet) who->stop_listening();
    leaving_.push_back(each);
  }
  return most;
}

void leaving::step(size_t most, bool all) {
  if (all) return close_all();
  const size_t together = std::max(least_leaving, most * steps_per_second);
  most = close_rested(most);
  if (next_.empty()) list();
  while (most > 0 && !next_.empty() && leaving_.size() < together) {
    const uint64_t id = next_.back();
    next_.pop_back();
    client* who = lane_.find(id);
    if (who == nullptr || who->is_closing() || who->is_leaving()) continue;
    if (who->is_at_rest(true)) {
      who->close_for_drain();
      --most;
    } else {
      who->leave_soon(true);
      leaving_.push_back({id, lane_.shared().milliseconds()});
    }
  }
  lane_.flush();
}

void leaving::close_all() {
  next_.clear();
  leaving_.clear();
  list();
  lane_.thread().for_each([this](websocket::connection& each) {
    if (static_cast<client&>(each.handler()).is_leaving()) next_.push_back(each.id());
  });
  for (const uint64_t id : std::exchange(next_, {})) {
    if (client* who = lane_.find(id)) who->close_for_drain();
  }
  lane_.flush();
}

void leaving::cancel() {
  next_.clear();
  for (const one& each : std::exchange(leaving_, {})) {
    if (client* who = lane_.find(each.conn)) who->leave_soon(false);
  }
}

}  // namespace tern::gateway
