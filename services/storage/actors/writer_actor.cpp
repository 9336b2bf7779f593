// The shard writer: group commit driven by its mailbox. Detached, because the engine blocks in the database.
//
// A round takes what is queued; requests that arrive meanwhile wait in the mailbox, in front of the next round's
// message, so an idle shard commits at once and a busy one in batches as large as a commit is long.
#include <algorithm>
#include <chrono>
#include <utility>

#include "libs/log/log.hpp"
#include "services/storage/actors.hpp"
#include "services/storage/metrics.hpp"
#include "services/storage/shard_port.hpp"

namespace tern::storage {

using writer_self = actor::stateful<writer_state>;

namespace {

/// From the supervisor's thread, because who asks may be in the middle of sending.
template <class Items>
void abandon(const Items& items, const caf::actor& supervisor) {
  abandoned_message lost;
  for (const auto& item : items) {
    if (item.from && std::find(lost.streams.begin(), lost.streams.end(), item.from) == lost.streams.end()) {
      lost.streams.push_back(item.from);
    }
  }
  if (!lost.streams.empty() && supervisor) caf::anon_send(supervisor, std::move(lost));
}

const log::logger logger{"storage"};
constexpr std::chrono::milliseconds done_delay{20};

void schedule_round(writer_self* self) {
  auto& state = self->state;
  if (state.round_due || state.paused) return;
  state.round_due = true;
  self->send(self, round_message{});
}

void pause(writer_self* self) {
  auto& state = self->state;
  if (state.paused) return;
  state.paused = true;
  self->delayed_send(self, state.pause.next(), resume_message{});
}

/// Failures come several times a second while a database is away: the 1st, 2nd, 4th, 8th, … in a row are logged.
void report_failure(writer_self* self, const char* what, errc code, const std::string& detail) {
  auto& state = self->state;
  const uint64_t count = ++state.failures;
  if ((count & (count - 1)) != 0) return;
  logger.warn(
      what, {{"shard", state.setup.options.shard}, {"code", to_string(code)}, {"detail", detail}, {"times", count}});
}

void answer_all(writer_self* self, std::vector<answer>& answers) {
  if (answers.empty()) return;
  auto& setup = self->state.setup;
  setup.service_metrics->operations.observe(answers, setup.time->now());
  const size_t count = answers.size();
  send_answers(answers);
  // Behind them: a node that drains ends when nothing waits.
  if (setup.port) setup.port->answered(setup.options.epoch, count);
}

void announce(writer_self* self, bool open, bool stale) {
  auto& state = self->state;
  if (!stale && state.announced_open == open) return;
  state.announced_open = open;
  state.setup.metrics->up.set(open ? 1 : 0);
  const auto& options = state.setup.options;
  logger.info(open    ? "shard is served"
              : stale ? "shard belongs to another node"
                      : "database of the shard is away",
              {{"shard", options.shard}, {"epoch", options.epoch}});
  if (state.setup.supervisor) {
    self->send(state.setup.supervisor, shard_state_message{options.shard, options.epoch, open, stale});
  }
}

void finish(writer_self* self, bool stale) {
  if (!stale) self->state.engine->flush_done();
  auto answers = self->state.engine->refuse_all(errc::wrong_owner);
  answer_all(self, answers);
  if (stale) announce(self, false, true);
  self->state.setup.metrics->up.set(0);
  self->quit();
}

void count(writer_state& state, const round& done, double seconds) {
  auto& metrics = *state.setup.metrics;
  if (done.rows > 0) {
    metrics.commits.add(static_cast<double>(done.commits));
    metrics.commit_seconds.observe(seconds);
    metrics.batch_rows.observe(static_cast<double>(done.rows));
    metrics.messages.add(static_cast<double>(done.messages));
  }
  const uint64_t statements = state.engine->statements();
  metrics.statements.add(static_cast<double>(statements - state.statements_counted));
  state.statements_counted = statements;
  if (done.what != round::outcome::retry) return;
  const auto& reason = done.failure == errc::unavailable ? metrics.retries_unavailable
                       : done.failure == errc::deadline  ? metrics.retries_unknown
                                                         : metrics.retries_other;
  reason.add();
}

/// Between two batches. What a shard's other writes made of the range is not remembered here afterwards.
void run_task(writer_self* self, const std::shared_ptr<writer_task>& task) {
  auto& state = self->state;
  if (const auto done = task->work(state.engine->counters()); !done) {
    task->end(done);
    return;
  }
  self->send(state.setup.dispatcher, door_message{task});
  if (task->change.door == slot_door::open) self->send(state.setup.dispatcher, resync_message{});
  state.engine->forget(task->change.first, task->change.last);
}

void run_tasks(writer_self* self) {
  auto& state = self->state;
  if (state.tasks.empty()) return;
  std::vector<std::shared_ptr<writer_task>> due, later;
  for (auto& task : state.tasks) {
    if (task->given_up()) continue;
    const bool now = !task->behind_writes || state.engine->settled(task->change.first, task->change.last);
    (now ? due : later).push_back(std::move(task));
  }
  state.tasks = std::move(later);
  for (const auto& task : due) run_task(self, task);
}

void run_round(writer_self* self) {
  auto& state = self->state;
  state.round_due = false;
  if (state.paused) return;
  const auto begun = state.setup.time->now();
  auto done = state.engine->run();
  count(state, done, std::chrono::duration<double>(state.setup.time->now() - begun).count());
  // The dispatcher hears of a commit before the sender does: nothing waits for the answers to be written.
  if (done.resync) self->send(state.setup.dispatcher, resync_message{});
  if (!done.deliveries.empty()) {
    auto entries = std::make_shared<std::vector<session::v1::Delivery>>(std::move(done.deliveries));
    self->send(state.setup.dispatcher, committed_message{std::move(entries), state.setup.time->now()});
  }
  answer_all(self, done.answers);
  switch (done.what) {
    case round::outcome::stale: finish(self, true); return;
    case round::outcome::retry:
      report_failure(self, "database work failed, trying again", done.failure, done.detail);
      announce(self, false, false);
      pause(self);
      return;
    default:
      if (!state.engine->open()) return;
      run_tasks(self);
      state.pause.reset();
      state.failures = 0;
      announce(self, true, false);
      if (state.engine->waiting() > 0) schedule_round(self);
  }
}

/// After a failure, and at the start: opens the database even when nobody asks for anything.
void resume(writer_self* self) {
  auto& state = self->state;
  state.paused = false;
  auto opened = state.engine->ensure_open();
  if (opened) {
    announce(self, true, false);
    run_tasks(self);
    schedule_round(self);
  } else if (opened.code() == errc::stale_epoch) {
    finish(self, true);
  } else {
    report_failure(self, "database cannot be opened", opened.code(), opened.error().detail);
    auto late = state.engine->expire();
    answer_all(self, late);
    pause(self);
  }
}

void send_page(writer_self* self, uint64_t after) {
  constexpr size_t page_rows = 500;
  auto& state = self->state;
  page_message page;
  if (!state.paused) {
    auto rows = state.engine->scan(after, page_rows);
    if (rows) {
      page.last = rows->size() < page_rows;
      page.entries = std::make_shared<std::vector<session::v1::Delivery>>(std::move(*rows));
    } else {
      report_failure(self, "outbox cannot be read", rows.code(), rows.error().detail);
    }
  }
  self->send(state.setup.dispatcher, std::move(page));
}

void take_done(writer_self* self, const std::vector<uint64_t>& entries) {
  auto& state = self->state;
  state.engine->add_done(entries);
  if (state.engine->done_waiting() >= state.setup.options.done_rows) schedule_round(self);
  if (state.done_due) return;
  state.done_due = true;
  self->delayed_send(self, done_delay, done_due_message{});
}

}  // namespace

write_parcel::~write_parcel() { abandon(items, supervisor); }

writer_state::~writer_state() {
  if (engine) abandon(engine->items(), setup.supervisor);
}

caf::behavior writer_behavior(actor::stateful<writer_state>* self, writer_setup setup) {
  actor::set_common_handlers(self);
  auto& state = self->state;
  state.setup = std::move(setup);
  state.engine =
      std::make_unique<writer_engine>(state.setup.options, *state.setup.time, state.setup.open, state.setup.counters);
  state.paused = true;
  self->send(self, resume_message{});
  return {
      [self](write_message& m) {
        self->state.engine->add(std::move(m.parcel->items));
        schedule_round(self);
      },
      [self](task_message& m) {
        self->state.tasks.push_back(std::move(m.task));
        run_tasks(self);
      },
      [self](const round_message&) { run_round(self); },
      [self](const done_message& m) { take_done(self, *m.entries); },
      [self](const done_due_message&) {
        self->state.done_due = false;
        if (self->state.engine->done_waiting() > 0) schedule_round(self);
      },
      [self](const page_request& m) { send_page(self, m.after); },
      [self](const resume_message&) { resume(self); },
      [self](const stop_message&) { finish(self, false); },
  };
}

}  // namespace tern::storage
