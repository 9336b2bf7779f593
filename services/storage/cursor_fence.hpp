// Who may write an account's cursors.
#pragma once

#include <tern/storage/v1/storage.pb.h>

#include "libs/base/ids.hpp"
#include "libs/placement/view.hpp"
#include "libs/rpc/network.hpp"

namespace tern::storage {

/// What a conversation's cursor says is the account's owner's to decide: a former one that has not heard of the next
/// (it was stopped, or cut off) must not take back what that has noted. Refused as unavailable, so that an owner we
/// have not heard of yet tries again. No owner in the map: nobody else can have noted anything.
inline bool may_put_cursor(const placement::snapshot& map, const rpc::peer& from, const v1::CursorPut& what) {
  const placement::range* range = map.sessions.find(slot_of(account_id{what.account()}));
  return range == nullptr || range->owner == from.node;
}

}  // namespace tern::storage
