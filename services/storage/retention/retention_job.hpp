// Deletes messages that are older than their domain keeps them, conversation by conversation.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "libs/base/clock.hpp"
#include "libs/sql/connection.hpp"
#include "services/storage/repositories/chores.hpp"
#include "services/storage/repositories/sealing/row_cipher.hpp"
#include "services/storage/retention/retention_rules.hpp"

namespace tern::storage {

struct retention_progress {
  uint64_t looked = 0;   // conversations of this step
  uint64_t expired = 0;  // messages deleted in it
  double ratio = 0;      // of the way through the shard, about
  bool done = false;     // it has been gone through once; the next step begins anew
};

/// Works beside the shard's writer, on a connection of its own, in short transactions that never wait for a row.
///
/// A history loses its beginning only: rows go in the order of their mids up to the first that is to be kept,
/// whatever the clocks of those that stored them said. The conversation's row gets the head before its newest message
/// goes, so mids go on where they were. Recalled messages go like others. Nothing goes that is not older than all
/// that waits in the outbox, nor what is on the move between shards.
///
/// Where it stands is in the table chore, in the same transaction: any process goes on there. Used by one thread at a
/// time.
class retention_job {
 public:
  retention_job(std::shared_ptr<key_ring> ring, retention_rules rules, const clock& time)
      : ring_(std::move(ring)), cipher_(ring_), rules_(std::move(rules)), time_(time) {}

  /// Looks at up to `rows` conversations and deletes up to `rows` messages.
  result<retention_progress> step(size_t rows);

 private:
  struct place {
    int64_t slot, hi, lo;
  };
  struct candidate {
    place at;
    std::optional<int64_t> oldest_ns;  // nothing: no message is left
  };
  using wall_ns = int64_t;

  result<void> work(sql::connection& database, size_t rows, retention_progress& out);
  result<std::optional<place>> find_place(sql::connection& database) const;
  result<void> keep_place(sql::connection& database, const std::optional<place>& at, uint64_t expired) const;
  result<wall_ns> now(sql::connection& database) const;
  result<void> look_at_outbox(sql::connection& database);
  result<std::vector<candidate>> candidates(sql::connection& database, const std::optional<place>& after,
                                            size_t rows) const;
  /// How many messages went; `rows`: there may be more.
  result<uint64_t> shorten(sql::connection& database, const place& at, size_t rows);
  result<std::optional<retention_rules::days>> age_of(sql::connection& database, const place& at,
                                                      const std::vector<sql::row>& rows);
  result<uint64_t> remove(sql::connection& database, const place& at, const std::vector<int64_t>& mids) const;
  std::optional<wall_ns> cutoff(std::optional<retention_rules::days> age) const;

  std::shared_ptr<key_ring> ring_;
  row_cipher cipher_;
  const retention_rules rules_;
  const clock& time_;
  std::unique_ptr<sql::connection> database_;
  slot_ranges moving_;
  wall_ns now_ = 0;
  std::optional<wall_ns> waiting_since_;  // what waits in the outbox was not accepted before
  std::optional<std::chrono::steady_clock::time_point> outbox_seen_;
};

}  // namespace tern::storage
