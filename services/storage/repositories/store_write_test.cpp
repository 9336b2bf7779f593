// Writes and the fence, against every implementation.
#include <gmock/gmock.h>

#include <random>

#include "services/storage/repositories/store_fixture.hpp"

namespace tern::storage {
namespace {

using ::testing::ElementsAre;

class store_writes : public store_test {};
INSTANTIATE_TEST_SUITE_P(all, store_writes, ::testing::Values("memory", "sqlite", "pg"),
                         [](const auto& param) { return param.param; });

TEST_P(store_writes, a_conversation_reads_back_as_written) {
  write_batch batch;
  batch.conversations = {conversation(0), conversation(0, other_talk)};
  batch.conversations[1].relation_version = 0;
  commit(batch);
  const conversation_id ids[] = {talk, {9, 9}, other_talk};
  auto rows = writer_->load(ids);
  ASSERT_TRUE(rows) << rows.error().detail;
  ASSERT_EQ(rows->size(), 2U);
  const auto& row = (*rows)[0].id == talk ? (*rows)[0] : (*rows)[1];
  EXPECT_EQ(row.a, bob);
  EXPECT_EQ(row.b, alice);
  EXPECT_EQ(row.a_bits, relation_friend);
  EXPECT_EQ(row.b_bits, relation_friend | relation_blocks);
  EXPECT_EQ(row.relation_version, 3U);
}

TEST_P(store_writes, the_head_follows_the_messages_and_the_relation_follows_its_version) {
  commit(chat(3));
  commit(chat(2, 4));
  const conversation_id ids[] = {talk};
  EXPECT_EQ(writer_->load(ids)->at(0).head, 5U);
  write_batch change;
  change.conversations.push_back(conversation(5));
  change.conversations[0].relation_version = 4;
  change.conversations[0].a_bits = relation_blocks;
  commit(change);
  const auto row = writer_->load(ids)->at(0);
  EXPECT_EQ(row.head, 5U);
  EXPECT_EQ(row.relation_version, 4U);
  EXPECT_EQ(row.a_bits, relation_blocks);
}

TEST_P(store_writes, keys_are_found_with_mid_and_time) {
  commit(chat(3));
  const message_key keys[] = {
      {talk, alice, "k9"}, {talk, alice, "k3"}, {talk, bob, "k3"}, {talk, bob, "k2"}, {other_talk, alice, "k3"}};
  auto found = writer_->find_keys(keys);
  ASSERT_TRUE(found) << found.error().detail;
  std::sort(found->begin(), found->end(), [](auto& a, auto& b) { return a.index < b.index; });
  ASSERT_EQ(found->size(), 2U);
  EXPECT_EQ((*found)[0].index, 1U);
  EXPECT_EQ((*found)[0].mid, 3U);
  EXPECT_EQ((*found)[0].timestamp_ns, 3000);
  EXPECT_EQ((*found)[1].index, 3U);
  EXPECT_EQ((*found)[1].mid, 2U);
}

TEST_P(store_writes, nothing_asked_is_nothing_found) {
  EXPECT_TRUE(writer_->load({})->empty());
  EXPECT_TRUE(writer_->find_keys({})->empty());
  EXPECT_TRUE(writer_->scan_outbox(0, 10)->empty());
  EXPECT_TRUE(writer_->commit({}));
}

TEST_P(store_writes, a_key_is_refused_twice_until_it_is_released) {
  write_batch first;
  first.messages = {message(1, alice, "same")};
  commit(first);
  write_batch second;
  second.messages = {message(2, alice, "same")};
  second.outbox = {entry(1, 2)};
  EXPECT_EQ(writer_->commit(second).code(), writer_->tell_keys() ? errc::exists : errc::database);
  EXPECT_TRUE(writer_->scan_outbox(0, 10)->empty());
  second.released_keys = {message(0, alice, "same")};
  commit(second);
  const message_key keys[] = {{talk, alice, "same"}};
  EXPECT_EQ(writer_->find_keys(keys)->at(0).mid, 2U);
}

TEST_P(store_writes, messages_without_a_key_do_not_meet) {
  write_batch batch;
  batch.messages = {message(1), message(2), message(3, bob)};
  commit(batch);
}

TEST_P(store_writes, a_mid_taken_twice_stores_nothing_of_the_batch) {
  commit(chat(3));
  auto batch = chat(2, 4);
  batch.messages[1].mid = 3;
  batch.messages[1].key = "new";
  EXPECT_EQ(writer_->commit(batch).code(), errc::database);  // not a key that exists
  EXPECT_EQ(writer_->scan_outbox(0, 10)->size(), 3U);
  commit(chat(2, 4));
}

TEST_P(store_writes, bodies_keep_every_byte) {
  std::mt19937 random(7);
  write_batch batch;
  for (uint64_t mid = 1; mid <= 40; ++mid) {
    std::string body(mid * 31 % 700, '\0');
    for (auto& c : body) c = static_cast<char>(random());
    if (mid == 40) body.assign(70'000, '\xFF');
    batch.messages.push_back(message(mid, alice, std::string("\0\xFF'\\\"{},", 8) + std::to_string(mid), body));
  }
  batch.conversations.push_back(conversation(40));
  commit(batch);
  history_query query = history_of(talk);
  query.limit = 100;
  auto page = reader_->history(query);
  ASSERT_TRUE(page) << page.error().detail;
  ASSERT_EQ(page->rows.size(), 40U);
  for (size_t i = 0; i < 40; ++i) EXPECT_EQ(page->rows[i].body, batch.messages[39 - i].body) << i;
}

TEST_P(store_writes, the_outbox_comes_back_in_order_with_its_messages_after_a_restart) {
  auto batch = chat(5);
  outbox_row relation{9, alice, other_talk, outbox_kind::relation, 0, std::string("pay\0load", 8), 77};
  batch.outbox.push_back(relation);
  commit(batch);
  write_batch done;
  done.outbox_done = {2, 4, 1234};
  commit(done);
  reopen();
  auto rows = writer_->scan_outbox(0, 3);
  ASSERT_TRUE(rows) << rows.error().detail;
  ASSERT_EQ(rows->size(), 3U);
  EXPECT_EQ((*rows)[0].row.entry, 1U);
  EXPECT_EQ((*rows)[1].row.entry, 3U);
  EXPECT_EQ((*rows)[2].row.entry, 5U);
  EXPECT_EQ((*rows)[1].row.recipient, bob);
  EXPECT_EQ((*rows)[1].row.accepted_ns, 5);
  ASSERT_TRUE((*rows)[1].message);
  EXPECT_EQ((*rows)[1].message->mid, 3U);
  EXPECT_EQ((*rows)[1].message->body, "body 3");
  EXPECT_EQ((*rows)[1].message->sender, alice);
  EXPECT_EQ((*rows)[1].message->timestamp_ns, 3000);
  rows = writer_->scan_outbox(5, 10);
  ASSERT_EQ(rows->size(), 1U);
  EXPECT_EQ((*rows)[0].row.kind, outbox_kind::relation);
  EXPECT_EQ((*rows)[0].row.payload, relation.payload);
  EXPECT_EQ((*rows)[0].row.conversation, other_talk);
  EXPECT_FALSE((*rows)[0].message);
}

TEST_P(store_writes, a_new_writer_fences_the_old_one_off) {
  auto next = writer(2);
  EXPECT_EQ(writer_->commit(chat(1)).code(), errc::stale_epoch);
  EXPECT_EQ(writer_->acquire(1).code(), errc::stale_epoch);
  EXPECT_TRUE(next->commit(chat(1)));
  EXPECT_EQ(writer_->commit(chat(1, 2)).code(), errc::stale_epoch);
  EXPECT_EQ(next->scan_outbox(0, 10)->size(), 1U);
  EXPECT_TRUE(writer_->acquire(3));
  EXPECT_TRUE(writer_->commit(chat(1, 2)));
  EXPECT_EQ(next->commit(chat(1, 3)).code(), errc::stale_epoch);
}

TEST_P(store_writes, every_kind_of_write_is_fenced) {
  auto next = writer(2);
  write_batch batch;
  batch.accounts = {{alice, std::string(32, 'k'), "", "phc", 1}};
  EXPECT_EQ(writer_->commit(batch).code(), errc::stale_epoch);
  batch = {};
  batch.cursors = {{alice, talk, bob, 1, cursor_kind::mark}};
  EXPECT_EQ(writer_->commit(batch).code(), errc::stale_epoch);
  batch = {};
  batch.notices = {{alice, 1, "n"}};
  EXPECT_EQ(writer_->commit(batch).code(), errc::stale_epoch);
  EXPECT_FALSE(*reader_->account(alice));
  EXPECT_TRUE(reader_->waiting(alice, 10)->dirty.empty());
  EXPECT_TRUE(reader_->waiting(alice, 10)->notices.empty());
}

TEST_P(store_writes, a_second_writer_of_the_same_epoch_takes_over) {
  auto twin = writer(1);
  EXPECT_EQ(writer_->commit(chat(1)).code(), errc::stale_epoch);
  EXPECT_TRUE(twin->commit(chat(1)));
}

TEST_P(store_writes, who_never_acquired_writes_nothing) {
  auto stranger = store_->open_writer();
  ASSERT_TRUE(stranger);
  EXPECT_EQ((*stranger)->commit(chat(1)).code(), errc::stale_epoch);
}

TEST_P(store_writes, an_account_is_created_once) {
  write_batch batch;
  batch.accounts = {{alice, std::string(32, 'a'), "dom", "phc a", 11},
                    {bob, std::string(32, '\0'), "", "phc b", 12},
                    {alice, std::string(32, 'x'), "", "phc x", 13}};
  EXPECT_THAT(commit(batch).account_created, ElementsAre(true, true, false));
  batch.accounts = {{alice, std::string(32, 'z'), "", "phc z", 14}, {carol, std::string(32, 'c'), "", "phc c", 15}};
  EXPECT_THAT(commit(batch).account_created, ElementsAre(false, true));
  const auto found = *reader_->account(alice);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->name_key, std::string(32, 'a'));
  EXPECT_EQ(found->domain, "dom");
  EXPECT_EQ(found->password_hash, "phc a");
  EXPECT_EQ(found->created_ns, 11);
  EXPECT_EQ((*reader_->account(bob))->name_key, std::string(32, '\0'));
  EXPECT_FALSE(*reader_->account(account_id{42}));
}

TEST_P(store_writes, a_token_is_taken_once) {
  write_batch batch;
  batch.tokens = {{std::string(32, '\x01'), alice, 100}, {std::string(32, '\x02'), bob, 200}};
  commit(batch);
  batch = {};
  batch.tokens_taken = {{std::string(32, '\x02'), alice, 0},
                        {std::string(32, '\x01'), alice, 0},
                        {std::string(32, '\x01'), alice, 0},
                        {std::string(32, '\x03'), bob, 0}};
  const auto outcome = commit(batch);
  ASSERT_EQ(outcome.token_taken.size(), 4U);
  EXPECT_FALSE(outcome.token_taken[0]);  // another account's
  ASSERT_TRUE(outcome.token_taken[1]);
  EXPECT_EQ(outcome.token_taken[1]->account, alice);
  EXPECT_EQ(outcome.token_taken[1]->expires_ns, 100);
  EXPECT_FALSE(outcome.token_taken[2]);
  EXPECT_FALSE(outcome.token_taken[3]);
  EXPECT_FALSE(commit(batch).token_taken[1]);
}

TEST_P(store_writes, a_token_is_issued_and_taken_in_one_batch) {
  write_batch batch;
  batch.tokens = {{std::string(32, '\x05'), alice, 100}};
  batch.tokens_taken = batch.tokens;
  EXPECT_TRUE(commit(batch).token_taken.at(0));
}

}  // namespace
}  // namespace tern::storage
