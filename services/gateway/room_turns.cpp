#include "services/gateway/room_turns.hpp"

#include <algorithm>

#include "services/gateway/client.hpp"

namespace tern::gateway {

namespace {

constexpr size_t low_bits(uint64_t conn) noexcept { return conn & 0xFFFFU; }

}  // namespace

void room_turns::add(link_handle stream, const room_frame::message_ptr& message, std::span<const uint64_t> conns,
                     std::shared_ptr<std::atomic<size_t>> coming) {
  // Several messages that wait together leave in one write per terminal; a single one is written without a detour.
  const bool alone = !coming || coming->fetch_sub(1, std::memory_order_relaxed) == 1;
  const std::pair of{stream, message->room()};
  bool whole = std::find(together_.begin(), together_.end(), of) != together_.end();
  if (const auto earlier = find(stream, message->room()); earlier != waiting_.end()) {
    step(**earlier, SIZE_MAX, false);
    waiting_.erase(earlier);
    whole = true;
    together_.push_back(of);
  }
  if (alone) together_.clear();
  room_frame frame(message, lane_.shared().milliseconds(), alone && !whole);
  const size_t now = whole ? conns.size() : std::min(conns.size(), per_turn);
  const size_t given = give(stream, frame, conns.first(now));
  if (now == conns.size()) return end(frame, given);

  conns = conns.subspan(now);
  auto made = std::make_unique<fan_out>(
      fan_out{stream, std::move(frame), {conns.begin(), conns.end()}, std::move(coming), {}, 0, given});
  for (const uint64_t conn : made->conns) made->those.set(low_bits(conn));
  waiting_.push_back(std::move(made));
  while (waiting_.size() > 1 && (waiting_.size() > most_messages || terminals() > most_terminals)) {
    step(*waiting_.front(), SIZE_MAX, false);
    waiting_.pop_front();
  }
  kick();
}

void room_turns::before(link_handle stream, uint64_t conn) {
  for (const auto& one : waiting_) {
    if (one->stream != stream || !one->those.test(low_bits(conn))) continue;
    const auto found = std::find(one->conns.begin() + static_cast<ptrdiff_t>(one->next), one->conns.end(), conn);
    if (found == one->conns.end()) continue;
    one->frame.set_turn(lane_.shared().milliseconds(), false);
    one->given += give(stream, one->frame, {&conn, 1});
    *found = 0;
  }
}

void room_turns::on_link_down(link_handle stream) {
  for (const auto& one : waiting_) {
    if (one->stream != stream) continue;
    lane_.shared().metrics.rejected_generation.add(static_cast<double>(one->left()));
    end(one->frame, one->given);
  }
  std::erase_if(waiting_, [&](const auto& one) { return one->stream == stream; });
}

size_t room_turns::give(link_handle stream, room_frame& frame, std::span<const uint64_t> conns) {
  size_t given = 0;
  for (const uint64_t conn : conns) {
    client* who = conn == 0 ? nullptr : lane_.addressee(stream, conn);
    if (who != nullptr && who->on_room(frame)) ++given;
  }
  return given;
}

void room_turns::step(fan_out& one, size_t most, bool at_once) {
  const size_t count = std::min(most, one.left());
  one.frame.set_turn(lane_.shared().milliseconds(), at_once);
  one.given += give(one.stream, one.frame, std::span(one.conns).subspan(one.next, count));
  one.next += count;
  if (one.left() == 0) end(one.frame, one.given);
}

void room_turns::end(const room_frame& frame, size_t given) const {
  if (given == 0) return;
  core& shared = lane_.shared();
  shared.metrics.room_frames.add(static_cast<double>(given));
  if (frame.trace() != 0) log::trace(frame.trace(), "gateway", "write");
  if (frame.accepted_ns() != 0) {
    const int64_t took = shared.time.wall_ns() - frame.accepted_ns();
    shared.metrics.room_fanout_seconds.observe(static_cast<double>(std::max<int64_t>(took, 0)) * 1e-9);
  }
}

room_turns::queue::iterator room_turns::find(link_handle stream, uint64_t room) {
  return std::find_if(waiting_.begin(), waiting_.end(),
                      [&](const auto& one) { return one->stream == stream && one->frame.room() == room; });
}

size_t room_turns::terminals() const noexcept {
  size_t sum = 0;
  for (const auto& one : waiting_) sum += one->left();
  return sum;
}

void room_turns::kick() {
  if (posted_ || waiting_.empty()) return;
  posted_ = true;
  lane_.post([this] {
    posted_ = false;
    turn();
    lane_.flush();
  });
}

void room_turns::turn() {
  if (waiting_.empty()) return;
  std::unique_ptr<fan_out> one = std::move(waiting_.front());
  waiting_.pop_front();
  step(*one, per_turn, !one->coming || one->coming->load(std::memory_order_relaxed) == 0);
  if (one->left() > 0) waiting_.push_back(std::move(one));
  kick();
}

}  // namespace tern::gateway
