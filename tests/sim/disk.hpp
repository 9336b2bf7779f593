// What survives every crash of a run: the databases of the shards, and how they fail.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "libs/base/ids.hpp"
#include "services/storage/repositories/store.hpp"
#include "tests/sim/dice.hpp"
#include "tests/sim/faults.hpp"
#include "tests/sim/referee.hpp"
#include "tests/verify/history.hpp"

namespace tern::sim {

/// The databases of all shards, in memory.
class disks {
 public:
  disks(uint64_t seed, const planted& bug, referee& watch) : dice_(seed), bug_(bug), referee_(watch) {}

  void add(const std::string& shard);
  std::vector<std::string> names() const;
  /// For the process of `by`, which owns the shard in `epoch`.
  result<std::unique_ptr<storage::writer_store>> writer(const std::string& shard, uint64_t epoch, const host& by);
  std::unique_ptr<storage::reader_store> reader(const std::string& shard);
  /// Of each commit, in and after which the connection is lost.
  double failures = 0;

  /// Accounts of the run, by name key: logins ask here.
  std::map<std::string, account_id> accounts;
  /// Makes the accounts and lets all of them be friends of each other. `shard_of`: of a slot.
  void befriend(const std::vector<std::pair<std::string, account_id>>& all, const std::string& identity_key,
                const std::function<std::string(slot_type)>& shard_of);
  /// All messages of a conversation, oldest first: mid and text.
  std::vector<std::pair<int64_t, std::string>> history(const std::string& shard, conversation_id which);
  /// Entries that nobody has confirmed, as text.
  std::vector<std::string> outbox(const std::string& shard);

 private:
  dice dice_;
  const planted& bug_;
  referee& referee_;
  std::map<std::string, std::unique_ptr<storage::store>> stores_;
};

}  // namespace tern::sim
