// The hub under threads: clients of two io threads come, push, subscribe and go while owners change and links break.
#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <thread>

#include "services/gateway/live/push.hpp"
#include "services/gateway/testing/live_fixture.hpp"

namespace tern::gateway {
namespace {

using gateway::testing::fake_connection;

class live_threads : public gateway::testing::live_rooms {
 protected:
  static constexpr size_t shared_rooms = 5;
  static constexpr size_t steps = 1500;

  /// What one io thread does with its connections. Every connection pushes growing numbers, and sees those of its own
  /// io thread grow per sender.
  void work(size_t thread, const std::vector<uint64_t>& ids) {
    std::mt19937 random(static_cast<uint32_t>(thread + 1));
    std::vector<fake_connection*> open;
    std::map<std::string, uint64_t> newest;  // by viewer and sender
    uint64_t number = 0;
    for (size_t step = 0; step < steps; ++step) {
      std::erase_if(open, [](const fake_connection* each) { return each->closed; });
      if (open.size() < 4) open.push_back(&log_in(thread));
      fake_connection& who = *open[random() % open.size()];
      const std::string room = node(ids[random() % ids.size()]);
      switch (random() % 8) {
        case 0: ask(who, R"({"rtype":5,"reqInt":1,"node":")" + room + "\"}"); break;
        case 1: ask(who, R"({"rtype":6,"node":")" + room + "\"}"); break;
        case 2: ask(who, R"({"rtype":1})"); break;
        case 3:
          who.end();
          std::erase(open, &who);
          break;
        default:
          live::push_live(static_cast<client&>(who.handler()), 97, room,
                          std::to_string(who.id()) + " " + std::to_string(++number), 0, live::no_dtype);
      }
      threads[thread]->turn();
      lanes[thread]->on_tick();
      for (fake_connection* each : open) look(*each, newest);
    }
    for (fake_connection* each : open) each->end();
    done.fetch_add(1);
  }
  /// As connect(), without running the other thread.
  fake_connection& log_in(size_t thread) {
    const uint64_t id = static_cast<uint64_t>(thread) << 48U | ++numbers[thread];
    auto made = std::make_unique<fake_connection>(*threads[thread], id, *lanes[thread]);
    fake_connection& out = *made;
    threads[thread]->connections[id] = std::move(made);
    log_in_as(out, id + 1000, {}, true);
    return out;
  }
  static void ask(fake_connection& who, const std::string& json) {
    who.handler().on_message(who, "\x96" + json, true);
  }
  static void look(fake_connection& at, std::map<std::string, uint64_t>& newest) {
    for (const std::string& each : at.messages()) {
      if (each.front() != 97) continue;
      const size_t space = each.find(' ');
      // Room and sender: a sender's frames for different rooms may overtake each other.
      uint64_t& last = newest[std::to_string(at.id()) + each.substr(0, space)];
      const uint64_t now = std::stoull(each.substr(space));
      EXPECT_GT(now, last);
      last = now;
    }
  }

  std::array<uint64_t, thread_count> numbers{};
  std::atomic<size_t> done{0};
};

TEST_F(live_threads, lose_no_count_and_no_order_while_owners_change_and_links_break) {
  start();
  std::vector<uint64_t> ids;
  for (size_t i = 0; i < shared_rooms; ++i) ids.push_back(make_room());
  for (auto& each : groups) each->keep = false;
  std::vector<std::thread> running;
  for (size_t i = 0; i < thread_count; ++i) running.emplace_back([this, i, &ids] { work(i, ids); });
  for (uint64_t round = 0; done.load() < thread_count; ++round) {
    auto& other = groups[(round + 1) % 2];
    publish(round % 2 == 0 ? "group-0" : "group-1", round + 2);
    if (round % 16 == 0) {
      other->fail();
      other->serve();
    }
    time.advance(std::chrono::milliseconds{1});
    rooms->on_tick(shared->tick());
    std::this_thread::yield();
  }
  for (auto& each : running) each.join();
  run();
  // What was asked at the end is answered, or too old soon. A link that is coming up does so on a thread of its own.
  publish("group-0", 1'000'000'000);
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds{30};
  while (rooms->size() != 0 && std::chrono::steady_clock::now() < limit) {
    pass(tick_length);
    std::this_thread::yield();
  }
  EXPECT_EQ(rooms->size(), 0U);
  EXPECT_EQ(metric("tern_gateway_live_rooms"), 0);
  EXPECT_EQ(metric("tern_gateway_live_subscriptions"), 0);
}

}  // namespace
}  // namespace tern::gateway
