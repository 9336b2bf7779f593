// Rooms, members, the accounts' lists of rooms, profiles and passwords, against every implementation.
#include <gmock/gmock.h>

#include <algorithm>

#include "services/storage/repositories/store_fixture.hpp"

namespace tern::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

constexpr uint32_t any_bits = ~uint32_t{0};

class store_rooms : public store_test {
 protected:
  void put(std::vector<member_row> rows) {
    write_batch batch;
    batch.members = std::move(rows);
    commit(batch);
  }
  std::vector<uint64_t> members(uint32_t bits, uint32_t limit = 100, room_id id = hall) {
    auto found = reader_->members(id, bits, limit);
    EXPECT_TRUE(found) << found.error().detail;
    std::vector<uint64_t> accounts;
    for (const auto& row : *found) accounts.push_back(row.account.value);
    return accounts;
  }
  std::vector<account_room_row> rooms_of(account_id id) {
    auto found = reader_->rooms_of(id);
    EXPECT_TRUE(found) << found.error().detail;
    return found ? *found : std::vector<account_room_row>{};
  }
  void put_list(std::vector<account_room_row> rows) {
    write_batch batch;
    batch.account_rooms = std::move(rows);
    commit(batch);
  }
  void advance(account_id account, room_id id, uint64_t delivered) {
    write_batch batch;
    batch.cursors.push_back({account, {id.value, 0}, {}, delivered, cursor_kind::advance});
    commit(batch);
  }
  void create_accounts() {
    write_batch batch;
    batch.accounts = {{alice, std::string(32, 'a'), "dom", "phc a", 11},
                      {bob, std::string(32, 'b'), "", "phc b", 12}};
    commit(batch);
  }
};
INSTANTIATE_TEST_SUITE_P(all, store_rooms, ::testing::Values("memory", "sqlite", "pg"),
                         [](const auto& param) { return param.param; });

void expect_same(const room_row& a, const room_row& b) {
  EXPECT_EQ(a.id, b.id);
  EXPECT_EQ(a.domain, b.domain);
  EXPECT_EQ(a.founder, b.founder);
  EXPECT_EQ(a.managers, b.managers);
  EXPECT_EQ(a.kind, b.kind);
  EXPECT_EQ(a.cancelled, b.cancelled);
  EXPECT_EQ(a.version, b.version);
  EXPECT_EQ(a.members, b.members);
  EXPECT_EQ(a.created_ns, b.created_ns);
  EXPECT_EQ(a.bean, b.bean);
  EXPECT_EQ(a.create_key, b.create_key);
}

TEST_P(store_rooms, a_room_reads_back_as_written_after_a_restart) {
  auto batch = talk_in(hall, 3);
  batch.rooms = {room(hall), room(den, 7)};
  batch.rooms[1].managers.clear();
  batch.rooms[1].kind = room_kind::open;
  batch.rooms[1].cancelled = true;
  batch.rooms[1].bean.clear();
  batch.rooms[1].domain.clear();
  commit(batch);
  reopen();
  const room_id ids[] = {den, {99}, hall};
  auto rows = writer_->load_rooms(ids);
  ASSERT_TRUE(rows) << rows.error().detail;
  ASSERT_EQ(rows->size(), 2U);
  if ((*rows)[0].id != hall) std::swap((*rows)[0], (*rows)[1]);
  expect_same((*rows)[0], batch.rooms[0]);
  expect_same((*rows)[1], batch.rooms[1]);
  auto read = reader_->room(hall);
  ASSERT_TRUE(read) << read.error().detail;
  ASSERT_TRUE(*read);
  expect_same((*read)->first, batch.rooms[0]);
  EXPECT_EQ((*read)->second, 3U);
  EXPECT_EQ((*reader_->room(den))->second, 0U);  // without a conversation
  EXPECT_FALSE(*reader_->room(room_id{99}));
}

