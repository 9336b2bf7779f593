// Notices from the system itself to one account.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "libs/base/clock.hpp"
#include "libs/base/ids.hpp"
#include "services/session/links/storage.hpp"

namespace tern::session {

/// A text for all terminals of an account, now or when it is on line again.
struct system_notice {
  account_id to;
  std::string domain;  // of the account
  std::string key;     // the same key for the same account is one notice, however often it is asked for
  std::string text;
};

/// Below 2^53 and never 0.
uint64_t notice_id_of(account_id to, std::string_view key);

/// Stores the notice at the account's shard, whence it is delivered like any (msType 1, odType 4, no sender) until a
/// terminal acknowledges it. `then` gets errc::ok when it is stored, and errc::bad_parameter for a text of no or more
/// than 4096 bytes. Thread-safe; `then` runs on any thread, possibly before the call returns.
void notify_account(storage_port& storage, const clock& time, const system_notice& what,
                    std::function<void(errc)> then);

}  // namespace tern::session
