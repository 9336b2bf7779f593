// Random changes and messages of a few rooms on a database that fails before, in and after commits. The model is the
// storage that other services test with: so it is shown as well that both know the same rules.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <tuple>

#include "libs/shards/testing/fake_storage.hpp"
#include "libs/testing/fake_clock.hpp"
#include "libs/wire/codec.hpp"
#include "services/storage/logic/reads.hpp"
#include "services/storage/logic/room_keys.hpp"
#include "services/storage/logic/writer_engine.hpp"
#include "services/storage/testing/faulty_writer.hpp"
#include "services/storage/testing/requests.hpp"

namespace tern::storage {
namespace {

using namespace std::chrono_literals;

/// What an account is told by the outbox.
using news =
    std::tuple<uint64_t, uint64_t, uint64_t, bool, uint32_t, uint32_t>;  // room, version, to, changed, bits, notice

class room_trial {
 public:
  explicit room_trial(uint64_t seed) : seed_(seed), dice_(seed) { EXPECT_TRUE(real_->migrate()); }

  void ask_some();
  void run_once();
  void finish();
  void compare();
  size_t stored() const { return stored_; }

 private:
  v1::StorageRequest anything();
  v1::StorageRequest change(uint64_t call, account_id actor, room_id room);
  void settle(const v1::StorageReply& real);
  v1::StorageReply ask_model(const v1::StorageRequest& request);
  v1::StorageReply read(const v1::StorageRequest& request);
  void offer(const session::v1::Delivery& entry);
  void read_outbox();
  void compare_room(room_id room);
  static news news_of(const session::v1::Delivery& entry) {
    const auto& what = entry.room();
    return {what.room(), what.version(), entry.account(), what.changed(), what.bits(), what.notice_bn_type()};
  }

  const uint64_t seed_;
  std::mt19937_64 dice_;
  double rate_ = 0.3;
  tern::testing::fake_clock time_;
  std::unique_ptr<store> real_ = std::move(*open_store("memory:"));
  shards::fake_storage model_;
  std::unique_ptr<writer_engine> engine_ = make_engine();
  std::shared_ptr<testing::recording_sink> sink_ = std::make_shared<testing::recording_sink>();
  std::vector<account_id> people_{{0x1111}, {0x2222}, {0x3333}, {0x4444}, {0x5555}};
  std::vector<room_id> rooms_{{0x7771}, {0x7772}, {0x7773}};
  std::map<uint64_t, v1::StorageRequest> asked_;  // not settled yet
  std::multiset<news> told_;
  uint64_t position_ = 0;
  uint64_t last_call_ = 0;
  size_t stored_ = 0;

