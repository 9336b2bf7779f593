#include "tools/bench/suite.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <sstream>

#include "tools/bench/costs.hpp"
#include "tools/bench/suite_parts.hpp"

namespace tern::bench {
namespace {

using namespace std::chrono_literals;

void say(const std::string& line) { std::fprintf(stderr, "%s\n", line.c_str()); }

// Passwords are hashed with small parameters here, so that thousands of accounts are made in seconds; the real cost
// of a password login is one argon2id, by design, and is not what these scenarios measure.
const std::map<std::string, std::string> cheap_passwords{{"storage.login.hash_memory_kib", "64"},
                                                         {"storage.login.hash_passes", "1"}};
// Two generators' worth of traffic comes over few connections: the limit per connection is not what is measured. And
// viewers that stall on purpose stay for as long as they are measured.
const std::map<std::string, std::string> no_rate_limit{{"gateway.request_rate_per_second", "0"},
                                                       {"gateway.write_stall_timeout_ms", "60000"}};

}  // namespace

setting setting_of(testing::cluster& running) {
  setting with;
  with.where.gateways = running.gateways();
  for (auto& node : running.nodes()) with.processes.push_back({node.name, node.child.pid(), false});
  for (size_t i = 0; i < running.databases().size(); ++i) {
    with.processes.push_back({"postgres-" + std::to_string(i), running.databases()[i]->pid(), true});
  }
  if (running.redis() != nullptr) with.processes.push_back({"redis", running.redis()->pid(), false});
  with.progress = say;
  return with;
}

result<report> on_fresh_cluster(const std::string& binaries, size_t gateways,
                                const std::function<result<report>(const setting&)>& measure) {
  testing::cluster_options options;
  options.binaries = binaries;
  options.gateways = gateways;
  options.settings["storage"] = cheap_passwords;
  options.settings["gateway"] = no_rate_limit;
  auto started = testing::cluster::start(options);
  if (!started) return started.error();
  auto made = measure(setting_of(**started));
  for (const auto& name : (*started)->stop()) say(name + " did not stop cleanly");
  return made;
}

double value_of(const report& what, const std::string& name) {
  const auto found = what.values.find(name);
  return found == what.values.end() ? 0 : found->second;
}

double milliseconds(const report& what, const std::string& latency, double share) {
  const auto found = what.latencies.find(latency);
  return found == what.latencies.end() ? 0 : static_cast<double>(found->second.percentile(share)) / 1e6;
}

namespace {

class suite {
 public:
  explicit suite(const suite_options& how) : how_(how) {
    if (how_.quick) {
      how_.seconds = 1;
      how_.idle_connections = 200;
    }
  }

  result<void> run() {
    say("relay floor");
    auto floor = run_floor({100, 64, how_.quick ? 0.5 : 3});
    if (!floor) return floor.error();
    found_.reports.emplace_back("this machine", *floor);
    floor_us_ = value_of(*floor, "cpu_us_per_message");
    if (wants_any({"idle", "chat", "room", "stream", "ping", "growth", "overload"})) {
      if (auto done = on_ternd(); !done) return done;
    }
    if (wants_any({"idle", "chat", "room", "stream"})) {
      if (auto done = on_cluster(); !done) return done;
    }
    if (wants("relay")) {
      if (auto done = without_storage(); !done) return done;
    }
    if (wants("codec")) codec();
    return write();
  }

 private:
  /// Whether a part is to be run.
  bool wants(const std::string& part) const {
    return how_.only.empty() || std::find(how_.only.begin(), how_.only.end(), part) != how_.only.end();
  }

  bool wants_any(const std::vector<std::string>& parts) const {
    return std::any_of(parts.begin(), parts.end(), [this](const auto& part) { return wants(part); });
  }

  /// Runs the parts that are wanted, in the order given, until one fails.
  result<void> run_parts(const std::vector<std::pair<std::string, std::function<result<void>()>>>& parts) const {
    for (const auto& [name, part] : parts) {
      if (!wants(name)) continue;
      say(name);
      if (auto done = part(); !done) return error{done.code(), name + ": " + done.error().detail};
    }
    return {};
  }

