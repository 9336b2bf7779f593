// Storage for tests of session actors: the rules of storage.proto in memory, answered when the test says so.
#pragma once

#include <tern/session/v1/session.pb.h>

#include <deque>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "libs/shards/storage_port.hpp"

namespace tern::shards {

/// Not thread-safe: used with the test coordinator.
class fake_storage final : public storage_port {
 public:
  void ask(slot_type slot, storage::v1::StorageRequest request, patience how, storage_callback then) override;
  /// Executes and answers everything asked so far; returns how many that were.
  size_t answer();
  /// Fails the next request of this kind with `code` instead of executing it.
  void fail_next(storage::v1::StorageRequest::OpCase kind, errc code) { failures_.emplace_back(kind, code); }

  void add_account(account_id id, const std::string& domain = "") { accounts_[id.value] = domain; }
  void befriend(account_id one, account_id other, const conversation_id& conversation);

  /// Outbox entries that are not done, oldest first.
  std::map<uint64_t, session::v1::Delivery> outbox;
  std::map<std::pair<uint64_t, conversation_id>, storage::v1::CursorPut> cursors;
  std::map<std::pair<uint64_t, uint64_t>, std::string> notices;  // account, id
  std::map<std::string, account_id> passwords;                   // "password" logs this account on
  uint64_t cursor_writes = 0;
  int64_t time_ns = 1'000;  // each message is stored one later

 private:
  struct pending {
    storage::v1::StorageRequest request;
    storage_callback then;
  };
  struct pair_record {
    uint64_t head = 0;
    uint64_t version = 0;
    std::map<uint64_t, uint32_t> bits;  // by account
    std::vector<storage::v1::HistoryRow> rows;
    std::map<std::pair<uint64_t, std::string>, size_t> keys;  // index into rows
  };

  errc execute(const storage::v1::StorageRequest& request, storage::v1::StorageReply& reply);
  errc append(const storage::v1::Append& what, storage::v1::Appended& out);
  errc relate(const storage::v1::Relate& what, storage::v1::Related& out);
  void roster_put(const storage::v1::RosterPut& what);
  void cursor_put(const storage::v1::CursorPut& what);
  void backlog(const storage::v1::Backlog& what, storage::v1::BacklogFound& out);
  errc read(const storage::v1::Read& what, storage::v1::Page& out);
  void tell(const storage::v1::Relate& what, uint64_t to, uint64_t other, const pair_record& record,
            uint32_t bn_type);

  std::deque<pending> pending_;
  std::vector<std::pair<storage::v1::StorageRequest::OpCase, errc>> failures_;
  std::map<uint64_t, std::string> accounts_;
  std::map<conversation_id, pair_record> pairs_;
  std::map<std::pair<uint64_t, uint64_t>, storage::v1::RosterRow> rosters_;
  uint64_t entries_ = 0;
};

}  // namespace tern::shards
