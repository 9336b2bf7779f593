#include "services/session/presence/presence_outbox.hpp"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace tern::session {
namespace {

/// An account in the `part`-th half of the slots.
account_id in_half(uint64_t part, uint64_t number) { return account_id{(part << 63U) + number}; }

class presence_outbox_test : public ::testing::Test {
 protected:
  presence_outbox_test() {
    const slot_type middle = slot_count / 2;
    map.sessions = placement::range_map{{{0, middle - 1, "session-0", 1}, {middle, slot_count - 1, "session-1", 1}}};
  }
  presence_outbox make(size_t most) {
    return {metrics, most, [this] { ++wakes; },
            [this](const std::string& node, std::vector<v1::PeerItem>& items) {
              for (auto& one : items) sent.emplace_back(node, std::move(one));
              items.clear();
            }};
  }
  static std::vector<uint64_t> accounts(const v1::PeerItem& item) {
    return {item.accounts().begin(), item.accounts().end()};
  }

  metrics::registry registry;
  presence_metrics metrics{registry};
  placement::snapshot map;
  int wakes = 0;
  std::vector<std::pair<std::string, v1::PeerItem>> sent;
};

TEST_F(presence_outbox_test, one_item_goes_to_each_node_with_the_recipients_it_owns) {
  auto outbox = make(100);
  outbox.add({account_id{7}, "tenant", "here", {in_half(0, 1), in_half(1, 2), in_half(0, 3)}});
  EXPECT_EQ(wakes, 1);
  EXPECT_TRUE(sent.empty()) << "before the end of the window";
  outbox.flush(map);
  ASSERT_EQ(sent.size(), 2U);
  EXPECT_EQ(sent[0].first, "session-0");
  EXPECT_EQ(accounts(sent[0].second), (std::vector<uint64_t>{in_half(0, 1).value, in_half(0, 3).value}));
  EXPECT_EQ(sent[1].first, "session-1");
  EXPECT_EQ(accounts(sent[1].second), std::vector<uint64_t>{in_half(1, 2).value});
  for (const auto& [node, item] : sent) {
    EXPECT_EQ(item.type(), 91U);
    EXPECT_EQ(item.sender(), 7U);
    EXPECT_EQ(item.payload(), "here");
    EXPECT_EQ(item.domain(), "tenant");
  }
  sent.clear();
  outbox.flush(map);
  EXPECT_TRUE(sent.empty()) << "nothing goes twice";
}

TEST_F(presence_outbox_test, a_newer_presence_of_the_same_sender_replaces_the_older_for_whom_it_names) {
  auto outbox = make(100);
  outbox.add({account_id{7}, "", "old", {in_half(0, 1), in_half(0, 2)}});
  outbox.add({account_id{8}, "", "other", {in_half(0, 1)}});
  outbox.add({account_id{7}, "", "new", {in_half(0, 2), in_half(0, 3)}});
  EXPECT_EQ(wakes, 1);
  outbox.flush(map);
  std::map<std::string, std::vector<uint64_t>> by_payload;
  for (const auto& [node, item] : sent) by_payload[item.payload()] = accounts(item);
  EXPECT_EQ(by_payload, (std::map<std::string, std::vector<uint64_t>>{
                            {"old", {in_half(0, 1).value}}, {"new", {in_half(0, 2).value, 3}}, {"other", {1}}}));
}

TEST_F(presence_outbox_test, a_storm_of_logins_costs_one_item_per_sender_and_node) {
  auto outbox = make(1'000'000);
  constexpr uint64_t senders = 2000;
  constexpr uint64_t friends = 100;
  for (int again = 0; again < 3; ++again) {
    for (uint64_t sender = 1; sender <= senders; ++sender) {
      std::vector<account_id> to;
      for (uint64_t i = 0; i < friends; ++i) to.push_back(in_half(i % 2, (sender + i) % senders));
      outbox.add({account_id{sender}, "", "on line", std::move(to)});
    }
  }
  EXPECT_EQ(wakes, 1);
  outbox.flush(map);
  EXPECT_EQ(sent.size(), senders * 2);
  size_t recipients = 0;
  for (const auto& [node, item] : sent) recipients += static_cast<size_t>(item.accounts_size());
  EXPECT_EQ(recipients, senders * friends);
}

TEST_F(presence_outbox_test, recipients_above_the_bound_are_left_out_until_the_next_window) {
  auto outbox = make(3);
  outbox.add({account_id{7}, "", "x", {account_id{1}, account_id{2}}});
  outbox.add({account_id{8}, "", "y", {account_id{1}, account_id{2}}});
  outbox.add({account_id{7}, "", "z", {account_id{1}, account_id{2}}});
  outbox.flush(map);
  size_t recipients = 0;
  for (const auto& [node, item] : sent) recipients += static_cast<size_t>(item.accounts_size());
  EXPECT_EQ(recipients, 3U);
  outbox.add({account_id{9}, "", "w", {account_id{1}, account_id{2}}});
  sent.clear();
  outbox.flush(map);
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_EQ(sent[0].second.accounts_size(), 2);
  EXPECT_EQ(wakes, 2);
}

TEST_F(presence_outbox_test, recipients_nobody_owns_are_left_out) {
  auto outbox = make(100);
  map.sessions = placement::range_map{};
  outbox.add({account_id{7}, "", "x", {account_id{1}}});
  outbox.add({account_id{7}, "", "x", {}});
  outbox.flush(map);
  EXPECT_TRUE(sent.empty());
}

}  // namespace
}  // namespace tern::session
