#include "libs/app/runtime_metrics.hpp"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "libs/actor/type_tally.hpp"
#include "libs/metrics/metrics.hpp"
#include "libs/metrics/pulled.hpp"
#include "libs/rpc/call_tally.hpp"

namespace tern::app {
namespace {

using pulled_times = metrics::pulled_histogram<metrics::second_bounds.size()>;
using pulled_depths = metrics::pulled_histogram<metrics::depth_bounds.size()>;
using steady = std::chrono::steady_clock;

/// Types with the same name are one series.
struct followed_type {
  actor::type_tally* of = nullptr;
  metrics::pulled_counter messages;
  pulled_times wait;
  pulled_depths depth;
};

class actor_series {
 public:
  explicit actor_series(metrics::registry& into) {
    for (auto* each = actor::type_tally::first().load(); each != nullptr; each = each->next) {
      const metrics::labels type{{"type", each->type}};
      alive_[each->type] = into.gauge("tern_actors", "actors in memory by type", type);
      followed_type one;
      one.of = each;
      one.messages =
          metrics::pulled_counter(into.counter("tern_actor_messages_total", "messages handled by actors", type));
      one.wait =
          pulled_times(into.histogram("tern_mailbox_wait_seconds", "time in an actor's mailbox, of one message in 32",
                                      metrics::latency_buckets(), type));
      one.depth =
          pulled_depths(into.histogram("tern_mailbox_depth", "messages of a mailbox before a new one, of one in 32",
                                       {metrics::depth_bounds.begin(), metrics::depth_bounds.end()}, type));
      types_.push_back(one);
    }
  }
  void refresh() {
    std::map<std::string, int64_t> alive;
    for (auto& one : types_) {
      alive[one.of->type] += one.of->alive.load(std::memory_order_relaxed);
      one.messages.reach(static_cast<double>(one.of->messages.read()));
      one.wait.reach(one.of->wait);
      one.depth.reach(one.of->depth);
    }
    for (const auto& [type, count] : alive) alive_[type].set(static_cast<double>(count));
  }

 private:
  std::vector<followed_type> types_;
  std::map<std::string, metrics::gauge> alive_;
};

/// One end of the gRPC streams, under the names that other gRPC libraries use.
class call_series {
 public:
  call_series(metrics::registry& into, const std::string& end, rpc::call_tallies& of) : of_(of) {
    const std::string prefix = "grpc_" + end + "_";
    for (const auto& each : of) {
      metrics::labels who{{"grpc_type", "bidi_stream"}, {"grpc_service", each.service}, {"grpc_method", each.method}};
      followed one;
      one.started = metrics::pulled_counter(into.counter(prefix + "started_total", "streams begun", who));
      one.received = metrics::pulled_counter(
          into.counter(prefix + "msg_received_total", "messages (batches of items) received", who));
      one.sent =
          metrics::pulled_counter(into.counter(prefix + "msg_sent_total", "messages (batches of items) sent", who));
      for (const char* code : rpc::grpc_code_names) {
        who["grpc_code"] = code;
        one.handled.emplace_back(into.counter(prefix + "handled_total", "streams ended, by status", who));
      }
      all_.push_back(std::move(one));
    }
  }
  void refresh() {
    for (size_t i = 0; i < all_.size(); ++i) {
      all_[i].started.reach(static_cast<double>(of_[i].started.load()));
      all_[i].received.reach(static_cast<double>(of_[i].received.read()));
      all_[i].sent.reach(static_cast<double>(of_[i].sent.read()));
      for (size_t code = 0; code < all_[i].handled.size(); ++code) {
        all_[i].handled[code].reach(static_cast<double>(of_[i].handled[code].load()));
      }
    }
  }

 private:
  struct followed {
    metrics::pulled_counter started, received, sent;
    std::vector<metrics::pulled_counter> handled;
  };
  rpc::call_tallies& of_;
  std::vector<followed> all_;
};

/// Processor seconds of CAF's scheduler threads so far. CAF 0.17 names them "caf.multiplexer".
double scheduler_seconds() {
  double sum = 0;
  std::error_code ignored;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task", ignored)) {
    std::string name;
    std::getline(std::ifstream(task.path() / "comm"), name);
    if (name != "caf.multiplexer" && name != "caf.worker") continue;
    std::ifstream in(task.path() / "stat");
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    const auto close = text.rfind(')');
    if (close == std::string::npos) continue;
    std::istringstream rest(text.substr(close + 1));
    const std::vector<std::string> words{std::istream_iterator<std::string>(rest), {}};
    if (words.size() > 12) sum += std::strtod(words[11].c_str(), nullptr) + std::strtod(words[12].c_str(), nullptr);
  }
  return sum / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

/// Busy time of all scheduler threads between two scrapes, at least a second apart.
class utilization {
 public:
  utilization(metrics::registry& into, size_t threads)
      : ratio_(into.gauge("tern_scheduler_utilization_ratio",
                          "processor time of the actor threads since the last scrape, 1: all busy")),
        threads_(threads == 0 ? std::max(1U, std::thread::hardware_concurrency()) : threads) {}
  void refresh() {
    const auto now = steady::now();
    const double passed = std::chrono::duration<double>(now - at_).count();
    if (passed < 1) return;
    const double busy = scheduler_seconds();
    ratio_.set(std::clamp((busy - busy_) / (passed * static_cast<double>(threads_)), 0.0, 1.0));
    at_ = now;
    busy_ = busy;
  }

 private:
  metrics::gauge ratio_;
  size_t threads_;
  steady::time_point at_ = steady::now();
  double busy_ = 0;
};

}  // namespace

void add_runtime_metrics(metrics::registry& into, size_t actor_threads) {
  struct everything {
    everything(metrics::registry& to, size_t threads)
        : actors(to),
          served(to, "server", rpc::served_calls()),
          made(to, "client", rpc::made_calls()),
          scheduler(to, threads) {}
    std::mutex lock;  // scrapes may overlap
    actor_series actors;
    call_series served, made;
    utilization scheduler;
  };
  into.on_collect([all = std::make_shared<everything>(into, actor_threads)] {
    const std::lock_guard hold{all->lock};
    all->actors.refresh();
    all->served.refresh();
    all->made.refresh();
    all->scheduler.refresh();
  });
}

}  // namespace tern::app
