// The dispatcher of a shard: brings outbox entries to the session nodes of their recipients and the confirmations to
// the writer. Never blocks.
#include <chrono>
#include <utility>

#include "libs/log/log.hpp"
#include "services/storage/actors.hpp"
#include "services/storage/metrics.hpp"

namespace tern::storage {
namespace {

using dispatcher_self = actor::stateful<dispatcher_state>;
constexpr std::chrono::milliseconds pump_delay{20};

/// Of two epochs' dispatchers the older one may run for a moment more: it says nothing.
void report(dispatcher_state& state) {
  auto& metrics = *state.setup.metrics;
  if (state.setup.epoch < metrics.dispatching) return;
  metrics.outbox_rows.set(static_cast<double>(state.window.size()));
  metrics.outbox_behind.set(state.window.behind() ? 1 : 0);
  const int64_t oldest = state.window.oldest_accepted_ns();
  const int64_t age_ns = oldest == 0 ? 0 : state.setup.time->wall_ns() - oldest;
  metrics.outbox_oldest_seconds.set(age_ns > 0 ? static_cast<double>(age_ns) * 1e-9 : 0);
}

void confirm(dispatcher_self* self, std::vector<uint64_t>&& entries) {
  auto& state = self->state;
  if (entries.empty() || !state.writer) return;
  state.setup.metrics->confirmed.add(static_cast<double>(entries.size()));
  self->send(state.writer, done_message{std::make_shared<std::vector<uint64_t>>(std::move(entries))});
}

/// One message in so many is measured from its commit until it is sent. Those that never are, since they are recalled
/// or behind, are forgotten when they are many.
void measure(dispatcher_state& state, const std::vector<session::v1::Delivery>& entries,
             clock::time_point committed) {
  constexpr size_t most = 1024;
  if (state.measured.size() > most) state.measured.clear();
  for (const auto& one : entries) {
    if (one.has_message() && metrics::stage_sampled<metrics::stage::dispatch>())
      state.measured.emplace(one.entry(), committed);
  }
}

void measured(dispatcher_state& state, uint64_t entry) {
  const auto at = state.measured.find(entry);
  if (at == state.measured.end()) return;
  state.setup.metrics->dispatch_stage.observe(
      std::chrono::duration<double>(state.setup.time->now() - at->second).count());
  state.measured.erase(at);
}

void pump(dispatcher_self* self, std::vector<uint64_t>&& deletable = {}) {
  auto& state = self->state;
  size_t sent = 0;
  const auto on_sent = [&](const session::v1::Delivery& what) {
    ++sent;
    if (!state.measured.empty()) measured(state, what.entry());
    if (what.trace() != 0) log::trace(what.trace(), "storage", "dispatch");
  };
  bool again = state.window.pump(state.setup.time->now(), deletable, on_sent);
  if (sent > 0) state.setup.metrics->dispatched.add(static_cast<double>(sent));
  confirm(self, std::move(deletable));
  if (state.writer && state.window.wants_page()) {
    state.window.page_asked();
    self->send(state.writer, page_request{state.window.position()});
  }
  report(state);
  if (!again || state.pump_due) return;
  state.pump_due = true;
  self->delayed_send(self, pump_delay, pump_message{});
}

void take_replies(dispatcher_self* self, const std::string& node,
                  const std::vector<session::v1::DeliveryReply>& items) {
  auto& state = self->state;
  std::vector<uint64_t> deletable;
  for (const auto& item : items) {
    if (item.epoch() != state.setup.epoch) continue;
    state.window.done(node, {item.done().begin(), item.done().end()}, deletable);
    if (item.wrong_owner().empty()) continue;
    state.setup.metrics->refused.add(item.wrong_owner_size());
    const std::vector<uint64_t> refused{item.wrong_owner().begin(), item.wrong_owner().end()};
    state.window.wrong_owner(node, refused, state.setup.time->now());
  }
  pump(self, std::move(deletable));
}

void take_page(dispatcher_self* self, const page_message& page) {
  auto& state = self->state;
  if (page.entries) {
    state.window.page(*page.entries, page.last);
    pump(self);
    return;
  }
  state.window.page_failed();
  state.pump_due = true;
  self->delayed_send(self, pump_delay * 5, pump_message{});
}

}  // namespace

caf::behavior dispatcher_behavior(actor::stateful<dispatcher_state>* self, dispatcher_setup setup) {
  actor::set_common_handlers(self);
  auto& state = self->state;
  state.setup = std::move(setup);
  auto& newest = state.setup.metrics->dispatching;
  for (uint64_t seen = newest; seen < state.setup.epoch && !newest.compare_exchange_weak(seen, state.setup.epoch);) {
  }
  state.window = dispatch_window(state.setup.options);
  state.window.map_changed(state.setup.map);
  return {
      [self](const writer_message& m) {
        self->state.writer = m.writer;
        pump(self);
      },
      [self](committed_message& m) {
        measure(self->state, *m.entries, m.committed);
        self->state.window.offer(*m.entries);
        pump(self);
      },
      [self](const page_message& m) { take_page(self, m); },
      [self](doors_message& m) { self->state.window.set_doors(std::move(m.doors)); },
      [self](const door_message& m) {
        self->state.window.set_door(m.task->change);
        m.task->end({});
        pump(self);
      },
      [self](const resync_message&) {
        self->state.window.fall_behind();
        pump(self);
      },
      [self](const map_message& m) {
        self->state.window.map_changed(m.map);
        pump(self);
      },
      [self](const stream_message& m) {
        if (m.out) {
          self->state.window.link_up(m.node, m.out);
        } else {
          self->state.window.link_down(m.node);
        }
        pump(self);
      },
      [self](const replies_message& m) { take_replies(self, m.node, *m.items); },
      [self](const pump_message&) {
        self->state.pump_due = false;
        self->state.window.page_retry();
        pump(self);
      },
      [self](const stop_message&) { self->quit(); },
  };
}

}  // namespace tern::storage