  std::unique_ptr<writer_engine> make_engine();
};

std::unique_ptr<writer_engine> room_trial::make_engine() {
  writer_options how;
  how.shard = "s0";
  how.epoch = 1;
  how.batch_requests = 16;
  how.cached = {.conversations = 2, .keys = 8, .rooms = 2, .members = 4};  // so small that most is read again
  return std::make_unique<writer_engine>(how, time_, [this]() -> result<std::unique_ptr<writer_store>> {
    auto made = real_->open_writer();
    if (!made) return made.error();
    if (auto held = (*made)->acquire(1); !held) return held.error();
    return std::unique_ptr<writer_store>(std::make_unique<testing::faulty_writer>(std::move(*made), dice_, rate_));
  });
}

v1::StorageRequest room_trial::change(uint64_t call, account_id actor, room_id room) {
  // Cancelling is rare: it would end the trial's rooms early.
  constexpr v1::RoomChange::Change likely[] = {
      v1::RoomChange::APPLY,   v1::RoomChange::APPLY,   v1::RoomChange::APPLY, v1::RoomChange::APPLY,
      v1::RoomChange::PULL_IN, v1::RoomChange::PULL_IN, v1::RoomChange::KICK,  v1::RoomChange::REFUSE,
      v1::RoomChange::BLOCK,   v1::RoomChange::BAR,     v1::RoomChange::LEAVE, v1::RoomChange::PROFILE,
      v1::RoomChange::CANCEL};
  auto what = likely[dice_() % std::size(likely)];
  if (what == v1::RoomChange::CANCEL && dice_() % 8 != 0) what = v1::RoomChange::APPLY;
  auto request = testing::room_change(call, actor, what, people_[dice_() % people_.size()], "text", room);
  if (dice_() % 30 == 0) request.mutable_room_change()->set_domain("elsewhere");
  if (what != v1::RoomChange::PROFILE) return request;
  wire::tim_room_bean bean;
  const auto label = "label " + std::to_string(call);  // always another one, so that there is always a change
  const auto node = to_node(people_[dice_() % people_.size()]);
  bean.label = label;
  if (dice_() % 2 == 0) bean.managers.emplace();
  if (bean.managers && dice_() % 3 != 0) bean.managers->push_back(node);
  request.mutable_room_change()->set_bean(wire::encode(wire::encoding::thrift, bean));
  return request;
}

v1::StorageRequest room_trial::anything() {
  const auto call = ++last_call_;
  const auto who = people_[dice_() % people_.size()];
  const auto room = rooms_[dice_() % rooms_.size()];
  switch (dice_() % 10) {
    case 0: {
      const auto kind = dice_() % 2 == 0 ? v1::ROOM_OPEN : v1::ROOM_PRIVATE;
      return testing::room_create(call, who, kind, room, "c" + std::to_string(dice_() % 2));
    }
    case 1:
    case 2: return testing::recall(call, room_conversation(room), who, dice_() % 40, dice_() % 20 == 0);
    case 3:
    case 4:
    case 5: return change(call, who, room);
    default: {
      auto request = testing::room_append(call, who, "k" + std::to_string(dice_() % 80), "", room);
      request.mutable_room_append()->set_body(request.room_append().key());
      request.mutable_room_append()->set_unlisted(dice_() % 5 == 0);
      return request;
    }
  }
}

void room_trial::ask_some() {
  std::vector<write_request> items(dice_() % 7);
  for (auto& item : items) {
    item.message = anything();
    item.from = sink_;
    item.arrived = time_.now();
    item.deadline = time_.now() + 1h;  // never late: late ones may have been done or not
    asked_[item.message.call()] = item.message;
  }
  engine_->add(std::move(items));
  time_.advance(std::chrono::milliseconds(dice_() % 120));
}

v1::StorageReply room_trial::ask_model(const v1::StorageRequest& request) {
  v1::StorageReply out;
  model_.ask(0, request, shards::patience::deadline, [&](shards::storage_answer& got) {
    out = std::move(got.reply);
    out.set_code(static_cast<int32_t>(got.code));
  });
  model_.answer();
  return out;
}

/// The answers come in the order of the requests: the model does each when the real one says it has done it.
void room_trial::settle(const v1::StorageReply& real) {
  const auto request = asked_.at(real.call());
  asked_.erase(real.call());
  if (real.code() == static_cast<int32_t>(errc::database))
    return;  // refused by the dice, alone in its batch: not done
  const auto model = ask_model(request);
  const auto about = [&] { return request.ShortDebugString() + " seed " + std::to_string(seed_); };
  ASSERT_EQ(real.code(), model.code()) << about();
  if (real.code() != 0) return;
  ASSERT_EQ(real.appended().mid(), model.appended().mid()) << about();
  ASSERT_EQ(real.appended().duplicate(), model.appended().duplicate()) << about();
  ASSERT_EQ(real.room_changed().version(), model.room_changed().version()) << about();
  ASSERT_EQ(real.room_changed().joined(), model.room_changed().joined()) << about();
  ASSERT_EQ(real.room_changed().was_applicant(), model.room_changed().was_applicant()) << about();
  ASSERT_TRUE(std::equal(real.room_changed().gone().begin(), real.room_changed().gone().end(),
                         model.room_changed().gone().begin(), model.room_changed().gone().end()))
      << about();
}

void room_trial::run_once() {
  auto done = engine_->run();
  send_answers(done.answers);
  for (const auto& reply : sink_->take()) settle(reply);
  if (done.resync) read_outbox();
  for (const auto& entry : done.deliveries) offer(entry);
}

void room_trial::read_outbox() {
  for (;;) {
    auto page = engine_->scan(position_, 5);
    if (!page) continue;
    for (const auto& entry : *page) offer(entry);
    if (page->size() < 5) return;
  }
}

void room_trial::offer(const session::v1::Delivery& entry) {
  if (entry.entry() <= position_) return;
  position_ = entry.entry();
  EXPECT_TRUE(entry.has_room()) << "only membership goes through the outbox, seed " << seed_;
  told_.insert(news_of(entry));
}

void room_trial::finish() {
  rate_ = 0;
  while (engine_->waiting() > 0) run_once();
  EXPECT_TRUE(asked_.empty());
}

v1::StorageReply room_trial::read(const v1::StorageRequest& request) {
  auto reader = std::move(*real_->open_reader());
  auto reply = execute_read(*reader, request);
  EXPECT_TRUE(reply);
  return reply ? *reply : v1::StorageReply{};
}

void room_trial::compare_room(room_id room) {
  auto get = testing::request(1);
  get.mutable_room_get()->set_room(room.value);
  get.mutable_room_get()->set_domain("d");
  const auto real = read(get), model = ask_model(get);
  ASSERT_EQ(real.code(), model.code());
  EXPECT_EQ(real.room().version(), model.room().version()) << "seed " << seed_;
  EXPECT_EQ(real.room().cancelled(), model.room().cancelled()) << "seed " << seed_;
  EXPECT_EQ(real.room().head(), model.room().head()) << "seed " << seed_;

  auto reader = std::move(*real_->open_reader());
  uint32_t members = 0;
  for (const auto who : people_) {
    const auto row = *reader->member(room, who);
    EXPECT_EQ(row ? row->bits : 0, model_.bits_in(room, who)) << "seed " << seed_;
    if (row && (row->bits & room_member) != 0) ++members;
  }
  const auto row = *reader->room(room);
  if (row) {
    EXPECT_EQ(row->first.members, members) << "seed " << seed_;
  }
  for (const bool listed : {false, true}) {
    auto ask = testing::read_room(1, account_id{0}, room);
    ask.mutable_read()->set_listed_only(listed);
    ask.mutable_read()->set_max_bytes(1U << 20U);
    const auto mine = read(ask).page(), theirs = ask_model(ask).page();
    ASSERT_EQ(mine.rows_size(), theirs.rows_size()) << "seed " << seed_;
    for (int i = 0; i < mine.rows_size(); ++i) {
      EXPECT_EQ(mine.rows(i).mid(), theirs.rows(i).mid()) << "seed " << seed_;
      EXPECT_EQ(mine.rows(i).sender(), theirs.rows(i).sender()) << "seed " << seed_;
      EXPECT_EQ(mine.rows(i).body(), theirs.rows(i).body()) << "seed " << seed_;
      EXPECT_EQ(mine.rows(i).target(), theirs.rows(i).target()) << "seed " << seed_;
    }
    if (!listed) stored_ += static_cast<size_t>(mine.rows_size());
  }
}

void room_trial::compare() {
  for (const auto room : rooms_) compare_room(room);
  std::multiset<news> wanted;
  for (const auto& [number, entry] : model_.outbox) wanted.insert(news_of(entry));
  EXPECT_EQ(told_, wanted) << "what the outbox told, seed " << seed_;
}

class room_property : public ::testing::TestWithParam<uint64_t> {};

TEST_P(room_property, rooms_are_what_their_answers_say_whatever_becomes_of_commits) {
  room_trial all(GetParam());
  for (int step = 0; step < 400 && !::testing::Test::HasFatalFailure(); ++step) {
    all.ask_some();
    all.run_once();
  }
  all.finish();
  all.compare();
  EXPECT_GT(all.stored(), 20U);
}

INSTANTIATE_TEST_SUITE_P(seeds, room_property, ::testing::Range<uint64_t>(1, 60));

}  // namespace
}  // namespace tern::storage
