#include "tests/chaos/fault_proxy.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <thread>

namespace tern::chaos {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

/// Sends back whatever comes, one connection after the other.
class echo_server {
 public:
  echo_server() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    ::bind(fd_, reinterpret_cast<sockaddr*>(&at), size);
    ::listen(fd_, 8);
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&at), &size);
    port_ = ntohs(at.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~echo_server() {
    ::shutdown(fd_, SHUT_RDWR);
    thread_.join();
    ::close(fd_);
  }
  client::endpoint address() const { return {"127.0.0.1", port_}; }

 private:
  void serve() {
    for (int one; (one = ::accept(fd_, nullptr, nullptr)) >= 0; ::close(one)) {
      char buffer[4096];
      for (ssize_t got; (got = ::recv(one, buffer, sizeof buffer, 0)) > 0;) {
        if (::send(one, buffer, static_cast<size_t>(got), MSG_NOSIGNAL) != got) break;
      }
    }
  }

  int fd_;
  uint16_t port_ = 0;
  std::thread thread_;
};

class fault_proxy_test : public ::testing::Test {
 protected:
  void SetUp() override {
    auto made = fault_proxy::start({"127.0.0.1", 0}, server_.address(), 7);
    ASSERT_TRUE(made) << made.error().detail;
    proxy_ = std::move(*made);
  }
  void TearDown() override {
    leave();
    proxy_.reset();
  }
  void leave() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  void connect() {
    leave();
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    at.sin_port = htons(proxy_->address().port);
    ASSERT_EQ(::connect(fd_, reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
  }
  bool send(const std::string& bytes) {
    return ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
  }
  /// Up to `count` bytes; fewer when the connection ends or nothing comes for `limit`.
  std::string receive(size_t count, std::chrono::milliseconds limit = 5s) {
    std::string all;
    while (all.size() < count) {
      pollfd wait{fd_, POLLIN, 0};
      if (::poll(&wait, 1, static_cast<int>(limit.count())) != 1) break;
      char buffer[4096];
      const auto got = ::recv(fd_, buffer, std::min(sizeof buffer, count - all.size()), 0);
      if (got <= 0) break;
      all.append(buffer, static_cast<size_t>(got));
    }
    return all;
  }

  echo_server server_;
  std::unique_ptr<fault_proxy> proxy_;
  int fd_ = -1;
};

TEST_F(fault_proxy_test, without_faults_every_byte_arrives_in_order) {
  connect();
  std::string text;
  for (int i = 0; i < 20'000; ++i) text += std::to_string(i);
  std::thread writer([&] { EXPECT_TRUE(send(text)); });
  EXPECT_EQ(receive(text.size()), text);
  writer.join();
  EXPECT_EQ(proxy_->accepted(), 1U);
}

TEST_F(fault_proxy_test, delay_holds_bytes_back_and_keeps_their_order) {
  proxy_->set({.delay = 30ms, .jitter = 20ms, .stall_percent = 20, .stall = 20ms});
  connect();
  const auto began = steady_clock::now();
  std::string all;
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(send(std::to_string(i)));
    all += std::to_string(i);
  }
  EXPECT_EQ(receive(all.size()), all);
  EXPECT_GE(steady_clock::now() - began, 60ms);
}

TEST_F(fault_proxy_test, trickle_lets_only_so_much_through) {
  proxy_->set({.trickle_bytes = 100});
  connect();
  const std::string text(1000, 't');
  const auto began = steady_clock::now();
  ASSERT_TRUE(send(text));
  EXPECT_EQ(receive(text.size()), text);
  EXPECT_GE(steady_clock::now() - began, 90ms);
}

TEST_F(fault_proxy_test, a_cut_comes_within_the_bytes_asked_for) {
  proxy_->set({.cut_within = 5000});
  connect();
  (void)send(std::string(20'000, 'c'));
  EXPECT_LT(receive(20'000).size(), 5000U);
  EXPECT_EQ(proxy_->cut(), 1U);
}

TEST_F(fault_proxy_test, silence_to_the_client_keeps_the_answer_until_it_is_over) {
  connect();
  ASSERT_TRUE(send("first"));
  EXPECT_EQ(receive(5), "first");
  proxy_->silence({.to_server = false, .to_client = true});
  ASSERT_TRUE(send("second"));
  EXPECT_EQ(receive(6, 100ms), "");
  proxy_->heal();
  EXPECT_EQ(receive(6), "second");
}

TEST_F(fault_proxy_test, reset_ends_all_connections_and_refuse_those_to_come) {
  connect();
  ASSERT_TRUE(send("x"));
  EXPECT_EQ(receive(1), "x");
  proxy_->reset_all();
  EXPECT_EQ(receive(1), "");
  proxy_->refuse(true);
  connect();
  (void)send("y");
  EXPECT_EQ(receive(1), "");
  proxy_->heal();
  connect();
  ASSERT_TRUE(send("z"));
  EXPECT_EQ(receive(1), "z");
}

TEST_F(fault_proxy_test, the_end_of_one_side_reaches_the_other_after_all_bytes) {
  connect();
  ASSERT_TRUE(send("last"));
  ::shutdown(fd_, SHUT_WR);
  EXPECT_EQ(receive(100), "last");
}

}  // namespace
}  // namespace tern::chaos