TEST_P(store_rooms, a_changed_room_replaces_the_row_and_its_head_follows_the_messages) {
  auto batch = talk_in(hall, 1);
  batch.rooms = {room(hall)};
  commit(batch);
  for (uint64_t mid = 2; mid <= 5; ++mid) {
    commit(talk_in(hall, 1, mid));
    EXPECT_EQ((*reader_->room(hall))->second, mid);
  }
  batch = {};
  batch.rooms = {room(hall, 2)};
  batch.rooms[0].managers = {carol};
  batch.rooms[0].members = 3;
  batch.rooms[0].cancelled = true;
  commit(batch);
  const auto found = *reader_->room(hall);
  ASSERT_TRUE(found);
  expect_same(found->first, batch.rooms[0]);
  EXPECT_EQ(found->second, 5U);
  const conversation_id ids[] = {in_hall};
  const auto row = writer_->load(ids)->at(0);
  EXPECT_EQ(row.head, 5U);
  EXPECT_FALSE(row.a);
  EXPECT_FALSE(row.b);
}

TEST_P(store_rooms, members_come_by_account_with_any_of_the_bits) {
  const account_id last{~uint64_t{0}};
  put({{hall, last, room_member},
       {hall, alice, room_member | room_manager | room_founder},
       {hall, bob, room_applied},
       {hall, carol, room_barred},
       {den, bob, room_member}});
  EXPECT_THAT(members(any_bits), ElementsAre(bob.value, carol.value, alice.value, last.value));
  EXPECT_THAT(members(room_member), ElementsAre(alice.value, last.value));
  EXPECT_THAT(members(room_manager | room_barred), ElementsAre(carol.value, alice.value));
  EXPECT_THAT(members(any_bits, 3), ElementsAre(bob.value, carol.value, alice.value));
  EXPECT_THAT(members(any_bits, 2), ElementsAre(bob.value, carol.value));
  EXPECT_THAT(members(room_refuses), ElementsAre());
  EXPECT_THAT(members(any_bits, 100, room_id{5}), ElementsAre());
}

TEST_P(store_rooms, a_member_changes_and_goes) {
  put({{hall, alice, room_member}, {hall, bob, room_member}, {den, alice, room_member}});
  put({{hall, alice, room_none}, {hall, bob, room_barred}, {hall, carol, room_none}});
  EXPECT_FALSE(*reader_->member(hall, alice));
  EXPECT_EQ((*reader_->member(hall, bob))->bits, room_barred);
  EXPECT_EQ((*reader_->member(den, alice))->bits, room_member);
  EXPECT_FALSE(*reader_->member(hall, carol));
  const member_key keys[] = {{hall, bob}, {hall, alice}, {den, alice}, {den, bob}};
  auto rows = writer_->load_members(keys);
  ASSERT_TRUE(rows) << rows.error().detail;
  std::vector<std::pair<uint64_t, uint32_t>> found;
  for (const auto& row : *rows) found.emplace_back(row.account.value, row.bits);
  EXPECT_THAT(found, UnorderedElementsAre(std::pair(bob.value, uint32_t{room_barred}),
                                          std::pair(alice.value, uint32_t{room_member})));
}

TEST_P(store_rooms, a_room_of_ten_thousand_members_is_written_at_once_and_read_in_one_statement) {
  constexpr uint64_t size = 10'000;
  write_batch batch;
  batch.rooms = {room(hall)};
  std::vector<member_key> keys;
  for (uint64_t i = 1; i <= size; ++i) {
    const account_id account{i * 0x9E3779B97F4A7C15ULL};  // on both sides of 2^63
    batch.members.push_back({hall, account, i % 100 == 0 ? room_member | room_manager : room_member});
    batch.members.push_back({den, account, room_member});
    keys.push_back({hall, account});
  }
  commit(batch);
  EXPECT_EQ(members(room_member, 1).size(), 1U);  // prepares
  const auto before = reader_->statements();
  auto all = members(room_member, size + 1);
  EXPECT_LE(reader_->statements() - before, 2U);  // SQLite: two ranges
  EXPECT_EQ(all.size(), size);
  EXPECT_TRUE(std::is_sorted(all.begin(), all.end()));
  EXPECT_EQ(std::unique(all.begin(), all.end()), all.end());
  EXPECT_EQ(members(room_manager, size).size(), size / 100);
  const auto cut = members(room_member, 7000);
  ASSERT_EQ(cut.size(), 7000U);
  EXPECT_TRUE(std::equal(cut.begin(), cut.end(), all.begin()));
  EXPECT_EQ(writer_->load_members(keys)->size(), size);
  for (auto& row : batch.members) row.bits = room_none;
  commit(batch);
  EXPECT_TRUE(members(any_bits).empty());
}

