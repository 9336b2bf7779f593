// Recalled and unlisted messages, against every implementation.
#include <gmock/gmock.h>

#include "services/storage/repositories/store_fixture.hpp"

namespace tern::storage {
namespace {

using ::testing::ElementsAre;

class store_recalls : public store_test {
 protected:
  void recall(std::vector<uint64_t> mids) {
    write_batch batch;
    for (const auto mid : mids) batch.recalled.push_back({talk, mid});
    commit(batch);
  }
  history_page page(bool newest_first, uint64_t from, uint32_t limit, bool listed_only = false) {
    auto query = history_of(talk);
    query.newest_first = newest_first;
    query.from_mid = from;
    query.limit = limit;
    query.listed_only = listed_only;
    auto found = reader_->history(query);
    EXPECT_TRUE(found) << found.error().detail;
    return found ? *found : history_page{};
  }
  message_row stored(uint64_t mid) {
    const message_place places[] = {{talk, mid}};
    auto found = writer_->load_messages(places);
    EXPECT_TRUE(found) << found.error().detail;
    return found && found->size() == 1 ? found->front() : message_row{};
  }
};
INSTANTIATE_TEST_SUITE_P(all, store_recalls, ::testing::Values("memory", "sqlite", "pg"),
                         [](const auto& param) { return param.param; });

TEST_P(store_recalls, a_message_reads_back_with_everything) {
  auto batch = chat(3);
  batch.messages[1].unlisted = true;
  batch.messages[2].unlisted = true;
  batch.messages[2].target = 1;
  batch.messages[2].key.clear();
  commit(batch);
  reopen();
  const message_place places[] = {{talk, 3}, {talk, 9}, {other_talk, 1}, {talk, 2}};
  auto found = writer_->load_messages(places);
  ASSERT_TRUE(found) << found.error().detail;
  ASSERT_EQ(found->size(), 2U);
  const auto& last = (*found)[0].mid == 3 ? (*found)[0] : (*found)[1];
  const auto& middle = (*found)[0].mid == 3 ? (*found)[1] : (*found)[0];
  EXPECT_EQ(last.conversation, talk);
  EXPECT_EQ(last.sender, alice);
  EXPECT_EQ(last.target, 1U);
  EXPECT_TRUE(last.unlisted);
  EXPECT_FALSE(last.tombstone);
  EXPECT_TRUE(last.key.empty());
  EXPECT_EQ(middle.sender, bob);
  EXPECT_EQ(middle.key, "k2");
  EXPECT_EQ(middle.body, "body 2");
  EXPECT_EQ(middle.timestamp_ns, 2000);
  EXPECT_TRUE(middle.unlisted);
  EXPECT_EQ(middle.target, 0U);
  EXPECT_FALSE(stored(1).unlisted);
}

TEST_P(store_recalls, a_recalled_message_keeps_its_place_and_key_and_nothing_else) {
  commit(chat(3));
  recall({2, 99});
  const auto row = stored(2);
  EXPECT_TRUE(row.tombstone);
  EXPECT_TRUE(row.body.empty());
  EXPECT_EQ(row.sender, bob);
  EXPECT_EQ(row.key, "k2");
  EXPECT_EQ(row.timestamp_ns, 2000);
  const message_key keys[] = {{talk, bob, "k2"}};
  ASSERT_EQ(writer_->find_keys(keys)->size(), 1U);
  EXPECT_EQ(writer_->find_keys(keys)->at(0).mid, 2U);
  EXPECT_FALSE(stored(1).tombstone);
  EXPECT_EQ(stored(3).body, "body 3");
  recall({2});
  EXPECT_TRUE(stored(2).tombstone);
}

TEST_P(store_recalls, a_recall_and_what_tells_of_it_are_one_commit) {
  commit(chat(3));
  auto batch = chat(1, 4);
  batch.messages[0].unlisted = true;
  batch.messages[0].target = 3;
  batch.recalled = {{talk, 3}};
  commit(batch);
  const auto found = page(false, 0, 10);
  EXPECT_THAT(mids(found), ElementsAre(1, 2, 4));
  EXPECT_EQ(found.rows.back().target, 3U);
  EXPECT_TRUE(found.rows.back().unlisted);
  EXPECT_THAT(mids(page(true, 0, 10, true)), ElementsAre(2, 1));
  EXPECT_EQ(found.conversation->head, 4U);
}

TEST_P(store_recalls, a_message_can_be_recalled_in_the_batch_that_stores_it) {
  auto batch = chat(2);
  batch.recalled = {{talk, 1}};
  commit(batch);
  EXPECT_TRUE(stored(1).tombstone);
  EXPECT_TRUE(stored(1).body.empty());
  EXPECT_THAT(mids(page(true, 0, 10)), ElementsAre(2));
}

TEST_P(store_recalls, pages_leave_tombstones_out_and_still_tell_how_far_they_looked) {
  commit(chat(10));
  recall({1, 4, 5, 9, 10});
  EXPECT_THAT(mids(page(true, 0, 3)), ElementsAre(8, 7, 6));
  EXPECT_THAT(mids(page(true, 5, 3)), ElementsAre(3, 2));
  EXPECT_THAT(mids(page(true, 5, 3, true)), ElementsAre(3, 2));
  EXPECT_EQ(page(true, 0, 3).conversation->head, 10U);
  auto found = page(false, 0, 3);
  EXPECT_THAT(mids(found), ElementsAre(2, 3, 6));
  EXPECT_EQ(found.reached, 6U);
  found = page(false, 6, 2);  // full: what comes after is not looked at
  EXPECT_THAT(mids(found), ElementsAre(7, 8));
  EXPECT_EQ(found.reached, 8U);
  found = page(false, 8, 2);
  EXPECT_TRUE(found.rows.empty());
  EXPECT_EQ(found.reached, 10U);
  found = page(false, 6, 3);
  EXPECT_EQ(found.reached, 10U);
}

TEST_P(store_recalls, a_conversation_of_tombstones_is_an_empty_page_at_its_head) {
  commit(chat(4));
  recall({1, 2, 3, 4});
  const auto found = page(false, 0, 2);
  ASSERT_TRUE(found.conversation);
  EXPECT_EQ(found.conversation->head, 4U);
  EXPECT_TRUE(found.rows.empty());
  EXPECT_EQ(found.reached, 4U);
  EXPECT_TRUE(page(true, 0, 2).rows.empty());
  const conversation_id ids[] = {talk};
  EXPECT_EQ(writer_->load(ids)->at(0).head, 4U);
}

TEST_P(store_recalls, unlisted_messages_are_left_out_of_listed_pages_only) {
  auto batch = chat(6);
  for (const size_t i : {0U, 2U, 5U}) batch.messages[i].unlisted = true;
  commit(batch);
  EXPECT_THAT(mids(page(true, 0, 10)), ElementsAre(6, 5, 4, 3, 2, 1));
  EXPECT_THAT(mids(page(true, 0, 10, true)), ElementsAre(5, 4, 2));
  EXPECT_THAT(mids(page(true, 0, 2, true)), ElementsAre(5, 4));
  EXPECT_THAT(mids(page(true, 3, 2, true)), ElementsAre(2));
  const auto found = page(false, 2, 10, true);
  EXPECT_THAT(mids(found), ElementsAre(4, 5));
  EXPECT_EQ(found.reached, 6U);
}

TEST_P(store_recalls, bytes_left_out_do_not_count) {
  write_batch batch;
  for (uint64_t mid = 1; mid <= 6; ++mid) batch.messages.push_back(message(mid, alice, {}, std::string(1000, 'x')));
  batch.messages[2].unlisted = true;
  batch.conversations.push_back(conversation(6));
  commit(batch);
  recall({2});
  auto query = history_of(talk);
  query.newest_first = false;
  query.listed_only = true;
  query.max_bytes = 3000;
  const auto found = *reader_->history(query);
  EXPECT_THAT(mids(found), ElementsAre(1, 4, 5));
  EXPECT_EQ(found.reached, 5U);
}

TEST_P(store_recalls, the_outbox_shows_that_a_message_was_recalled) {
  auto batch = chat(2);
  commit(batch);
  batch = chat(1, 3);
  batch.messages[0].unlisted = true;
  batch.messages[0].target = 1;
  batch.recalled = {{talk, 1}};
  commit(batch);
  auto rows = writer_->scan_outbox(0, 10);
  ASSERT_TRUE(rows) << rows.error().detail;
  ASSERT_EQ(rows->size(), 3U);
  ASSERT_TRUE((*rows)[0].message);
  EXPECT_TRUE((*rows)[0].message->tombstone);
  EXPECT_TRUE((*rows)[0].message->body.empty());
  EXPECT_FALSE((*rows)[1].message->tombstone);
  EXPECT_EQ((*rows)[2].message->target, 1U);
  EXPECT_TRUE((*rows)[2].message->unlisted);
}

TEST_P(store_recalls, a_released_key_of_a_tombstone_can_be_used_again) {
  commit(chat(1));
  recall({1});
  write_batch batch;
  batch.messages = {message(2, alice, "k1")};
  EXPECT_EQ(writer_->commit(batch).code(), writer_->tell_keys() ? errc::exists : errc::database);
  batch.released_keys = {message(0, alice, "k1")};
  commit(batch);
  EXPECT_EQ(stored(2).key, "k1");
  EXPECT_TRUE(stored(1).key.empty());
  EXPECT_TRUE(stored(1).tombstone);
}

TEST_P(store_recalls, the_new_kinds_of_outbox_entries_keep_their_payload) {
  write_batch batch;
  batch.outbox = {{1, alice, in_hall, outbox_kind::room, 0, std::string("mem\0ber", 7), 5},
                  {2, bob, {}, outbox_kind::notice, 0, "notice", 6}};
  commit(batch);
  reopen();
  auto rows = *writer_->scan_outbox(0, 10);
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].row.kind, outbox_kind::room);
  EXPECT_EQ(rows[0].row.payload, batch.outbox[0].payload);
  EXPECT_EQ(rows[0].row.conversation, in_hall);
  EXPECT_EQ(rows[1].row.kind, outbox_kind::notice);
  EXPECT_FALSE(rows[0].message || rows[1].message);
}

}  // namespace
}  // namespace tern::storage
