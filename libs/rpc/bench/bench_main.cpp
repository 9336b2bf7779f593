// tern-rpc-bench: CPU time and rate per item over a link, client and server in one process.
//   tern-rpc-bench [local|unix|tcp] [items] [bytes]
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

#include "libs/rpc/grpc_network.hpp"
#include "libs/rpc/local_network.hpp"
#include "libs/rpc/streams.hpp"

namespace {

using namespace tern::rpc;
using kind = storage_stream;

/// Counts what it gets and answers each item with a small one.
struct echo final : server_handler<kind> {
  explicit echo(std::shared_ptr<sink<kind::down>> to) : out(std::move(to)) {}
  void on_items(std::vector<kind::up>& items) override {
    std::vector<kind::down> answers(items.size());
    while (!out->send_all(answers)) std::this_thread::yield();
  }
  void on_down() override {}
  std::shared_ptr<sink<kind::down>> out;
};

struct counter final : client_handler<kind> {
  void on_up(std::shared_ptr<sink<kind::up>> to) override {
    out = std::move(to);
    up = true;
    up.notify_all();
  }
  void on_items(std::vector<kind::down>& items) override {
    answered += items.size();
    answered.notify_one();
  }
  void on_down() override {}
  std::shared_ptr<sink<kind::up>> out;
  std::atomic<bool> up = false;
  std::atomic<size_t> answered = 0;
};

double cpu_seconds() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

/// Sends `count` items keeping at most `window` unanswered, and prints the cost.
void run(counter& client, const char* name, size_t count, size_t bytes, size_t window) {
  kind::up item;
  item.mutable_append()->set_body(std::string(bytes, 'x'));
  client.answered = 0;
  const double cpu = cpu_seconds();
  const auto began = std::chrono::steady_clock::now();
  for (size_t sent = 0; sent < count;) {
    const size_t answered = client.answered;
    if (sent - answered < window && client.out->send(item)) {
      ++sent;
    } else {
      client.answered.wait(answered);
    }
  }
  for (size_t answered = 0; (answered = client.answered) < count;) client.answered.wait(answered);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  const double items = static_cast<double>(count);
  std::printf("%-6s %zu B, window %5zu: %9.0f items/s, %6.0f ns CPU per item and answer (both ends)\n", name, bytes,
              window, items / took.count(), (cpu_seconds() - cpu) / items * 1e9);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string over = argc > 1 ? argv[1] : "unix";
  const size_t count = argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 500'000;
  const size_t bytes = argc > 3 ? std::strtoul(argv[3], nullptr, 10) : 200;
  grpc_options how;
  how.self = {"storage", "storage-0", 1};
  how.listen_address = over == "tcp" ? "127.0.0.1:0" : "unix:/tmp/tern-rpc-bench-" + std::to_string(::getpid());
  auto net = over == "local" ? make_local_network() : make_grpc_network(how);
  net->serve<kind>("local:storage-0", [](const peer&, std::shared_ptr<sink<kind::down>> out) {
    return std::make_shared<echo>(std::move(out));
  });
  if (!net->start()) return 1;
  std::string address = over == "local" ? "local:storage-0" : how.listen_address;
  if (over == "tcp") address = "127.0.0.1:" + std::to_string(bound_port(*net));
  const auto client = std::make_shared<counter>();
  const auto link = net->connect<kind>({"session", "session-0", 1}, address, client);
  client->up.wait(false);
  for (const size_t window : {size_t{1}, size_t{64}, size_t{1024}, size_t{8192}}) {
    run(*client, over.c_str(), window == 1 ? count / 20 : count, bytes, window);
  }
  return 0;
}
