#include "tests/protocol/server.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <fstream>
#include <sstream>

#include "libs/cluster/cluster.hpp"

namespace tern::testing {

using namespace std::chrono_literals;

namespace {

std::unique_ptr<server>& shared_one() {
  static std::unique_ptr<server> one;
  return one;
}

class after_all_tests final : public ::testing::Environment {
 public:
  void TearDown() override { server::stop_shared(); }
};

[[maybe_unused]] const ::testing::Environment* const registered =
    ::testing::AddGlobalTestEnvironment(new after_all_tests);

size_t resident_kib_of(pid_t pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/statm");
  size_t all = 0, resident = 0;
  in >> all >> resident;
  return resident * static_cast<size_t>(sysconf(_SC_PAGESIZE)) / 1024;
}

/// "name{labels} value" lines whose name is `wanted`, or whose name and labels are.
double sum_of(const std::string& page, const std::string& wanted) {
  double sum = 0;
  std::istringstream in(page);
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with(wanted) || line.size() <= wanted.size()) continue;
    const char next = line[wanted.size()];
    const size_t space = line.rfind(' ');
    if ((next != ' ' && next != '{') || space == std::string::npos) continue;
    sum += std::strtod(line.c_str() + space, nullptr);
  }
  return sum;
}

}  // namespace

std::string to_string(server_kind kind) { return kind == server_kind::ternd ? "ternd" : "cluster"; }

server_settings default_settings() {
  return {{"storage.login.hash_memory_kib", "64"},     {"storage.login.hash_passes", "1"},
          {"storage.login.address_failures", "10000"}, {"gateway.request_rate_per_second", "0"},
          {"gateway.max_bad_frames", "100"},           {"session.device_limit", "3"},
          {"session.devicetype_limit", "2"},           {"session.auth_min_interval_ms", "0"}};
}

server::server(server_kind kind, const server_settings& settings, size_t nodes) : kind_(kind) {
  if (kind == server_kind::ternd) {
    ternd_options options;
    for (const auto& [key, value] : settings) options.settings.push_back(key + "=" + value);
    auto made = ternd_process::start(options);
    if (!made) {
      problem_ = made.error().detail;
      return;
    }
    ternd_ = std::move(*made);
    ports_ = {ternd_->gateway().port};
    return;
  }
  cluster_options options;
  options.gateways = options.sessions = options.groups = options.storages = nodes;
  for (const auto& [key, value] : settings) options.settings[key.substr(0, key.find('.'))][key] = value;
  auto made = cluster::start(options);
  if (!made) {
    problem_ = made.error().detail;
    return;
  }
  cluster_ = std::move(*made);
  for (const auto& gateway : cluster_->gateways()) ports_.push_back(gateway.port);
}

server::~server() { stop(); }

server& server::shared(server_kind kind) {
  auto& one = shared_one();
  if (one && one->kind() != kind) one.reset();
  if (!one) one = std::make_unique<server>(kind, default_settings());
  return *one;
}

void server::stop_shared() { shared_one().reset(); }

std::string server::dead() {
  std::string names;
  if (ternd_ && !ternd_->child().running()) {
    names = "ternd (code " + std::to_string(ternd_->child().exit_code()) + ")";
  }
  if (cluster_) {
    for (auto& node : cluster_->nodes()) {
      if (!node.child.running()) names += node.name + " (code " + std::to_string(node.child.exit_code()) + ") ";
    }
  }
  return names;
}

size_t server::resident_kib() {
  if (ternd_) return resident_kib_of(ternd_->child().pid());
  size_t sum = 0;
  for (auto& node : cluster_->nodes()) sum += resident_kib_of(node.child.pid());
  return sum;
}

double server::metric(const std::string& name) {
  std::vector<uint16_t> ports;
  if (ternd_) ports.push_back(ternd_->metrics_port());
  if (cluster_) {
    for (auto& node : cluster_->nodes()) ports.push_back(node.metrics_port);
  }
  double sum = 0;
  for (const uint16_t port : ports) sum += sum_of(client::http_get({"127.0.0.1", port}, "/metrics").body, name);
  return sum;
}

std::string server::logs() {
  std::string text;
  if (cluster_) {
    for (auto& node : cluster_->nodes()) text += "--- " + node.name + "\n" + cluster_->log_tail(node.name, 6);
  }
  return text;
}

void server::stop() {
  if (ternd_) {
    EXPECT_EQ(ternd_->child().stop(30s, SIGTERM), 0) << "ternd did not end cleanly";
    ternd_.reset();
  }
  if (cluster_) {
    for (const auto& name : cluster_->stop()) ADD_FAILURE() << name << " did not end cleanly";
    cluster_.reset();
  }
  ports_.clear();
}

server& own_server::of(server_kind kind, const server_settings& more) {
  if (!one_ || one_->kind() != kind || settings_ != more) {
    one_.reset();
    auto settings = default_settings();
    for (const auto& [key, value] : more) settings[key] = value;
    one_ = std::make_unique<server>(kind, settings);
    settings_ = more;
  }
  return *one_;
}

}  // namespace tern::testing
