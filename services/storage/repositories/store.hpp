// One shard's tables as the storage service sees them. Three implementations: _pg, _sqlite, _memory; the same tests.
// All calls block: they run on the shard writer's own thread or on a reader thread, never on a CAF worker.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "libs/base/ids.hpp"
#include "libs/base/result.hpp"

namespace tern::storage {

/// What one side of a pair wants of the other (protos: RelationBits).
enum relation_bits : uint32_t { relation_none = 0, relation_asked = 1, relation_friend = 2, relation_blocks = 4 };

/// The record of a pair: head of the history and the relation. `a` < `b` by id.
struct conversation_row {
  conversation_id id;
  account_id a, b;
  uint64_t head = 0;  // newest mid; mids are dense from 1
  uint32_t a_bits = 0, b_bits = 0;
  uint64_t relation_version = 0;
};

struct message_row {
  conversation_id conversation;
  uint64_t mid = 0;
  account_id sender;
  std::string key;  // de-duplication key, at most 24 bytes
  int64_t timestamp_ns = 0;
  std::string body;        // TimMessage, Thrift compact, without mid and timestamp; empty in a tombstone
  bool unlisted = false;   // delivered, but not in the history
  bool tombstone = false;  // recalled: only the position and the key are left
  uint64_t target = 0;     // not 0: this row tells that `target` was recalled
};

/// Where a message is.
struct message_place {
  conversation_id conversation;
  uint64_t mid = 0;
  auto operator<=>(const message_place&) const = default;
};

/// What an account is in a room (storage.proto: RoomBits).
enum room_bits : uint32_t {
  room_none = 0,
  room_member = 1,
  room_manager = 2,
  room_founder = 4,
  room_applied = 8,
  room_barred = 16,
  room_refuses = 32
};
enum class room_kind : uint8_t {
  none = 0,
  closed = 1,
  open = 2
};  // closed: a manager admits ("private" on the wire)

/// A room. Its conversation_row {room, 0} (a = b = 0) has the head and is written with it once, when it is created.
struct room_row {
  room_id id;
  std::string domain;
  account_id founder;
  std::vector<account_id> managers;  // without the founder
  room_kind kind = room_kind::none;
  bool cancelled = false;
  uint64_t version = 0;  // grows with each change
  uint32_t members = 0;  // how many
  int64_t created_ns = 0;
  std::string bean;        // TimRoomBean, Thrift compact: cover, topic, label, kind, extend, extra
  std::string create_key;  // de-duplication key of its creation
};
/// bits == room_none in a write: the row is deleted.
struct member_row {
  room_id room;
  account_id account;
  uint32_t bits = 0;
};
struct member_key {
  room_id room;
  account_id account;
  auto operator<=>(const member_key&) const = default;
};
/// A row of an account's own list of rooms.
struct account_room_row {
  account_id account;
  room_id room;
  uint64_t version = 0;    // of the room at the change; an older one never replaces a newer one
  uint32_t bits = 0;       // without member and refuses: a tombstone, not listed
  uint64_t since = 0;      // head when joined
  uint64_t delivered = 0;  // reads only: the greater of since and the cursor of {room, 0}
};
struct profile_row {
  account_id account;
  std::string domain;      // reads only
  int64_t created_ns = 0;  // reads only
  std::string bean;        // TimUserBean, Thrift compact; empty: none yet
};
struct password_row {
  account_id account;
  std::string password_hash;  // argon2id, PHC string
};

/// room: serialised tern.session.v1.RoomMembership in payload. notice: StoredNotice in payload.
enum class outbox_kind : uint8_t { message = 1, relation = 2, room = 3, notice = 4 };

/// Something a recipient's session owner must still confirm.
struct outbox_row {
  uint64_t entry = 0;  // unique in the shard, growing in commit order
  account_id recipient;
  conversation_id conversation;
  outbox_kind kind = outbox_kind::message;
  uint64_t mid = 0;     // kind message
  std::string payload;  // the other kinds: serialised tern.session.v1.RelationChange, …
  int64_t accepted_ns = 0;
};

/// An outbox row with what must be sent: the message joined in.
struct outbox_entry {
  outbox_row row;
  std::optional<message_row> message;
};

struct roster_row {
  account_id account, other;
  uint64_t version = 0;
  uint32_t mine = 0, theirs = 0;
};

enum class cursor_kind : uint8_t { mark, advance, clear };
struct cursor_row {
  account_id account;
  conversation_id conversation;
  account_id other;
  uint64_t delivered = 0;
  cursor_kind kind = cursor_kind::mark;  // see CursorPut in storage.proto; only meaningful in a write
};

struct notice_row {
  account_id account;
  uint64_t id = 0;
  std::string body;
};

struct account_row {
  account_id id;
  std::string name_key;  // 32 bytes
  std::string domain;
  std::string password_hash;  // argon2id, PHC string
  int64_t created_ns = 0;
};

struct token_row {
  std::string hash;  // SHA-256 of the token's 16 random bytes
  account_id account;
  int64_t expires_ns = 0;
};

/// Everything one group commit writes, in one transaction.
struct write_batch {
  std::vector<conversation_row> conversations;  // new state of each (one per id)
  std::vector<message_row> messages;
  std::vector<message_row>
      released_keys;  // conversation, sender, key: forget this key before inserting (older than 7 days)
  std::vector<outbox_row> outbox;
  std::vector<uint64_t> outbox_done;
  std::vector<roster_row> roster;               // upsert where newer version
  std::vector<cursor_row> cursors;              // applied in order
  std::vector<notice_row> notices;              // insert, existing (account, id) left alone
  std::vector<notice_row> notices_done;         // account, id
  std::vector<account_row> accounts;            // insert unless the id exists
  std::vector<token_row> tokens;                // insert
  std::vector<token_row> tokens_taken;          // hash, account: delete and tell
  std::vector<message_place> recalled;          // become tombstones: body emptied, key kept. Applied after `messages`
  std::vector<room_row> rooms;                  // new state of each (one per id)
  std::vector<member_row> members;              // upsert, or delete when bits is none (one per room and account)
  std::vector<account_room_row> account_rooms;  // upsert where newer version
  std::vector<profile_row> profiles;            // bean of existing accounts
  std::vector<password_row> passwords;          // hash of existing accounts; all their token rows are deleted

