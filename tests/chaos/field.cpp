// What the cases do to nodes and ask of them.
#include <signal.h>

#include <cstdlib>
#include <thread>

#include "tests/chaos/stage.hpp"

namespace tern::chaos {

using namespace std::chrono_literals;

namespace {

constexpr auto scrape_limit = 2s;
constexpr auto drain_limit = 40s;
constexpr auto ready_limit = 30s;
constexpr auto crowd_limit = 180s;

}  // namespace

double sum_of(const std::string& page, const std::string& name, const std::string& label) {
  double sum = 0;
  size_t at = 0;
  while (at < page.size()) {
    auto end = page.find('\n', at);
    if (end == std::string::npos) end = page.size();
    const std::string_view line(page.data() + at, end - at);
    at = end + 1;
    if (!line.starts_with(name) || line.size() <= name.size()) continue;
    const char next = line[name.size()];
    if (next != ' ' && next != '{') continue;
    if (!label.empty() && line.find(label) == std::string_view::npos) continue;
    sum += std::strtod(line.data() + line.rfind(' ') + 1, nullptr);
  }
  return sum;
}

void field::expect(bool holds, const std::string& what) {
  if (!holds) out.failures.push_back(what);
}

double field::metric(const std::string& node, const std::string& name, const std::string& label) {
  return sum_of(scrape(node), name, label);
}

std::string field::scrape(const std::string& node) {
  const auto& which = nodes.node(node);
  auto page = client::http_get({which.host, which.metrics_port}, "/metrics", scrape_limit);
  return page.status == 200 ? std::move(page.body) : std::string{};
}

double field::metric_of_all(const std::string& service, const std::string& name, const std::string& label) {
  double sum = 0;
  for (auto& node : nodes.nodes()) {
    if (node.service == service && node.child.running()) sum += metric(node.name, name, label);
  }
  return sum;
}

std::string field::leader() {
  for (auto& node : nodes.nodes()) {
    if (node.service != "routing" || !node.child.running()) continue;
    if (metric(node.name, "tern_routing_leader") > 0) return node.name;
  }
  return {};
}

std::optional<double> field::wait_leader(const std::string& old, std::chrono::milliseconds limit) {
  const auto began = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - began < limit) {
    for (auto& node : nodes.nodes()) {
      if (node.service != "routing" || node.name == old || !node.child.running()) continue;
      if (metric(node.name, "tern_routing_leader") > 0) {
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
      }
    }
    std::this_thread::sleep_for(50ms);
  }
  return std::nullopt;
}

double field::drain(const std::string& node) {
  auto& child = nodes.node(node).child;
  const auto began = std::chrono::steady_clock::now();
  child.signal(SIGTERM);
  const bool ended = child.wait(drain_limit);
  expect(ended && child.exit_code() == 0,
         node + (ended ? " ended with code " + std::to_string(child.exit_code()) : " did not end"));
  if (!ended) child.stop(0ms, SIGKILL);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}

void field::restart(const std::string& node) {
  expect(static_cast<bool>(nodes.restart(node)), node + " cannot be started");
  expect(nodes.wait_ready(node, ready_limit), node + " is not ready again:\n" + nodes.log_tail(node, 5));
}

void field::stop_and_continue(const std::string& node, std::chrono::milliseconds length) {
  nodes.node(node).child.signal(SIGSTOP);
  std::this_thread::sleep_for(length);
  nodes.node(node).child.signal(SIGCONT);
}

void field::bring(crowd_options how) {
  if (how.gateways.empty()) how.gateways = nodes.gateways();
  how.prefix = "crowd" + std::to_string(std::hash<std::string>{}(out.name) % 10'000) + "x";
  others = std::make_unique<crowd>(std::move(how));
  const auto ready = others->start(crowd_limit);
  expect(static_cast<bool>(ready), ready ? "" : ready.error().detail);
}

}  // namespace tern::chaos
