// The writer of a SQLite shard.
#pragma once

#include "libs/sql/sqlite.hpp"
#include "services/storage/repositories/backends.hpp"
#include "services/storage/repositories/sealing/row_cipher.hpp"

namespace tern::storage {

class sqlite_writer final : public writer_store {
 public:
  explicit sqlite_writer(std::unique_ptr<sql::sqlite_connection> database, std::shared_ptr<key_ring> keys = nullptr)
      : database_(std::move(database)), cipher_(std::move(keys)) {}

  result<void> acquire(uint64_t epoch) override;
  result<std::vector<conversation_row>> load(std::span<const conversation_id> ids) override;
  result<std::vector<found_key>> find_keys(std::span<const message_key> keys) override;
  result<std::vector<room_row>> load_rooms(std::span<const room_id> ids) override;
  result<std::vector<member_row>> load_members(std::span<const member_key> keys) override;
  result<std::vector<message_row>> load_messages(std::span<const message_place> places) override;
  result<std::vector<profile_row>> load_profiles(std::span<const account_id> ids) override;
  result<std::vector<outbox_entry>> scan_outbox(uint64_t after, size_t limit) override {
    return scan_readable(after, limit, cipher_, [this](uint64_t from, size_t most) { return scan(from, most); });
  }
  result<write_outcome> commit(const write_batch& batch) override;
  uint64_t statements() const override { return database_->statements(); }

 private:
  /// Runs one statement for each row.
  template <class Row, class Bind>
  result<void> each(const std::vector<Row>& rows, const char* text, Bind bind) {
    if (rows.empty()) return {};
    auto statement = database_->prepare(text);
    if (!statement) return statement.error();
    for (const auto& row : rows) {
      bind(**statement, row);
      if (auto done = (*statement)->run(); !done) return done;
    }
    return {};
  }
  result<void> transact(const write_batch& batch, const std::vector<conversation_row>& pairs, write_outcome& outcome);
  result<void> check_fence();
  result<void> write_chat(const write_batch& batch, const std::vector<conversation_row>& pairs);
  result<void> write_outbox(const write_batch& batch);
  result<void> write_cursors(const std::vector<cursor_row>& rows);
  result<void> write_rooms(const write_batch& batch);
  result<void> write_account_changes(const write_batch& batch);
  result<void> write_lists(const write_batch& batch);
  result<void> write_accounts(const std::vector<account_row>& rows, write_outcome& outcome);
  result<void> write_tokens(const write_batch& batch, write_outcome& outcome);

  result<std::vector<outbox_entry>> scan(uint64_t after, size_t limit);

  std::unique_ptr<sql::sqlite_connection> database_;
  row_cipher cipher_;
  uint64_t epoch_ = 0;
  uint64_t session_ = 0;   // 0: never acquired
  bool doubtful_ = false;  // the connection failed around COMMIT: a fresh one first
  dirty_stamp stamps_;
  relation_memory relations_;
};

}  // namespace tern::storage
