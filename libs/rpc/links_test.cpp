// What network.hpp promises, over each transport.
#include <algorithm>
#include <numeric>

#include "libs/rpc/links_fixture.hpp"

namespace tern::rpc {
namespace {

class links : public ::testing::TestWithParam<transport> {
 protected:
  std::unique_ptr<link> connect() { return nodes.client().connect<kind>(nodes.self, nodes.address(), client); }
  void serve() { nodes.server().serve<kind>(nodes.address(), server.function()); }
  void up(int times = 1) {
    ASSERT_TRUE(client->seen.wait([&] { return client->seen.ups >= times; }));
  }

  // Below the networks, so that they end first.
  acceptor server;
  std::shared_ptr<recording_client> client = std::make_shared<recording_client>();
  two_nodes nodes{GetParam()};
};

std::vector<uint64_t> counted(uint64_t from, uint64_t to) {
  std::vector<uint64_t> numbers(to - from);
  std::iota(numbers.begin(), numbers.end(), from);
  return numbers;
}

TEST_P(links, items_arrive_in_order_both_ways_and_the_peer_is_known) {
  serve();
  const auto link = connect();
  up();
  const auto at_server = server.stream(0);
  ASSERT_TRUE(at_server);
  const auto out = client->sender();
  for (uint64_t i = 0; i < 20000; ++i) {
    while (!out->send(up_item(i))) std::this_thread::yield();
  }
  for (uint64_t i = 0; i < 20000; ++i) {
    while (!at_server->out->send(down_item(i))) std::this_thread::yield();
  }
  ASSERT_TRUE(at_server->seen.wait([&] { return at_server->seen.numbers.size() == 20000; }));
  ASSERT_TRUE(client->seen.wait([&] { return client->seen.numbers.size() == 20000; }));
  EXPECT_EQ(at_server->seen.numbers, counted(0, 20000));
  EXPECT_EQ(client->seen.numbers, counted(0, 20000));
  ASSERT_EQ(server.seen.peers.size(), 1U);
  EXPECT_EQ(server.seen.peers[0].service, "gateway");
  EXPECT_EQ(server.seen.peers[0].node, "gateway-7");
  EXPECT_EQ(server.seen.peers[0].incarnation, 42U);
}

TEST_P(links, send_all_is_all_or_nothing) {
  serve();
  const auto link = connect();
  up();
  const auto at_server = server.stream(0);
  std::vector<kind::up> items;
  for (uint64_t i = 0; i < 3000; ++i) items.push_back(up_item(i));
  ASSERT_TRUE(client->sender()->send_all(items));
  EXPECT_TRUE(items.empty());
  ASSERT_TRUE(at_server->seen.wait([&] { return at_server->seen.numbers.size() == 3000; }));
  EXPECT_EQ(at_server->seen.numbers, counted(0, 3000));
  std::vector<kind::up> many(70000);
  EXPECT_FALSE(client->sender()->send_all(many));
  EXPECT_EQ(many.size(), 70000U);
}

TEST_P(links, many_senders_never_enter_a_handler_twice_at_once_and_keep_their_own_order) {
  serve();
  const auto link = connect();
  up();
  const auto at_server = server.stream(0);
  const auto out = client->sender();
  std::vector<std::thread> senders;
  for (uint64_t s = 0; s < 4; ++s) {
    senders.emplace_back([&, s] {
      for (uint64_t i = 0; i < 5000; ++i) {
        while (!out->send(up_item(s * 1'000'000 + i))) std::this_thread::yield();
      }
    });
  }
  for (auto& sender : senders) sender.join();
  ASSERT_TRUE(at_server->seen.wait([&] { return at_server->seen.numbers.size() == 20000; }));
  EXPECT_FALSE(at_server->seen.overlapped);
  for (uint64_t s = 0; s < 4; ++s) {
    std::vector<uint64_t> own;
    for (const auto n : at_server->seen.numbers) {
      if (n / 1'000'000 == s) own.push_back(n % 1'000'000);
    }
    EXPECT_EQ(own, counted(0, 5000));
  }
}

TEST_P(links, a_handler_may_answer_inside_its_own_call) {
  server.prepare = [](recording_server& each) {
    each.at_items = [&each](std::vector<kind::up>& items) {
      for (const auto& item : items) each.out->send(down_item(number_of(item)));
    };
  };
  serve();
  const auto link = connect();
  up();
  client->at_items = [this] {
    if (client->seen.batches < 100) client->out->send(up_item(99));
  };
  const auto at_server = server.stream(0);
  client->sender()->send(up_item(1));
  ASSERT_TRUE(at_server->seen.wait([&] { return at_server->seen.numbers.size() > 50; }));
  EXPECT_FALSE(client->seen.overlapped);
  EXPECT_FALSE(at_server->seen.overlapped);
}

TEST_P(links, a_link_may_go_inside_a_handler_of_another_one) {
  server.prepare = [](recording_server& each) {
    each.at_items = [&each](std::vector<kind::up>&) { each.out->send(down_item(1)); };
  };
  serve();
  auto other = connect();
  up();
  const auto second = std::make_shared<recording_client>();
  second->at_items = [&] { other.reset(); };
  const auto link = nodes.client().connect<kind>({"gateway", "gateway-8", 1}, nodes.address(), second);
  ASSERT_TRUE(second->seen.wait([&] { return second->seen.ups == 1; }));
  second->sender()->send(up_item(1));
  ASSERT_TRUE(second->seen.wait([&] { return second->seen.numbers.size() == 1; }));
  EXPECT_EQ(client->seen.downs, 1) << "when the link was gone, its handler had had its last call";
  second->sender()->send(up_item(2));
  ASSERT_TRUE(second->seen.wait([&] { return second->seen.numbers.size() == 2; })) << "the other one goes on";
  EXPECT_EQ(client->seen.ups, 1);
  EXPECT_EQ(client->seen.downs, 1);
}

TEST_P(links, what_the_server_sends_while_accepting_comes_after_up) {
  server.prepare = [](recording_server& each) {
    for (uint64_t i = 0; i < 10; ++i) EXPECT_TRUE(each.out->send(down_item(i)));
  };
  client->at_items = [this] { EXPECT_EQ(client->seen.ups, 1); };
  serve();
  const auto link = connect();
  ASSERT_TRUE(client->seen.wait([&] { return client->seen.numbers.size() == 10; }));
  EXPECT_EQ(client->seen.numbers, counted(0, 10));
}

TEST_P(links, connecting_before_the_peer_serves_comes_up_later) {
  const auto link = connect();
  serve();
  up();
  EXPECT_TRUE(client->sender()->send(up_item(5)));
  const auto at_server = server.stream(0);
  ASSERT_TRUE(at_server->seen.wait([&] { return !at_server->seen.numbers.empty(); }));
}

TEST_P(links, a_refused_stream_is_tried_again) {
  server.refuse = true;
  serve();
  const auto link = connect();
  ASSERT_TRUE(server.seen.wait([&] { return server.seen.downs >= 3; }));
  EXPECT_EQ(client->seen.ups, 0);
  server.refuse = false;
  up();
  EXPECT_EQ(client->seen.downs, 0);
}

TEST_P(links, close_by_the_client_delivers_what_was_queued_then_a_new_stream_follows) {
  serve();
  const auto link = connect();
  up();
  const auto out = client->sender();
  for (uint64_t i = 0; i < 5000; ++i) ASSERT_TRUE(out->send(up_item(i)));
  out->close();
  out->close();
  EXPECT_FALSE(out->send(up_item(0)));
  const auto first = server.stream(0);
  ASSERT_TRUE(first->seen.wait([&] { return first->seen.downs == 1; }));
  EXPECT_EQ(first->seen.numbers, counted(0, 5000));
  up(2);
  EXPECT_EQ(client->seen.downs, 1);
  const auto second = server.stream(1);
  ASSERT_TRUE(client->sender()->send(up_item(7)));
  ASSERT_TRUE(second->seen.wait([&] { return second->seen.numbers == std::vector<uint64_t>{7}; }));
}

TEST_P(links, close_by_the_server_delivers_what_was_queued_then_a_new_stream_follows) {
  serve();
  const auto link = connect();
  up();
  const auto first = server.stream(0);
  for (uint64_t i = 0; i < 5000; ++i) ASSERT_TRUE(first->out->send(down_item(i)));
  first->out->close();
  EXPECT_FALSE(first->out->send(down_item(0)));
  ASSERT_TRUE(client->seen.wait([&] { return client->seen.downs == 1; }));
  EXPECT_EQ(client->seen.numbers, counted(0, 5000));
  ASSERT_TRUE(first->seen.wait([&] { return first->seen.downs == 1; }));
  up(2);
}

TEST_P(links, a_server_that_goes_away_is_noticed_and_found_again) {
  serve();
  const auto link = connect();
  for (int round = 1; round <= 3; ++round) {
    up(round);
    const auto before = std::chrono::steady_clock::now();
    nodes.stop_server();
    ASSERT_TRUE(client->seen.wait([&] { return client->seen.downs == round; }));
    EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(2));
    EXPECT_EQ(server.stream(static_cast<size_t>(round) - 1)->seen.downs, 1);
    nodes.start_server();
    serve();
  }
  up(4);
  EXPECT_EQ(client->seen.ups - client->seen.downs, 1);
}

TEST_P(links, after_the_link_is_destroyed_no_call_comes) {
  serve();
  auto link = connect();
  up();
  const auto at_server = server.stream(0);
  std::atomic<bool> stop = false;
  std::thread sender([&] {
    for (uint64_t i = 0; !stop; ++i) at_server->out->send(down_item(i));
  });
  ASSERT_TRUE(client->seen.wait([&] { return client->seen.batches > 3; }));
  link.reset();
  EXPECT_EQ(client->seen.inside, 0);
  EXPECT_EQ(client->seen.downs, 1);
  const size_t batches = client->seen.batches;
  ASSERT_TRUE(at_server->seen.wait([&] { return at_server->seen.downs == 1; }));
  stop = true;
  sender.join();
  EXPECT_EQ(client->seen.batches, batches);
  EXPECT_FALSE(at_server->out->send(down_item(0)));
  EXPECT_EQ(client.use_count(), 1) << "the transport still holds the handler";
}

TEST_P(links, a_link_may_be_destroyed_inside_a_call_of_its_handler) {
  serve();
  std::unique_ptr<link> link;
  std::atomic<bool> destroyed = false;
  client->at_items = [&] {
    link.reset();
    destroyed = true;
  };
  link = connect();
  up();
  const auto at_server = server.stream(0);
  at_server->out->send(down_item(1));
  ASSERT_TRUE(at_server->seen.wait([&] { return at_server->seen.downs == 1; }));
  ASSERT_TRUE(client->seen.wait([&] { return destroyed && client->seen.batches == 1; }));
  EXPECT_EQ(client->seen.downs, 0);
}

TEST_P(links, a_link_to_nobody_is_destroyed_at_once) {
  auto link = connect();
  link.reset();
  EXPECT_EQ(client->seen.ups, 0);
  EXPECT_EQ(client->seen.downs, 0);
}

TEST_P(links, withdrawing_ends_streams_and_returns_when_no_handler_runs) {
  serve();
  const auto link = connect();
  up();
  const auto at_server = server.stream(0);
  std::atomic<bool> stop = false;
  std::thread sender([&] {
    for (uint64_t i = 0; !stop; ++i) {
      if (const auto out = client->sender()) out->send(up_item(i));
    }
  });
  ASSERT_TRUE(at_server->seen.wait([&] { return at_server->seen.batches > 3; }));
  nodes.server().withdraw<kind>(nodes.address());
  const size_t batches = at_server->seen.batches;
  EXPECT_EQ(at_server->seen.downs, 1);
  EXPECT_EQ(at_server->seen.inside, 0);
  ASSERT_TRUE(client->seen.wait([&] { return client->seen.downs >= 1; }));
  stop = true;
  sender.join();
  EXPECT_EQ(at_server->seen.batches, batches);
  serve();
  up(2);
}

TEST_P(links, stop_with_live_streams_is_quick_and_final) {
  serve();
  const auto link = connect();
  up();
  const auto at_server = server.stream(0);
  std::atomic<bool> stop = false;
  std::thread sender([&] {
    for (uint64_t i = 0; !stop; ++i) {
      if (const auto out = client->sender()) out->send(up_item(i));
      at_server->out->send(down_item(i));
    }
  });
  ASSERT_TRUE(at_server->seen.wait([&] { return at_server->seen.batches > 3; }));
  const auto before = std::chrono::steady_clock::now();
  nodes.server().stop();
  nodes.client().stop();
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(2));
  EXPECT_EQ(client->seen.downs, 1);
  EXPECT_EQ(at_server->seen.downs, 1);
  stop = true;
  sender.join();
}

TEST_P(links, many_links_come_back_after_a_storm) {
  serve();
  std::vector<std::shared_ptr<recording_client>> clients;
  std::vector<std::unique_ptr<link>> all;
  for (int i = 0; i < 30; ++i) {
    clients.push_back(std::make_shared<recording_client>());
    all.push_back(nodes.client().connect<kind>(nodes.self, nodes.address(), clients.back()));
  }
  for (int round = 1; round <= 2; ++round) {
    for (auto& each : clients) ASSERT_TRUE(each->seen.wait([&] { return each->seen.ups == round; }));
    nodes.stop_server();
    nodes.start_server();
    serve();
  }
  for (auto& each : clients) ASSERT_TRUE(each->seen.wait([&] { return each->seen.ups == 3; }));
}

std::string name_of(const ::testing::TestParamInfo<transport>& parameter) {
  const std::vector<std::string> names{"local", "unix", "tcp"};
  return names[static_cast<size_t>(parameter.param)];
}

INSTANTIATE_TEST_SUITE_P(over, links, ::testing::Values(transport::local, transport::unix_socket, transport::tcp),
                         name_of);

}  // namespace
}  // namespace tern::rpc
