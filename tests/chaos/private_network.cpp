#include "tests/chaos/private_network.hpp"

#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <thread>

namespace tern::chaos {

using namespace std::chrono_literals;

namespace {

constexpr const char* ours = "10.91.0.1";
constexpr const char* all = "10.91.0.0/24";
constexpr size_t first_host = 10;

result<void> run(const std::vector<std::string>& command) {
  auto done = testing::run_program(command, {}, 10s);
  if (!done) return error{done.code(), command.front() + ": " + done.error().detail};
  return {};
}

std::string own_namespace(const std::string& pid) {
  char text[64] = {};
  const auto path = "/proc/" + pid + "/ns/net";
  return ::readlink(path.c_str(), text, sizeof text - 1) > 0 ? text : "";
}

}  // namespace

result<void> leave_for_private_network() {
  for (const std::vector<std::string>& tool :
       {std::vector<std::string>{"ip", "-V"}, {"iptables", "-V"}, {"nsenter", "-V"}, {"unshare", "-V"}}) {
    if (!run(tool)) return error{errc::unavailable, tool.front() + " is not there"};
  }
  if (::unshare(CLONE_NEWNET) != 0) {
    return error{errc::unavailable, std::string("no network namespace: ") + std::strerror(errno)};
  }
  return run({"ip", "link", "set", "lo", "up"});
}

result<std::unique_ptr<private_network>> private_network::make(const std::vector<std::string>& nodes) {
  std::unique_ptr<private_network> made(new private_network);
  if (::access("/sys/class/net/tern0", F_OK) == 0) (void)run({"ip", "link", "delete", "tern0"});
  if (auto done = run({"ip", "link", "add", "tern0", "type", "bridge"}); !done) return done.error();
  if (auto done = run({"ip", "address", "add", std::string(ours) + "/24", "dev", "tern0"}); !done) {
    return done.error();
  }
  if (auto done = run({"ip", "link", "set", "tern0", "up"}); !done) return done.error();
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (auto done = made->join(nodes[i], i); !done) return done.error();
  }
  return made;
}

result<void> private_network::join(const std::string& node, size_t number) {
  auto holder = testing::process::start({"unshare", "--net", "sleep", "infinity"}, {});
  if (!holder) return holder.error();
  const auto pid = std::to_string(holder->pid());
  const auto end = std::chrono::steady_clock::now() + 5s;
  while (own_namespace(pid) == own_namespace("self")) {
    if (std::chrono::steady_clock::now() > end) return error{errc::unavailable, "no namespace for " + node};
    std::this_thread::sleep_for(2ms);
  }
  const auto host = "10.91.0." + std::to_string(first_host + number);
  const auto outer = "tern-o" + std::to_string(number);
  const auto inner = "tern-i" + std::to_string(number);
  // The kernel takes its time with the namespace, and so the pair of links, of a cluster that has just ended.
  if (::access(("/sys/class/net/" + outer).c_str(), F_OK) == 0) (void)run({"ip", "link", "delete", outer});
  const std::vector<std::string> inside{"nsenter", "--net=/proc/" + pid + "/ns/net", "ip"};
  const auto in = [&](std::vector<std::string> arguments) {
    auto command = inside;
    command.insert(command.end(), arguments.begin(), arguments.end());
    return run(command);
  };
  for (const auto& step :
       {std::vector<std::string>{"ip", "link", "add", outer, "type", "veth", "peer", "name", inner},
        {"ip", "link", "set", inner, "netns", pid},
        {"ip", "link", "set", outer, "master", "tern0", "up"}}) {
    if (auto done = run(step); !done) return done;
  }
  for (const auto& step : {std::vector<std::string>{"link", "set", "lo", "up"},
                           {"address", "add", host + "/24", "dev", inner},
                           {"link", "set", inner, "up"}}) {
    if (auto done = in(step); !done) return done;
  }
  places_[node] = {host, std::move(*holder)};
  return {};
}

std::string private_network::host(const std::string& node) const { return places_.at(node).host; }

std::vector<std::string> private_network::nodes(const std::string& service) const {
  std::vector<std::string> names;
  for (const auto& [name, where] : places_) {
    if (name.starts_with(service + "-")) names.push_back(name);
  }
  return names;
}

std::vector<std::string> private_network::prefix(const std::string& node) const {
  return {"nsenter", "--net=/proc/" + std::to_string(places_.at(node).holder.pid()) + "/ns/net"};
}

result<void> private_network::rule(const std::string& node, const std::vector<std::string>& arguments) {
  auto command = prefix(node);
  command.insert(command.end(), {"iptables", "-w"});
  command.insert(command.end(), arguments.begin(), arguments.end());
  return run(command);
}

result<void> private_network::cut_one_way(const std::string& from, const std::string& to) {
  return rule(to, {"-A", "INPUT", "-s", host(from), "-j", "DROP"});
}

result<void> private_network::cut(const std::string& one, const std::string& other) {
  if (auto done = cut_one_way(one, other); !done) return done;
  return cut_one_way(other, one);
}

result<void> private_network::isolate(const std::string& node) {
  if (auto done = rule(node, {"-A", "INPUT", "-s", ours, "-j", "ACCEPT"}); !done) return done;
  if (auto done = rule(node, {"-A", "OUTPUT", "-d", ours, "-j", "ACCEPT"}); !done) return done;
  if (auto done = rule(node, {"-A", "INPUT", "-s", all, "!", "-i", "lo", "-j", "DROP"}); !done) return done;
  return rule(node, {"-A", "OUTPUT", "-d", all, "!", "-o", "lo", "-j", "DROP"});
}

result<void> private_network::reset(const std::string& one, const std::string& other) {
  const std::vector<std::string> refuse{"-j", "REJECT", "--reject-with", "tcp-reset"};
  for (const auto& [from, to] : {std::pair{one, other}, std::pair{other, one}}) {
    std::vector<std::string> arguments{"-A", "INPUT", "-p", "tcp", "-s", host(from)};
    arguments.insert(arguments.end(), refuse.begin(), refuse.end());
    if (auto done = rule(to, arguments); !done) return done;
  }
  return {};
}

result<void> private_network::lose(int percent) {
  const auto probability = std::to_string(percent / 100.0);
  for (const auto& [node, where] : places_) {
    if (auto done = rule(node, {"-A", "INPUT", "-s", ours, "-j", "ACCEPT"}); !done) return done;
    if (auto done = rule(node, {"-A", "INPUT", "-s", all, "!", "-i", "lo", "-m", "statistic", "--mode", "random",
                                "--probability", probability, "-j", "DROP"});
        !done) {
      return done;
    }
  }
  return {};
}

result<void> private_network::heal() {
  for (const auto& [node, where] : places_) {
    if (auto done = rule(node, {"-F"}); !done) return done;
  }
  return {};
}

}  // namespace tern::chaos