TEST_P(store_rooms, a_list_row_changes_only_to_a_newer_version) {
  put_list(
      {{alice, hall, 2, room_member, 5, 0}, {alice, den, 4, room_refuses, 0, 0}, {bob, hall, 9, room_member, 1, 0}});
  put_list({{alice, hall, 1, room_none, 0, 0},
            {alice, hall, 2, room_none, 0, 0},
            {alice, den, 7, room_member, 3, 0},
            {alice, den, 6, room_none, 0, 0}});
  const auto rows = rooms_of(alice);
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].room, den);
  EXPECT_EQ(rows[0].version, 7U);
  EXPECT_EQ(rows[0].bits, room_member);
  EXPECT_EQ(rows[0].since, 3U);
  EXPECT_EQ(rows[1].room, hall);
  EXPECT_EQ(rows[1].version, 2U);
  EXPECT_EQ(rows[1].bits, room_member);
  EXPECT_EQ(rows[1].since, 5U);
  EXPECT_EQ(rooms_of(bob).size(), 1U);
  EXPECT_TRUE(rooms_of(carol).empty());
  put_list({{alice, hall, 3, room_member | room_manager, 0, 0}});
  EXPECT_EQ(rooms_of(alice)[1].version, 3U);
  EXPECT_EQ(rooms_of(alice)[1].since, 5U) << "it is where it was";
}

TEST_P(store_rooms, who_left_keeps_only_the_version) {
  put_list({{alice, hall, 2, room_member, 5, 0}, {alice, den, 2, room_applied, 0, 0}});
  ASSERT_EQ(rooms_of(alice).size(), 1U);  // an application is no listed row
  put_list({{alice, hall, 3, room_none, 0, 0}});
  EXPECT_TRUE(rooms_of(alice).empty());
  put_list({{alice, hall, 2, room_member, 5, 0}});
  EXPECT_TRUE(rooms_of(alice).empty());  // late news of the join
  put_list({{alice, hall, 4, room_refuses, 0, 0}});
  EXPECT_EQ(rooms_of(alice).at(0).bits, room_refuses);
}

TEST_P(store_rooms, what_is_delivered_is_the_later_of_joining_and_the_cursor) {
  put_list({{alice, hall, 1, room_member, 5, 0}, {alice, den, 1, room_member, 2, 0}});
  EXPECT_EQ(rooms_of(alice).at(1).delivered, 5U);
  advance(alice, hall, 3);
  EXPECT_EQ(rooms_of(alice).at(1).delivered, 5U);
  advance(alice, hall, 8);
  EXPECT_EQ(rooms_of(alice).at(1).delivered, 8U);
  advance(alice, hall, 7);  // never backwards
  EXPECT_EQ(rooms_of(alice).at(1).delivered, 8U);
  EXPECT_EQ(rooms_of(alice).at(0).delivered, 2U);
  advance(bob, den, 99);  // another account's
  write_batch pair;
  pair.cursors.push_back({alice, {den.value, 1}, bob, 98, cursor_kind::advance});  // a pair's conversation
  commit(pair);
  EXPECT_EQ(rooms_of(alice).at(0).delivered, 2U);
  put_list({{alice, hall, 2, room_none, 0, 0}});
  put_list({{alice, hall, 3, room_member, 20, 0}});  // left and came back
  EXPECT_EQ(rooms_of(alice).at(1).delivered, 20U);
}

TEST_P(store_rooms, cursors_of_rooms_never_wait) {
  write_batch batch;
  for (uint64_t mid = 1; mid <= 9; ++mid) {
    batch.cursors.push_back({alice, in_hall, {}, mid % 5, cursor_kind::advance});
  }
  for (uint64_t i = 1; i <= 3000; ++i) batch.cursors.push_back({{i << 40U}, in_hall, {}, i, cursor_kind::advance});
  commit(batch);
  EXPECT_TRUE(reader_->waiting(alice, 10)->dirty.empty());
  put_list({{alice, hall, 1, room_member, 0, 0}, {{uint64_t{2345} << 40U}, hall, 1, room_member, 0, 0}});
  EXPECT_EQ(rooms_of(alice).at(0).delivered, 4U);
  EXPECT_EQ(rooms_of({uint64_t{2345} << 40U}).at(0).delivered, 2345U);
}

