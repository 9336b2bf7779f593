// tern-cluster: a local cluster of separate processes, with its own PostgreSQL and Redis servers, until Ctrl-C.
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "libs/cluster/cluster.hpp"

namespace {

constexpr const char* usage =
    "tern-cluster: runs a whole Tern cluster on this machine until Ctrl-C\n"
    "\n"
    "  --dir DIR          databases, configuration and logs (default ./tern-cluster; kept)\n"
    "  --bin DIR          where tern-gateway and the others are (default: beside this program)\n"
    "  --port N           clients of gateway-0; gateway-1 gets N+1, ... (default 5080)\n"
    "  --gateways N       gateway processes (default 2)\n"
    "  --sessions N       session processes (default 2)\n"
    "  --groups N         group processes (default 1)\n"
    "  --routings N       routing processes, one of which leads (default 1)\n"
    "  --storages N       storage processes (default 2)\n"
    "  --databases N      PostgreSQL servers, one shard each (default 2)\n"
    "  --no-redis         without Redis\n"
    "  --no-storage       nothing is stored: no databases, no storage processes (session.storage=none)\n"
    "  --set KEY=VALUE    a configuration key for the services that know it; \"session:KEY=VALUE\" for one of them,\n"
    "                     \"session-1:KEY=VALUE\" for one node\n"
    "  --help\n";

bool to_count(const char* text, size_t least, size_t most, size_t& target) {
  char* end = nullptr;
  const auto value = std::strtoul(text, &end, 10);
  if (end == text || *end != 0 || value < least || value > most) return false;
  target = value;
  return true;
}

/// Splits "[service:]key=value" into the options; false when there is no '='.
bool add_setting(const std::string& text, tern::testing::cluster_options& how) {
  const auto equals = text.find('=');
  if (equals == std::string::npos) return false;
  auto key = text.substr(0, equals);
  const auto colon = key.find(':');
  auto service = colon == std::string::npos ? key.substr(0, key.find('.')) : key.substr(0, colon);
  if (colon != std::string::npos) key = key.substr(colon + 1);
  const auto kind = colon == std::string::npos ? service : service.substr(0, service.find('-'));
  const bool known =
      kind == "gateway" || kind == "session" || kind == "routing" || kind == "group" || kind == "storage";
  how.settings[known ? service : ""][key] = text.substr(equals + 1);
  return true;
}

int parse(int argc, char** argv, tern::testing::cluster_options& how, size_t& port) {
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    const char* value = i + 1 < argc ? argv[i + 1] : "";
    bool good = true;
    if (flag == "--help") {
      std::fputs(usage, stdout);
      return 0;
    }
    if (flag == "--no-redis") {
      how.redis = false;
      continue;
    }
    if (flag == "--no-storage") {
      how.databases = 0;
      continue;
    }
    if (flag == "--dir") {
      how.directory = value;
    } else if (flag == "--bin") {
      how.binaries = value;
    } else if (flag == "--port") {
      good = to_count(value, 1, 65000, port);
    } else if (flag == "--gateways") {
      good = to_count(value, 1, 16, how.gateways);
    } else if (flag == "--sessions") {
      good = to_count(value, 1, 16, how.sessions);
    } else if (flag == "--groups") {
      good = to_count(value, 1, 16, how.groups);
    } else if (flag == "--routings") {
      good = to_count(value, 1, 16, how.routings);
    } else if (flag == "--storages") {
      good = to_count(value, 1, 16, how.storages);
    } else if (flag == "--databases") {
      good = to_count(value, 1, 16, how.databases);
    } else if (flag == "--set") {
      good = add_setting(value, how);
    } else {
      good = false;
    }
    if (!good || *value == 0) {
      std::fprintf(stderr, "tern-cluster: %s %s is not understood; see --help\n", flag.c_str(), value);
      return 2;
    }
    ++i;
  }
  return -1;
}

std::string own_directory() {
  std::string path(4096, '\0');
  const auto size = readlink("/proc/self/exe", path.data(), path.size());
  path.resize(size > 0 ? static_cast<size_t>(size) : 0);
  return path.substr(0, path.rfind('/'));
}

/// Waits for SIGINT or SIGTERM; tells of nodes that end meanwhile.
void wait_for_end(tern::testing::cluster& running, int signals) {
  std::map<std::string, bool> told;
  for (;;) {
    pollfd ready{signals, POLLIN, 0};
    if (poll(&ready, 1, 500) > 0) return;
    for (auto& node : running.nodes()) {
      if (node.child.running() || told[node.name]) continue;
      told[node.name] = true;
      std::printf("%s ended with code %d; its log: %s\n", node.name.c_str(), node.child.exit_code(),
                  node.log_file.c_str());
      std::fflush(stdout);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  tern::testing::cluster_options how;
  how.directory = "./tern-cluster";
  how.binaries = own_directory();
  size_t port = 5080;
  if (const int code = parse(argc, argv, how, port); code >= 0) return code;
  how.first_port = static_cast<uint16_t>(port);
  how.progress = [](const std::string& line) {
    std::printf("%s\n", line.c_str());
    std::fflush(stdout);
  };
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGINT);
  sigaddset(&ends, SIGTERM);
  sigprocmask(SIG_BLOCK, &ends, nullptr);
  const int signals = signalfd(-1, &ends, SFD_CLOEXEC);
  auto running = tern::testing::cluster::start(how);
  if (!running) {
    std::fprintf(stderr, "tern-cluster: %s\n", running.error().detail.c_str());
    return 1;
  }
  std::printf("\n%s\nopen %s in two browser windows to chat; Ctrl-C stops it all\n", (*running)->describe().c_str(),
              ("http://127.0.0.1:" + std::to_string(how.first_port) + "/").c_str());
  std::fflush(stdout);
  wait_for_end(**running, signals);
  std::printf("\nstopping\n");
  std::fflush(stdout);
  const auto unclean = (*running)->stop();
  for (const auto& name : unclean) std::fprintf(stderr, "%s did not stop cleanly\n", name.c_str());
  return unclean.empty() ? 0 : 1;
}
