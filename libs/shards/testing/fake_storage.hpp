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
  /// The same for the first `most` only.
  size_t answer(size_t most);
  size_t waiting() const { return pending_.size(); }
  /// Fails the next request of this kind with `code` instead of executing it.
  void fail_next(storage::v1::StorageRequest::OpCase kind, errc code) { failures_.emplace_back(kind, code); }
  /// Executes the next request of this kind, and answers it with `code` all the same: the answer got lost.
  void lose_next(storage::v1::StorageRequest::OpCase kind, errc code = errc::deadline) {
    losses_.emplace_back(kind, code);
  }
  /// Executes a request of somebody else, at once.
  errc execute(const storage::v1::StorageRequest& request, storage::v1::StorageReply& reply);

  void add_account(account_id id, const std::string& domain = "") { accounts_[id.value] = domain; }
  void befriend(account_id one, account_id other, const conversation_id& conversation);
  /// A room that exists already, with its founder; further members join by add_member. The accounts' own rows are
  /// set.
  void add_room(room_id room, account_id founder, storage::v1::RoomKind kind = storage::v1::ROOM_OPEN,
                const std::string& domain = "");
  void add_member(room_id room, account_id account, uint32_t bits = storage::v1::ROOM_MEMBER);
  /// RoomBits of an account in a room.
  uint32_t bits_in(room_id room, account_id account) const;
  /// Newest mid of a room.
  uint64_t head_of(room_id room) const;

  /// Outbox entries that are not done, oldest first.
  std::map<uint64_t, session::v1::Delivery> outbox;
  std::map<std::pair<uint64_t, conversation_id>, storage::v1::CursorPut> cursors;
  std::map<std::pair<uint64_t, uint64_t>, std::string> notices;      // account, id
  std::map<std::string, account_id> passwords;                       // "password" logs this account on
  std::map<std::pair<uint64_t, uint64_t>, uint64_t> room_positions;  // account, room: what ADVANCE wrote
  std::map<std::pair<uint64_t, uint64_t>, storage::v1::AccountRoomPut> account_rooms;  // account, room
  std::map<uint64_t, std::string> profiles;                                            // the beans put last, as given
  std::map<uint64_t, std::string> account_passwords;  // PasswordChange: the old one must be this
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
    std::set<uint64_t> unlisted, tombstones;                  // mids
    std::map<std::pair<uint64_t, std::string>, size_t> keys;  // index into rows
  };

  struct room_record {
    uint64_t founder = 0;
    storage::v1::RoomKind kind = storage::v1::ROOM_OPEN;
    std::string domain, topic, create_key, bean;
    bool cancelled = false;
    uint64_t version = 1;
    std::map<uint64_t, uint32_t> bits;  // by account
  };
  /// What one change does; see storage.proto.
  struct room_outcome {
    errc code = errc::ok;
    uint64_t who = 0;     // whose bits change
    uint32_t bits = 0;    // to what
    uint32_t notice = 0;  // bnType, to them
    bool application = false;
  };

  errc execute_room(const storage::v1::StorageRequest& request, storage::v1::StorageReply& reply);
  errc append(const storage::v1::Append& what, storage::v1::Appended& out);
  storage::v1::HistoryRow& store(pair_record& record, uint64_t sender, const std::string& key,
                                 const std::string& body, storage::v1::Appended& out);
  bool known_key(const pair_record& record, uint64_t sender, const std::string& key,
                 storage::v1::Appended& out) const;
  session::v1::Delivery& entry_for(uint64_t account, const common::v1::Conversation& conversation);
  void tell_message(uint64_t account, const common::v1::Conversation& conversation,
                    const storage::v1::HistoryRow& row, int64_t accepted_ns);
  errc recall(const storage::v1::Recall& what, storage::v1::Appended& out);
  errc may_use(const room_record* room, uint64_t account) const;
  const room_record* room_of(uint64_t room, const std::string& domain) const;
  errc room_create(const storage::v1::RoomCreate& what, storage::v1::RoomChanged& out);
  errc room_append(const storage::v1::RoomAppend& what, storage::v1::Appended& out);
  errc room_change(const storage::v1::RoomChange& what, storage::v1::RoomChanged& out);
  errc room_profile(const storage::v1::RoomChange& what, storage::v1::RoomChanged& out);
  static room_outcome outcome_of(const room_record& room, const storage::v1::RoomChange& what);
  void tell_room(uint64_t room, uint64_t account, bool changed, uint32_t notice, uint64_t actor,
                 const std::string& text, bool enters = false);
  void account_room_put(const storage::v1::AccountRoomPut& what);
  void notice_put(const storage::v1::NoticePut& what);
  void list_rooms(uint64_t account, storage::v1::AccountRoomList& out) const;
  errc room_get(const storage::v1::RoomGet& what, storage::v1::Room& out) const;
  errc room_members(const storage::v1::RoomMembers& what, storage::v1::RoomMemberList& out) const;
  errc room_permit(const storage::v1::RoomPermit& what) const;
  errc relate(const storage::v1::Relate& what, storage::v1::Related& out);
  void roster_put(const storage::v1::RosterPut& what);
  void cursor_put(const storage::v1::CursorPut& what);
  void backlog(const storage::v1::Backlog& what, storage::v1::BacklogFound& out);
  errc read(const storage::v1::Read& what, storage::v1::Page& out);
  void tell(const storage::v1::Relate& what, uint64_t to, uint64_t other, const pair_record& record,
            uint32_t bn_type);

  std::deque<pending> pending_;
  std::vector<std::pair<storage::v1::StorageRequest::OpCase, errc>> failures_;
  std::vector<std::pair<storage::v1::StorageRequest::OpCase, errc>> losses_;
  std::map<uint64_t, std::string> accounts_;
  std::map<conversation_id, pair_record> pairs_;  // rooms, too
  std::map<uint64_t, room_record> rooms_;
  std::map<std::pair<uint64_t, uint64_t>, storage::v1::RosterRow> rosters_;
  uint64_t entries_ = 0;
};

}  // namespace tern::shards
