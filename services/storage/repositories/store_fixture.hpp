// The three implementations under one suite; builders of rows for its tests.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "libs/testing/servers.hpp"
#include "libs/testing/temp_dir.hpp"
#include "services/storage/repositories/sealing/key_ring.hpp"
#include "services/storage/repositories/store.hpp"

namespace tern::storage {

/// One PostgreSQL server for all tests of the binary; a database per test.
inline testing::postgres_server& shared_postgres() {
  static auto server = testing::postgres_server::start();
  if (!server) ADD_FAILURE() << server.error().detail;
  return **server;
}

inline std::string fresh_database() {
  static int count = 0;
  const auto name = "shard_" + std::to_string(++count);
  auto made = shared_postgres().create_database(name);
  if (!made) ADD_FAILURE() << made.error().detail;
  return shared_postgres().dsn(name);
}

/// Keys made of `secrets`, the current one first.
inline std::shared_ptr<const master_keys> keys_of(const std::vector<std::string>& secrets) {
  auto made = master_keys::make(secrets);
  if (!made) ADD_FAILURE() << made.error().detail;
  return made ? *made : nullptr;
}
inline const std::string secret_one(64, 'a');
inline const std::string secret_two(64, 'b');

/// An empty shard; GetParam() is "memory", "sqlite" or "pg". The databases' rows are sealed.
class store_test : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (GetParam() == "memory") dsn_ = "memory:";
    if (GetParam() == "sqlite") dsn_ = "sqlite:" + (directory_.path() / "shard.db").string();
    if (GetParam() == "pg") dsn_ = fresh_database();
    auto opened = open_sealed_store(dsn_, how_);
    ASSERT_TRUE(opened) << opened.error().detail;
    store_ = std::move(*opened);
    auto migrated = store_->migrate();
    ASSERT_TRUE(migrated) << migrated.error().detail;
    writer_ = writer(1);
    auto reader = store_->open_reader();
    ASSERT_TRUE(reader) << reader.error().detail;
    reader_ = std::move(*reader);
  }

  std::unique_ptr<writer_store> writer(uint64_t epoch) {
    auto made = store_->open_writer();
    if (!made) {
      ADD_FAILURE() << made.error().detail;
      return nullptr;
    }
    auto acquired = (*made)->acquire(epoch);
    EXPECT_TRUE(acquired) << acquired.error().detail;
    return std::move(*made);
  }

  /// As a new process would see the shard; memory has no other process.
  void reopen() {
    if (GetParam() == "memory") return;
    writer_.reset();
    reader_.reset();
    store_ = *open_sealed_store(dsn_, how_);
    writer_ = writer(1);
    reader_ = *store_->open_reader();
  }

  write_outcome commit(const write_batch& batch) {
    auto done = writer_->commit(batch);
    EXPECT_TRUE(done) << done.error().detail;
    return done ? *done : write_outcome{};
  }

  testing::temp_dir directory_;
  sealing how_{.keys = keys_of({secret_one}), .refused = {}};
  std::string dsn_;
  std::unique_ptr<store> store_;
  std::unique_ptr<writer_store> writer_;
  std::unique_ptr<reader_store> reader_;
};

inline constexpr account_id alice{0xFEDCBA9876543210U};  // above 2^63: stored as a negative number
inline constexpr account_id bob{0x0123456789ABCDEFU};
inline constexpr account_id carol{0x7777777777777777U};
inline constexpr conversation_id talk{0xF000000000000001U, 0x8000000000000002U};
inline constexpr conversation_id other_talk{0x1000000000000001U, 7};

inline message_row message(uint64_t mid, account_id sender = alice, std::string key = {}, std::string body = "body",
                           conversation_id conversation = talk) {
  return {conversation, mid, sender, std::move(key), static_cast<int64_t>(mid) * 1000, std::move(body)};
}
inline conversation_row conversation(uint64_t head, conversation_id id = talk) {
  return {id, bob, alice, head, relation_friend, relation_friend | relation_blocks, 3};
}
inline outbox_row entry(uint64_t number, uint64_t mid, account_id recipient = bob) {
  return {number, recipient, talk, outbox_kind::message, mid, {}, 5};
}

/// mids 1…count, even ones by bob, odd ones by alice.
inline write_batch chat(uint64_t count, uint64_t first = 1) {
  write_batch batch;
  for (uint64_t mid = first; mid < first + count; ++mid) {
    batch.messages.push_back(
        message(mid, mid % 2 == 0 ? bob : alice, "k" + std::to_string(mid), "body " + std::to_string(mid)));
    batch.outbox.push_back(entry(mid, mid, mid % 2 == 0 ? alice : bob));
  }
  batch.conversations.push_back(conversation(first + count - 1));
  return batch;
}

inline constexpr room_id hall{0xABCDE00000000001U};  // above 2^63, too
inline constexpr room_id den{0x0000100000000002U};
inline constexpr conversation_id in_hall{hall.value, 0};

inline room_row room(room_id id, uint64_t version = 1) {
  room_row row;
  row.id = id;
  row.domain = "dom";
  row.founder = alice;
  row.managers = {bob, carol, account_id{~uint64_t{0}}};
  row.kind = room_kind::closed;
  row.version = version;
  row.members = 4;
  row.created_ns = 1'700'000'000'000'000'000;
  row.bean = std::string("be\0an", 5);
  row.create_key = std::string("\0key", 4);
  return row;
}

/// mids first…first+count-1 of the room, by alice, with its conversation row.
inline write_batch talk_in(room_id id, uint64_t count, uint64_t first = 1) {
  write_batch batch;
  for (uint64_t mid = first; mid < first + count; ++mid) {
    batch.messages.push_back(
        message(mid, alice, "k" + std::to_string(mid), "body " + std::to_string(mid), {id.value, 0}));
  }
  conversation_row row;
  row.id = {id.value, 0};
  row.head = first + count - 1;
  batch.conversations.push_back(row);
  return batch;
}

inline history_query history_of(conversation_id id) {
  history_query query;
  query.conversation = id;
  return query;
}

inline std::vector<uint64_t> mids(const history_page& page) {
  std::vector<uint64_t> found;
  for (const auto& row : page.rows) found.push_back(row.mid);
  return found;
}

}  // namespace tern::storage