  /// Scenarios that both deployments run. `counter` reads a series, summed over all storage processes.
  result<void> common(const std::string& where, setting with,
                      const std::function<double(const std::string&)>& counter, bool cluster) {
    const auto statements = [&] { return counter("tern_storage_statements_total"); };
    with.prefix = "pair";
    chat_options lone{.pairs = 1, .rate = how_.quick ? 50.0 : 100.0, .seconds = how_.seconds, .warmup_seconds = 1};
    const double commits = counter("tern_storage_commit_seconds_count");
    const double committing = counter("tern_storage_commit_seconds_sum");
    auto idle_pair = run_chat(with, lone);
    if (!idle_pair) return idle_pair.error();
    const double committed = counter("tern_storage_commit_seconds_count") - commits;
    const double share = counter("tern_storage_commit_seconds_sum") - committing;
    idle_pair->values["commit_ms_mean"] = committed > 0 ? 1000 * share / committed : 0;
    idle_pair->units["commit_ms_mean"] = "of the latency below: reading, planning, writing and fsync of one commit";
    idle_pair->scenario = "one idle pair, 100 messages/s";
    found_.reports.emplace_back(where, *idle_pair);
    with.prefix = "chat";
    const auto before = statements();
    chat_options full{.pairs = 100, .rate = 0, .window = 32, .seconds = how_.seconds, .warmup_seconds = 2};
    auto saturation = run_chat(with, full);
    if (!saturation) return saturation.error();
    const auto answered = static_cast<double>(saturation->latencies["receipt"].count());
    // Warm-up messages are counted by the statements too, so the share is of all receipts since `before`.
    const auto all = answered * (full.seconds + full.warmup_seconds) / full.seconds;
    const double per_message = all > 0 ? (statements() - before) / all : 0;
    saturation->values["statements_per_message"] = per_message;
    found_.reports.emplace_back(where, *saturation);
    chat_options half = full;
    half.rate = value_of(*saturation, "receipts_per_second") / 2;
    auto relaxed = run_chat(with, half);
    if (!relaxed) return relaxed.error();
    found_.reports.emplace_back(where, *relaxed);
    with.prefix = "login";
    login_options storm{.logins = how_.quick ? size_t{200} : size_t{2000}, .concurrency = 200};
    auto logins = run_login(with, storm);
    if (!logins) return logins.error();
    found_.reports.emplace_back(where, *logins);
    goals(where, cluster, *idle_pair, *saturation, *relaxed, *logins);
    return {};
  }

  void goals(const std::string& where, bool cluster, const report& lone, const report& full, const report& half,
             const report& logins) {
    auto& all = found_.goals;
    all.push_back({"G3", "stored 1:1 messages/s, whole box, " + where, value_of(full, "receipts_per_second"), 15000,
                   false, "/s"});
    all.push_back(
        {"G4", "receipt p99 at half load, stored, " + where, milliseconds(half, "receipt", 0.99), 8, true, "ms"});
    const double less_commit = milliseconds(lone, "delivery", 0.5) - value_of(lone, "commit_ms_mean");
    all.push_back({"G5", "one idle pair, delivery median, stored (commit included), " + where,
                   milliseconds(lone, "delivery", 0.5), cluster ? 0.35 : 0.20, true, "ms"});
    all.push_back({"G5", "the same less the mean commit, " + where, less_commit, cluster ? 0.35 : 0.20, true, "ms"});
    all.push_back({"G9", "token logins per second of server CPU, " + where,
                   value_of(logins, "logins_per_core_second"), 2000, false, "/s"});
    all.push_back({"G9", "logins refused in a storm of 2,000, " + where, value_of(logins, "refused"), 0, true, ""});
    all.push_back({"G17", "statements per message at saturation, " + where, value_of(full, "statements_per_message"),
                   0.05, true, ""});
  }

  result<void> idle(const std::string& where, setting with) {
    with.prefix = "idle";
    auto made = run_idle(with, {how_.idle_connections, how_.quick ? 1.0 : 5.0});
    if (!made) return made.error();
    found_.reports.emplace_back(where, *made);
    found_.goals.push_back(
        {"G1", "bytes per idle connection, " + where, value_of(*made, "bytes_per_connection"), 6144, true, "bytes"});
    return {};
  }

