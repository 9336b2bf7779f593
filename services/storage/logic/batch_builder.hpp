// Plans one group commit: many writes of many streams become one write_batch and their answers.
// Plain logic: no database, no CAF, no clock of its own. Used by writer_engine on the shard writer's thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "services/storage/logic/lru.hpp"
#include "services/storage/logic/write_request.hpp"

namespace tern::storage {

/// A de-duplication key keeps its meaning this long.
inline constexpr std::chrono::hours key_window{7 * 24};

/// Where a key's message is.
struct seen_key {
  uint64_t mid = 0;
  int64_t timestamp_ns = 0;
};

/// What the writer of a shard remembers between batches. Only committed state: a failed batch leaves no trace in it.
struct shard_cache {
  shard_cache(size_t conversation_bound, size_t key_bound) : conversations(conversation_bound), keys(key_bound) {}
  void clear() {
    conversations.clear();
    keys.clear();
  }
  lru_map<conversation_id, conversation_row> conversations;
  lru_map<std::string, seen_key> keys;  // by key_name()
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

/// (conversation, sender, key) as one string, for hashing.
std::string key_name(const conversation_id& conversation, account_id sender, std::string_view key);

/// One batch from first need to answers. Steps: need() for each request; the caller reads conversations_wanted();
/// learn_conversations(); the caller reads keys_wanted(); learn_keys(); plan() for each request, in order; the caller
/// commits batch(); committed(). Dropped without committed() it changes nothing.
class batch_builder {
 public:
  batch_builder(std::string_view shard, uint64_t epoch, shard_cache& cache, shard_counters& counters,
                int64_t wall_ns);

  void need(const write_request& item);
  const std::vector<conversation_id>& conversations_wanted() const noexcept { return conversations_wanted_; }
  void learn_conversations(std::vector<conversation_row> rows);
  /// After learn_conversations: keys in conversations that do not exist need no look.
  const std::vector<message_key>& keys_wanted();
  void learn_keys(std::span<const found_key> found);

  /// Adds the request's rows and its answer. The answer is valid once the batch is committed.
  void plan(write_request& item);
  write_batch& batch() noexcept { return batch_; }

  /// The batch is durable: answers get the outcomes of conditional writes, the cache learns, deliveries are made.
  void committed(const write_outcome& outcome);
  /// In the order of plan().
  std::vector<v1::StorageReply>& replies() noexcept { return replies_; }
  /// The batch's outbox entries as they are sent, in entry order. Only after committed().
  std::vector<session::v1::Delivery>& deliveries() noexcept { return deliveries_; }
  /// Messages that the batch stores.
  size_t messages() const noexcept { return batch_.messages.size(); }

 private:
  struct wanted_key {
    message_key key;
    std::string name;
  };
  void want_conversation(const common::v1::Conversation& id);
  conversation_row* conversation(const conversation_id& id, account_id one, account_id other);
  const seen_key* seen(const std::string& name);
  void changed(const conversation_row& row);

  v1::StorageReply plan_append(write_request& item);
  v1::StorageReply plan_relate(write_request& item);
  void relation_entries(const v1::Relate& ask, const conversation_row& row, bool both_sides, uint32_t notice);
  void plan_roster(const v1::RosterPut& put);
  void plan_cursor(const v1::CursorPut& put);
  void plan_notices(const v1::NoticeDrop& drop);
  errc plan_account(write_request& item);
  errc plan_token(write_request& item);
  errc plan_token_use(write_request& item);
  uint64_t add_outbox(outbox_row row, uint64_t trace);
  void make_deliveries();

  std::string shard_;
  uint64_t epoch_;
  shard_cache& cache_;
  shard_counters& counters_;
  int64_t wall_ns_;

  std::vector<const write_request*> needing_;
  std::vector<conversation_id> conversations_wanted_;
  std::vector<message_key> keys_wanted_;
  std::vector<std::string> key_names_;                                          // of keys_wanted_
  std::unordered_map<conversation_id, std::optional<conversation_row>> known_;  // nothing: does not exist
  std::unordered_map<conversation_id, size_t> changed_;                         // index into batch_.conversations
  std::unordered_map<std::string, seen_key> known_keys_;
  std::map<std::pair<account_id, account_id>, size_t> roster_;  // index into batch_.roster

  write_batch batch_;
  std::vector<uint64_t> outbox_traces_;  // beside batch_.outbox
  std::vector<size_t> outbox_messages_;  // index of its message, or npos
  std::vector<v1::StorageReply> replies_;
  std::vector<size_t> account_replies_, token_replies_;  // beside batch_.accounts, batch_.tokens_taken
  std::vector<session::v1::Delivery> deliveries_;
};

}  // namespace tern::storage
