// tern-verify: real clients that chat through a running deployment, and the history checker over what they saw.
// Somebody else breaks things meanwhile and says so on standard input.
#include <signal.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/verify/dump.hpp"
#include "tests/verify/workload.hpp"

namespace {

using namespace std::chrono_literals;
using namespace tern;

constexpr auto finish_limit = 90s;
constexpr size_t shown_violations = 20;

struct arguments {
  verify::workload_options load;
  long seconds = 0;  // 0: until told to stop
  std::string history;
};

verify::instant now() { return std::chrono::steady_clock::now().time_since_epoch().count(); }

/// Standard input: "fault" and "healed" around each thing that is down, "stop" at the end. Its reader lives as long
/// as the process.
class director {
 public:
  explicit director(bool stop_at_end) {
    std::thread([state = state_, stop_at_end] {
      for (std::string line; std::getline(std::cin, line);) {
        if (line == "stop") state->stopped = true;
        const std::lock_guard hold{state->lock};
        if (line == "fault" && state->began == 0) state->began = now();
        if (line == "healed" && state->began != 0) state->faults.emplace_back(std::exchange(state->began, 0), now());
      }
      if (stop_at_end) state->stopped = true;
    }).detach();
  }

  bool stopped() const { return state_->stopped; }
  /// A fault that has not ended ends now.
  std::vector<std::pair<verify::instant, verify::instant>> faults() {
    const std::lock_guard hold{state_->lock};
    if (state_->began != 0) state_->faults.emplace_back(std::exchange(state_->began, 0), now());
    return state_->faults;
  }

 private:
  struct shared {
    std::mutex lock;
    verify::instant began = 0;
    std::vector<std::pair<verify::instant, verify::instant>> faults;
    std::atomic<bool> stopped{false};
  };
  std::shared_ptr<shared> state_ = std::make_shared<shared>();
};

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return out + "\"";
}

void report(const verify::history& seen, const std::vector<verify::violation>& broken) {
  size_t answered = 0;
  for (const auto& op : seen.sends) answered += op.result == verify::outcome::ok ? 1 : 0;
  std::cout << R"({"event":"end","sent":)" << seen.sends.size() << R"(,"answered":)" << answered << R"(,"received":)"
            << seen.receives.size() << R"(,"recalled":)" << seen.recalls.size() << R"(,"connections":)"
            << seen.connections.size() << R"(,"histories":)" << seen.finals.size() << R"(,"violations":[)";
  for (size_t i = 0; i < broken.size() && i < shown_violations; ++i) {
    std::cout << (i == 0 ? "" : ",") << quoted(broken[i].check + ": " + broken[i].detail);
  }
  std::cout << "]}" << std::endl;
}

int run(const arguments& how) {
  director orders(how.seconds == 0);
  verify::workload traffic(how.load);
  if (const auto ready = traffic.start(); !ready) {
    std::cerr << "tern-verify: " << ready.error().detail << "\n";
    return 3;
  }
  std::cout << R"({"event":"start","terminals":)" << traffic.terminals() << "}" << std::endl;
  const auto began = std::chrono::steady_clock::now();
  while (!orders.stopped()) {
    std::this_thread::sleep_for(200ms);
    const auto age = std::chrono::steady_clock::now() - began;
    if (how.seconds > 0 && age > std::chrono::seconds(how.seconds)) break;
    std::cout << R"({"event":"now","receipts":)" << traffic.receipts() << R"(,"online":)" << traffic.online()
              << R"(,"terminals":)" << traffic.terminals() << "}" << std::endl;
  }
  auto seen = traffic.finish(finish_limit);
  seen.faults = orders.faults();
  if (!how.history.empty() && !verify::dump(seen, how.history)) {
    std::cerr << "tern-verify: cannot write " << how.history << "\n";
    return 3;
  }
  const auto broken = verify::check(seen);
  report(seen, broken);
  return broken.empty() ? 0 : 1;
}

struct option {
  std::string what;
  std::function<bool(const std::string&)> take;
};

std::map<std::string, option> options_of(arguments& how) {
  auto& load = how.load;
  const auto number = [](auto& into) {
    return [&into](const std::string& text) {
      std::istringstream in(text);
      return static_cast<bool>(in >> into) && in.eof();
    };
  };
  return {
      {"--target",
       {"HOST:PORT[,...]: gateways, numeric IPv4",
        [&load](const std::string& text) {
          std::istringstream in(text);
          for (std::string one; std::getline(in, one, ',');) {
            const auto at = client::parse_endpoint(one);
            if (!at) return false;
            load.gateways.push_back(*at);
          }
          return !load.gateways.empty();
        }}},
      {"--accounts", {"N: at least 5 (200); every third speaks JSON, the others Thrift", number(load.accounts)}},
      {"--rate", {"N: messages a second (300)", number(load.messages_per_second)}},
      {"--rooms", {"N (8)", number(load.rooms)}},
      {"--room-members", {"N (16)", number(load.room_members)}},
      {"--naps", {"N: terminals that go off line for a while, per second (0.5)", number(load.naps_per_second)}},
      {"--seed", {"N (1)", number(load.seed)}},
      {"--seconds", {"N: time to write; 0: until told to stop (0)", number(how.seconds)}},
      {"--prefix",
       {"TEXT: of account names, new ones for each run (w)",
        [&load](const std::string& text) {
          load.prefix = text;
          return !text.empty();
        }}},
      {"--history",
       {"FILE: everything the clients saw, one line each",
        [&how](const std::string& text) {
          how.history = text;
          return !text.empty();
        }}},
  };
}

}  // namespace

int main(int argc, char** argv) {
  ::signal(SIGPIPE, SIG_IGN);
  arguments how;
  const auto options = options_of(how);
  bool good = true;
  for (int i = 1; i < argc && good; i += 2) {
    const auto known = options.find(argv[i]);
    good = known != options.end() && i + 1 < argc && known->second.take(argv[i + 1]);
  }
  if (good && !how.load.gateways.empty() && how.load.accounts >= 5) return run(how);
  std::cout << "tern-verify --target HOST:PORT [options]: clients that chat, and the check of what they saw\n"
               "Standard input: fault, healed (around what is down), stop; without --seconds its end is stop.\n"
               "Standard output: one JSON object per line.\n"
               "Exit codes: 0 every promise kept; 1 one broken; 2 command line; 3 did not start.\n";
  for (const auto& [name, one] : options) std::cout << "  " << name << " " << one.what << "\n";
  return 2;
}
