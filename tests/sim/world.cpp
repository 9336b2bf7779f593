#include "tests/sim/world.hpp"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "tests/sim/membership_client.hpp"
#include "tests/sim/process.hpp"

namespace tern::sim {

using namespace std::chrono_literals;

namespace {

constexpr size_t violations_kept = 20;
/// A step at one instant beyond this is a loop that never ends.
constexpr uint64_t steps_at_one_time = 2'000'000;
/// Something due so soon may overtake actors that could run now.
constexpr duration overlap = 300us;

}  // namespace

// ---- host --------------------------------------------------------------------------------------------------------

void host::pause() {
  paused_ = true;
  world_.trace("%s stopped", name.c_str());
}

void host::resume() {
  if (!paused_) return;
  paused_ = false;
  world_.trace("%s goes on", name.c_str());
  auto held = std::exchange(held_, {});
  for (auto& [of, work] : held) {
    // Each at its own instant, so that actors run in between as they like.
    world_.after(world_.random().between(0us, 500us), [this, of = of, work = std::move(work)] { run(of, work); });
  }
}

void host::run(uint64_t of, std::function<void()> work) {
  if (!up() || of != life) return;
  if (paused_) {
    held_.emplace_back(of, std::move(work));
    return;
  }
  running->sync();
  work();
}

// ---- process -----------------------------------------------------------------------------------------------------

process::process(host& on)
    : host_(on),
      actors_(std::make_unique<caf::actor_system>(config_)),
      scheduler_(dynamic_cast<caf::scheduler::test_coordinator&>(actors_->scheduler())),
      synced_(on.in().now()) {}

process::~process() {
  settle();
  scheduler_.clock().cancel_all();
  settle();
  actors_.reset();
}

void process::take_map(const placement::snapshot_ptr& current, referee& watch) {
  if (current->version <= map_version_) return;
  map_version_ = current->version;
  watch.mapped(host_, *current);
  on_map(current);
}

void process::sync() {
  const duration now = host_.in().now();
  if (now == synced_) return;
  scheduler_.advance_time(now - synced_);
  synced_ = now;
}

void process::work(size_t which) {
  sync();
  auto& jobs = scheduler_.jobs;
  if (which > 0)
    std::rotate(jobs.begin(), jobs.begin() + static_cast<std::ptrdiff_t>(which),
                jobs.begin() + static_cast<std::ptrdiff_t>(which) + 1);
  scheduler_.run_once();
}

void process::settle() {
  while (scheduler_.has_job()) scheduler_.run_once();
}

std::optional<duration> process::next_timer() {
  const auto& due = scheduler_.clock().schedule();
  if (due.empty()) return std::nullopt;
  return synced_ + std::max<duration>(due.begin()->first - scheduler_.clock().current_time, duration{0});
}

// ---- world -------------------------------------------------------------------------------------------------------

world::world(uint64_t seed, bool show) : dice_(seed), show_(show) {}

world::~world() = default;

void world::after(duration delay, std::function<void()> what) {
  events_.push({now_ + delay, ++orders_, std::move(what)});
}

host& world::add(const std::string& name) {
  hosts_.push_back(std::make_unique<host>(*this, name, hosts_.size()));
  return *hosts_.back();
}

host* world::find(const std::string& name) noexcept {
  for (auto& each : hosts_) {
    if (each->name == name) return each.get();
  }
  return nullptr;
}

std::vector<host*> world::hosts() {
  std::vector<host*> out;
  for (auto& each : hosts_) out.push_back(each.get());
  return out;
}

void world::move_to(duration due) {
  if (due <= now_) return;
  clock_.advance(due - now_);
  now_ = due;
  at_one_time_ = 0;
}

bool world::work_on_some_host() {
  size_t jobs = 0;
  for (auto& each : hosts_) {
    if (each->up() && !each->paused()) jobs += each->running->jobs();
  }
  if (jobs == 0) return false;
  const bool overtaken = !events_.empty() && events_.top().due - now_ < overlap && dice_.chance(0.1);
  if (overtaken) return false;
  size_t which = dice_.below(jobs);
  for (auto& each : hosts_) {
    if (!each->up() || each->paused()) continue;
    if (which < each->running->jobs()) {
      each->running->work(which);
      return true;
    }
    which -= each->running->jobs();
  }
  return false;
}

bool world::step() {
  ++steps_;
  if (++at_one_time_ > steps_at_one_time) {
    violation("no end of steps at one instant");
    return false;
  }
  if (work_on_some_host()) return true;
  host* timed = nullptr;
  duration first = events_.empty() ? duration::max() : events_.top().due;
  for (auto& each : hosts_) {
    if (!each->up() || each->paused()) continue;
    const auto due = each->running->next_timer();
    if (due && *due < first) {
      first = *due;
      timed = each.get();
    }
  }
  if (first == duration::max()) return false;
  move_to(first);
  if (timed != nullptr) {
    timed->running->sync();
    return true;
  }
  auto what = std::move(const_cast<event&>(events_.top()).what);
  events_.pop();
  what();
  return true;
}

void world::run_for(duration length) {
  bool over = false;
  after(length, [&over] { over = true; });
  while (!over && violations_.size() < violations_kept && step()) {
  }
}

void world::trace(const char* format, ...) {
  char line[512];
  va_list list;
  va_start(list, format);
  const int size = std::vsnprintf(line, sizeof line, format, list);
  va_end(list);
  for (int i = 0; i < size && i < static_cast<int>(sizeof line) - 1; ++i) {
    digest_ = (digest_ ^ static_cast<unsigned char>(line[i])) * 1099511628211ULL;
  }
  digest_ = (digest_ ^ static_cast<uint64_t>(now_.count())) * 1099511628211ULL;
  if (show_) std::printf("%12.6f %s\n", std::chrono::duration<double>(now_).count(), line);
}

void world::violation(std::string what) {
  trace("VIOLATION %s", what.c_str());
  if (violations_.size() < violations_kept) violations_.push_back(std::move(what));
}

}  // namespace tern::sim
