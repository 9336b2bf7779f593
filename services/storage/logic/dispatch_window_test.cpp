#include "services/storage/logic/dispatch_window.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "libs/testing/fake_clock.hpp"

namespace tern::storage {
namespace {

using namespace std::chrono_literals;
using delivery = session::v1::Delivery;

constexpr uint64_t low = 0x1000000000000000U;  // slots of the lower half
constexpr uint64_t high = 0xF000000000000000U;

class fake_sink final : public delivery_sink {
 public:
  bool send(delivery item) override {
    std::vector<delivery> one{std::move(item)};
    return send_all(one);
  }
  bool send_all(std::vector<delivery>& items) override {
    if (room < items.size()) return false;
    room -= items.size();
    for (auto& item : items) got.push_back(item.entry());
    items.clear();
    return true;
  }
  void close() override {}
  std::vector<uint64_t> take() { return std::exchange(got, {}); }

  std::vector<uint64_t> got;
  size_t room = 1'000'000;
};

placement::snapshot_ptr map_of(uint64_t version, const std::string& low_owner, uint64_t low_epoch,
                               const std::string& high_owner, uint64_t high_epoch) {
  auto map = std::make_shared<placement::snapshot>();
  map->version = version;
  std::vector<placement::range> ranges;
  if (!low_owner.empty()) ranges.push_back({0, slot_count / 2 - 1, low_owner, low_epoch});
  if (!high_owner.empty()) ranges.push_back({slot_count / 2, slot_count - 1, high_owner, high_epoch});
  map->sessions = placement::range_map(std::move(ranges));
  return map;
}

std::vector<delivery> entries(std::vector<std::pair<uint64_t, uint64_t>> of) {
  std::vector<delivery> out;
  for (const auto& [entry, account] : of) {
    auto& one = out.emplace_back();
    one.set_entry(entry);
    one.set_account(account);
    one.set_accepted_ns(static_cast<int64_t>(entry) * 10);
    one.mutable_message()->set_mid(entry);
  }
  return out;
}

using numbers = std::vector<uint64_t>;

class dispatch_window_test : public ::testing::Test {
 protected:
  dispatch_window_test() {
    window_.map_changed(map_of(1, "x", 1, "y", 1));
    window_.link_up("x", x_);
    window_.link_up("y", y_);
    std::vector<delivery> none;
    window_.page_asked();
    window_.page(none, true);
  }
  void offer(std::vector<std::pair<uint64_t, uint64_t>> of) {
    auto list = entries(std::move(of));
    window_.offer(list);
    pump();
  }
  bool pump() {
    return window_.pump(time_.now(), deletable_, [](const delivery&) {});
  }
  numbers done_by(const std::string& node, numbers which) {
    numbers deletable;
    window_.done(node, which, deletable);
    return deletable;
  }
  numbers done(numbers which) {
    auto all = done_by("x", which);
    for (const auto entry : done_by("y", which)) all.push_back(entry);
    std::sort(all.begin(), all.end());
    return all;
  }

