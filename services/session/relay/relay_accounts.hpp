// Accounts without a database: whoever names one is let in. For no-data mode (docs/flows/no-data.md).
#pragma once

#include <tern/session/v1/session.pb.h>
#include <tern/storage/v1/storage.pb.h>

#include <chrono>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include "libs/base/clock.hpp"
#include "libs/base/ids.hpp"
#include "libs/base/result.hpp"

namespace tern::session {

/// Thread-safe. Tokens live in this node's memory: a new owner of the account's slot knows none of them.
class relay_accounts {
 public:
  /// At most `most` tokens are kept; the oldest goes first.
  relay_accounts(const clock& time, std::chrono::milliseconds token_life, size_t most = 65536)
      : time_(time), life_(token_life), most_(most) {}

  /// Any name and password; a token once and within its life, and only beside the name it was given for (or none).
  /// errc::bad_token.
  result<storage::v1::LoggedIn> log_in(const v1::Login& login);
  /// The node of a REGISTER, the text of a TOKEN.
  std::string call(const v1::AccountCall& call);
  size_t tokens() const;

 private:
  struct token {
    std::string domain;
    clock::time_point until;
  };
  void drop_old(clock::time_point now);

  const clock& time_;
  const std::chrono::milliseconds life_;
  const size_t most_;
  mutable std::mutex mutex_;
  std::unordered_map<std::string, token> tokens_;  // by text
  std::deque<std::pair<clock::time_point, std::string>> order_;
};

}  // namespace tern::session
