// What only the gRPC transport has: credit, bounds, peers that die or stall, identity by certificate.
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "libs/rpc/call_tally.hpp"
#include "libs/rpc/links_fixture.hpp"
#include "libs/testing/process.hpp"

namespace tern::rpc {
namespace {

using std::chrono::milliseconds;

/// Holds a handler inside its call until opened.
class gate {
 public:
  void pass() {
    std::unique_lock lock(mutex_);
    ++waiting_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
  }
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void await_somebody() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return waiting_ > 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int waiting_ = 0;
  bool open_ = false;
};

TEST(grpc_calls, are_counted_by_method_at_both_ends) {
  const auto ended = [](const call_tally& of) {
    uint64_t sum = 0;
    for (const auto& code : of.handled) sum += code.load();
    return sum;
  };
  auto& made = calls_of(made_calls(), kind::method);
  auto& served = calls_of(served_calls(), kind::method);
  EXPECT_EQ("/" + made.service + "/" + made.method, kind::method);
  const auto made_before = made.started.load(), served_before = served.started.load();
  const auto sent = made.sent.read(), received = served.received.read();
  const auto made_ended = ended(made), served_ended = ended(served);
  {
    two_nodes nodes(transport::unix_socket);
    acceptor server;
    const auto client = std::make_shared<recording_client>();
    nodes.server().serve<kind>(nodes.address(), server.function());
    const auto link = nodes.client().connect<kind>(nodes.self, nodes.address(), client);
    ASSERT_TRUE(client->seen.wait([&] { return client->seen.ups == 1; }));
    ASSERT_TRUE(client->sender()->send(up_item(1)));
    const auto at_server = server.stream(0);
    ASSERT_TRUE(at_server->seen.wait([&] { return at_server->seen.numbers.size() == 1; }));
    EXPECT_EQ(made.started.load(), made_before + 1);
    EXPECT_EQ(served.started.load(), served_before + 1);
    EXPECT_EQ(made.sent.read(), sent + 1);
    EXPECT_EQ(served.received.read(), received + 1);
  }
  EXPECT_EQ(ended(made), made_ended + 1);
  EXPECT_EQ(ended(served), served_ended + 1);
  EXPECT_EQ(calls_of(made_calls(), "/no.such/Method").method, "other");
}

TEST(grpc_credit, a_slow_receiver_stops_the_sender_at_its_bounds_and_everything_arrives_after) {
  grpc_options how;
  how.queue_items = 1000;
  how.window_items = 100;
  two_nodes nodes(transport::unix_socket, how);
  acceptor server;
  gate slow;
  server.prepare = [&](recording_server& each) { each.at_items = [&](std::vector<kind::up>&) { slow.pass(); }; };
  nodes.server().serve<kind>(nodes.address(), server.function());
  const auto client = std::make_shared<recording_client>();
  const auto link = nodes.client().connect<kind>(nodes.self, nodes.address(), client);
  ASSERT_TRUE(client->seen.wait([&] { return client->seen.ups == 1; }));
  const auto out = client->sender();
  uint64_t sent = 0;
  ASSERT_TRUE(out->send(up_item(sent++)));
  slow.await_somebody();
  for (int full = 0; full < 1000;) {  // until it stays full: what was in flight has been written
    if (out->send(up_item(sent))) {
      ++sent;
      full = 0;
    } else {
      ++full;
      std::this_thread::yield();
    }
  }
  EXPECT_GE(sent, 1000U);
  EXPECT_LE(sent, 1000U + 100U) << "the window of the receiver and the queue of the sender";
  slow.open();
  const auto at_server = server.stream(0);
  ASSERT_TRUE(at_server->seen.wait([&] { return at_server->seen.numbers.size() == sent; }));
  EXPECT_TRUE(std::is_sorted(at_server->seen.numbers.begin(), at_server->seen.numbers.end()));
  EXPECT_TRUE(out->send(up_item(sent)));
  nodes.server().stop();
}

TEST(grpc_batches, what_waits_during_a_write_leaves_together) {
  two_nodes nodes(transport::unix_socket);
  acceptor server;
  nodes.server().serve<kind>(nodes.address(), server.function());
  const auto client = std::make_shared<recording_client>();
  const auto link = nodes.client().connect<kind>(nodes.self, nodes.address(), client);
  ASSERT_TRUE(client->seen.wait([&] { return client->seen.ups == 1; }));
  const auto out = client->sender();
  for (uint64_t i = 0; i < 50'000; ++i) {
    while (!out->send(up_item(i))) std::this_thread::yield();
  }
  const auto at_server = server.stream(0);
  ASSERT_TRUE(at_server->seen.wait([&] { return at_server->seen.numbers.size() == 50'000; }));
  EXPECT_LT(at_server->seen.batches, 25'000U);
}

TEST(grpc_sizes, a_large_item_passes_and_a_too_large_one_is_refused_at_once) {
  two_nodes nodes(transport::tcp);
  acceptor server;
  nodes.server().serve<kind>(nodes.address(), server.function());
  const auto client = std::make_shared<recording_client>();
  const auto link = nodes.client().connect<kind>(nodes.self, nodes.address(), client);
  ASSERT_TRUE(client->seen.wait([&] { return client->seen.ups == 1; }));
  EXPECT_FALSE(client->sender()->send(up_item(1, 16U << 20U)));
  EXPECT_TRUE(client->sender()->send(up_item(2, 10U << 20U)));
  const auto at_server = server.stream(0);
  ASSERT_TRUE(at_server->seen.wait([&] { return at_server->seen.numbers == std::vector<uint64_t>{2}; }));
}

TEST(grpc_addresses, two_servers_never_share_one) {
  two_nodes nodes(transport::tcp);
  for (const auto& address : {nodes.address()}) {
    grpc_options how;
    how.listen_address = address;
    EXPECT_EQ(make_grpc_network(how)->start().code(), errc::unavailable);
  }
  two_nodes local(transport::unix_socket);
  grpc_options how;
  how.listen_address = local.address();
  EXPECT_EQ(make_grpc_network(how)->start().code(), errc::unavailable);
}

/// A server in a process of its own, so that it can be killed. (gRPC does not survive fork: this binary starts
/// itself.)
testing::process start_peer(const std::string& address) {
  auto started = testing::process::start({"/proc/self/exe", "--gtest_filter=peer_process.*", "--gtest_brief=1"},
                                         {.environment = {"TERN_RPC_TEST_PEER=" + address}});
  if (!started) throw std::runtime_error(started.error().detail);
  return *std::move(started);
}

TEST(peer_process, serves_until_killed_when_asked_to) {
  const char* address = std::getenv("TERN_RPC_TEST_PEER");
  if (address == nullptr) return;  // only for start_peer()
  grpc_options how;
  how.self = {"routing", "routing-0", 1};
  how.listen_address = address;
  const auto net = make_grpc_network(how);
  acceptor server;
  net->serve<kind>(address, server.function());
  ASSERT_TRUE(net->start());
  for (;;) ::pause();
}

class grpc_peers : public ::testing::TestWithParam<bool> {
 protected:
  std::string address() {
    return GetParam() ? "unix:" + directory.file("peer") : "127.0.0.1:" + std::to_string(testing::free_port());
  }
  testing::temp_dir directory;
};

TEST_P(grpc_peers, a_killed_peer_is_noticed_at_once_and_found_again_when_it_is_back) {
  const auto at = address();
  auto peer = start_peer(at);
  const auto net = make_grpc_network(grpc_options());
  const auto client = std::make_shared<recording_client>();
  const auto link = net->connect<kind>({"gateway", "gateway-0", 1}, at, client);
  for (int round = 1; round <= 2; ++round) {
    ASSERT_TRUE(client->seen.wait([&] { return client->seen.ups == round; }));
    const auto before = std::chrono::steady_clock::now();
    peer.signal(SIGKILL);
    ASSERT_TRUE(client->seen.wait([&] { return client->seen.downs == round; }));
    EXPECT_LT(std::chrono::steady_clock::now() - before, milliseconds(500));
    peer.wait(std::chrono::seconds(5));
    peer = start_peer(at);
  }
  ASSERT_TRUE(client->seen.wait([&] { return client->seen.ups == 3; }));
}

TEST_P(grpc_peers, a_stopped_peer_is_noticed_by_keepalive_and_does_not_hold_up_the_end) {
  const auto at = address();
  auto peer = start_peer(at);
  grpc_options how;
  how.keepalive = milliseconds(400);
  const auto net = make_grpc_network(how);
  const auto client = std::make_shared<recording_client>();
  auto link = net->connect<kind>({"gateway", "gateway-0", 1}, at, client);
  ASSERT_TRUE(client->seen.wait([&] { return client->seen.ups == 1; }));
  peer.signal(SIGSTOP);
  for (uint64_t i = 0; i < 20'000 && client->sender(); ++i) client->sender()->send(up_item(i, 1000));
  ASSERT_TRUE(client->seen.wait([&] { return client->seen.downs == 1; }));
  const auto before = std::chrono::steady_clock::now();
  link.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(2));
}

TEST_P(grpc_peers, a_link_with_a_stuck_write_to_a_stopped_peer_ends_long_before_keepalive) {
  const auto at = address();
  auto peer = start_peer(at);
  grpc_options how;
  how.keepalive = std::chrono::minutes(1);
  const auto net = make_grpc_network(how);
  const auto client = std::make_shared<recording_client>();
  auto link = net->connect<kind>({"gateway", "gateway-0", 1}, at, client);
  ASSERT_TRUE(client->seen.wait([&] { return client->seen.ups == 1; }));
  peer.signal(SIGSTOP);
  for (uint64_t i = 0; i < 20'000; ++i) client->sender()->send(up_item(i, 1000));
  const auto before = std::chrono::steady_clock::now();
  link.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(2));
  EXPECT_TRUE(client->seen.wait([&] { return client->seen.downs == 1; }));
  peer.signal(SIGCONT);
}

TEST_P(grpc_peers, a_network_that_stops_beside_a_stuck_write_waits_for_it) {
  const auto at = address();
  auto peer = start_peer(at);
  grpc_options how;
  how.keepalive = milliseconds(1000);
  auto net = make_grpc_network(how);
  const auto client = std::make_shared<recording_client>();
  auto link = net->connect<kind>({"gateway", "gateway-0", 1}, at, client);
  ASSERT_TRUE(client->seen.wait([&] { return client->seen.ups == 1; }));
  peer.signal(SIGSTOP);
  for (uint64_t i = 0; i < 20'000; ++i) client->sender()->send(up_item(i, 1000));
  net->stop();  // gRPC would end the process if the call went on with the queue shut down
  EXPECT_EQ(client->seen.downs, 1);
  link.reset();
  net.reset();
}

INSTANTIATE_TEST_SUITE_P(over, grpc_peers, ::testing::Values(true, false),
                         [](const ::testing::TestParamInfo<bool>& p) { return p.param ? "unix" : "tcp"; });

/// A certificate authority and certificates by the openssl program.
class grpc_tls : public ::testing::Test {
 protected:
  void SetUp() override {
    run({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=test-ca", "-keyout", directory.file("ca.key"), "-out", directory.file("ca.pem")});
    run({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=other-ca", "-keyout", directory.file("other.key"), "-out", directory.file("other.pem")});
  }
  static void run(const std::vector<std::string>& command) {
    const auto done = testing::run_program(command, {.output = "/dev/null"});
    ASSERT_TRUE(done) << done.error().detail;
  }
  /// Files of a certificate for `service`, signed by `ca`.
  tls_files certificate(const std::string& service, const std::string& ca = "ca") {
    const auto base = directory.file(service + "-" + ca);
    run({"openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
         "/CN=" + service, "-addext", "subjectAltName=DNS:" + service, "-keyout", base + ".key", "-out",
         base + ".csr"});
    run({"openssl", "x509", "-req", "-days", "2", "-copy_extensions", "copyall", "-CAcreateserial", "-in",
         base + ".csr", "-CA", directory.file(ca + ".pem"), "-CAkey", directory.file(ca + ".key"), "-out",
         base + ".pem"});
    return {directory.file("ca.pem"), base + ".pem", base + ".key"};
  }
  void serve(const tls_files& files) {
    grpc_options how;
    how.self = {"routing", "routing-0", 1};
    how.listen_address = "127.0.0.1:0";
    how.tls = files;
    net = make_grpc_network(how);
    net->serve<kind>("", server.function());
    ASSERT_TRUE(net->start());
  }
  /// Whether a client with these files gets through as `service`; refused ones try several times within the wait.
  bool gets_through(const tls_files& files, const std::string& service, bool expected) {
    grpc_options how;
    how.tls = files;
    const auto client_net = make_grpc_network(how);
    const auto client = std::make_shared<recording_client>();
    const auto link = client_net->connect<kind>({service, service + "-0", 1},
                                                "127.0.0.1:" + std::to_string(bound_port(*net)), client);
    return client->seen.wait([&] { return client->seen.ups > 0; }, milliseconds(expected ? 10'000 : 500));
  }

  testing::temp_dir directory;
  acceptor server;
  std::unique_ptr<network> net;
};

TEST_F(grpc_tls, peers_are_who_their_certificates_say) {
  serve(certificate("routing"));
  EXPECT_TRUE(gets_through(certificate("gateway"), "gateway", true));
  EXPECT_FALSE(gets_through(certificate("gateway"), "session", false)) << "a stolen service name";
  EXPECT_FALSE(gets_through(certificate("gateway", "other"), "gateway", false)) << "a foreign authority";
  EXPECT_FALSE(gets_through({}, "gateway", false)) << "plaintext";
  EXPECT_EQ(server.seen.ups, 1);
}

TEST_F(grpc_tls, a_client_refuses_a_server_that_is_another_service) {
  serve(certificate("gateway"));
  EXPECT_FALSE(gets_through(certificate("session"), "session", false));
  EXPECT_EQ(server.seen.ups, 0);
}

TEST_F(grpc_tls, unusable_files_end_the_start) {
  grpc_options how;
  how.listen_address = "127.0.0.1:0";
  how.tls = {directory.file("ca.pem"), directory.file("none"), directory.file("none")};
  EXPECT_EQ(make_grpc_network(how)->start().code(), errc::config);
}

}  // namespace
}  // namespace tern::rpc
