#include "tests/chaos/stage.hpp"

#include <signal.h>
#include <sys/mount.h>

#include <algorithm>
#include <cmath>
#include <thread>

#include "tests/verify/dump.hpp"
#include "tests/verify/history.hpp"

namespace tern::chaos {

using namespace std::chrono_literals;

namespace {

constexpr auto recovery_limit = 45s;
constexpr auto finish_limit = 60s;
constexpr auto ready_limit = 30s;
constexpr auto settle = 1s;
constexpr auto gone_limit = 30s;

verify::instant now() { return std::chrono::steady_clock::now().time_since_epoch().count(); }

client::endpoint endpoint_of(const std::string& address) {
  const auto colon = address.rfind(':');
  return {address.substr(0, colon), static_cast<uint16_t>(std::stoi(address.substr(colon + 1)))};
}

std::string text_of(const client::endpoint& at) { return at.host + ":" + std::to_string(at.port); }

std::vector<std::string> names_of(const testing::cluster_options& how) {
  std::vector<std::string> names;
  for (const auto& [service, count] : {std::pair<std::string, size_t>{"routing", how.routings},
                                       {"storage", how.storages},
                                       {"group", how.groups},
                                       {"session", how.sessions},
                                       {"gateway", how.gateways}}) {
    for (size_t i = 0; i < count; ++i) names.push_back(service + "-" + std::to_string(i));
  }
  return names;
}

}  // namespace

stage::stage(scale size, std::function<void(const std::string&)> progress)
    : size_(std::move(size)), say_(std::move(progress)) {}

stage::~stage() { take_down(); }

void stage::take_down() {
  if (cluster_) (void)cluster_->stop();
  cluster_.reset();
  standby_.reset();
  proxies_.clear();
  network_.reset();
  if (disk_) (void)::umount2(disk_->path().c_str(), MNT_DETACH);
  disk_.reset();
}

/// For PostgreSQL's files, so that a full one is nobody else's.
result<void> stage::mount_disk() {
  disk_ = std::make_unique<testing::temp_dir>("tern-disk");
  if (::mount("tmpfs", disk_->path().c_str(), "tmpfs", 0, "size=400m,mode=0755") == 0) return {};
  disk_.reset();
  return error{errc::unavailable, "tmpfs cannot be mounted"};
}

result<void> stage::allowed(wiring links) const {
  if (links == wiring::network) return network_allowed_;
  if (links == wiring::small_disk) return mounts_allowed_;
  return {};
}

testing::cluster_options stage::options_of(wiring links) {
  testing::cluster_options how;
  how.groups = 2;
  how.routings = size_.routings;
  how.settings["storage"] = {{"storage.login.hash_memory_kib", "64"}, {"storage.login.hash_passes", "1"}};
  // Everybody comes from one address here.
  how.settings["gateway"] = {{"gateway.max_half_open_per_address", "20000"}};
  if (links == wiring::proxied) {
    how.tcp = true;
    how.planned = [this](testing::cluster& nodes) { plan_proxies(nodes); };
  }
  if (links == wiring::databases || links == wiring::small_disk) {
    how.planned = [this](testing::cluster& nodes) { plan_databases(nodes); };
    how.database_of = [this](size_t number, testing::postgres_options& options) {
      if (number != 1) return;
      options.settings = {"max_connections=60", "max_wal_size=64MB", "min_wal_size=32MB"};
      if (disk_) options.directory = disk_->file("postgres-1");
    };
  }
  if (links == wiring::network) {
    how.tcp = true;
    how.redis = false;  // it would be on this side of the network; the login path does without
    how.host_of = [this](const std::string& node) { return network_->host(node); };
    how.prefix_of = [this](const std::string& node) { return network_->prefix(node); };
  }
  return how;
}

void stage::plan_proxies(testing::cluster& nodes) {
  uint64_t seed = size_.seed;
  std::string routings;
  const auto make = [&](const std::string& name, const client::endpoint& server) {
    auto made = fault_proxy::start({"127.0.0.1", 0}, server, ++seed);
    if (!made) throw std::runtime_error(made.error().detail);
    const auto address = (*made)->address();
    proxies_[name] = std::move(*made);
    return text_of(address);
  };
  for (auto& node : nodes.nodes()) {
    const auto links = make(node.name, endpoint_of(node.rpc_address));
    nodes.settings_of(node.name)["rpc.advertise_address"] = "\"" + links + "\"";
    if (node.service == "routing") routings += (routings.empty() ? "" : ",") + links;
    if (node.client_port != 0) make(node.name + "/clients", {"127.0.0.1", node.client_port});
  }
  nodes.settings_of("")["routing.address"] = "\"" + routings + "\"";
  if (nodes.redis() != nullptr) {
    nodes.settings_of("storage")["storage.redis.url"] =
        "\"redis://" + make("redis", {"127.0.0.1", nodes.redis()->port()}) + "\"";
  }
}

void stage::plan_databases(testing::cluster& nodes) {
  const auto& second = *nodes.databases().at(1);
  auto made = fault_proxy::start({"127.0.0.1", 0}, {"127.0.0.1", second.port()}, size_.seed);
  if (!made) throw std::runtime_error(made.error().detail);
  standby_port_ = testing::free_port();
  nodes.settings_of("storage")["storage.shards"] =
      "[\"shard-0=" + nodes.databases().front()->dsn() +
      "\", \"shard-1=host=127.0.0.1,127.0.0.1 port=" + std::to_string((*made)->address().port) + "," +
      std::to_string(standby_port_) + " user=tern dbname=tern\"]";
  proxies_["database-1"] = std::move(*made);
}

result<void> stage::build(wiring links) {
  if (cluster_ && built_ == links && heal()) return {};
  take_down();
  if (links == wiring::small_disk) {
    if (auto mounted = mount_disk(); !mounted) return mounted;
  }
  auto how = options_of(links);
  if (links == wiring::network) {
    if (!network_allowed_) return network_allowed_.error();
    auto made = private_network::make(names_of(how));
    if (!made) return made.error();
    network_ = std::move(*made);
  }
  say_("a cluster starts");
  auto started = testing::cluster::start(how);
  if (!started) return started.error();
  cluster_ = std::move(*started);
  built_ = links;
  return {};
}

/// Everything runs and nothing is disturbed; false when that cannot be reached.
bool stage::heal() {
  for (auto& [name, proxy] : proxies_) proxy->heal();
  if (network_ && !network_->heal()) return false;
  bool restarted = false;
  for (auto& node : cluster_->nodes()) {
    if (node.child.running()) {
      node.child.signal(SIGCONT);
      continue;
    }
    restarted = true;
    if (!cluster_->restart(node.name)) return false;
  }
  if (!cluster_->wait_all_ready(ready_limit)) return false;
  if (restarted) std::this_thread::sleep_for(2s);  // ranges move to those that came back
  return true;
}

void stage::traffic_starts(field& at) {
  verify::workload_options clients;
  clients.gateways = cluster_->gateways();
  if (built_ == wiring::proxied) {
    clients.gateways.clear();
    for (const auto& [name, proxy] : proxies_) {
      if (name.ends_with("/clients")) clients.gateways.push_back(proxy->address());
    }
  }
  // Every fifth account has two terminals.
  clients.accounts = std::max<size_t>(size_.connections * 5 / 6, 10);
  clients.messages_per_second = size_.messages_per_second;
  clients.naps_per_second = 0;  // a connection that ends is the fault's doing
  clients.seed = size_.seed + cases_;
  clients.prefix = "c" + std::to_string(cases_) + "x";
  at.traffic = std::make_unique<verify::workload>(clients);
  const auto ready = at.traffic->start();
  at.expect(static_cast<bool>(ready), "traffic did not start" + (ready ? "" : ": " + ready.error().detail));
}

std::string stage::logs() {
  std::string text;
  for (auto& node : cluster_->nodes()) text += "--- " + node.name + "\n" + cluster_->log_tail(node.name, 6);
  return text;
}

row stage::run(const chaos_case& which) {
  row out;
  out.name = which.name;
  out.target = which.target;
  out.connections = size_.connections;
  ++cases_;
  if (const auto may = allowed(which.links); !may) {
    out.skipped = true;
    out.notes.push_back("skipped: " + may.error().detail);
    return out;
  }
  say_(which.name);
  if (const auto built = build(which.links); !built) {
    out.failures.push_back("the cluster did not start: " + built.error().detail);
    built_.reset();
    return out;
  }
  field at(*cluster_, size_, out);
  at.network = network_.get();
  at.proxies = &proxies_;
  at.standby = &standby_;
  at.standby_port = standby_port_;
  if (disk_) at.disk = disk_->path();
  play(which, at);
  at.others.reset();
  if (out.failed()) say_(logs());
  // What is left of a failed case must not spoil the next one.
  if (out.failed() || which.spoils) built_.reset();
  return out;
}

void stage::play(const chaos_case& which, field& at) {
  traffic_starts(at);
  if (at.out.failed()) return;
  at.out.connections = at.traffic->terminals();
  const auto flow = static_cast<uint64_t>(size_.messages_per_second);
  if (which.prepare) which.prepare(at);
  at.expect(at.traffic->wait_receipts(flow, recovery_limit), "no traffic before the fault");
  moments when;
  when.began = now();
  std::this_thread::sleep_for(size_.before);
  when.struck = now();
  which.strike(at);
  when.released = now();
  at.out.lasted_s = static_cast<double>(when.released - when.struck) / 1e9;
  at.expect(at.traffic->wait_all_online(recovery_limit),
            "only " + std::to_string(at.traffic->online()) + " terminals came back");
  at.expect(at.traffic->wait_receipts(2 * flow, recovery_limit), "messages do not flow again");
  std::this_thread::sleep_for(settle);
  if (which.afterwards) which.afterwards(at);
  if (at.others) at.out.crowd_dropped = at.others->dropped();
  when.ended = now();
  auto seen = at.traffic->finish(finish_limit);
  seen.faults.emplace_back(when.struck, when.ended);
  judge(which, at, seen, when);
}

void stage::judge(const chaos_case& which, field& at, const verify::history& seen, const moments& when) {
  auto& out = at.out;
  out.seen = measure(seen, when);
  out.broken = assess(verify::check(seen));
  at.expect(out.broken.total() == 0, std::to_string(out.broken.total()) + " violations of the promise");
  const auto dropped = out.seen.dropped + out.crowd_dropped;
  if (!which.may_drop) at.expect(dropped == 0, std::to_string(dropped) + " connections dropped");
  const auto reach = [&](const std::string& what, double value, const std::optional<double>& most) {
    if (!most || value <= *most) return;
    out.missed.push_back(what + " " + std::to_string(std::llround(value)) + " > " +
                         std::to_string(std::llround(*most)));
  };
  reach("wait p99 ms", out.seen.wait_p99, which.wait_p99_ms);
  reach("wait max ms", out.seen.wait_max, which.wait_max_ms);
  reach("well after ms", out.seen.well_after, which.well_ms);
  if (which.p99_more_ms) reach("p99 more ms", out.seen.p99_during - out.seen.p99_before, which.p99_more_ms);
  for (const auto& each : out.extras) {
    reach(each.name + " " + each.unit, each.value, each.most);
    if (each.least && each.value < *each.least) {
      out.missed.push_back(each.name + " " + std::to_string(std::llround(each.value)) + " < " +
                           std::to_string(std::llround(*each.least)) + " " + each.unit);
    }
  }
  if (out.failed() && !size_.histories.empty()) {
    const auto file = size_.histories + "/" + std::to_string(cases_) + ".txt";
    if (verify::dump(seen, file)) at.note("history: " + file);
  }
}

std::vector<std::string> stage::stop() {
  std::vector<std::string> unclean;
  if (cluster_) unclean = cluster_->stop();
  cluster_.reset();
  take_down();
  return unclean;
}

}  // namespace tern::chaos
