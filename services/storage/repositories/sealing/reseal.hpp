// Seals again, page by page, what is under another data key than the current one, or under none.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "libs/sql/connection.hpp"
#include "services/storage/repositories/chores.hpp"
#include "services/storage/repositories/sealing/row_cipher.hpp"

namespace tern::storage {

struct reseal_progress {
  uint64_t looked = 0, sealed = 0;  // rows of this step
  double ratio = 0;                 // of the way through the tables, about
  bool done = false;                // nothing is left, until a key is added
};

/// Works beside the shard's writer, on a connection of its own, in short transactions: a row is replaced only if it
/// is still what was read, so nothing depends on who else works, and what it means is not changed. Where it stands is
/// in the table chore, in the same transaction: any process goes on there. Rows of slots that are on the move
/// (slot_owner) are left alone. Used by one thread at a time.
class reseal_job {
 public:
  explicit reseal_job(std::shared_ptr<key_ring> ring) : ring_(std::move(ring)), cipher_(ring_) {}

  /// Looks at up to `rows` rows. A row that does not open stays as it is, refused as when it is read.
  result<reseal_progress> step(size_t rows);

 private:
  struct place {
    std::string keys;  // which data keys there are: a pass over other ones begins anew
    size_t table = 0;
    std::vector<int64_t> after;  // key of the last row looked at; empty: none of this table yet
  };
  result<reseal_progress> work(sql::connection& database, size_t rows);
  result<void> find_place(sql::connection& database, place& at);
  result<void> keep_place(sql::connection& database, const place& at, uint64_t sealed);
  result<void> page(sql::connection& database, place& at, size_t rows, reseal_progress& out);
  result<bool> seal_again(sql::connection& database, size_t table, const sql::row& row);
  std::string names_of_keys() const;

  std::shared_ptr<key_ring> ring_;
  row_cipher cipher_;
  std::unique_ptr<sql::connection> database_;
  slot_ranges moving_;
};

}  // namespace tern::storage
