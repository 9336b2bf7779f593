// Readiness and liveness of one process, as /readyz, /livez and /startupz report it.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "libs/app/service.hpp"

namespace tern::app {

/// What a probe answers: the body names each thing that is not well, one per line.
struct health_report {
  bool good = false;
  std::string text;
};

/// Thread-safe. Liveness probes run on the caller's thread, outside of the lock.
class health_state final : public health {
 public:
  void set_ready(const std::string& condition, bool ready, const std::string& why = {}) override;
  void add_liveness(const std::string& name, std::function<bool()> probe) override;

  void add_dependency(dependency what) override;

  /// All services have been started.
  void set_started();
  /// Draining: never ready again.
  void set_draining();
  /// The probes refer to services: forget them before these are destroyed.
  void clear_liveness();

  health_report startup() const;
  health_report ready() const;
  health_report live() const;

  struct condition_state {
    std::string name;
    bool ready = false;
    std::string why;
  };
  bool started() const;
  bool draining() const;
  std::vector<condition_state> conditions() const;
  std::vector<dependency> dependencies() const;

 private:
  struct state_of {
    bool ready = false;
    std::string why;
  };
  mutable std::mutex lock_;
  bool started_ = false;
  bool draining_ = false;
  std::map<std::string, state_of> conditions_;
  std::vector<std::pair<std::string, std::function<bool()>>> probes_;
  std::vector<dependency> dependencies_;
};

}  // namespace tern::app
