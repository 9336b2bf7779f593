// What a shard holds of an account is destroyed, on both databases; nothing of others is.
#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "services/storage/erasure/erased_account.hpp"
#include "services/storage/erasure/erasure_job.hpp"
#include "services/storage/repositories/store_fixture.hpp"

namespace tern::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr room_id hall_room{0x3000000000000003U};
constexpr room_id den_room{0x4000000000000004U};

class erasure : public store_test {
 protected:
  void SetUp() override {
    store_test::SetUp();
    database_ = *sql::open(dsn_);
    write_batch batch;
    for (const auto who : {alice, bob, carol}) {
      batch.accounts.push_back({who, std::string(32, who == alice ? 'A' : 'B'), "dom", "hash", 5});
      batch.notices.push_back({who, 1, "notice"});
      batch.tokens.push_back({"token of " + std::to_string(who.value), who, 1});
    }
    batch.roster = {{alice, bob, 1, 2, 2}, {bob, alice, 1, 2, 2}, {bob, carol, 1, 2, 2}, {carol, bob, 1, 2, 2}};
    batch.cursors = {{alice, talk, bob, 1, cursor_kind::mark}, {bob, talk, alice, 1, cursor_kind::mark}};
    batch.conversations = {conversation(4), pair(other_talk, bob, carol, 2), room_talk(hall_room, 3),
                           room_talk(den_room, 1)};
    for (uint64_t mid = 1; mid <= 4; ++mid)
      batch.messages.push_back(message(mid, mid % 2 == 1 ? alice : bob, "k" + std::to_string(mid)));
    for (uint64_t mid = 1; mid <= 2; ++mid)
      batch.messages.push_back(message(mid, bob, "o" + std::to_string(mid), "body", other_talk));
    for (uint64_t mid = 1; mid <= 3; ++mid)
      batch.messages.push_back(
          message(mid, mid == 2 ? bob : alice, "h" + std::to_string(mid), "body", {hall_room.value, 0}));
    batch.messages.push_back(message(1, alice, "d1", "body", {den_room.value, 0}));
    batch.rooms = {room_of(hall_room, bob, false), room_of(den_room, alice, true)};
    batch.members = {{hall_room, alice, room_barred}, {hall_room, bob, room_member | room_manager | room_founder}};
    batch.account_rooms = {{alice, hall_room, 3, room_none, 0, 0}, {alice, den_room, 1, room_none, 0, 0}};
    batch.outbox = {entry(1, 2, alice), entry(2, 1, bob)};
    commit(batch);
    write_batch profile;
    profile.profiles = {{.account = alice, .domain = {}, .bean = "profile of alice"}};
    commit(profile);
  }

  static conversation_row pair(conversation_id id, account_id one, account_id other, uint64_t head) {
    return {id, std::min(one, other), std::max(one, other), head, relation_friend, relation_friend, 1};
  }
  static conversation_row room_talk(room_id id, uint64_t head) { return {{id.value, 0}, {}, {}, head, 0, 0, 0}; }
  static room_row room_of(room_id id, account_id founder, bool cancelled) {
    room_row row;
    row.id = id;
    row.founder = founder;
    row.kind = room_kind::open;
    row.cancelled = cancelled;
    row.version = 1;
    row.members = 1;
    row.bean = "bean";
    row.create_key = "key";
    return row;
  }

  erasure_job job(account_id whose = alice) { return {*database_, whose, 77}; }
  /// One round; how many rows went.
  uint64_t round(uint32_t number, size_t rows = 1000, const std::vector<room_id>& in = {hall_room, den_room}) {
    uint64_t changed = 0;
    for (int steps = 0; steps < 10'000; ++steps) {
      auto done = job().destroy(number, in, rows);
      if (!done) {
        ADD_FAILURE() << done.error().detail;
        return changed;
      }
      EXPECT_LE(done->looked, rows);
      changed += done->changed;
      if (done->done) return changed;
    }
    ADD_FAILURE() << "it does not end";
    return changed;
  }
  int64_t count(const std::string& what) {
    auto rows = database_->query("select count(*) from " + what);
    EXPECT_TRUE(rows) << rows.error().detail;
    return rows ? sql::as_int(rows->front()[0]) : -1;
  }
  int64_t count_of(const std::string& table, const std::string& column, account_id who) {
    return count(table + " where " + column + " = " + std::to_string(static_cast<int64_t>(who.value)));
  }
  std::vector<uint64_t> mids(conversation_id in) {
    auto query = history_query{};
    query.conversation = in;
    query.newest_first = false;
    std::vector<uint64_t> out;
    const auto page = reader_->history(query);
    EXPECT_TRUE(page);
    for (const auto& row : page->rows) out.push_back(row.mid);
    return out;
  }

