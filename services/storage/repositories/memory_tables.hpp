// The tables of the _memory implementation: what a database would hold, for tests and trials.
#pragma once

#include <map>
#include <mutex>
#include <set>
#include <tuple>

#include "services/storage/repositories/store.hpp"

namespace tern::storage {

/// Shared by a store's writers and readers; every member function is called with `mutex` held.
class memory_tables {
 public:
  std::mutex mutex;

  result<uint64_t> acquire(uint64_t epoch);
  bool owns(uint64_t epoch, uint64_t session) const { return epoch == epoch_ && session == session_; }

  std::vector<conversation_row> load(std::span<const conversation_id> ids) const;
  std::vector<found_key> find_keys(std::span<const message_key> keys) const;
  std::vector<room_row> load_rooms(std::span<const room_id> ids) const;
  std::vector<member_row> load_members(std::span<const member_key> keys) const;
  std::vector<message_row> load_messages(std::span<const message_place> places) const;
  std::vector<outbox_entry> scan_outbox(uint64_t after, size_t limit) const;
  /// All or nothing: database if a mid or a key is there already.
  result<write_outcome> write(const write_batch& batch);

  std::optional<account_row> account(account_id id) const;
  std::vector<roster_row> roster(account_id id) const;
  backlog waiting(account_id id, uint32_t limit) const;
  history_page history(const history_query& query) const;
  std::vector<account_room_row> rooms_of(account_id id) const;
  std::optional<std::pair<room_row, uint64_t>> room(room_id id) const;
  std::vector<member_row> members(room_id room, uint32_t bits, uint32_t limit) const;
  std::vector<profile_row> profiles(std::span<const account_id> ids) const;
  uint64_t bytes() const { return bytes_; }

 private:
  using key_of_message = std::tuple<conversation_id, account_id, std::string>;
  using pair_of_ids = std::pair<account_id, account_id>;
  struct position {
    cursor_row row;
    uint64_t dirty_since = 0;  // 0: clean
  };

  errc acceptable(const write_batch& batch) const;
  void write_messages(const write_batch& batch);
  void write_cursor(const cursor_row& row);
  void write_roster(const roster_row& row);
  void write_accounts(const write_batch& batch, write_outcome& outcome);
  void write_tokens(const write_batch& batch, write_outcome& outcome);
  void write_rooms(const write_batch& batch);
  void write_account_changes(const write_batch& batch);

  uint64_t epoch_ = 0;
  uint64_t session_ = 0;
  uint64_t stamps_ = 0;
  uint64_t bytes_ = 0;
  std::map<conversation_id, conversation_row> conversations_;
  std::map<std::pair<conversation_id, uint64_t>, message_row> messages_;
  std::map<key_of_message, uint64_t> keys_;
  std::map<uint64_t, outbox_row> outbox_;
  std::map<pair_of_ids, roster_row> roster_;
  std::map<std::pair<account_id, conversation_id>, position> cursors_;
  std::map<std::pair<account_id, uint64_t>, notice_row> notices_;
  std::map<account_id, account_row> accounts_;
  std::map<std::pair<account_id, std::string>, token_row> tokens_;
  std::map<room_id, room_row> rooms_;
  std::map<member_key, uint32_t> members_;
  std::map<std::pair<account_id, room_id>, account_room_row> account_rooms_;
  std::map<account_id, std::string> beans_;
};

}  // namespace tern::storage