  result<void> pings(const std::string& where, setting with) {
    with.prefix = "idle";
    ping_options options{.connections = 2 * how_.idle_connections};
    if (how_.quick) options.interval_seconds = options.seconds = 2;
    auto made = run_ping(with, options);
    if (!made) return made.error();
    found_.reports.emplace_back(where, *made);
    found_.goals.push_back({"G15", "connections with a ping each 30 s, " + where, value_of(*made, "cpu_percent"), 2,
                            true, "% of a core"});
    return {};
  }

  /// After common(): receipts are compared with those of its idle pair.
  /// A room of 10,000 members with all of them on line, then one with 2,000.
  result<void> room(const std::string& where, setting with,
                    const std::function<double(const std::string&)>& counter) {
    with.counter = counter;
    room_options all{.members = 10'000, .online = 10'000, .rate = 2, .seconds = 100};
    room_options some{.members = 10'000, .online = 2'000, .rate = 5, .seconds = 80};
    if (how_.quick) {
      all = {.members = 200, .online = 150, .rate = 20, .seconds = 2, .warmup_seconds = 0.5};
      some = {.members = 200, .online = 50, .rate = 20, .seconds = 2, .warmup_seconds = 0.5};
    }
    with.prefix = "room";
    if (auto done = one_room(where, with, all); !done) return done;
    with.prefix = "someroom";
    return one_room(where, with, some);
  }
  result<void> one_room(const std::string& where, const setting& with, const room_options& options) {
    auto made = run_room(with, options);
    if (!made) return made.error();
    found_.reports.emplace_back(where, *made);
    auto& all = found_.goals;
    const std::string who = " in a room of " + std::to_string(options.members) + " with " +
                            std::to_string(options.online) + " on line, " + where;
    if (options.online > options.members / 2) {
      all.push_back({"G6", "CPU per recipient" + who, value_of(*made, "cpu_us_per_recipient"), 16, true, "µs"});
      all.push_back({"G6", "last receiver p99" + who, milliseconds(*made, "last_receiver", 0.99), 250, true, "ms"});
    }
    all.push_back({"G7", "history rows per message" + who, value_of(*made, "history_rows_per_message"), 1, true, ""});
    all.push_back(
        {"G7", "receipt p99, of that of 1:1," + who, value_of(*made, "receipt_p99_of_1_to_1"), 1.2, true, "times"});
    return {};
  }

  static double server_cpu(const report& what) {
    double spent = 0;
    for (const auto& [name, cost] : what.costs) spent += name == "tern-bench" ? 0 : cost.microseconds_per_operation;
    return spent;
  }

