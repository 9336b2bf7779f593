// What one message of a room costs a gateway per recipient: N terminals in a child process that acknowledge, one
// gateway in this process, and a session node that sends. Prints user and system time of this process per recipient,
// with everything it does: fan-out, acknowledgements, their telling.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <set>
#include <thread>

#include "libs/client/terminal.hpp"
#include "tests/protocol/fake_cluster.hpp"

namespace {

namespace client = tern::client;
namespace wire = tern::wire;
using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

/// A member of the room: logs on, acknowledges, counts.
class recipient final : public client::terminal_observer {
 public:
  recipient(client::loop& loop, uint16_t port, int number, uint64_t& received)
      : name_("member-" + std::to_string(number)), received_(received) {
    terminal_ =
        std::make_unique<client::terminal>(loop, client::endpoint{"127.0.0.1", port}, wire::encoding::thrift, *this);
  }
  bool online() const noexcept { return online_; }

 private:
  void on_open(client::terminal& self) override {
    wire::tim_auth auth;
    auth.name = name_;
    auth.pwd = "secret";
    self.login(auth);
  }
  void on_message(client::terminal&, const wire::tim_message&, bool) override { ++received_; }
  void on_ack(client::terminal&, const wire::tim_ack& ack, bool) override { online_ = ack.ok; }
  void on_closed(client::terminal&, std::string_view) override { online_ = false; }

  std::string name_;
  uint64_t& received_;
  bool online_ = false;
  std::unique_ptr<client::terminal> terminal_;
};

/// The child: tells by `to_parent` when all are on line, then each time everybody has got another message.
[[noreturn]] void run_members(int from_parent, int to_parent, int count) {
  uint16_t port = 0;
  if (::read(from_parent, &port, sizeof port) != sizeof port) std::_Exit(1);
  client::loop loop;
  uint64_t received = 0;
  std::vector<std::unique_ptr<recipient>> members;
  for (int i = 0; i < count; ++i) {
    members.push_back(std::make_unique<recipient>(loop, port, i, received));
    if (i % 100 == 99) loop.run_until([&] { return members.back()->online(); }, 10s);
  }
  loop.run_until([&] { return std::all_of(members.begin(), members.end(), [](auto& m) { return m->online(); }); },
                 30s);
  const char note = 1;
  for (uint64_t round = 0; ::write(to_parent, &note, 1) == 1; ++round) {
    loop.run_until([&] { return received >= (round + 1) * static_cast<uint64_t>(count); }, 600s);
  }
  std::_Exit(0);
}

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
}

class fanout final : public tern::testing::edge_test {
 public:
  fanout(int count, int messages) : count_(count), messages_(messages) {}

  void TestBody() override {
    int down[2], up[2];
    if (::pipe(down) != 0 || ::pipe(up) != 0) return;
    const pid_t child = ::fork();
    if (child == 0) {
      ::close(down[1]);
      ::close(up[0]);
      run_members(down[0], up[1], count_);
    }
    ::close(up[1]);
    options.max_half_open_per_address = 100'000;
    start();
    const uint16_t port_number = port();
    if (::write(down[1], &port_number, sizeof port_number) != sizeof port_number) return;
    std::vector<uint64_t> conns;
    while (conns.size() < static_cast<size_t>(count_)) conns.push_back(session.expect_login().login().conn());
    char note = 0;
    if (::read(up[0], &note, 1) != 1) return;
    session.forget();
    rusage before{}, after{};
    ::getrusage(RUSAGE_SELF, &before);
    std::vector<double> last;
    for (int mid = 1; mid <= messages_; ++mid) {
      const auto began = steady::now();
      session.send_room(7, static_cast<uint64_t>(mid), conns,
                        "sixty-four bytes of text, as in the other measurements of Tern's.");
      if (::read(up[0], &note, 1) != 1) return;
      last.push_back(std::chrono::duration<double>(steady::now() - began).count());
      session.forget();
    }
    std::this_thread::sleep_for(1500ms);  // the tellings
    ::getrusage(RUSAGE_SELF, &after);
    std::sort(last.begin(), last.end());
    const double each = 1e6 / (static_cast<double>(count_) * messages_);
    std::printf(
        "%d recipients, %d messages: %.2f us user, %.2f us system per recipient; last receiver after %.0f ms median, "
        "%.0f ms at most\n",
        count_, messages_, each * (seconds(after.ru_utime) - seconds(before.ru_utime)),
        each * (seconds(after.ru_stime) - seconds(before.ru_stime)), 1e3 * last[last.size() / 2], 1e3 * last.back());
    ::kill(child, SIGTERM);
    ::waitpid(child, nullptr, 0);
    stop();
  }

 private:
  const int count_, messages_;
};

}  // namespace

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  fanout(argc > 1 ? std::atoi(argv[1]) : 5000, argc > 2 ? std::atoi(argv[2]) : 40).TestBody();
  return 0;
}
