// tern-bench: a load generator that speaks the real protocol.
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <string>

#include "tools/bench/costs.hpp"
#include "tools/bench/file_floor.hpp"
#include "tools/bench/scenarios.hpp"
#include "tools/bench/suite.hpp"
#include "tools/bench/suite_parts.hpp"

namespace {

using namespace tern;
using namespace tern::bench;

constexpr const char* usage_text =
    "tern-bench SCENARIO [options]: load for a Tern (or TIM) server, in the real client protocol\n"
    "\n"
    "scenarios\n"
    "  idle     N logged-in connections: bytes per connection of the watched processes\n"
    "  chat     pairs of friends that write to each other: receipts/s, deliveries/s, latency\n"
    "  ping     N logged-in connections that ping: CPU of the watched processes\n"
    "  overload twice as many messages as at saturation: what is answered, refused and lost, memory\n"
    "  room     one open room with everybody on line in it: CPU per recipient, last receiver, receipts\n"
    "  rooms    many open rooms of two: CPU per message\n"
    "  stream   publishers and viewers of virtual rooms: delivered, dropped, latency, CPU per delivered frame;\n"
    "           with --file a file through a virtual room, with acknowledgements and checksums\n"
    "  login    a storm of token logins on fresh connections\n"
    "  offline  people who were away come back: first message after AUTH, messages/s of many at once\n"
    "  floor    the relay floor of this machine: nothing of ours, only the kernel; with --file a file through it\n"
    "  send-floor  the same for one message to N sockets\n"
    "  placement  routing's planner with simulated nodes that join, drain and fail: moves, time of plans\n"
    "  suite    all of them on ternd and on a local cluster that it starts itself; writes docs/benchmarks.md\n"
    "\n"
    "options\n"
    "  --target HOST:PORT[,...]   gateways (default 127.0.0.1:5080); numeric IPv4\n"
    "  --watch NAME=PID[,...]     processes whose CPU and memory are reported; NAME=PID+ counts its children too\n"
    "  --connections N            idle, ping: connections (default 1000, 8000); floor: sockets (100)\n"
    "  --interval N               ping: seconds between two of a connection (default 30)\n"
    "  --nodes N                  placement: nodes (default 1000)\n"
    "  --sessions N               placement: sessions on all of them (default 1000000)\n"
    "  --pairs N                  chat: pairs of users (default 50)\n"
    "  --rate N                   chat: messages per second in all; 0 = saturation (default)\n"
    "  --burst N                  chat with a rate, overload: messages a sender writes together (default 1, "
    "--window)\n"
    "  --window N                 chat at saturation: unanswered messages per sender (default 16)\n"
    "  --body N                   chat: bytes of text (default 64)\n"
    "  --members N                room: members (default 1000), of whom\n"
    "  --online N                 room: are on line (default 1000); rate 0: one message at a time (default 2/s)\n"
    "  --rooms N                  rooms: how many (default 50), over --pairs; --rate (default 2000)\n"
    "  --publishers N             stream: publishers, each with a virtual room of its own (default 1); --rooms "
    "likewise\n"
    "  --viewers N                stream: viewers of each room (default 1000); --rate of each publisher (default "
    "20)\n"
    "  --size N                   stream: bytes of a frame's body (default 4096)\n"
    "  --binary                   stream: frames and subscriptions in binary form (type 97)\n"
    "  --slow-fraction X          stream: after a run in which all read, this part of the viewers stops; 0..1\n"
    "  --file BYTES               stream: send a file of so many bytes instead, in pieces of\n"
    "  --chunk BYTES              at most gateway.big_data_bytes less 64 (default 131072), with at most\n"
    "  --window-bytes BYTES       under way and not acknowledged (default 1048576)\n"
    "  --gateways N               stream: start a local cluster with so many gateways instead of using --target\n"
    "  --metrics HOST:PORT[,...]  room: storage processes whose rows and statements are counted\n"
    "  --storage shards|none      chat: none for servers with session.storage=none (no friends needed)\n"
    "  --logins N                 login: how many (default 2000)\n"
    "  --concurrency N            login: at a time (default 200)\n"
    "  --users N                  offline: how many come back (default 60), of whom\n"
    "  --alone N                  offline: one after the other (default 20), the others at once\n"
    "  --messages N               offline: messages that wait for each (default 5000)\n"
    "  --seconds N                measured time (default 10)\n"
    "  --warmup N                 chat: seconds of load before it (default 2)\n"
    "  --prefix TEXT              of account names (default bench)\n"
    "  --json-frames              clients speak JSON instead of Thrift\n"
    "  --json                     result as JSON on standard output; progress stays on standard error\n"
    "  --bin DIR                  suite, --gateways: where the servers' binaries are\n"
    "  --only PART[,...]          suite: idle, chat, room, stream, ping, growth, overload, relay, codec\n"
    "  --out FILE, --json-out FILE, --commit TEXT, --quick     suite only\n"
    "\n"
    "By default a gateway lets a connection send 500 frames/s\n"
    "(gateway.request_rate_per_second): --file and fast streams need that raised; --gateways does it itself.\n"
    "  --help\n";

struct options {
  std::string scenario;
  setting with;
  idle_options idle;
  chat_options chat;
  login_options login;
  offline_options offline;
  ping_options ping;
  overload_options overload;
  floor_options floor;
  room_options room;
  rooms_options rooms;
  send_floor_options send_floor;
  placement_options placement;
  stream_options stream;
  stream_file_options file;
  size_t gateways = 0;
  std::vector<client::endpoint> metrics;
  suite_options suite;
  bool json = false;
};

bool to_size(const char* text, size_t& target) {
  char* end = nullptr;
  target = std::strtoul(text, &end, 10);
  return end != text && *end == 0 && *text != '-';
}

bool to_double(const char* text, double& target) {
  char* end = nullptr;
  target = std::strtod(text, &end);
  return end != text && *end == 0 && target >= 0;
}

bool each_part(const std::string& list, const std::function<bool(const std::string&)>& take) {
  size_t at = 0;
  while (at <= list.size()) {
    const auto comma = std::min(list.find(',', at), list.size());
    if (!take(list.substr(at, comma - at))) return false;
    at = comma + 1;
  }
  return true;
}

bool add_watched(const std::string& part, setting& with) {
  const auto equals = part.find('=');
  if (equals == std::string::npos) return false;
  watched one;
  one.name = part.substr(0, equals);
  auto pid = part.substr(equals + 1);
  if (pid.ends_with('+')) {
    one.with_children = true;
    pid.pop_back();
  }
  size_t value = 0;
  if (!to_size(pid.c_str(), value) || value == 0) return false;
  one.pid = static_cast<pid_t>(value);
  with.processes.push_back(one);
  return true;
}

bool add_gateway(const std::string& part, setting& with) {
  const auto to = client::parse_endpoint(part);
  if (to) with.where.gateways.push_back(*to);
  return to.has_value();
}

bool add_metrics(const std::string& part, options& o) {
  const auto from = client::parse_endpoint(part);
  if (from) o.metrics.push_back(*from);
  return from.has_value();
}

using flag_map = std::map<std::string, std::function<bool(const char*)>>;

bool add_part(const std::string& part, options& o) {
  o.suite.only.push_back(part);
  return is_suite_part(part);
}

flag_map stream_flags_of(options& o) {
  return {
      {"--publishers", [&o](const char* v) { return to_size(v, o.stream.publishers); }},
      {"--viewers", [&o](const char* v) { return to_size(v, o.stream.viewers); }},
      {"--size", [&o](const char* v) { return to_size(v, o.stream.frame_bytes); }},
      {"--slow-fraction",
       [&o](const char* v) { return to_double(v, o.stream.slow_fraction) && o.stream.slow_fraction < 1; }},
      {"--file", [&o](const char* v) { return to_size(v, o.file.bytes) && o.file.bytes > 0; }},
      {"--chunk", [&o](const char* v) { return to_size(v, o.file.chunk) && o.file.chunk > 0; }},
      {"--window-bytes", [&o](const char* v) { return to_size(v, o.file.window) && o.file.window > 0; }},
      {"--gateways", [&o](const char* v) { return to_size(v, o.gateways); }},
      {"--only", [&o](const char* v) { return each_part(v, [&o](const auto& p) { return add_part(p, o); }); }},
  };
}

flag_map flags_of(options& o) {
  return {
      {"--target",
       [&o](const char* v) { return each_part(v, [&o](const auto& p) { return add_gateway(p, o.with); }); }},
      {"--watch",
       [&o](const char* v) { return each_part(v, [&o](const auto& p) { return add_watched(p, o.with); }); }},
      {"--connections",
       [&o](const char* v) {
         return to_size(v, o.idle.connections) && to_size(v, o.floor.connections) &&
                to_size(v, o.send_floor.connections) && to_size(v, o.ping.connections) && o.ping.connections > 0;
       }},
      {"--interval",
       [&o](const char* v) { return to_double(v, o.ping.interval_seconds) && o.ping.interval_seconds > 0; }},
      {"--pairs",
       [&o](const char* v) { return to_size(v, o.chat.pairs) && o.chat.pairs > 0 && to_size(v, o.overload.pairs); }},
      {"--rate",
       [&o](const char* v) {
         return to_double(v, o.chat.rate) && to_double(v, o.room.rate) && to_double(v, o.rooms.rate) &&
                to_double(v, o.stream.rate);
       }},
      {"--rooms",
       [&o](const char* v) {
         return to_size(v, o.rooms.rooms) && to_size(v, o.stream.publishers) && o.rooms.rooms > 0;
       }},
      {"--nodes", [&o](const char* v) { return to_size(v, o.placement.nodes); }},
      {"--sessions", [&o](const char* v) { return to_size(v, o.placement.sessions); }},
      {"--members", [&o](const char* v) { return to_size(v, o.room.members); }},
      {"--online", [&o](const char* v) { return to_size(v, o.room.online); }},
      {"--metrics", [&o](const char* v) { return each_part(v, [&o](const auto& p) { return add_metrics(p, o); }); }},
      {"--burst",
       [&o](const char* v) { return to_size(v, o.chat.burst) && o.chat.burst > 0 && to_size(v, o.overload.burst); }},
      {"--window", [&o](const char* v) { return to_size(v, o.chat.window) && o.chat.window > 0; }},
      {"--body", [&o](const char* v) { return to_size(v, o.chat.body_bytes) && to_size(v, o.room.body_bytes); }},
      {"--storage",
       [&o](const char* v) {
         o.chat.stored = std::strcmp(v, "none") != 0;
         return !o.chat.stored || std::strcmp(v, "shards") == 0;
       }},
      {"--users", [&o](const char* v) { return to_size(v, o.offline.users) && o.offline.users > 0; }},
      {"--alone", [&o](const char* v) { return to_size(v, o.offline.alone); }},
      {"--messages", [&o](const char* v) { return to_size(v, o.offline.messages) && o.offline.messages > 0; }},
      {"--logins", [&o](const char* v) { return to_size(v, o.login.logins) && o.login.logins > 0; }},
      {"--concurrency", [&o](const char* v) { return to_size(v, o.login.concurrency) && o.login.concurrency > 0; }},
      {"--warmup", [&o](const char* v) { return to_double(v, o.chat.warmup_seconds); }},
      {"--seconds",
       [&o](const char* v) {
         return to_double(v, o.chat.seconds) && to_double(v, o.idle.seconds) && to_double(v, o.floor.seconds) &&
                to_double(v, o.suite.seconds) && to_double(v, o.ping.seconds) && to_double(v, o.overload.seconds) &&
                to_double(v, o.room.seconds) && to_double(v, o.send_floor.seconds) && to_double(v, o.rooms.seconds) &&
                to_double(v, o.stream.seconds) && o.chat.seconds > 0;
       }},
      {"--prefix", [&o](const char* v) { return !(o.with.prefix = v).empty(); }},
      {"--bin", [&o](const char* v) { return !(o.suite.binaries = v).empty(); }},
      {"--out", [&o](const char* v) { return !(o.suite.out = v).empty(); }},
      {"--json-out", [&o](const char* v) { return !(o.suite.json = v).empty(); }},
      {"--commit", [&o](const char* v) { return !(o.suite.commit = v).empty(); }},
  };
}

/// -1: go on; else the exit code.
int parse(int argc, char** argv, options& o) {
  auto flags = flags_of(o);
  flags.merge(stream_flags_of(o));
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--help") {
      std::fputs(usage_text, stdout);
      return 0;
    }
    if (word == "--json") {
      o.json = true;
    } else if (word == "--json-frames") {
      o.with.encoding = wire::encoding::json;
    } else if (word == "--binary") {
      o.stream.binary = true;
    } else if (word == "--quick") {
      o.suite.quick = true;
    } else if (!word.starts_with("--") && o.scenario.empty()) {
      o.scenario = word;
    } else {
      const auto flag = flags.find(word);
      if (flag == flags.end() || i + 1 >= argc || !flag->second(argv[i + 1])) {
        std::fprintf(stderr, "tern-bench: %s%s%s is not understood; see --help\n", word.c_str(),
                     i + 1 < argc ? " " : "", i + 1 < argc ? argv[i + 1] : "");
        return 2;
      }
      ++i;
    }
  }
  if (o.with.where.gateways.empty()) add_gateway("127.0.0.1:5080", o.with);
  return -1;
}

