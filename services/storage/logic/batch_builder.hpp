// Plans one group commit: many writes of many streams become one write_batch and their answers.
// Plain logic: no database, no CAF, no clock of its own. Used by writer_engine on the shard writer's thread.
//
// Files: batch_needs.cpp (what must be read), batch_builder.cpp (pairs, accounts, outcomes), batch_rooms.cpp (rooms
// and recalls).
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "services/storage/logic/lru.hpp"
#include "services/storage/logic/room_rules.hpp"
#include "services/storage/logic/write_request.hpp"

namespace tern::storage {

/// A de-duplication key keeps its meaning this long.
inline constexpr std::chrono::hours key_window{7 * 24};

inline constexpr size_t key_bytes_most = 24;

/// Where a key's message is.
struct seen_key {
  uint64_t mid = 0;
  int64_t timestamp_ns = 0;
};

struct member_key_hash {
  size_t operator()(const member_key& key) const noexcept {
    return std::hash<room_id>{}(key.room) ^ (std::hash<account_id>{}(key.account) << 1U);
  }
};
/// Shared with the batches that read it; never changed.
using room_ptr = std::shared_ptr<const room_row>;

/// How many of each a shard's writer remembers.
struct cache_bounds {
  size_t conversations = 100'000;
  size_t keys = 100'000;
  size_t rooms = 20'000;
  size_t members = 200'000;
};

/// What the writer of a shard remembers between batches. Only committed state: a failed batch leaves no trace in it.
struct shard_cache {
  explicit shard_cache(const cache_bounds& bounds)
      : conversations(bounds.conversations), keys(bounds.keys), rooms(bounds.rooms), members(bounds.members) {}
  void clear() {
    conversations.clear();
    keys.clear();
    rooms.clear();
    members.clear();
  }
  /// What is of slots first..last: another shard may change it from now on.
  void forget(slot_type first, slot_type last);
  lru_map<conversation_id, conversation_row> conversations;
  lru_map<std::string, seen_key> keys;  // by key_name()
  lru_map<room_id, room_ptr> rooms;
  lru_map<member_key, uint32_t, member_key_hash> members;  // bits; only rows that exist
};

/// Numbers that must never come twice, whatever becomes of a batch.
struct shard_counters {
  /// Entries grow in commit order over the epochs of a shard: the epoch is their upper part.
  explicit shard_counters(uint64_t epoch) : next_entry((epoch << 40U) + 1) {}
  uint64_t next_entry;
  int64_t last_stamp_ns = 0;
  /// A time not before `wall_ns` and after every earlier stamp: mid order and time order agree, and it tells one
  /// message from another.
  int64_t stamp(int64_t wall_ns) { return last_stamp_ns = wall_ns > last_stamp_ns ? wall_ns : last_stamp_ns + 1; }
};

/// Something a batch writes that was not there before: tells afterwards whether it was committed. One of the three.
struct batch_witness {
  std::optional<message_key> message;
  int64_t timestamp_ns = 0;  // of the message
  room_id room;
  conversation_id pair;
  uint64_t version = 0;  // of the room or of the pair's relation; a greater one has it in it
};

/// (conversation, sender, key) as one string, for hashing.
std::string key_name(const conversation_id& conversation, account_id sender, std::string_view key);

/// One batch from first need to answers. Steps: need() for each request; the caller reads what is wanted and has it
/// learned, in the order of the functions below; plan() for each request, in order; the caller commits batch();
/// committed(). Dropped without committed() it changes nothing.
class batch_builder {
 public:
  batch_builder(std::string_view shard, uint64_t epoch, shard_cache& cache, shard_counters& counters,
                int64_t wall_ns);

  void need(const write_request& item);
  const std::vector<conversation_id>& conversations_wanted() const noexcept { return conversations_wanted_; }
  void learn_conversations(std::vector<conversation_row> rows);
  const std::vector<room_id>& rooms_wanted() const noexcept { return rooms_wanted_; }
  void learn_rooms(std::vector<room_row> rows);
  /// After learn_rooms: the managers of a room are members to be looked at, too.
  const std::vector<member_key>& members_wanted();
  void learn_members(std::span<const member_row> rows);
  const std::vector<message_place>& messages_wanted() const noexcept { return messages_wanted_; }
  void learn_messages(std::vector<message_row> rows);
  const std::vector<account_id>& profiles_wanted() const noexcept { return profiles_wanted_; }
  void learn_profiles(std::vector<profile_row> rows);
  /// After learn_conversations: keys in conversations that do not exist need no look.
  const std::vector<message_key>& keys_wanted();
  void learn_keys(std::span<const found_key> found);
  /// Instead of learn_keys(): keys that were not asked for count as new. The commit says when one is not.
  void guess_keys() noexcept { guessed_ = !keys_wanted_.empty(); }
  bool guessed() const noexcept { return guessed_; }
  /// A request asked for here may not be planned upon a guess.
  bool must_know_keys() const noexcept { return must_know_keys_; }
  /// After plan(): something was refused upon a guess. If its key was there, it was done before, and that is its
  /// answer.
  bool misled() const noexcept { return misled_; }

  /// Adds the request's rows and its answer. The answer is valid once the batch is committed.
  void plan(write_request& item);
  write_batch& batch() noexcept { return batch_; }

