// Processes killed, stopped and drained; the cases of links and networks are in cases_links.cpp.
#include "tests/chaos/cases.hpp"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>

namespace tern::chaos {

using namespace std::chrono_literals;

namespace {

constexpr auto beyond_lease = 9s;

/// CPU seconds a process has used.
double cpu_seconds(pid_t pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/stat");
  std::string text((std::istreambuf_iterator<char>(in)), {});
  const auto name_end = text.rfind(')');
  if (name_end == std::string::npos) return 0;
  std::istringstream fields(text.substr(name_end + 2));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  double user = 0;
  double system = 0;
  fields >> user >> system;
  return (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

/// An upper bound of the p-th part of a histogram's observations, in milliseconds; 0 of none.
double bucket_quantile(const std::string& page, const std::string& name, double p) {
  const double all = sum_of(page, name + "_count");
  std::vector<double> bounds;
  for (size_t at = 0; (at = page.find(name + "_bucket{", at)) != std::string::npos; ++at) {
    const auto le = page.find("le=\"", at);
    bounds.push_back(std::strtod(page.c_str() + le + 4, nullptr));
  }
  std::sort(bounds.begin(), bounds.end());
  for (const auto bound : bounds) {
    double below = 0;
    for (size_t at = 0; (at = page.find(name + "_bucket{", at)) != std::string::npos; ++at) {
      const auto end = page.find('\n', at);
      const auto le = page.find("le=\"", at);
      if (std::strtod(page.c_str() + le + 4, nullptr) == bound) {
        below += std::strtod(page.c_str() + page.rfind(' ', end) + 1, nullptr);
      }
    }
    if (all > 0 && below >= p * all) return bound * 1000;
  }
  return 0;
}

/// What the source told last before it ended, and how long its sessions took to go.
struct departure {
  std::string page;
  double gone_s = 0;
};

departure watch_drain(field& at, const std::string& node) {
  departure out;
  auto& child = at.nodes.node(node).child;
  const auto began = std::chrono::steady_clock::now();
  const auto passed = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count(); };
  child.signal(SIGTERM);
  while (child.running() && passed() < 40) {
    auto page = at.scrape(node);
    if (!page.empty()) {
      if (out.gone_s == 0 && sum_of(page, "tern_session_terminals") == 0) out.gone_s = passed();
      out.page = std::move(page);
    }
    std::this_thread::sleep_for(10ms);
  }
  if (out.gone_s == 0) out.gone_s = passed();
  return out;
}

std::string whole(double value) { return std::to_string(std::llround(value)); }

/// Sessions per second, and per second of CPU that source and target spend beyond what traffic costs them.
void drain_session(field& at) {
  const std::string from = "session-0";
  const std::string to = "session-1";
  const double sessions = at.metric(from, "tern_session_sessions");
  const double terminals = at.metric(from, "tern_session_terminals");
  const auto target_before = at.scrape(to);
  const double seconds_before = cpu_seconds(at.nodes.node(to).child.pid());
  const auto began = std::chrono::steady_clock::now();
  const auto left = watch_drain(at, from);
  auto& child = at.nodes.node(from).child;
  const bool ended = child.wait(1ms);
  const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  at.expect(ended && child.exit_code() == 0, "session-0 did not end cleanly");
  if (!ended) at.kill(from);
  const double spent = cpu_seconds(at.nodes.node(to).child.pid()) - seconds_before;
  const auto target = at.scrape(to);
  const auto came = [&](const std::string& how) {
    const auto label = "\"" + how + "\"";
    return sum_of(target, "tern_session_moved_total", label) -
           sum_of(target_before, "tern_session_moved_total", label);
  };
  const double warm = came("warm");
  at.note("held " + whole(sessions) + " sessions with " + whole(terminals) + " terminals; " + whole(warm) +
          " arrived warm, " + whole(came("dropped")) + " dropped on arrival; sent " +
          whole(sum_of(left.page, "tern_session_moved_total", "\"sent\"")) + ", cold " +
          whole(sum_of(left.page, "tern_session_moved_total", "\"cold\"")) + " when last asked");
  at.figure({"drain", took, "s", 20, {}});
  at.figure({"sessions held", sessions, "", {}, static_cast<double>(at.size.moved) / 2});
  at.figure({"moved warm", sessions > 0 ? 100 * warm / sessions : 0, "%", {}, 95});
  // No more than all cores can have worked on it; clients and traffic had their share, too.
  const double cores = std::max(1U, std::thread::hardware_concurrency());
  at.figure({"moved per core", warm / std::max(left.gone_s, 0.001) / cores, "sessions/s at least", {}, 3000});
  at.note("the target used " + whole(spent * 1000) + " ms of CPU meanwhile, traffic included");
  if (sum_of(left.page, "tern_session_frozen_seconds_count") > 0) {
    at.figure({"frozen p99 within", bucket_quantile(left.page, "tern_session_frozen_seconds", 0.99), "ms", 50, {}});
    at.figure({"frozen max within", bucket_quantile(left.page, "tern_session_frozen_seconds", 1), "ms", 500, {}});
  }
  at.restart(from);
}

std::string seconds(double value) {
  std::ostringstream out;
  out.precision(2);
  out << std::fixed << value << " s";
  return out.str();
}

void drain_and_back(field& at, const std::string& node) {
  at.figure({"drain", at.drain(node), "s", 20, {}});
  at.restart(node);
}

void drain_group(field& at) {
  const auto came = [&] { return at.metric("group-1", "tern_group_rooms_moved_total", "\"used\""); };
  const double held = at.metric("group-0", "tern_group_rooms_active");
  const double before = came();
  at.figure({"drain", at.drain("group-0"), "s", 20, {}});
  at.note("held " + whole(held) + " rooms; " + whole(came() - before) + " arrived warm");
  at.restart("group-0");
}

void stopped(field& at, const std::string& node) {
  const auto refused = [&] {
    return at.metric_of_all("session", "tern_session_wrong_owner_total") +
           at.metric_of_all("storage", "tern_storage_operations_total", "wrong_owner");
  };
  const double before = refused();
  at.stop_and_continue(node, at.size.pause);
  std::this_thread::sleep_for(3s);  // it wakes up and learns that it is not the owner any more
  at.note("refused as stale: " + std::to_string(static_cast<long>(refused() - before)));
}

void kill_leader(field& at) {
  const auto old = at.leader();
  at.expect(!old.empty(), "no routing replica leads");
  if (old.empty()) return;
  at.kill(old);
  const auto next = at.wait_leader(old, 15s);
  at.expect(next.has_value(), "no other replica leads");
  if (next) at.figure({"next leader", *next, "s", 6, {}});
  at.restart(old);
}

void stop_leader(field& at) {
  const auto old = at.leader();
  at.expect(!old.empty(), "no routing replica leads");
  if (old.empty()) return;
  at.nodes.node(old).child.signal(SIGSTOP);
  const auto began = std::chrono::steady_clock::now();
  std::optional<double> next;
  while (!next && std::chrono::steady_clock::now() - began < at.size.pause) {
    for (auto& node : at.nodes.nodes()) {
      if (node.service != "routing" || node.name == old) continue;
      if (at.metric(node.name, "tern_routing_leader") > 0) {
        next = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
        break;
      }
    }
    std::this_thread::sleep_for(50ms);
  }
  std::this_thread::sleep_until(began + at.size.pause);
  at.nodes.node(old).child.signal(SIGCONT);
  at.expect(next.has_value(), "no other replica leads");
  if (next) at.figure({"next leader", *next, "s", 6, {}});
  std::this_thread::sleep_for(2s);
  double leaders = 0;
  for (size_t i = 0; i < at.size.routings; ++i)
    leaders += at.metric("routing-" + std::to_string(i), "tern_routing_leader");
  at.expect(leaders == 1, std::to_string(static_cast<int>(leaders)) + " leaders after it woke up");
}

void kill_gateway(field& at) {
  const double held = at.metric("gateway-0", "tern_gateway_connections");
  at.note("gateway-0 held " + std::to_string(static_cast<long>(held)) + " connections");
  const auto began = std::chrono::steady_clock::now();
  at.kill("gateway-0");
  // Until its clients have noticed, they count as on line.
  while (at.others->dropped() < at.others->terminals() / 2 && std::chrono::steady_clock::now() - began < 1s) {
    std::this_thread::sleep_for(5ms);
  }
  const bool back = at.others->wait_online(at.others->terminals(), 60s) && at.traffic->wait_all_online(60s);
  at.expect(back, "not all came back");
  at.figure(
      {"all back", std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count(), "s", 5, {}});
  at.restart("gateway-0");
}

void roll(field& at) {
  for (const std::string service : {"routing", "storage", "group", "session", "gateway"}) {
    for (size_t i = 0; i < (service == "routing" ? at.size.routings : 2); ++i) {
      const auto name = service + "-" + std::to_string(i);
      at.note(name + " drained in " + seconds(at.drain(name)));
      at.restart(name);
    }
  }
}

void kill_everything(field& at) {
  for (auto& node : at.nodes.nodes()) node.child.signal(SIGKILL);
  for (auto& database : at.nodes.databases()) database->kill_hard();
  if (at.nodes.redis() != nullptr) at.nodes.redis()->kill_hard();
  for (auto& node : at.nodes.nodes()) at.kill(node.name);
  for (auto& database : at.nodes.databases())
    at.expect(static_cast<bool>(database->restart()), "a database stays down");
  if (at.nodes.redis() != nullptr) at.expect(static_cast<bool>(at.nodes.redis()->restart()), "Redis stays down");
  for (auto& node : at.nodes.nodes()) at.expect(static_cast<bool>(at.nodes.restart(node.name)), node.name);
  at.expect(at.nodes.wait_all_ready(60s), "not all nodes are ready again");
}

void stall_clients(field& at) {
  at.others->stall_and_talk(static_cast<double>(at.size.stalled) / 2, 3000);
  std::this_thread::sleep_for(15s);
  at.others->stop_talk();
  at.note("closed as slow: " +
          std::to_string(static_cast<long>(at.metric_of_all("gateway", "tern_gateway_slow_consumers_total"))));
}

void reconnect_crowd(field& at) {
  const auto began = std::chrono::steady_clock::now();
  at.others->reconnect_all();
  std::this_thread::sleep_for(50ms);
  at.expect(at.others->wait_online(at.others->terminals(), 60s), "not all of the crowd came back");
  at.figure(
      {"all back", std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count(), "s", 5, {}});
}

constexpr const char* planned = "0 dropped, p99 +100 ms, 20 s";

}  // namespace

std::vector<chaos_case> process_cases() {
  std::vector<chaos_case> all;
  all.push_back({.name = "drain session",
                 .target = "0 dropped, p99 +100 ms, 20 s; 3,000 sessions/s per core",
                 .strike = drain_session,
                 .prepare =
                     [](field& at) {
                       if (at.size.moved > 0) at.bring({.gateways = {}, .accounts = at.size.moved});
                     },
                 .wait_max_ms = 500,
                 .p99_more_ms = 100});
  all.push_back({.name = "drain group", .target = planned, .strike = drain_group, .p99_more_ms = 100});
  all.push_back({.name = "drain storage",
                 .target = planned,
                 .strike = [](field& at) { drain_and_back(at, "storage-0"); },
                 .p99_more_ms = 100});
  all.push_back({.name = "drain gateway",
                 .target = "its clients reconnect; 20 s",
                 .strike = [](field& at) { drain_and_back(at, "gateway-0"); },
                 .may_drop = true});
  all.push_back({.name = "drain routing leader",
                 .target = planned,
                 .strike =
                     [](field& at) {
                       const auto old = at.leader();
                       at.expect(!old.empty(), "no routing replica leads");
                       if (!old.empty()) drain_and_back(at, old);
                     },
                 .p99_more_ms = 100});
  all.push_back({.name = "kill session",
                 .target = "0 dropped, delivery again 3 s p99, 6 s max",
                 .strike =
                     [](field& at) {
                       at.kill("session-0");
                       std::this_thread::sleep_for(beyond_lease);
                       at.restart("session-0");
                     },
                 .wait_p99_ms = 3000,
                 .wait_max_ms = 6000});
  all.push_back({.name = "kill group",
                 .target = "0 dropped, delivery again 6 s max",
                 .strike =
                     [](field& at) {
                       at.kill("group-0");
                       std::this_thread::sleep_for(beyond_lease);
                       at.restart("group-0");
                     },
                 .wait_max_ms = 6000});
  all.push_back(
      {.name = "kill gateway",
       .target = "all back 5 s",
       .strike = kill_gateway,
       .prepare =
           [](field& at) {
             const size_t each = at.size.crowd >= 400 ? 4 : 1;
             at.bring(
                 {.gateways = {}, .accounts = at.size.crowd / each, .terminals_each = each, .first_gateway = true});
           },
       .may_drop = true});
  all.push_back({.name = "kill routing leader",
                 .target = "0 dropped, p99 +100 ms, next leader 6 s",
                 .strike = kill_leader,
                 .p99_more_ms = 100});
  all.push_back({.name = "stop session, continue",
                 .target = "0 dropped, nothing stale; delivery again 8 s max",
                 .strike = [](field& at) { stopped(at, "session-0"); },
                 .wait_max_ms = 8000});
  all.push_back({.name = "stop group, continue",
                 .target = "0 dropped, nothing stale; delivery again 8 s max",
                 .strike = [](field& at) { stopped(at, "group-0"); },
                 .wait_max_ms = 8000});
  // Silence is not known to be an end: owners stop when their leases do, which may be 2 s before another leads.
  all.push_back({.name = "stop routing leader, continue",
                 .target = "0 dropped, nothing stale; delivery again 6 s max, next leader 6 s",
                 .strike = stop_leader,
                 .wait_max_ms = 6000});
  all.push_back({.name = "rolling restart", .target = "nothing lost", .strike = roll, .may_drop = true});
  all.push_back({.name = "everything killed", .target = "nothing lost", .strike = kill_everything, .may_drop = true});
  all.push_back(
      {.name = "clients stop reading",
       .target = "others: 0 dropped, p99 +100 ms",
       .strike = stall_clients,
       .prepare = [](field& at) { at.bring({.gateways = {}, .accounts = 2 * at.size.stalled, .pairs = true}); },
       .may_drop = true,
       .p99_more_ms = 100});
  all.push_back({.name = "reconnects at once",
                 .target = "others: 0 dropped; all back 5 s",
                 .strike = reconnect_crowd,
                 .prepare = [](field& at) {
                   const size_t each = at.size.reconnects >= 400 ? 4 : 1;
                   at.bring({.gateways = {}, .accounts = at.size.reconnects / each, .terminals_each = each});
                 }});
  return all;
}

std::vector<chaos_case> all_cases() {
  auto all = process_cases();
  for (auto& each : database_cases()) all.push_back(std::move(each));
  for (auto& each : shard_cases()) all.push_back(std::move(each));
  for (auto& each : link_cases()) all.push_back(std::move(each));
  return all;
}

}  // namespace tern::chaos