  bool empty() const;
  size_t rows() const;
};

/// Answers of the conditional writes, in the order of the batch.
struct write_outcome {
  std::vector<bool> account_created;
  std::vector<std::optional<token_row>> token_taken;
};

struct message_key {
  conversation_id conversation;
  account_id sender;
  std::string key;
};
struct found_key {
  size_t index = 0;  // into the asked span
  uint64_t mid = 0;
  int64_t timestamp_ns = 0;
};

struct history_query {
  conversation_id conversation;
  bool newest_first = true;
  uint64_t from_mid = 0;     // newest first: mid <= from_mid, 0 = from the newest; else mid > from_mid
  int64_t not_after_ns = 0;  // newest first only; 0 = no bound
  uint32_t limit = 50;
  uint32_t max_bytes = 1 << 20;  // of bodies; the first row always comes
  account_id skip_sender;        // 0 = nobody
  bool listed_only = false;      // leave out unlisted rows. Tombstones are always left out
};
struct history_page {
  std::optional<conversation_row> conversation;  // nothing: no such conversation
  std::vector<message_row> rows;
  uint64_t reached = 0;  // oldest first: all mids up to here have been looked at
};

struct backlog {
  std::vector<cursor_row> dirty;    // longest waiting first
  std::vector<notice_row> notices;  // lowest id first
  bool more = false;
};

/// The one writer of a shard. Used by one thread at a time.
class writer_store {
 public:
  virtual ~writer_store() = default;
  /// Makes this process the shard's writer: sets the shard's fence to `epoch` if it is lower. stale_epoch if it is
  /// higher.
  virtual result<void> acquire(uint64_t epoch) = 0;
  /// The rows that exist, in any order.
  virtual result<std::vector<conversation_row>> load(std::span<const conversation_id> ids) = 0;
  virtual result<std::vector<found_key>> find_keys(std::span<const message_key> keys) = 0;
  // Rows that exist, in any order.
  virtual result<std::vector<room_row>> load_rooms(std::span<const room_id> ids) = 0;
  virtual result<std::vector<member_row>> load_members(std::span<const member_key> keys) = 0;
  virtual result<std::vector<message_row>> load_messages(std::span<const message_place> places) = 0;
  virtual result<std::vector<profile_row>> load_profiles(std::span<const account_id> ids) = 0;
  /// Entries with a number above `after`, lowest first, at most `limit`.
  virtual result<std::vector<outbox_entry>> scan_outbox(uint64_t after, size_t limit) = 0;
  /// One durable transaction, fenced by the acquired epoch. stale_epoch: another writer took over, nothing was
  /// written. unavailable: nothing was written. deadline: outcome unknown (connection lost around COMMIT). exists: a
  /// message's key is there already, nothing was written; told by stores that tell_keys().
  virtual result<write_outcome> commit(const write_batch& batch) = 0;
  /// Another one with the same claim to the shard, for nothing but commits at the same time as this one's, from
  /// another thread; the two must never have a slot in common. When its claim has ended it says `unavailable`:
  /// acquire anew. Null: this store makes one commit at a time.
  virtual std::unique_ptr<writer_store> beside() { return nullptr; }
  /// Keys need not be looked up before a commit: one that is there is found by the commit.
  virtual bool tell_keys() const { return false; }
  /// Statements sent to the database so far, transaction control included.
  virtual uint64_t statements() const = 0;
  /// PostgreSQL: timeline of the primary that is written to. After a change commits may be missing that were read or
  /// answered before, if the standby that was promoted did not have them.
  virtual uint64_t term() const { return 0; }
};

/// Reads of a shard. Used by one thread at a time; several may exist beside the writer.
class reader_store {
 public:
  virtual ~reader_store() = default;
  /// Makes the connection that the first read would make.
  virtual result<void> connect() { return {}; }
  virtual result<std::optional<account_row>> account(account_id id) = 0;
  virtual result<std::vector<roster_row>> roster(account_id id) = 0;
  virtual result<backlog> waiting(account_id id, uint32_t limit) = 0;
  virtual result<history_page> history(const history_query& query) = 0;
  /// Listed rows, by room; `delivered` filled in.
  virtual result<std::vector<account_room_row>> rooms_of(account_id id) = 0;
  /// The room and the newest mid of its conversation.
  virtual result<std::optional<std::pair<room_row, uint64_t>>> room(room_id id) = 0;
  virtual result<std::optional<member_row>> member(room_id room, account_id account) = 0;
  /// Rows with any of `bits`, by account, at most `limit`.
  virtual result<std::vector<member_row>> members(room_id room, uint32_t bits, uint32_t limit) = 0;
  /// Rows that exist, in any order.
  virtual result<std::vector<profile_row>> profiles(std::span<const account_id> ids) = 0;
  virtual uint64_t statements() const = 0;
};

/// What a shard needs of its database's standbys (PostgreSQL).
struct sync_rule {
  uint32_t least_copies = 0;  // standbys that confirm each commit; 0: whatever the server is set to
  bool degrade = false;       // with fewer: go on without them, loudly; else writes are refused
};

/// What is known of a shard's database servers.
struct store_health {
  uint64_t term = 0;         // timeline of the primary; 0: not known, or no PostgreSQL
  uint32_t copies = 0;       // standbys that confirm each commit
  bool degraded = false;     // writes go on with fewer than asked for
  std::string problem = {};  // empty, or why it is not written to, or only with less than is configured
};

class key_ring;  // sealing/key_ring.hpp

/// A shard's database. open() applies the migrations under a lock.
class store {
 public:
  virtual ~store() = default;
  virtual result<std::unique_ptr<writer_store>> open_writer() = 0;
  virtual result<std::unique_ptr<reader_store>> open_reader() = 0;
  /// Opens what open_writer() and open_reader() would open first, if the schema is this binary's: they are quick
  /// then. False: there is nothing to open ahead, or migrations are missing, which is left to migrate().
  virtual result<bool> prepare() { return false; }
  /// Applies what is missing; refuses (errc::config) a schema newer than this binary or a changed migration.
  virtual result<void> migrate() = 0;
  /// What its rows are sealed with; null: nothing is.
  virtual std::shared_ptr<key_ring> keys() const { return nullptr; }
  /// Bytes the shard occupies.
  virtual result<uint64_t> size_bytes() = 0;
  /// Thread-safe and quick: what was last seen, at most some seconds ago while there is a writer.
  virtual store_health health() const { return {}; }
  /// No primary of an older timeline may be used. Thread-safe.
  virtual void require_term(uint64_t) {}
};

/// `dsn`: "sqlite:PATH", "memory:" or a PostgreSQL connection string/URI, which may list several hosts: then its
/// primary is used, whichever it is.
result<std::unique_ptr<store>> open_store(const std::string& dsn);
result<std::unique_ptr<store>> open_store_with(const std::string& dsn, const sync_rule& rule);

struct sealing;  // sealing/key_ring.hpp
/// The same, with what people wrote sealed (all but "memory:").
result<std::unique_ptr<store>> open_sealed_store(const std::string& dsn, const sealing& how,
                                                 const sync_rule& rule = {});

}  // namespace tern::storage