TEST_P(store_rooms, a_room_has_a_history_of_its_own) {
  commit(talk_in(hall, 10));
  commit(talk_in(den, 2));
  commit(chat(3));
  auto query = history_of(in_hall);
  query.limit = 3;
  auto page = *reader_->history(query);
  EXPECT_THAT(mids(page), ElementsAre(10, 9, 8));
  ASSERT_TRUE(page.conversation);
  EXPECT_EQ(page.conversation->id, in_hall);
  EXPECT_EQ(page.conversation->head, 10U);
  EXPECT_FALSE(page.conversation->a);
  EXPECT_FALSE(page.conversation->b);
  query.newest_first = false;
  query.from_mid = 8;
  page = *reader_->history(query);
  EXPECT_THAT(mids(page), ElementsAre(9, 10));
  EXPECT_EQ(page.reached, 10U);
}

TEST_P(store_rooms, a_message_of_nobody_is_in_the_history_of_a_room) {
  auto batch = talk_in(hall, 2);
  batch.messages[1].sender = {};
  commit(batch);
  auto query = history_of(in_hall);
  EXPECT_THAT(mids(*reader_->history(query)), ElementsAre(2, 1));
  query.newest_first = false;
  EXPECT_THAT(mids(*reader_->history(query)), ElementsAre(1, 2));
  query.skip_sender = alice;
  EXPECT_THAT(mids(*reader_->history(query)), ElementsAre(2));
}

TEST_P(store_rooms, a_profile_is_kept_for_accounts_that_exist) {
  create_accounts();
  const account_id ids[] = {bob, carol, alice};
  ASSERT_EQ(reader_->profiles(ids)->size(), 2U);
  EXPECT_TRUE(reader_->profiles(ids)->at(0).bean.empty());
  write_batch batch;
  batch.profiles.resize(3);
  batch.profiles[0].account = alice;
  batch.profiles[0].bean = "first";
  batch.profiles[1].account = carol;
  batch.profiles[1].bean = "nobody's";
  batch.profiles[2].account = alice;
  batch.profiles[2].bean = std::string("la\0st", 5);
  commit(batch);
  reopen();
  for (auto found : {reader_->profiles(ids), writer_->load_profiles(ids)}) {
    ASSERT_TRUE(found) << found.error().detail;
    ASSERT_EQ(found->size(), 2U);
    if ((*found)[0].account != alice) std::swap((*found)[0], (*found)[1]);
    EXPECT_EQ((*found)[0].account, alice);
    EXPECT_EQ((*found)[0].bean, batch.profiles[2].bean);
    EXPECT_EQ((*found)[0].domain, "dom");
    EXPECT_EQ((*found)[0].created_ns, 11);
    EXPECT_EQ((*found)[1].account, bob);
    EXPECT_TRUE((*found)[1].bean.empty());
  }
  EXPECT_EQ((*reader_->account(alice))->password_hash, "phc a");
}

TEST_P(store_rooms, a_new_password_ends_all_tokens_of_the_account) {
  create_accounts();
  const auto hash = [](char c) { return std::string(32, c); };
  write_batch batch;
  batch.tokens = {{hash('1'), alice, 100}, {hash('2'), alice, 100}, {hash('3'), bob, 100}};
  commit(batch);
  batch = {};
  batch.tokens = {{hash('4'), alice, 100}};  // given to who knew the old one
  batch.passwords = {{alice, "phc 1"}, {alice, "phc 2"}};
  commit(batch);
  EXPECT_EQ((*reader_->account(alice))->password_hash, "phc 2");
  EXPECT_EQ((*reader_->account(alice))->name_key, hash('a'));
  EXPECT_EQ((*reader_->account(bob))->password_hash, "phc b");
  batch = {};
  batch.tokens_taken = {{hash('1'), alice, 0}, {hash('2'), alice, 0}, {hash('4'), alice, 0}, {hash('3'), bob, 0}};
  const auto outcome = commit(batch);
  EXPECT_FALSE(outcome.token_taken.at(0));
  EXPECT_FALSE(outcome.token_taken.at(1));
  EXPECT_FALSE(outcome.token_taken.at(2));
  EXPECT_TRUE(outcome.token_taken.at(3));
}

