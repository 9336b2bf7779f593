// What /readyz and the dependencies say, as metrics: readiness, databases and Redis, certificates, disks.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace tern::metrics {
class registry;
}

namespace tern::app {

class health_state;

/// What is looked at beside health: certificates as {use, file}; an empty file is left out.
struct watched_files {
  std::vector<std::pair<std::string, std::string>> certificates;
};

/// Tries every dependency on a thread of its own, each `every`, because a probe waits for what may be broken. All
/// that it is given outlives it.
class watch {
 public:
  watch(metrics::registry& into, const health_state& health, watched_files files,
        std::chrono::milliseconds every = std::chrono::seconds(10));
  ~watch() { stop(); }
  watch(const watch&) = delete;
  watch& operator=(const watch&) = delete;
  /// Waits for the probe under way. Idempotent.
  void stop();

 private:
  void run();
  void look() const;
  void look_at_certificates() const;

  metrics::registry& into_;
  const health_state& health_;
  const watched_files files_;
  const std::chrono::milliseconds every_;
  std::mutex lock_;
  std::condition_variable wake_;
  bool stopped_ = false;
  std::thread thread_;
};

}  // namespace tern::app
