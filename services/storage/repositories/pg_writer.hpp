// The writer of a PostgreSQL shard.
#pragma once

#include <deque>
#include <memory>

#include "libs/sql/pg_link.hpp"
#include "services/storage/repositories/backends.hpp"
#include "services/storage/repositories/pg_watch.hpp"
#include "services/storage/repositories/sealing/row_cipher.hpp"

namespace tern::storage {

/// After a failure the next call connects anew and proves that the shard is still its own before anything else. When
/// the primary is another one then, everything is unavailable until acquire(): what was read may be gone.
class pg_writer final : public writer_store {
 public:
  explicit pg_writer(const std::string& dsn, sql::pg_link_options options = {},
                     std::shared_ptr<pg_watch> watch = nullptr, std::shared_ptr<key_ring> keys = nullptr);

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
  std::unique_ptr<writer_store> beside() override;
  bool tell_keys() const override { return true; }
  uint64_t statements() const override { return link_.statements(); }
  uint64_t term() const override { return term_; }

 private:
  /// A connection to a primary that may be written to.
  result<void> connected();
  /// A connection on which the fence has been proven.
  result<void> ready();
  /// Runs `update` with a new session number; no row: the shard is somebody else's.
  result<void> claim(const sql::pg_statement& update, uint64_t epoch);
  /// Runs the one call added, which only reads: its connection may be lost at any time without doubt.
  result<sql::pg_rows> read();
  sql::pg_params& add(const sql::pg_statement& statement);
  void add_chat(const write_batch& batch, const std::vector<conversation_row>& pairs);
  void add_cursors(std::vector<cursor_row> left);
  void add_recalls(const std::vector<message_place>& places);
  void add_rooms(const std::vector<room_row>& rooms);
  void add_members(const std::vector<member_row>& members);
  void add_account_rooms(const std::vector<account_room_row>& all);
  void add_account_changes(const write_batch& batch);
  void add_lists(const write_batch& batch);
  void add_logins(const write_batch& batch);

  result<std::vector<outbox_entry>> scan(uint64_t after, size_t limit);

  const std::string dsn_;
  const sql::pg_link_options options_;
  std::shared_ptr<pg_watch> watch_;
  sql::pg_link link_;
  row_cipher cipher_;
  std::shared_ptr<relation_memory> relations_ = std::make_shared<relation_memory>();
  std::deque<sql::pg_params> params_;  // of calls_; kept for their memory
  std::vector<sql::pg_link::call> calls_;
  uint64_t epoch_ = 0;
  uint64_t session_ = 0;            // 0: never acquired
  std::vector<uint64_t> sessions_;  // asked for since the last answer
  uint64_t term_ = 0;               // of the primary on which it was acquired
  uint64_t seen_ = 0;               // the link's generation that the watch knows of
  uint64_t proven_ = 0;             // the link's generation on which the fence was proven
  dirty_stamp stamps_;
  bool beside_ = false;  // another one makes and proves the claim; each commit shows whether it holds
};

}  // namespace tern::storage
