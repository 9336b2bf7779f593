// The scenarios of tern-bench. Each speaks the real protocol from this process and returns what it measured.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "tools/bench/histogram.hpp"
#include "tools/bench/population.hpp"
#include "tools/bench/usage.hpp"

namespace tern::bench {

/// What a scenario runs against and whose resources are counted.
struct setting {
  target where;
  std::vector<watched> processes;
  std::string prefix = "bench";  // of account names
  wire::encoding encoding = wire::encoding::thrift;
  progress_function progress;
  /// Sum of a series over all storage processes; may be empty.
  std::function<double(const std::string&)> counter = {};
};

/// CPU of one process during the measured time.
struct process_cost {
  double cpu_seconds = 0;
  double microseconds_per_operation = 0;
  double bytes_per_connection = 0;  // idle: growth of the proportional set size
  uint64_t pss_bytes = 0;
};

struct report {
  std::string scenario;
  std::map<std::string, double> values;       // named figures: "receipts_per_second", …
  std::map<std::string, std::string> units;   // of the values
  std::map<std::string, process_cost> costs;  // by process name, the generator as "tern-bench"
  std::map<std::string, histogram> latencies;
  double seconds = 0;
  std::vector<std::string> notes;
};

struct idle_options {
  size_t connections = 1000;
  double seconds = 5;
};
/// N logged-in connections that do nothing: bytes per connection of each process.
result<report> run_idle(const setting& with, const idle_options& how);

struct chat_options {
  size_t pairs = 50;
  double rate = 0;     // messages/s in all; 0 = saturation
  size_t window = 16;  // saturation: unanswered messages per sender
  double seconds = 10;
  double warmup_seconds = 2;
  size_t body_bytes = 64;
  bool stored = true;                  // false: against session.storage = none, where nobody needs to be friends
  size_t burst = 1;                    // rate: messages a sender writes together, in its turn
  std::chrono::milliseconds round{0};  // rate: the least time between two looks at what is due; 0: punctual
};
/// Pairs of friends that write to each other: receipts/s, deliveries/s, latency of both, CPU per message.
result<report> run_chat(const setting& with, const chat_options& how);

struct login_options {
  size_t logins = 2000;
  size_t concurrency = 200;
};
/// A storm of token logins on fresh connections.
result<report> run_login(const setting& with, const login_options& how);

struct offline_options {
  size_t users = 60;       // who come back
  size_t alone = 20;       // of them, one after the other; then the others at once
  size_t messages = 5000;  // that wait for each
  size_t window = 32;      // unanswered messages of each of those who write them
  size_t body_bytes = 64;
};
/// People who were away come back and get what was written to them: time to the first message and to the last one,
/// messages/s of many at once; whether each came once and in order.
result<report> run_offline(const setting& with, const offline_options& how);

struct ping_options {
  size_t connections = 8000;
  double interval_seconds = 30;  // between two pings of a connection
  double seconds = 30;
};
/// N logged-in connections that ping: CPU of the watched processes, time to the echo.
result<report> run_ping(const setting& with, const ping_options& how);

struct overload_options {
  size_t pairs = 300;
  size_t window = 8;    // for the saturation measured first
  double factor = 2;    // of saturation, offered whatever comes back
  size_t burst = 0;     // messages a sender writes together, in its turn; 0: window, as at saturation
  double seconds = 60;  // of overload; saturation is measured for a third of it
};
/// More messages than the servers can take: what is answered in spite of it, refusals, connections lost, memory.
result<report> run_overload(const setting& with, const overload_options& how);

struct room_options {
  size_t members = 1000;
  size_t online = 1000;
  double rate = 2;  // messages/s; 0: the next one when everybody has the last
  double seconds = 20;
  double warmup_seconds = 3;
  size_t body_bytes = 64;
};
/// One open room, everybody on line in it: CPU per recipient, when the last one has a message, when the sender has
/// its receipt, rows and statements per message. The send floor is measured before.
result<report> run_room(const setting& with, const room_options& how);

struct rooms_options {
  size_t pairs = 50;
  size_t rooms = 50;   // spread over the pairs; both of a pair are in each of theirs
  double rate = 2000;  // messages/s in all, over all members and rooms in turn
  double seconds = 10;
  double warmup_seconds = 2;
  size_t body_bytes = 64;
};
/// Many rooms of two members: CPU per message, to be compared over the number of rooms.
result<report> run_rooms(const setting& with, const rooms_options& how);

struct send_floor_options {
  size_t connections = 1000;
  size_t bytes = 124;  // of a whole WebSocket message
  double seconds = 1.5;
  double rate = 0;   // rounds per second; 0: the next one when everybody has the last
  size_t group = 0;  // sockets of a round, the next ones in turn each time; 0: all
};
/// The least a room can cost on this machine: a child process that writes the same WebSocket message to N sockets,
/// which this process reads.
result<report> run_send_floor(const send_floor_options& how);

struct placement_options {
  size_t nodes = 1000;
  size_t sessions = 1'000'000;  // in all: decides how many orders a move takes
};
/// Routing's planner with simulated nodes that join, drain and fail: orders, units moved and the least that had to,
/// time per plan, size of a change. No servers, no network; minutes for thousands of nodes.
result<report> run_placement(const setting& with, const placement_options& how);

struct floor_options {
  size_t connections = 100;
  size_t bytes = 64;
  double seconds = 3;
};
/// The least a relay can cost on this machine: a child process that passes bytes from one socket of a pair to the
/// other.
result<report> run_floor(const floor_options& how);

struct stream_options {
  size_t publishers = 1;      // each with a virtual room of its own
  size_t viewers = 1000;      // of each room, spread over the gateways
  double rate = 20;           // frames/s of each publisher
  size_t frame_bytes = 4096;  // of a frame's body
  bool binary = false;        // BIGBINARYSTREAM both ways instead of STREAM
  double slow_fraction = 0;   // this part of the viewers stops reading, after a run in which all read
  double seconds = 10;
  double warmup_seconds = 2;
};
/// Publishers and their viewers: frames sent, delivered, dropped, latency, CPU per delivered frame and its ratio to
/// the send floor of the same shape. With slow viewers: what the others notice of them, and memory.
result<report> run_stream(const setting& with, const stream_options& how);

struct stream_file_options {
  uint64_t bytes = 0;
  size_t chunk = 128 * 1024;
  uint64_t window = 1024 * 1024;  // bytes sent and not acknowledged
};
/// A file through a virtual room, with acknowledgements and checksums; its rate is compared with that of the same
/// transfer through a plain relay.
result<report> run_stream_file(const setting& with, const stream_file_options& how);

/// Text for people: a table of values and costs, then the histograms.
std::string to_text(const report& what);
std::string to_json(const std::vector<report>& all);

}  // namespace tern::bench
