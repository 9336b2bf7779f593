// What a shard holds of an account is destroyed, in short transactions beside the shard's writer.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "libs/base/ids.hpp"
#include "libs/base/result.hpp"
#include "libs/sql/connection.hpp"
#include "services/storage/repositories/chores.hpp"

namespace tern::storage {

enum class erasure_state : uint8_t { none = 0, erasing = 1, erased = 2 };

/// What the shard's table `erasure` says of an account.
struct erasure_record {
  erasure_state state = erasure_state::none;
  int64_t begun_ns = 0, ended_ns = 0;
  uint32_t round = 0;
  std::string position;                       // of the round: phase, then the last message that was looked at
  std::map<std::string, uint64_t> destroyed;  // by kind, in all
};

struct erasure_progress {
  erasure_record record;
  uint64_t changed = 0;  // rows destroyed by this step
  uint64_t looked = 0;   // messages looked at
  bool done = false;     // of this round
  uint64_t waiting = 0;  // outbox entries that have to do with the account's pairs
};

struct erasure_pair {
  conversation_id conversation;
  account_id other;
};
struct erasure_room {
  room_id room;
  uint32_t bits = 0;
};

/// Steps of one account's erasure in one shard. Each is one transaction, may be repeated, and is counted in the
/// transaction that does it, so it is gone on with after any end. Made for one step; used by one thread. Errors are
/// the connection's; unavailable also while slots that matter are on the move between shards.
class erasure_job {
 public:
  erasure_job(sql::connection& database, account_id account, int64_t now_ns)
      : database_(database), account_(account), id_(static_cast<int64_t>(account.value)), now_(now_ns) {}

  result<erasure_record> look();
  /// Domain of the account's row; nothing: it is not in this shard.
  result<std::optional<std::string>> domain();
  /// Records it, takes the password, name key, profile and tokens. no_such_object: `home`, and there is no account.
  result<erasure_record> begin(bool home);
  /// Pairs with a relation left.
  result<std::vector<erasure_pair>> relations(size_t limit);
  /// The account's own list, rooms it has left included.
  result<std::vector<erasure_room>> rooms();
  /// Goes on with `round` (or begins it): the account's rows, its messages in pairs and in `rooms`, about `limit`
  /// messages looked at.
  result<erasure_progress> destroy(uint32_t round, std::vector<room_id> rooms, size_t limit);
  /// The list of rooms goes, the state is erased. What was erased before stays as it was.
  result<erasure_record> finish();

 private:
  struct place {
    int64_t slot = -1, hi = 0, lo = 0, mid = 0;
    auto operator<=>(const place&) const = default;
  };
  template <class Out, class Work>
  result<Out> transaction(Work work);
  result<erasure_record> read();
  result<void> write(const erasure_record& record);
  result<void> count(erasure_record& record, const std::string& kind, const std::string& statement,
                     const std::vector<sql::value>& with, uint64_t& changed);
  result<void> own_rows(erasure_record& record, uint64_t& changed);
  result<void> account_row(erasure_record& record, uint64_t& changed);
  result<std::vector<place>> talks(const place& after, const std::vector<room_id>& rooms, size_t limit);
  result<void> messages(erasure_progress& out, const std::vector<room_id>& rooms, size_t limit);
  /// Looks at `limit` messages of one conversation; whether it is through, and where it stands.
  result<bool> talk(erasure_progress& out, place& at, size_t limit);
  result<void> founded(erasure_record& record, room_id room, uint64_t& changed);
  result<void> must_stay(int64_t slot) const;

  sql::connection& database_;
  const account_id account_;
  const int64_t id_;
  const int64_t now_;
  slot_ranges moving_;
};

}  // namespace tern::storage
