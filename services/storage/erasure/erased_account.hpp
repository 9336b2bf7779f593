// What is left of an account's row once it is being erased.
#pragma once

#include <string>

#include "libs/base/big_endian.hpp"
#include "services/storage/repositories/store.hpp"

namespace tern::storage {

/// Nobody's password fits. Its name stays taken, so that nobody comes back as somebody who is gone.
inline bool is_erased(const account_row& row) { return row.password_hash.empty(); }

/// The name key it is left with: the id, which is the beginning of the former one, and nothing.
inline std::string erased_name_key(account_id id) {
  std::string key;
  append_u64(key, id.value);
  key.resize(32, '\0');
  return key;
}

}  // namespace tern::storage
