#include "services/session/presence/roster_book.hpp"

#include <tern/session/v1/session.pb.h>

#include <algorithm>
#include <utility>

namespace tern::session {

bool roster_book::is_open(const row& one) noexcept {
  constexpr uint32_t friends = v1::RELATION_FRIEND;
  constexpr uint32_t blocks = v1::RELATION_BLOCKS;
  return (one.mine & friends) != 0 && (one.theirs & friends) != 0 && ((one.mine | one.theirs) & blocks) == 0;
}

std::vector<roster_book::row>::iterator roster_book::place_of(account_id other) {
  return std::lower_bound(rows_.begin(), rows_.end(), other,
                          [](const row& one, account_id wanted) { return one.other < wanted; });
}

void roster_book::load(std::vector<row> rows) {
  const auto noted = std::exchange(rows_, std::move(rows));
  std::sort(rows_.begin(), rows_.end(), [](const row& a, const row& b) { return a.other < b.other; });
  loaded_ = true;
  for (const row& one : noted) note(one);
}

void roster_book::note(const row& change) {
  const auto at = place_of(change.other);
  if (at == rows_.end() || at->other != change.other) {
    rows_.insert(at, change);
  } else if (change.version > at->version) {
    *at = change;
  }
}

const roster_book::row* roster_book::find(account_id other) const {
  const auto at = std::lower_bound(rows_.begin(), rows_.end(), other,
                                   [](const row& one, account_id wanted) { return one.other < wanted; });
  return at != rows_.end() && at->other == other ? &*at : nullptr;
}

bool roster_book::reaches(account_id other) const {
  const row* known = find(other);
  return known != nullptr && is_open(*known);
}

errc roster_book::may_write(account_id other, bool open) const {
  const row* known = find(other);
  if (known == nullptr) return open ? errc::ok : errc::permission_denied;
  if ((known->theirs & v1::RELATION_BLOCKS) != 0) return errc::blocked;
  if ((known->mine & v1::RELATION_BLOCKS) != 0) return errc::permission_denied;
  return open || is_open(*known) ? errc::ok : errc::permission_denied;
}

bool roster_book::blocks(account_id other) const {
  const row* known = find(other);
  return known != nullptr && (known->mine & v1::RELATION_BLOCKS) != 0;
}

std::vector<account_id> roster_book::friends() const {
  std::vector<account_id> out;
  for (const row& one : rows_) {
    if (is_open(one)) out.push_back(one.other);
  }
  return out;
}

}  // namespace tern::session