  std::unique_ptr<sql::connection> database_;
};

INSTANTIATE_TEST_SUITE_P(every, erasure, ::testing::Values("sqlite", "pg"),
                         [](const auto& one) { return one.param; });

TEST_P(erasure, takes_the_password_the_name_key_and_the_tokens_first) {
  const auto begun = job().begin(true);
  ASSERT_TRUE(begun) << begun.error().detail;
  EXPECT_EQ(begun->state, erasure_state::erasing);
  EXPECT_EQ(begun->begun_ns, 77);
  const auto row = reader_->account(alice);
  ASSERT_TRUE(row && *row);
  EXPECT_TRUE(is_erased(**row));
  EXPECT_EQ((*row)->name_key, erased_name_key(alice));
  EXPECT_EQ(count_of("token", "account", alice), 0);
  EXPECT_EQ(count("token"), 2);
  EXPECT_EQ((*reader_->profiles(std::vector{alice}))[0].bean, "");
  EXPECT_FALSE(is_erased(**reader_->account(bob)));
}

TEST_P(erasure, of_nobody_is_refused_where_the_account_must_be) {
  const account_id nobody{0x5555555555555555U};
  EXPECT_EQ(job(nobody).begin(true).code(), errc::no_such_object);
  EXPECT_EQ(job(nobody).look()->state, erasure_state::none);
  EXPECT_EQ(job(nobody).destroy(1, {}, 10).code(), errc::no_such_object);
  EXPECT_TRUE(job(nobody).begin(false));
}

TEST_P(erasure, destroys_what_is_the_accounts_and_nothing_else) {
  ASSERT_TRUE(job().begin(true));
  EXPECT_GT(round(1), 0U);
  for (const char* table : {"notice", "roster", "cursor", "token", "member"})
    EXPECT_EQ(count_of(table, "account", alice), 0) << table;
  EXPECT_EQ(count_of("roster", "other", alice), 0);
  EXPECT_EQ(count_of("outbox", "recipient", alice), 0);
  EXPECT_EQ(count("roster"), 2);
  EXPECT_EQ(count("notice"), 2);
  EXPECT_EQ(count("cursor"), 1);
  EXPECT_EQ(count("outbox"), 1);
  EXPECT_EQ(count("message where length(body) = 0"), 2 + 2 + 1);
  EXPECT_EQ(count("message"), 10) << "positions stay";
  EXPECT_THAT(mids(talk), ElementsAre(2, 4)) << "what the other one wrote is the other one's";
  EXPECT_THAT(mids(other_talk), ElementsAre(1, 2));
  EXPECT_THAT(mids({hall_room.value, 0}), ElementsAre(2));
  EXPECT_THAT(mids({den_room.value, 0}), IsEmpty());
  EXPECT_EQ((*reader_->room(den_room))->first.bean, "");
  EXPECT_EQ((*reader_->room(hall_room))->first.bean, "bean");
  EXPECT_EQ(round(2), 0U);

  const auto ended = job().finish();
  ASSERT_TRUE(ended) << ended.error().detail;
  EXPECT_EQ(ended->state, erasure_state::erased);
  EXPECT_EQ(count_of("account_room", "account", alice), 0);
  const std::map<std::string, uint64_t> expected{
      {"accounts", 1},  {"tokens", 1},          {"notices", 1},  {"relations", 1},
      {"positions", 1}, {"room_messages", 3},   {"messages", 2}, {"relations_of_others", 1},
      {"outbox", 1},    {"places_in_rooms", 1}, {"rooms", 1},    {"rooms_listed", 2}};
  EXPECT_EQ(ended->destroyed, expected);
  EXPECT_EQ(job().finish()->destroyed, expected);
  EXPECT_EQ(job().begin(true)->state, erasure_state::erased) << "for ever";
}

TEST_P(erasure, an_erased_sender_is_told_to_nobody_who_still_waits) {
  ASSERT_TRUE(job().begin(true));
  round(1);
  const auto waiting = writer_->scan_outbox(0, 10);
  ASSERT_TRUE(waiting);
  ASSERT_EQ(waiting->size(), 1U);
  EXPECT_TRUE(waiting->at(0).message->tombstone);
  EXPECT_EQ(waiting->at(0).message->body, "");
}

