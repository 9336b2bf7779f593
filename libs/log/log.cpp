#include "libs/log/log.hpp"

#include <spdlog/async.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <deque>
#include <memory>
#include <mutex>

#include "libs/base/clock.hpp"
#include "libs/log/line.hpp"

namespace tern::log {
namespace {

constexpr size_t queue_lines = 8192;
constexpr size_t recent_lines = 2000;
constexpr size_t recent_bytes = 512U << 10U;

std::atomic<level> least{level::info};

/// Where lines go. Replaced as a whole by init() and shutdown(); writers keep the one they took alive.
struct output {
  options how;
  std::shared_ptr<spdlog::details::thread_pool> pool;  // before the logger, which refers to it
  std::shared_ptr<spdlog::logger> logger;
};

std::shared_ptr<output> make_output(const options& how, bool queued) {
  auto out = std::make_shared<output>();
  out->how = how;
  auto sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  sink->set_pattern("%v");
  if (queued) {
    out->pool = std::make_shared<spdlog::details::thread_pool>(queue_lines, 1);
    out->logger = std::make_shared<spdlog::async_logger>("tern", sink, out->pool,
                                                         spdlog::async_overflow_policy::overrun_oldest);
  } else {
    out->logger = std::make_shared<spdlog::logger>("tern", sink);
  }
  out->logger->set_level(spdlog::level::trace);
  return out;
}

/// The newest lines, for whoever asks a running process. Thread-safe.
class ring {
 public:
  void add(std::string text) {
    const std::lock_guard hold{lock_};
    bytes_ += text.size();
    lines_.push_back(std::move(text));
    while (lines_.size() > recent_lines || bytes_ > recent_bytes) {
      bytes_ -= lines_.front().size();
      lines_.pop_front();
    }
  }
  std::vector<std::string> all() const {
    const std::lock_guard hold{lock_};
    return {lines_.begin(), lines_.end()};
  }

 private:
  mutable std::mutex lock_;
  std::deque<std::string> lines_;
  size_t bytes_ = 0;
};

/// Leaked on purpose: threads may log while static objects are destroyed.
struct global {
  ring last;
  std::mutex lock;
  std::shared_ptr<output> current = make_output({}, false);
  uint64_t dropped_before = 0;
};
global& state() {
  static auto* const instance = new global;
  return *instance;
}

std::shared_ptr<output> current() {
  const std::lock_guard hold{state().lock};
  return state().current;
}

uint64_t dropped_by(const output& out) { return out.pool ? out.pool->overrun_counter() : 0; }

void replace(std::shared_ptr<output> next) {
  const std::lock_guard hold{state().lock};
  state().dropped_before += dropped_by(*state().current);
  state().current.swap(next);
}

void put(line what, fields values) {
  try {
    const auto out = current();
    what.node = out->how.node;
    what.wall_ns = system_clock().wall_ns();
    auto text = out->how.json ? format_json(what, values) : format_text(what, values);
    out->logger->log(spdlog::level::info, spdlog::string_view_t{text});
    state().last.add(std::move(text));
  } catch (...) {  // a log line is never worth more than what it tells about
  }
}

}  // namespace

void init(const options& how) {
  least = how.least;
  replace(make_output(how, true));
}

void shutdown() { replace(make_output(current()->how, false)); }

uint64_t dropped() noexcept {
  const std::lock_guard hold{state().lock};
  return state().dropped_before + dropped_by(*state().current);
}

std::vector<std::string> recent() { return state().last.all(); }

bool enabled(level at) noexcept { return at >= least.load(std::memory_order_relaxed) && at != level::off; }

void write(level at, std::string_view service, std::string_view message, fields values) {
  line what;
  what.at = at;
  what.service = service;
  what.message = message;
  put(what, values);
}

void trace(uint64_t trace_id, std::string_view service, std::string_view stage, fields values) {
  if (trace_id == 0 || !enabled(level::info)) return;
  line what;
  what.service = service;
  what.message = "trace";
  what.trace_id = trace_id;
  what.stage = stage;
  put(what, values);
}

}  // namespace tern::log
