// Virtual rooms of a benchmark: made, subscribed to, rights granted; each step waits for its answers.
#pragma once

#include "tools/bench/population.hpp"

namespace tern::bench {

enum class live_command : int32_t { create = 1, remove = 2, grant = 3, revoke = 4, subscribe = 5, unsubscribe = 6 };

/// One VROOM command of a member. `node`: the room; `node2`: whose right is meant; `binary`: the form of a
/// subscription.
struct live_request {
  member* by = nullptr;
  live_command what = live_command::create;
  std::string node{};
  std::string node2{};
  bool binary = false;
};

/// Sends them all, `at_once` at a time, and waits for the answers; the value is `n` of each. The first refusal or no
/// answer for 30 s is an error. Members' on_answer is taken during the call; one request per member at a time.
result<std::vector<std::string>> command_rooms(client::loop& loop, const std::vector<live_request>& requests,
                                               size_t at_once);

}  // namespace tern::bench