  /// G16: the same rate over more users, and over more rooms.
  result<void> growth(const std::string& where, setting with) {
    const size_t most = how_.quick ? 200 : 16'000;
    const size_t least = most / 16;
    double users[2] = {}, floors[2] = {}, rooms[2] = {};
    for (const size_t step : {size_t{0}, size_t{1}}) {
      const size_t count = step == 0 ? least : most;
      auto floor = run_floor({count, 64, how_.quick ? 0.5 : 3});
      if (!floor) return floor.error();
      floors[step] = value_of(*floor, "cpu_us_per_message");
      with.prefix = "many";
      chat_options chat{.pairs = count / 2, .rate = how_.quick ? 200.0 : 3000.0, .seconds = 2 * how_.seconds};
      auto found = run_chat(with, chat);
      if (!found) return found.error();
      users[step] = server_cpu(*found);
      found->scenario = std::to_string(count) + " users, " + found->scenario;
      found_.reports.emplace_back(where, *found);
    }
    for (const size_t step : {size_t{0}, size_t{1}}) {
      with.prefix = "rooms" + std::to_string(step) + "-";
      rooms_options options{.rooms = step == 0 ? size_t{50} : size_t{how_.quick ? 200U : 10'000U}};
      options.rate = how_.quick ? 200 : 2000;
      options.seconds = 2 * how_.seconds;
      auto found = run_rooms(with, options);
      if (!found) return found.error();
      rooms[step] = server_cpu(*found);
      found_.reports.emplace_back(where, *found);
    }
    const double floor_growth = floors[0] > 0 ? std::max(1.0, floors[1] / floors[0]) : 1;
    auto& all = found_.goals;
    all.push_back({"G16", "CPU per message, users x 16, over the floor's own growth, " + where,
                   users[0] > 0 ? users[1] / users[0] / floor_growth : 0, 1.2, true, "times"});
    all.push_back({"G16", "CPU per message, rooms x 200 (to 10,000), " + where,
                   rooms[0] > 0 ? rooms[1] / rooms[0] : 0, 1.05, true, "times"});
    return {};
  }

  result<void> overload(const std::string& where, setting with) {
    with.prefix = "load";
    overload_options options{.seconds = how_.quick ? 6.0 : 60.0};
    if (how_.quick) options.pairs = 20;
    auto made = run_overload(with, options);
    if (!made) return made.error();
    found_.reports.emplace_back(where, *made);
    auto& all = found_.goals;
    all.push_back(
        {"G14", "goodput at twice the saturation, " + where, 100 * value_of(*made, "goodput_share"), 90, false, "%"});
    all.push_back(
        {"G14", "memory then, of that at saturation, " + where, value_of(*made, "memory_share"), 1.2, true, ""});
    all.push_back({"G14", "connections lost then, " + where, value_of(*made, "connections_lost"), 0, true, ""});
    return {};
  }

  result<void> streams(const std::string& where, setting with) {
    return measure_streams(where, std::move(with), how_.quick, how_.seconds, found_);
  }

  result<void> on_ternd() {
    say("ternd");
    testing::ternd_options options;
    options.binaries = how_.binaries;
    for (const auto& [key, value] : cheap_passwords) options.settings.push_back(key + "=" + value);
    for (const auto& [key, value] : no_rate_limit) options.settings.push_back(key + "=" + value);
    auto started = testing::ternd_process::start(options);
    if (!started) return started.error();
    auto& ternd = **started;
    const auto setting_now = [&] {
      setting with;
      with.where.gateways = {ternd.gateway()};
      with.processes = {{"ternd", ternd.child().pid(), false}};
      with.progress = say;
      return with;
    };
    const auto counter = [&](const std::string& name) { return scrape({"127.0.0.1", ternd.metrics_port()}, name); };
    // Idle first: memory that a storm has left behind would make connections look free.
    auto done = run_parts({{"idle", [&] { return idle("ternd", setting_now()); }},
                           {"chat", [&] { return common("ternd", setting_now(), counter, false); }},
                           {"room", [&] { return room("ternd", setting_now(), counter); }},
                           {"stream", [&] { return streams("ternd", setting_now()); }},
                           {"ping", [&] { return pings("ternd", setting_now()); }},
                           {"growth", [&] { return growth("ternd", setting_now()); }},
                           {"overload", [&] { return overload("ternd", setting_now()); }}});
    if (done && wants("chat")) cold_start(ternd);
    return done;
  }

  /// From exec to the first receipt, on data that exists.
  void cold_start(testing::ternd_process& ternd) {
    ternd.child().stop(15s);
    const auto began = std::chrono::steady_clock::now();
    if (!ternd.restart()) return;
    setting with;
    with.where.gateways = {ternd.gateway()};
    with.prefix = "pair";
    std::vector<client::account> pair(2);
    for (size_t i = 0; i < 2; ++i) {
      pair[i].name = "pair" + std::to_string(i);
      pair[i].password = "bench-" + pair[i].name;
    }
    bool received = false;
    client::loop loop;
    std::vector<std::unique_ptr<member>> members;
    while (!received && std::chrono::steady_clock::now() - began < 20s) {
      if (!log_in_all(loop, with.where, wire::encoding::thrift, members, pair, 2, {})) continue;
      members[0]->on_text = [&](member&, const wire::tim_message&, bool) { received = true; };
      members[0]->terminal().send_text(members[1]->node(), "first", 0);
      loop.run_until([&] { return received; }, 2s);
    }
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    found_.goals.push_back({"G11", "cold start to the first receipt, ternd", seconds, 1.0, true, "s"});
  }

  result<void> on_cluster() {
    say("local cluster");
    testing::cluster_options options;
    options.binaries = how_.binaries;
    options.progress = say;
    options.settings["storage"] = cheap_passwords;
    options.settings["gateway"] = no_rate_limit;
    const auto began = std::chrono::steady_clock::now();
    auto started = testing::cluster::start(options);
    if (!started) return started.error();
    auto& running = **started;
    say("cluster up after " +
        std::to_string(std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count()) + " s");
    const auto counter = [&](const std::string& name) {
      double sum = 0;
      for (const auto& node : running.nodes()) {
        if (node.service == "storage") sum += scrape({"127.0.0.1", node.metrics_port}, name);
      }
      return sum;
    };
    auto done = run_parts({{"idle", [&] { return idle("cluster", setting_of(running)); }},
                           {"chat", [&] { return common("cluster", setting_of(running), counter, true); }},
                           {"room", [&] { return room("cluster", setting_of(running), counter); }},
                           {"stream", [&] { return streams("cluster", setting_of(running)); }}});
    if (!done) return done;
    for (const auto& name : running.stop()) say(name + " did not stop cleanly");
    return {};
  }

  /// G2, and G4 and G5 as they are for messages that are only passed on. A sender with one message at a time is the
  /// honest saturation here: with 32 of them in one write the kernel's part is shared by all.
  result<void> relay(const std::string& where, setting with, bool cluster) {
    with.prefix = "pair";
    chat_options lone{.pairs = 1, .rate = how_.quick ? 50.0 : 100.0, .seconds = how_.seconds, .warmup_seconds = 1};
    lone.stored = false;
    auto idle_pair = run_chat(with, lone);
    if (!idle_pair) return idle_pair.error();
    idle_pair->scenario = "one idle pair, 100 messages/s";
    with.prefix = "chat";
    chat_options full{.pairs = 100, .rate = 0, .window = 32, .seconds = how_.seconds, .warmup_seconds = 2};
    full.stored = false;
    auto piped = run_chat(with, full);
    if (!piped) return piped.error();
    full.window = 1;
    auto single = run_chat(with, full);
    if (!single) return single.error();
    single->scenario = "chat, saturation, one message per sender at a time";
    chat_options half = full;
    half.rate = value_of(*single, "receipts_per_second") / 2;
    auto relaxed = run_chat(with, half);
    if (!relaxed) return relaxed.error();
    auto& all = found_.goals;
    for (auto* one : {&*piped, &*single}) {
      double spent = 0;
      for (const auto& [name, cost] : one->costs) spent += name == "tern-bench" ? 0 : cost.microseconds_per_operation;
      one->values["server_cpu_us_per_message"] = spent;
      one->values["server_cpu_of_floor"] = floor_us_ > 0 ? spent / floor_us_ : 0;
      one->units["server_cpu_of_floor"] = "times the relay floor's CPU per message";
      const std::string how =
          one == &*piped ? "32 messages per sender at a time, " : "one message per sender at a time, ";
      all.push_back({"G2", "server CPU per message, not stored, " + how + where, spent, 22, true, "µs"});
    }
    all.push_back({"G4", "receipt p99 at half load, not stored, " + where, milliseconds(*relaxed, "receipt", 0.99), 2,
                   true, "ms"});
    all.push_back({"G5", "one idle pair, delivery median, not stored, " + where,
                   milliseconds(*idle_pair, "delivery", 0.5), cluster ? 0.35 : 0.20, true, "ms"});
    for (const auto* one : {&*idle_pair, &*piped, &*single, &*relaxed}) {
      found_.reports.emplace_back(where + " without storage", *one);
    }
    return {};
  }

  result<void> without_storage() {
    say("ternd without storage");
    testing::ternd_options options;
    options.binaries = how_.binaries;
    options.settings.emplace_back("session.storage=none");
    for (const auto& [key, value] : no_rate_limit) options.settings.push_back(key + "=" + value);
    auto started = testing::ternd_process::start(options);
    if (!started) return started.error();
    setting with;
    with.where.gateways = {(*started)->gateway()};
    with.processes = {{"ternd", (*started)->child().pid(), false}};
    with.progress = say;
    if (auto done = relay("ternd", with, false); !done) return done;
    (*started)->child().stop(15s);
    say("local cluster without storage");
    testing::cluster_options nodes;
    nodes.binaries = how_.binaries;
    nodes.progress = say;
    nodes.databases = 0;
    nodes.redis = false;
    nodes.settings["gateway"] = no_rate_limit;
    auto running = testing::cluster::start(nodes);
    if (!running) return running.error();
    if (auto done = relay("cluster", setting_of(**running), true); !done) return done;
    for (const auto& name : (*running)->stop()) say(name + " did not stop cleanly");
    return {};
  }

  void codec() {
    const auto output = testing::run_program({how_.binaries + "/tern-codec-bench", "--json"});
    found_.tables.push_back(output ? "```json\n" + *output + "```\n" : "tern-codec-bench: " + output.error().detail);
  }

  std::string goal_table() const {
    std::ostringstream out;
    out << "| goal | what | measured | target | |\n| --- | --- | --- | --- | --- |\n";
    for (const auto& each : found_.goals) {
      const bool met = each.less_is_better ? each.measured <= each.target : each.measured >= each.target;
      std::array<char, 64> numbers{};
      std::snprintf(numbers.data(), numbers.size(), "%.4g %s | %s %.4g", each.measured, each.unit.c_str(),
                    each.less_is_better ? "≤" : "≥", each.target);
      out << "| " << each.id << " | " << each.what << " | " << numbers.data() << " | " << (met ? "met" : "**missed**")
          << " |\n";
    }
    return out.str();
  }

  result<void> write() const {
    std::vector<report> all;
    for (const auto& [where, what] : found_.reports) {
      all.push_back(what);
      all.back().scenario = where + ": " + what.scenario;
    }
    if (!how_.json.empty()) std::ofstream(how_.json) << to_json(all);
    std::ofstream out(how_.out);
    out << "# Benchmarks\n\nWritten by `make bench` (`tern-bench suite`); do not edit the figures by hand. What they "
           "mean and where the time goes: [performance.md](performance.md).\n\n"
        << "- machine: " << machine_description() << "; " << kernel_description() << "\n- commit: " << how_.commit
        << "\n- everything on this one machine: servers, databases (fsync on) and the generator share its cores. CPU "
           "per message, bytes per connection and ratios travel; rates do not.\n\n## Goals\n\n"
        << goal_table() << "\n## Codec\n\n";
    for (const auto& table : found_.tables) out << table << "\n";
    out << "## Scenarios\n\n";
    for (const auto& what : all) out << "```\n" << to_text(what) << "```\n\n";
    if (!out) return error{errc::unavailable, "cannot write " + how_.out};
    std::printf("%s", goal_table().c_str());
    return {};
  }

  suite_options how_;
  findings found_;
  double floor_us_ = 0;  // CPU of the relay floor per message
};

}  // namespace

bool is_suite_part(const std::string& name) {
  static const std::vector<std::string> parts{"idle",   "chat",     "room",  "stream", "ping",
                                              "growth", "overload", "relay", "codec"};
  return std::find(parts.begin(), parts.end(), name) != parts.end();
}

result<void> run_suite(const suite_options& how) {
  auto whole = how;
  if (whole.binaries.empty()) {
    std::error_code failed;
    whole.binaries = std::filesystem::read_symlink("/proc/self/exe", failed).parent_path();
    if (failed) return error{errc::unavailable, "cannot tell where this program is: " + failed.message()};
  }
  if (whole.commit.empty()) {
    const auto head = testing::run_program({"git", "describe", "--always", "--dirty"});
    whole.commit = head ? head->substr(0, head->find('\n')) : "not known";
  }
  return suite(whole).run();
}

}  // namespace tern::bench
