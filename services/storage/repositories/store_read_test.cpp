// Reads and the rows behind them, against every implementation.
#include <gmock/gmock.h>

#include "services/storage/repositories/store_fixture.hpp"

namespace tern::storage {
namespace {

using ::testing::ElementsAre;

class store_reads : public store_test {
 protected:
  void put_cursor(cursor_kind kind, uint64_t delivered, conversation_id id = talk) {
    write_batch batch;
    batch.cursors.push_back({alice, id, bob, delivered, kind});
    commit(batch);
  }
  backlog waiting(uint32_t limit = 10) {
    auto found = reader_->waiting(alice, limit);
    EXPECT_TRUE(found) << found.error().detail;
    return found ? *found : backlog{};
  }
  history_page page(const history_query& query) {
    auto found = reader_->history(query);
    EXPECT_TRUE(found) << found.error().detail;
    return found ? *found : history_page{};
  }
};
INSTANTIATE_TEST_SUITE_P(all, store_reads, ::testing::Values("memory", "sqlite", "pg"),
                         [](const auto& param) { return param.param; });

TEST_P(store_reads, a_roster_row_changes_only_to_a_newer_version) {
  write_batch batch;
  batch.roster = {{alice, bob, 2, relation_asked, 0},
                  {alice, carol, 1, relation_friend, relation_friend},
                  {bob, alice, 5, 0, relation_asked}};
  commit(batch);
  batch.roster = {{alice, bob, 1, relation_blocks, 0},
                  {alice, carol, 3, relation_blocks, 1},
                  {alice, carol, 2, relation_none, 0},
                  {alice, carol, 4, relation_friend, 6}};
  commit(batch);
  auto rows = reader_->roster(alice);
  ASSERT_TRUE(rows) << rows.error().detail;
  ASSERT_EQ(rows->size(), 2U);
  std::sort(rows->begin(), rows->end(), [](auto& a, auto& b) { return a.other < b.other; });
  EXPECT_EQ((*rows)[0].other, bob);
  EXPECT_EQ((*rows)[0].version, 2U);
  EXPECT_EQ((*rows)[0].mine, relation_asked);
  EXPECT_EQ((*rows)[1].version, 4U);
  EXPECT_EQ((*rows)[1].mine, relation_friend);
  EXPECT_EQ((*rows)[1].theirs, 6U);
  EXPECT_TRUE(reader_->roster(account_id{5})->empty());
}

TEST_P(store_reads, a_mark_makes_dirty_and_keeps_the_smaller_position) {
  put_cursor(cursor_kind::mark, 5);
  put_cursor(cursor_kind::mark, 9);
  ASSERT_EQ(waiting().dirty.size(), 1U);
  EXPECT_EQ(waiting().dirty[0].delivered, 5U);
  EXPECT_EQ(waiting().dirty[0].conversation, talk);
  EXPECT_EQ(waiting().dirty[0].other, bob);
  put_cursor(cursor_kind::mark, 3);
  EXPECT_EQ(waiting().dirty[0].delivered, 3U);
}

TEST_P(store_reads, an_advance_moves_the_position_and_leaves_the_flag) {
  put_cursor(cursor_kind::advance, 4);
  EXPECT_TRUE(waiting().dirty.empty());
  put_cursor(cursor_kind::mark, 4);
  put_cursor(cursor_kind::advance, 8);
  EXPECT_EQ(waiting().dirty.at(0).delivered, 8U);
  put_cursor(cursor_kind::advance, 6);
  EXPECT_EQ(waiting().dirty.at(0).delivered, 8U);
}

TEST_P(store_reads, a_clear_ends_the_waiting_until_the_next_mark) {
  put_cursor(cursor_kind::mark, 4);
  put_cursor(cursor_kind::clear, 9);
  EXPECT_TRUE(waiting().dirty.empty());
  put_cursor(cursor_kind::mark, 9);
  EXPECT_EQ(waiting().dirty.at(0).delivered, 9U);
}

TEST_P(store_reads, cursor_changes_of_one_batch_are_applied_in_order) {
  write_batch batch;
  batch.cursors = {{alice, talk, bob, 4, cursor_kind::mark},       {alice, other_talk, bob, 1, cursor_kind::mark},
                   {alice, talk, bob, 7, cursor_kind::advance},    {alice, talk, bob, 9, cursor_kind::clear},
                   {alice, talk, bob, 11, cursor_kind::mark},      {alice, talk, bob, 12, cursor_kind::mark},
                   {alice, other_talk, bob, 6, cursor_kind::clear}};
  commit(batch);
  const auto found = waiting();
  ASSERT_EQ(found.dirty.size(), 1U);
  EXPECT_EQ(found.dirty[0].delivered, 11U);
}

TEST_P(store_reads, the_longest_waiting_conversation_comes_first) {
  for (uint64_t i = 9; i > 0; --i) put_cursor(cursor_kind::mark, i, {i << 44U, 0});
  put_cursor(cursor_kind::mark, 1, {uint64_t{9} << 44U, 0});  // stays first
  put_cursor(cursor_kind::clear, 7, {uint64_t{7} << 44U, 0});
  auto found = waiting(3);
  ASSERT_EQ(found.dirty.size(), 3U);
  EXPECT_TRUE(found.more);
  EXPECT_EQ(found.dirty[0].conversation.hi >> 44U, 9U);
  EXPECT_EQ(found.dirty[1].conversation.hi >> 44U, 8U);
  EXPECT_EQ(found.dirty[2].conversation.hi >> 44U, 6U);
  found = waiting(8);
  EXPECT_EQ(found.dirty.size(), 8U);
  EXPECT_FALSE(found.more);
}

TEST_P(store_reads, a_notice_is_stored_once_and_lowest_ids_come_first) {
  write_batch batch;
  batch.notices = {{alice, ~uint64_t{0}, "last"}, {alice, 3, "three"}, {alice, 3, "again"}, {bob, 3, "bob's"}};
  commit(batch);
  batch.notices = {{alice, 3, "later"}, {alice, 1, "one"}};
  commit(batch);
  auto found = waiting();
  ASSERT_EQ(found.notices.size(), 3U);
  EXPECT_EQ(found.notices[0].body, "one");
  EXPECT_EQ(found.notices[1].body, "three");
  EXPECT_EQ(found.notices[2].id, ~uint64_t{0});
  EXPECT_FALSE(found.more);
  EXPECT_TRUE(waiting(2).more);
  batch = {};
  batch.notices_done = {{alice, 3, {}}, {alice, ~uint64_t{0}, {}}, {alice, 99, {}}};
  commit(batch);
  found = waiting();
  ASSERT_EQ(found.notices.size(), 1U);
  EXPECT_EQ(reader_->waiting(bob, 5)->notices.size(), 1U);
}

TEST_P(store_reads, a_history_that_is_not_there_says_so) {
  EXPECT_FALSE(page(history_of(talk)).conversation);
  write_batch batch;
  batch.conversations.push_back(conversation(0));
  commit(batch);
  history_query query = history_of(talk);
  query.newest_first = false;
  const auto empty = page(query);
  ASSERT_TRUE(empty.conversation);
  EXPECT_EQ(empty.conversation->a, bob);
  EXPECT_TRUE(empty.rows.empty());
  EXPECT_EQ(empty.reached, 0U);
}

TEST_P(store_reads, newest_first_pages_go_back_by_mid) {
  commit(chat(10));
  history_query query = history_of(talk);
  query.limit = 4;
  auto found = page(query);
  EXPECT_THAT(mids(found), ElementsAre(10, 9, 8, 7));
  ASSERT_TRUE(found.conversation);
  EXPECT_EQ(found.conversation->head, 10U);
  EXPECT_EQ(found.conversation->relation_version, 3U);
  query.from_mid = 6;
  EXPECT_THAT(mids(page(query)), ElementsAre(6, 5, 4, 3));
  query.from_mid = 2;
  EXPECT_THAT(mids(page(query)), ElementsAre(2, 1));
  EXPECT_EQ(page(query).rows[0].body, "body 2");
  EXPECT_EQ(page(query).rows[0].sender, bob);
  EXPECT_EQ(page(query).rows[0].timestamp_ns, 2000);
}

TEST_P(store_reads, a_page_can_end_at_a_time) {
  commit(chat(10));
  history_query query = history_of(talk);
  query.limit = 3;
  query.not_after_ns = 6999;
  EXPECT_THAT(mids(page(query)), ElementsAre(6, 5, 4));
  query.from_mid = 5;
  EXPECT_THAT(mids(page(query)), ElementsAre(5, 4, 3));
  query.not_after_ns = 1;
  EXPECT_TRUE(page(query).rows.empty());
}

TEST_P(store_reads, oldest_first_pages_tell_how_far_they_looked) {
  commit(chat(10));
  history_query query = history_of(talk);
  query.newest_first = false;
  query.limit = 4;
  auto found = page(query);
  EXPECT_THAT(mids(found), ElementsAre(1, 2, 3, 4));
  EXPECT_EQ(found.reached, 4U);
  query.from_mid = 8;
  found = page(query);
  EXPECT_THAT(mids(found), ElementsAre(9, 10));
  EXPECT_EQ(found.reached, 10U);
  query.from_mid = 10;
  found = page(query);
  EXPECT_TRUE(found.rows.empty());
  EXPECT_EQ(found.reached, 10U);
}

TEST_P(store_reads, a_page_can_leave_out_one_sender) {
  commit(chat(10));
  history_query query = history_of(talk);
  query.newest_first = false;
  query.limit = 3;
  query.skip_sender = alice;
  auto found = page(query);
  EXPECT_THAT(mids(found), ElementsAre(2, 4, 6));
  EXPECT_EQ(found.reached, 6U);
  query.from_mid = 8;
  found = page(query);
  EXPECT_THAT(mids(found), ElementsAre(10));
  EXPECT_EQ(found.reached, 10U);
  query.skip_sender = bob;
  query.from_mid = 9;
  found = page(query);
  EXPECT_TRUE(found.rows.empty());
  EXPECT_EQ(found.reached, 10U);
  query.newest_first = true;
  query.from_mid = 0;
  EXPECT_THAT(mids(page(query)), ElementsAre(9, 7, 5));
}

TEST_P(store_reads, a_page_is_bounded_in_bytes_but_never_empty) {
  write_batch batch;
  for (uint64_t mid = 1; mid <= 6; ++mid) batch.messages.push_back(message(mid, alice, {}, std::string(1000, 'x')));
  batch.conversations.push_back(conversation(6));
  commit(batch);
  history_query query = history_of(talk);
  query.newest_first = false;
  query.max_bytes = 2999;
  auto found = page(query);
  EXPECT_THAT(mids(found), ElementsAre(1, 2));
  EXPECT_EQ(found.reached, 2U);
  query.max_bytes = 3000;
  found = page(query);
  EXPECT_THAT(mids(found), ElementsAre(1, 2, 3));
  EXPECT_EQ(found.reached, 3U);
  query.max_bytes = 1;
  query.from_mid = 4;
  found = page(query);
  EXPECT_THAT(mids(found), ElementsAre(5));
  EXPECT_EQ(found.reached, 5U);
  query.newest_first = true;
  query.from_mid = 0;
  query.max_bytes = 2500;
  EXPECT_THAT(mids(page(query)), ElementsAre(6, 5));
}

TEST_P(store_reads, a_reader_sees_a_commit_at_once) {
  for (uint64_t mid = 1; mid <= 20; ++mid) {
    commit(chat(1, mid));
    EXPECT_EQ(page(history_of(talk)).conversation->head, mid);
    EXPECT_EQ(page(history_of(talk)).rows.at(0).mid, mid);
  }
}

TEST_P(store_reads, a_read_is_one_statement_and_waiting_two) {
  commit(chat(10));
  page(history_of(talk));  // prepares
  waiting();
  (void)reader_->account(alice);
  (void)reader_->roster(alice);
  const auto before = reader_->statements();
  page(history_of(talk));
  EXPECT_EQ(reader_->statements() - before, 1U);
  (void)reader_->account(alice);
  (void)reader_->roster(alice);
  EXPECT_EQ(reader_->statements() - before, 3U);
  waiting();
  EXPECT_LE(reader_->statements() - before, 5U);
}

TEST_P(store_reads, a_store_with_rows_has_a_size) {
  commit(chat(10));
  EXPECT_GT(*store_->size_bytes(), 0U);
}

}  // namespace
}  // namespace tern::storage