result<report> stream(const options& o, const setting& with) {
  return o.file.bytes > 0 ? run_stream_file(with, o.file) : run_stream(with, o.stream);
}

result<report> run(const options& o) {
  if (o.scenario == "stream" && o.gateways > 0) {
    return on_fresh_cluster(o.suite.binaries, o.gateways, [&o](const setting& with) { return stream(o, with); });
  }
  if (o.scenario == "stream") return stream(o, o.with);
  if (o.scenario == "idle") return run_idle(o.with, o.idle);
  if (o.scenario == "chat") return run_chat(o.with, o.chat);
  if (o.scenario == "login") return run_login(o.with, o.login);
  if (o.scenario == "offline") return run_offline(o.with, o.offline);
  if (o.scenario == "ping") return run_ping(o.with, o.ping);
  if (o.scenario == "overload") return run_overload(o.with, o.overload);
  if (o.scenario == "room") return run_room(o.with, o.room);
  if (o.scenario == "rooms") return run_rooms(o.with, o.rooms);
  if (o.scenario == "placement") return run_placement(o.with, o.placement);
  if (o.scenario == "send-floor") return run_send_floor(o.send_floor);
  if (o.scenario == "floor") return o.file.bytes > 0 ? run_file_floor(plan_of(o.file)) : run_floor(o.floor);
  return error{errc::bad_parameter, "no scenario '" + o.scenario + "'; see --help"};
}

}  // namespace

int main(int argc, char** argv) {
  options o;
  if (const int code = parse(argc, argv, o); code >= 0) return code;
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  o.with.progress = [](const std::string& line) { std::fprintf(stderr, "%s\n", line.c_str()); };
  if (o.scenario == "suite") {
    const auto done = run_suite(o.suite);
    if (!done) std::fprintf(stderr, "tern-bench: %s\n", done.error().detail.c_str());
    return done ? 0 : 1;
  }
  if (!o.metrics.empty()) {
    o.with.counter = [&o](const std::string& name) {
      double sum = 0;
      for (const auto& from : o.metrics) sum += scrape(from, name);
      return sum;
    };
  }
  const auto made = run(o);
  if (!made) {
    std::fprintf(stderr, "tern-bench: %s\n", made.error().detail.c_str());
    return made.code() == errc::bad_parameter ? 2 : 1;
  }
  std::fputs(o.json ? to_json({*made}).c_str() : to_text(*made).c_str(), stdout);
  return 0;
}
