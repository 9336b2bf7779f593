// Column message.flags of both databases.
#pragma once

#include <cstdint>

#include "services/storage/repositories/store.hpp"

namespace tern::storage {

inline constexpr int64_t flag_unlisted = 1;
inline constexpr int64_t flag_tombstone = 2;

inline int64_t flags_of(const message_row& row) {
  return (row.unlisted ? flag_unlisted : 0) | (row.tombstone ? flag_tombstone : 0);
}

inline void set_flags(message_row& row, int64_t flags, uint64_t target) {
  row.unlisted = (flags & flag_unlisted) != 0;
  row.tombstone = (flags & flag_tombstone) != 0;
  row.target = target;
}

/// The flags of rows that a page leaves out.
inline int64_t left_out(const history_query& query) {
  return query.listed_only ? flag_unlisted | flag_tombstone : flag_tombstone;
}

}  // namespace tern::storage
