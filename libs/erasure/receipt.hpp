// What the erasure of an account has destroyed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "libs/base/ids.hpp"
#include "libs/base/result.hpp"

namespace tern::erasing {

/// As the shards have it recorded. The same for ever, once the state is erased.
struct receipt {
  struct part {
    std::string shard, kind;
    uint64_t count = 0;
  };
  account_id account;
  std::string state;  // none, erasing, erased
  int64_t begun_ns = 0, ended_ns = 0;
  std::vector<part> parts;  // by shard and kind

  /// SHA-256 of all of it, in hexadecimal.
  std::string digest() const;
  /// For people; lines.
  std::string text() const;
};

/// A node as clients see it, or the id as hexadecimal digits (0x…). errc::bad_parameter.
result<account_id> parse_account(const std::string& text);

}  // namespace tern::erasing