TEST_P(store_rooms, a_password_of_nobody_makes_no_account) {
  write_batch batch;
  batch.passwords = {{alice, "phc"}};
  commit(batch);
  EXPECT_FALSE(*reader_->account(alice));
}

TEST_P(store_rooms, nothing_asked_is_nothing_found) {
  EXPECT_TRUE(writer_->load_rooms({})->empty());
  EXPECT_TRUE(writer_->load_members({})->empty());
  EXPECT_TRUE(writer_->load_messages({})->empty());
  EXPECT_TRUE(writer_->load_profiles({})->empty());
  EXPECT_TRUE(reader_->profiles({})->empty());
  EXPECT_TRUE(reader_->rooms_of(alice)->empty());
}

TEST_P(store_rooms, every_read_is_one_statement) {
  const account_id ids[] = {alice, bob};
  const auto all = [&] {
    (void)reader_->rooms_of(alice);
    (void)reader_->room(hall);
    (void)reader_->member(hall, alice);
    (void)reader_->profiles(ids);
  };
  all();
  const auto before = reader_->statements();
  all();
  EXPECT_EQ(reader_->statements() - before, 4U);
}

TEST_P(store_rooms, every_kind_of_write_counts_and_is_fenced) {
  create_accounts();
  auto chatting = talk_in(hall, 1);
  commit(chatting);
  auto next = writer(2);
  std::vector<write_batch> kinds(6);
  kinds[0].recalled = {{in_hall, 1}};
  kinds[1].rooms = {room(hall)};
  kinds[2].members = {{hall, alice, room_member}};
  kinds[3].account_rooms = {{alice, hall, 1, room_member, 0, 0}};
  kinds[4].profiles.resize(1);
  kinds[4].profiles[0].account = alice;
  kinds[4].profiles[0].bean = "bean";
  kinds[5].passwords = {{alice, "new"}};
  for (const auto& batch : kinds) {
    EXPECT_EQ(batch.rows(), 1U);
    EXPECT_FALSE(batch.empty());
    EXPECT_EQ(writer_->commit(batch).code(), errc::stale_epoch);
  }
  const account_id ids[] = {alice};
  EXPECT_EQ(mids(*reader_->history(history_of(in_hall))).size(), 1U);
  EXPECT_FALSE(*reader_->room(hall));
  EXPECT_TRUE(members(any_bits).empty());
  EXPECT_TRUE(rooms_of(alice).empty());
  EXPECT_TRUE(reader_->profiles(ids)->at(0).bean.empty());
  EXPECT_EQ((*reader_->account(alice))->password_hash, "phc a");
  for (const auto& batch : kinds) EXPECT_TRUE(next->commit(batch));
  EXPECT_EQ(mids(*reader_->history(history_of(in_hall))).size(), 0U);
  EXPECT_TRUE(*reader_->room(hall));
  EXPECT_EQ((*reader_->account(alice))->password_hash, "new");
}

TEST_P(store_rooms, a_batch_that_fails_leaves_nothing_of_any_kind) {
  create_accounts();
  commit(talk_in(hall, 2));
  auto batch = talk_in(hall, 2, 2);  // mid 2 is taken
  batch.recalled = {{in_hall, 1}};
  batch.rooms = {room(hall)};
  batch.members = {{hall, alice, room_member}};
  batch.account_rooms = {{alice, hall, 1, room_member, 0, 0}};
  batch.passwords = {{alice, "new"}};
  EXPECT_EQ(writer_->commit(batch).code(), errc::database);
  EXPECT_EQ(mids(*reader_->history(history_of(in_hall))).size(), 2U);
  EXPECT_FALSE(*reader_->room(hall));
  EXPECT_TRUE(members(any_bits).empty());
  EXPECT_TRUE(rooms_of(alice).empty());
  EXPECT_EQ((*reader_->account(alice))->password_hash, "phc a");
}

}  // namespace
}  // namespace tern::storage
