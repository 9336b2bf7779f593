#include "services/storage/repositories/chores.hpp"

#include <algorithm>

namespace tern::storage {

result<slot_ranges> slots_on_the_move(sql::connection& database) {
  slot_ranges out;
  const bool pg = database.dialect() == sql::dialect::pg;
  if (pg) {
    if (auto locked = database.query("lock table slot_owner in share mode"); !locked) return locked.error();
  }
  auto rows = database.query("select first, last from slot_owner where not (state = 3 and phase = 4)");
  if (!rows) return rows.error();
  for (const auto& row : *rows) out.emplace_back(sql::as_int(row[0]), sql::as_int(row[1]));
  return out;
}

bool in_ranges(const slot_ranges& ranges, int64_t slot) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [&](const auto& range) { return range.first <= slot && slot <= range.second; });
}

}  // namespace tern::storage
