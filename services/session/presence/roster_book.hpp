// Who an account's presence may reach: its relations as far as this actor knows them. Pure, no I/O.
#pragma once

#include <cstdint>
#include <vector>

#include "libs/base/errc.hpp"
#include "libs/base/ids.hpp"

namespace tern::session {

/// Not thread-safe: belongs to one session actor. Relation changes may come before, during and after load(): of each
/// pair the highest version counts.
class roster_book {
 public:
  struct row {
    account_id other;
    uint64_t version = 0;
    uint32_t mine = 0;  // session::v1::RelationBits
    uint32_t theirs = 0;
  };

  /// What storage has. Changes noted since the book was made or cleared stay where they are newer.
  void load(std::vector<row> rows);
  void note(const row& change);
  /// False until load().
  bool loaded() const noexcept { return loaded_; }
  /// Friends on both sides, and neither blocks the other.
  bool reaches(account_id other) const;
  /// What the account may write to the other without a look at storage. blocked: the other side blocks it.
  /// permission_denied: it blocks the other side, or (unless `open`) they are no friends.
  errc may_write(account_id other, bool open) const;
  /// The account blocks the other one.
  bool blocks(account_id other) const;
  std::vector<account_id> friends() const;
  size_t size() const noexcept { return rows_.size(); }
  const std::vector<row>& rows() const noexcept { return rows_; }

 private:
  static bool is_open(const row& one) noexcept;
  std::vector<row>::iterator place_of(account_id other);
  const row* find(account_id other) const;

  std::vector<row> rows_;  // by account
  bool loaded_ = false;
};

}  // namespace tern::session