  tern::testing::fake_clock time_;
  dispatch_window window_{{.entries_most = 100}};
  std::shared_ptr<fake_sink> x_ = std::make_shared<fake_sink>();
  std::shared_ptr<fake_sink> y_ = std::make_shared<fake_sink>();
  numbers deletable_;
};

TEST_F(dispatch_window_test, a_recalled_message_does_not_go_again) {
  auto list = entries({{1, low}, {2, low}, {3, low}});
  for (auto& one : list) one.mutable_conversation()->set_hi(7);
  list[1].mutable_conversation()->set_lo(1);  // mid 2 of another conversation
  window_.offer(list);
  pump();
  EXPECT_EQ(x_->take(), (numbers{1, 2, 3}));
  auto recalls = entries({{4, low}, {5, high}});
  recalls[0].mutable_conversation()->set_hi(7);
  recalls[0].mutable_message()->set_target(3);
  recalls[1].mutable_conversation()->set_hi(7);
  recalls[1].mutable_message()->set_target(2);
  window_.offer(recalls);
  pump();
  EXPECT_EQ(x_->take(), (numbers{4}));
  EXPECT_EQ(y_->take(), (numbers{5}));
  window_.link_up("x", x_);
  pump();
  EXPECT_EQ(x_->take(), (numbers{1, 2, 4}));
  EXPECT_EQ(deletable_, (numbers{3}));
}

TEST_F(dispatch_window_test, entries_go_to_the_owner_of_their_recipient_in_order_and_stay_until_done) {
  offer({{1, low}, {2, high}, {3, low + 1}});
  EXPECT_EQ(x_->take(), (numbers{1, 3}));
  EXPECT_EQ(y_->take(), (numbers{2}));
  EXPECT_EQ(window_.size(), 3U);
  EXPECT_EQ(window_.oldest_accepted_ns(), 10);
  EXPECT_EQ(done({1, 7}), (numbers{1}));
  EXPECT_EQ(done({1}), numbers{});
  EXPECT_EQ(window_.size(), 2U);
  EXPECT_EQ(window_.oldest_accepted_ns(), 20);
}

TEST_F(dispatch_window_test, a_new_stream_gets_all_unconfirmed_entries_again_in_order) {
  offer({{1, low}, {2, low}, {3, low + 1}});
  done({2});
  window_.link_down("x");
  offer({{4, low}});
  auto again = std::make_shared<fake_sink>();
  window_.link_up("x", again);
  pump();
  EXPECT_EQ(again->take(), (numbers{1, 3, 4}));
}

TEST_F(dispatch_window_test, a_new_owner_or_epoch_gets_the_unconfirmed_entries_of_its_range_only) {
  offer({{1, low}, {2, high}, {3, low}});
  x_->take();
  y_->take();
  window_.map_changed(map_of(2, "y", 2, "y", 1));
  pump();
  EXPECT_EQ(y_->take(), (numbers{1, 3}));
  window_.map_changed(map_of(3, "y", 3, "y", 1));  // the same node after a restart
  pump();
  EXPECT_EQ(y_->take(), (numbers{1, 3}));
  EXPECT_EQ(x_->take(), numbers{});
}

TEST_F(dispatch_window_test, without_an_owner_entries_wait) {
  window_.map_changed(map_of(2, "", 0, "y", 1));
  offer({{1, low}, {2, high}});
  EXPECT_EQ(y_->take(), (numbers{2}));
  window_.map_changed(map_of(3, "x", 2, "y", 1));
  pump();
  EXPECT_EQ(x_->take(), (numbers{1}));
}

TEST_F(dispatch_window_test, a_full_sink_is_tried_again_without_loss_or_disorder) {
  x_->room = 0;
  offer({{1, low}, {2, low}});
  EXPECT_TRUE(pump());
  offer({{3, low}});
  x_->room = 10;
  EXPECT_FALSE(pump());
  EXPECT_EQ(x_->take(), (numbers{1, 2, 3}));
}

TEST_F(dispatch_window_test, wrong_owner_holds_the_whole_account_back_and_sends_it_again_in_order) {
  offer({{1, low}, {2, low + 1}, {3, low}});
  x_->take();
  window_.wrong_owner("x", {3}, time_.now());
  offer({{4, low}, {5, low + 1}});
  EXPECT_EQ(x_->take(), (numbers{5}));  // others go on
  EXPECT_TRUE(pump());
  time_.advance(101ms);
  EXPECT_FALSE(pump());
  EXPECT_EQ(x_->take(), (numbers{1, 3, 4}));
}

TEST_F(dispatch_window_test, a_new_map_ends_the_pause_at_once) {
  offer({{1, low}});
  x_->take();
  window_.wrong_owner("x", {1}, time_.now());
  window_.map_changed(map_of(2, "y", 2, "y", 1));
  pump();
  EXPECT_EQ(y_->take(), (numbers{1}));
  EXPECT_EQ(x_->take(), numbers{});
}

TEST_F(dispatch_window_test, a_former_owners_word_does_not_count) {
  offer({{1, low}, {2, low}});
  window_.map_changed(map_of(2, "y", 2, "y", 1));
  pump();
  EXPECT_EQ(y_->take(), (numbers{1, 2}));
  EXPECT_EQ(done_by("x", {1}), numbers{});
  window_.wrong_owner("x", {2}, time_.now());
  EXPECT_EQ(window_.size(), 2U);
  EXPECT_FALSE(pump());
  EXPECT_EQ(done_by("y", {1, 2}), (numbers{1, 2}));
}

TEST_F(dispatch_window_test, above_its_bound_it_reads_the_rest_from_the_outbox_later) {
  std::vector<std::pair<uint64_t, uint64_t>> many;
  for (uint64_t entry = 1; entry <= 120; ++entry) many.emplace_back(entry, low);
  offer(many);
  EXPECT_EQ(window_.size(), 100U);
  EXPECT_TRUE(window_.behind());
  EXPECT_FALSE(window_.wants_page());
  offer({{121, low}});  // is not taken: 101…120 come first
  numbers first60;
  for (uint64_t entry = 1; entry <= 60; ++entry) first60.push_back(entry);
  done(first60);
  ASSERT_TRUE(window_.wants_page());
  EXPECT_EQ(window_.position(), 100U);
  window_.page_asked();
  EXPECT_FALSE(window_.wants_page());
  std::vector<std::pair<uint64_t, uint64_t>> rest;
  for (uint64_t entry = 101; entry <= 121; ++entry) rest.emplace_back(entry, low);
  auto page = entries(rest);
  window_.page(page, true);
  pump();
  EXPECT_FALSE(window_.behind());
  offer({{122, low}});
  const auto got = x_->take();
  ASSERT_EQ(got.size(), 122U);
  for (uint64_t entry = 1; entry <= 122; ++entry) EXPECT_EQ(got[entry - 1], entry);
}

TEST_F(dispatch_window_test, an_entry_whose_message_is_gone_needs_no_delivery) {
  auto list = entries({{1, low}});
  list[0].clear_what();
  window_.offer(list);
  pump();
  EXPECT_EQ(deletable_, (numbers{1}));
  EXPECT_EQ(window_.size(), 0U);
}

TEST_F(dispatch_window_test, a_failed_page_is_asked_for_again_only_after_the_pause) {
  window_.fall_behind();
  ASSERT_TRUE(window_.wants_page());
  window_.page_asked();
  window_.page_failed();
  EXPECT_FALSE(window_.wants_page());
  window_.page_retry();
  EXPECT_TRUE(window_.wants_page());
}

/// Entries of a conversation in the lower or upper half of the slots, all to one account.
std::vector<delivery> entries_in(std::vector<std::pair<uint64_t, uint64_t>> of) {
  std::vector<delivery> out = entries([&] {
    std::vector<std::pair<uint64_t, uint64_t>> all;
    for (const auto& [entry, hi] : of) all.emplace_back(entry, low);
    return all;
  }());
  for (size_t i = 0; i < of.size(); ++i) out[i].mutable_conversation()->set_hi(of[i].second);
  return out;
}

TEST(dispatch_window, entries_of_slots_that_move_go_from_the_other_shard_or_again_from_the_outbox) {
  dispatch_window window;
  const auto sink = std::make_shared<fake_sink>();
  std::vector<uint64_t> deletable;
  const auto pump = [&] { window.pump(clock::time_point{}, deletable, [](const delivery&) {}); };
  window.map_changed(map_of(1, "a", 1, "a", 1));
  window.page_asked();
  auto outbox = entries_in({{1, low}, {2, high}, {3, low}});
  window.page(outbox, true);
  // Taken away before a node is there to send them to.
  window.set_door({slot_count / 2, slot_count - 1, slot_door::wait});
  window.link_up("a", sink);
  pump();
  EXPECT_EQ(sink->take(), (std::vector<uint64_t>{1, 3}));
  auto more = entries_in({{4, high}, {5, low}});
  window.offer(more);
  pump();
  EXPECT_EQ(sink->take(), (std::vector<uint64_t>{5}));
  std::vector<uint64_t> done;
  window.done("a", {1, 2, 3, 4, 5}, done);
  EXPECT_EQ(done, (std::vector<uint64_t>{1, 3, 5})) << "the others are not here";
  // Given up: they are in the outbox still.
  window.set_door({slot_count / 2, slot_count - 1, slot_door::open});
  ASSERT_TRUE(window.wants_page());
  EXPECT_EQ(window.position(), 0U);
  window.page_asked();
  auto again = entries_in({{2, high}, {4, high}});
  window.page(again, true);
  pump();
  EXPECT_EQ(sink->take(), (std::vector<uint64_t>{2, 4}));
  EXPECT_FALSE(window.behind());
}

TEST(dispatch_window, a_page_that_was_asked_for_before_a_door_opened_is_not_taken) {
  dispatch_window window;
  window.map_changed(map_of(1, "a", 1, "a", 1));
  window.set_door({0, slot_count - 1, slot_door::wait});
  window.page_asked();
  window.set_door({0, slot_count - 1, slot_door::open});
  auto late = entries_in({{7, low}});
  window.page(late, true);
  EXPECT_EQ(window.position(), 0U);
  EXPECT_TRUE(window.wants_page());
}

}  // namespace
}  // namespace tern::storage