TEST_P(erasure, tells_of_relations_and_rooms_that_are_left) {
  auto pairs = job().relations(10);
  ASSERT_TRUE(pairs) << pairs.error().detail;
  ASSERT_EQ(pairs->size(), 1U);
  EXPECT_EQ(pairs->at(0).conversation, talk);
  EXPECT_EQ(pairs->at(0).other, bob);
  EXPECT_EQ(job(bob).relations(10)->size(), 2U);
  EXPECT_EQ(job(bob).relations(1)->size(), 1U);
  EXPECT_EQ(job().rooms()->size(), 2U) << "those it has left, too";
  EXPECT_EQ(job().destroy(1, {}, 10).code(), errc::no_such_object) << "not before it has begun";
}

TEST_P(erasure, what_still_tells_others_is_waited_for) {
  ASSERT_TRUE(job().begin(true));
  EXPECT_EQ(job().destroy(1, {}, 1000)->waiting, 1U);
  write_batch done;
  done.outbox_done = {2};
  commit(done);
  EXPECT_EQ(job().destroy(1, {}, 1000)->waiting, 0U);
}

TEST_P(erasure, a_later_round_finds_what_came_late) {
  ASSERT_TRUE(job().begin(true));
  round(1);
  write_batch late;
  late.roster = {{alice, bob, 9, 0, 0}, {bob, alice, 9, 0, 0}};
  auto row = conversation(5);
  late.conversations = {row};
  late.messages = {message(5, alice, "k5")};
  commit(late);
  EXPECT_EQ(round(1), 0U) << "this one is over";
  EXPECT_EQ(round(2), 3U);
  EXPECT_THAT(mids(talk), ElementsAre(2, 4));
}

TEST_P(erasure, small_steps_look_at_each_message_once) {
  ASSERT_TRUE(job().begin(true));
  uint64_t looked = 0, steps = 0;
  for (bool done = false; !done && steps < 100; ++steps) {
    const auto step = job().destroy(1, {hall_room, den_room}, 1);
    ASSERT_TRUE(step) << step.error().detail;
    looked += step->looked;
    done = step->done;
  }
  EXPECT_EQ(looked, 4U + 3 + 1);
  EXPECT_THAT(mids(talk), ElementsAre(2, 4));
  EXPECT_THAT(mids({hall_room.value, 0}), ElementsAre(2));
}

TEST_P(erasure, another_process_goes_on_where_one_was_killed) {
  constexpr uint64_t more = 2000;
  write_batch batch;
  for (uint64_t mid = 5; mid <= more; ++mid) batch.messages.push_back(message(mid, alice, "k" + std::to_string(mid)));
  batch.conversations = {conversation(more)};
  commit(batch);
  ASSERT_TRUE(job().begin(true));
  size_t kills = 0;
  while (job().look()->position != "done" && kills < 400) {
    const pid_t child = ::fork();
    if (child == 0) {
      auto mine = sql::open(dsn_);
      while (mine) {
        erasure_job work(**mine, alice, 77);
        const auto step = work.destroy(1, {hall_room, den_room}, 8);
        if (!step || step->done) break;
      }
      ::_exit(0);
    }
    ::usleep(static_cast<useconds_t>(10'000 + kills * 3'000));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    ++kills;
  }
  EXPECT_GT(kills, 1U);
  EXPECT_THAT(mids(talk), ElementsAre(2, 4));
  EXPECT_EQ(job().look()->destroyed["messages"], more - 2) << "each counted once";
}

TEST_P(erasure, waits_for_slots_on_the_move) {
  const auto slot = std::to_string(slot_of(talk));
  ASSERT_TRUE(job().begin(true));
  ASSERT_TRUE(database_->script("insert into slot_owner values (" + slot + ", " + slot +
                                ", 1, 0, 7, 1, 0, 0, 0, 0, '', 0, 0, 0)"));
  EXPECT_EQ(job().destroy(1, {}, 1000).code(), errc::unavailable);
  // Moved away, but an image is kept here for a way back.
  ASSERT_TRUE(database_->script("update slot_owner set state = 3, phase = 2"));
  EXPECT_EQ(job().destroy(1, {}, 1000).code(), errc::unavailable);
  // Gone for good: nothing of it is here.
  ASSERT_TRUE(database_->script("update slot_owner set phase = 4"));
  EXPECT_TRUE(job().destroy(1, {}, 1000));
}

}  // namespace
}  // namespace tern::storage
