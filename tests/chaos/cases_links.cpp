// Redis, fault proxies on every link, packets lost and cut between nodes.
#include <thread>

#include "tests/chaos/cases.hpp"

namespace tern::chaos {

using namespace std::chrono_literals;

namespace {

constexpr auto cut_length = 10s;
constexpr auto proxy_length = 8s;

void redis_killed(field& at) {
  at.nodes.redis()->kill_hard();
  std::this_thread::sleep_for(5s);
  at.expect(static_cast<bool>(at.nodes.redis()->restart()), "Redis stays down");
}

void redis_emptied(field& at) {
  const auto done = testing::run_program(
      {"redis-cli", "-h", "127.0.0.1", "-p", std::to_string(at.nodes.redis()->port()), "FLUSHALL"}, {}, 5s);
  at.expect(static_cast<bool>(done), "FLUSHALL failed");
  std::this_thread::sleep_for(2s);
}

void redis_paused(field& at) {
  at.nodes.redis()->pause();
  std::this_thread::sleep_for(10s);
  at.nodes.redis()->resume();
}

chaos_case redis_case(const std::string& name, std::function<void(field&)> strike) {
  return {.name = name, .target = "0 dropped, delivery 2 s", .strike = std::move(strike), .wait_max_ms = 2000};
}

/// Every link between nodes, or those of some, has `faults` for a while.
void links_have(field& at, const proxy_faults& faults, const std::string& service = {}) {
  uint64_t cuts = 0;
  for (auto& [name, proxy] : *at.proxies) {
    if (name.ends_with("/clients") || name == "redis") continue;
    if (!service.empty() && !name.starts_with(service)) continue;
    cuts -= proxy->cut();
    proxy->set(faults);
  }
  std::this_thread::sleep_for(proxy_length);
  for (auto& [name, proxy] : *at.proxies) {
    if (name.ends_with("/clients") || name == "redis") continue;
    if (!service.empty() && !name.starts_with(service)) continue;
    cuts += proxy->cut();
    proxy->heal();
  }
  if (faults.cut_within > 0) at.note(std::to_string(cuts) + " links cut");
}

void silent(field& at, const std::string& node, proxy_silence ways) {
  auto& proxy = *at.proxies->at(node);
  proxy.silence(ways);
  std::this_thread::sleep_for(proxy_length);
  proxy.heal();
}

void all_reset(field& at) {
  for (int round = 0; round < 4; ++round) {
    for (auto& [name, proxy] : *at.proxies) {
      if (!name.ends_with("/clients")) proxy->reset_all();
    }
    std::this_thread::sleep_for(2s);
  }
}

void clients_suffer(field& at) {
  for (auto& [name, proxy] : *at.proxies) {
    if (name.ends_with("/clients"))
      proxy->set({.delay = 20ms, .jitter = 50ms, .stall_percent = 2, .cut_within = 60'000});
  }
  std::this_thread::sleep_for(proxy_length);
  for (auto& [name, proxy] : *at.proxies) proxy->heal();
}

std::vector<chaos_case> proxy_cases() {
  std::vector<chaos_case> all;
  const auto add = [&](const std::string& name, const std::string& target, std::function<void(field&)> strike) {
    chaos_case one;
    one.name = name;
    one.links = wiring::proxied;
    one.target = target;
    one.strike = std::move(strike);
    all.push_back(std::move(one));
  };
  add("links: 20 ms, jitter, stalls", "0 dropped",
      [](field& at) { links_have(at, {.delay = 20ms, .jitter = 30ms, .stall_percent = 1}); });
  add("links: trickle to session nodes", "0 dropped",
      [](field& at) { links_have(at, {.trickle_bytes = 400}, "session"); });
  add("links: cut at any byte", "0 dropped", [](field& at) { links_have(at, {.cut_within = 200'000}); });
  add("links: reset, four times", "0 dropped", all_reset);
  add("links: session-0 hears nothing", "0 dropped",
      [](field& at) { silent(at, "session-0", {.to_server = true, .to_client = false}); });
  add("links: session-0 is not heard", "0 dropped",
      [](field& at) { silent(at, "session-0", {.to_server = false, .to_client = true}); });
  add("links: storage-0 half-open", "0 dropped",
      [](field& at) { silent(at, "storage-0", {.to_server = true, .to_client = true}); });
  add("Redis trickles and is cut", "0 dropped, delivery 2 s", [](field& at) {
    at.proxies->at("redis")->set({.delay = 50ms, .trickle_bytes = 4, .cut_within = 2'000});
    std::this_thread::sleep_for(proxy_length);
    at.proxies->at("redis")->heal();
  });
  all.back().wait_max_ms = 2000;
  add("clients: delay, stalls, cuts", "nothing lost", clients_suffer);
  all.back().may_drop = true;
  return all;
}

double takeovers(field& at) { return at.metric(at.leader(), "tern_routing_map_version"); }

void loses_packets(field& at) {
  const auto before = takeovers(at);
  at.expect(static_cast<bool>(at.network->lose(10)), "iptables refused");
  std::this_thread::sleep_for(20s);
  const auto changes = takeovers(at) - before;
  at.expect(static_cast<bool>(at.network->heal()), "iptables refused");
  at.expect(changes == 0, std::to_string(static_cast<int>(changes)) + " changes of the maps: a false takeover");
}

using cutter = std::function<result<void>(private_network&)>;

chaos_case cut_case(const std::string& name, cutter cut) {
  return {.name = name,
          .links = wiring::network,
          .target = "0 dropped, nothing lost",
          .strike = [cut = std::move(cut)](field& at) {
            const auto before = takeovers(at);
            at.expect(static_cast<bool>(cut(*at.network)), "iptables refused");
            std::this_thread::sleep_for(cut_length);
            at.expect(static_cast<bool>(at.network->heal()), "iptables refused");
            at.note(std::to_string(static_cast<int>(takeovers(at) - before)) + " changes of the maps");
          }};
}

result<void> cut_from_routing(private_network& network, const std::string& node, bool both) {
  for (const auto& replica : network.nodes("routing")) {
    if (auto done = both ? network.cut(node, replica) : network.cut_one_way(replica, node); !done) return done;
  }
  return {};
}

std::vector<chaos_case> network_cases() {
  std::vector<chaos_case> all;
  all.push_back({.name = "10 % loss between nodes",
                 .links = wiring::network,
                 .target = "0 dropped, no false takeover",
                 .strike = loses_packets});
  all.push_back(
      cut_case("cut session-0 | storage-0", [](private_network& n) { return n.cut("session-0", "storage-0"); }));
  all.push_back(cut_case("cut storage-0 -> session-0",
                         [](private_network& n) { return n.cut_one_way("storage-0", "session-0"); }));
  all.push_back(
      cut_case("cut gateway-0 | session-0", [](private_network& n) { return n.cut("gateway-0", "session-0"); }));
  all.push_back(cut_case("cut session-0 -> gateway-0",
                         [](private_network& n) { return n.cut_one_way("session-0", "gateway-0"); }));
  all.push_back(
      cut_case("reset gateway-0 | session-0", [](private_network& n) { return n.reset("gateway-0", "session-0"); }));
  all.push_back(
      cut_case("cut session-0 | routing", [](private_network& n) { return cut_from_routing(n, "session-0", true); }));
  all.push_back(cut_case("cut routing -> session-0",
                         [](private_network& n) { return cut_from_routing(n, "session-0", false); }));
  all.push_back(cut_case("session-0 cut from all nodes", [](private_network& n) { return n.isolate("session-0"); }));
  return all;
}

}  // namespace

std::vector<chaos_case> link_cases() {
  std::vector<chaos_case> all;
  all.push_back(redis_case("Redis killed", redis_killed));
  all.push_back(redis_case("Redis emptied", redis_emptied));
  all.push_back(redis_case("Redis paused 10 s", redis_paused));
  for (auto& each : proxy_cases()) all.push_back(std::move(each));
  for (auto& each : network_cases()) all.push_back(std::move(each));
  return all;
}

}  // namespace tern::chaos
