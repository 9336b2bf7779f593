#include "libs/app/health.hpp"

namespace tern::app {

void health_state::set_ready(const std::string& condition, bool ready, const std::string& why) {
  const std::lock_guard hold{lock_};
  conditions_[condition] = {ready, why};
}

void health_state::add_liveness(const std::string& name, std::function<bool()> probe) {
  const std::lock_guard hold{lock_};
  probes_.emplace_back(name, std::move(probe));
}

void health_state::add_dependency(dependency what) {
  const std::lock_guard hold{lock_};
  dependencies_.push_back(std::move(what));
}

bool health_state::started() const {
  const std::lock_guard hold{lock_};
  return started_;
}

bool health_state::draining() const {
  const std::lock_guard hold{lock_};
  return draining_;
}

std::vector<health_state::condition_state> health_state::conditions() const {
  const std::lock_guard hold{lock_};
  std::vector<condition_state> all;
  for (const auto& [name, it] : conditions_) all.push_back({name, it.ready, it.why});
  return all;
}

std::vector<dependency> health_state::dependencies() const {
  const std::lock_guard hold{lock_};
  return dependencies_;
}

void health_state::set_started() {
  const std::lock_guard hold{lock_};
  started_ = true;
}

void health_state::set_draining() {
  const std::lock_guard hold{lock_};
  draining_ = true;
}

void health_state::clear_liveness() {
  const std::lock_guard hold{lock_};
  probes_.clear();
}

health_report health_state::startup() const {
  const std::lock_guard hold{lock_};
  return {started_, started_ ? "started\n" : "starting\n"};
}

health_report health_state::ready() const {
  const std::lock_guard hold{lock_};
  health_report out{started_ && !draining_, ""};
  if (!started_) out.text += "starting\n";
  if (draining_) out.text += "draining\n";
  for (const auto& [name, it] : conditions_) {
    if (it.ready) continue;
    out.good = false;
    out.text += name + ": " + (it.why.empty() ? "not ready" : it.why) + "\n";
  }
  if (out.good) out.text = "ready\n";
  return out;
}

health_report health_state::live() const {
  std::vector<std::pair<std::string, std::function<bool()>>> probes;
  {
    const std::lock_guard hold{lock_};
    probes = probes_;
  }
  health_report out{true, ""};
  for (const auto& [name, probe] : probes) {
    if (probe()) continue;
    out.good = false;
    out.text += name + ": no sign of life\n";
  }
  if (out.good) out.text = "alive\n";
  return out;
}

}  // namespace tern::app