  /// Nothing: all that the batch writes may be written twice, or says itself whether it was there.
  std::optional<batch_witness> witness() const;
  /// The batch is durable: answers get the outcomes of conditional writes, the cache learns, deliveries are made.
  void committed(const write_outcome& outcome);
  /// In the order of plan().
  std::vector<v1::StorageReply>& replies() noexcept { return replies_; }
  /// The batch's outbox entries as they are sent, in entry order. Only after committed().
  std::vector<session::v1::Delivery>& deliveries() noexcept { return deliveries_; }
  /// Messages that the batch stores.
  size_t messages() const noexcept { return batch_.messages.size(); }

 private:
  struct key_need {
    conversation_id conversation;
    account_id sender;
    std::string key;
  };
  void want_conversation(const conversation_id& id);
  void want_room(room_id id, account_id member);
  void want_member(room_id room, account_id account);
  void need_change(const v1::RoomChange& ask);
  void need_recall(const v1::Recall& ask);

  conversation_row* conversation(const conversation_id& id, account_id one, account_id other);
  /// nullptr: does not exist. With the changes of this batch in it; valid until the next change of any room.
  const room_row* room(room_id id) const;
  /// A copy of it in the batch, to be changed.
  room_row& changing_room(room_id id);
  uint32_t bits(room_id room, account_id account) const;
  void set_bits(room_row& room, account_id account, uint32_t bits);
  const seen_key* seen(const std::string& name);
  /// The answer to a key that was seen within its window; nothing: go on.
  std::optional<v1::StorageReply> repeated(const write_request& item, const seen_key* earlier) const;
  void changed(const conversation_row& row);
  const message_row* message(const message_place& place) const;
  bool is_recalled(const message_place& place) const;

  void add_keyed(v1::StorageReply reply);
  v1::StorageReply plan_append(write_request& item);
  v1::StorageReply plan_relate(write_request& item);
  void relation_entries(const v1::Relate& ask, const conversation_row& row, bool both_sides, uint32_t notice);
  void plan_roster(const v1::RosterPut& put);
  errc plan_cursor(const v1::CursorPut& put);
  void plan_notices(const v1::NoticeDrop& drop);
  errc plan_notice(const v1::NoticePut& put);
  errc plan_profile(const v1::ProfilePut& put);
  errc plan_account(write_request& item);
  errc plan_token(write_request& item);
  errc plan_token_use(write_request& item);
  errc plan_password(write_request& item);

  v1::StorageReply plan_recall(write_request& item);
  errc may_recall(const v1::Recall& ask) const;
  v1::StorageReply plan_room_create(write_request& item);
  v1::StorageReply plan_room_append(write_request& item);
  v1::StorageReply plan_room_change(write_request& item);
  errc change_bits(const v1::RoomChange& ask, room_change change, v1::RoomChanged& out);
  errc change_profile(const v1::RoomChange& ask);
  void change_managers(room_row& row, account_id actor, const std::vector<account_id>& wanted);
  errc plan_account_room(const v1::AccountRoomPut& put);
  struct room_news {
    account_id to;
    bool changed = false;
    bool enters = false;  // is a member now and was none
    uint32_t notice = 0;
    account_id actor;
    std::string_view text;
  };
  void tell(const room_row& about, const room_news& what, int64_t now);

  /// Stores a message at the next position; returns its mid.
  uint64_t store_message(conversation_row& row, message_row message);
  uint64_t add_outbox(outbox_row row, uint64_t trace);
  void remember();
  void make_deliveries();

  std::string shard_;
  uint64_t epoch_;
  shard_cache& cache_;
  shard_counters& counters_;
  int64_t wall_ns_;

  std::vector<key_need> key_needs_;
  std::vector<conversation_id> conversations_wanted_;
  std::vector<room_id> rooms_wanted_;
  std::vector<member_key> members_wanted_;
  std::vector<message_place> messages_wanted_;
  std::vector<account_id> profiles_wanted_;
  std::vector<message_key> keys_wanted_;
  bool must_know_keys_ = false, guessed_ = false, misled_ = false;
  std::vector<std::string> key_names_;                                          // of keys_wanted_
  std::set<room_id> rooms_of_managers_;                                         // whose list of managers may change
  std::unordered_map<conversation_id, std::optional<conversation_row>> known_;  // nothing: does not exist
  std::unordered_map<conversation_id, size_t> changed_;                         // index into batch_.conversations
  std::unordered_map<room_id, room_ptr> known_rooms_;                           // null: does not exist
  std::unordered_map<room_id, size_t> changed_rooms_;                           // index into batch_.rooms
  std::unordered_map<member_key, uint32_t, member_key_hash> known_members_;     // with the changes of this batch
  std::unordered_map<member_key, size_t, member_key_hash> changed_members_;     // index into batch_.members
  std::map<message_place, message_row> known_messages_;
  std::map<account_id, std::string> known_profiles_;  // beans of accounts that exist, with the changes of this batch
  std::unordered_map<std::string, seen_key> known_keys_;
  std::map<std::pair<account_id, account_id>, size_t> roster_;      // index into batch_.roster
  std::map<std::pair<account_id, room_id>, size_t> account_rooms_;  // index into batch_.account_rooms
  std::map<account_id, size_t> profiles_, passwords_;               // index into batch_.profiles, batch_.passwords
  std::vector<std::string> notice_names_;                           // of the notices of this batch

  write_batch batch_;
  std::vector<uint64_t> outbox_traces_;  // beside batch_.outbox
  std::vector<size_t> outbox_messages_;  // index of its message, or npos
  std::vector<v1::StorageReply> replies_;
  std::vector<size_t> account_replies_, token_replies_;  // beside batch_.accounts, batch_.tokens_taken
  std::vector<session::v1::Delivery> deliveries_;
};

}  // namespace tern::storage
