// What a session actor keeps for presence; made when first needed, gone when the account is off line.
#pragma once

#include <functional>
#include <vector>

#include "libs/base/clock.hpp"
#include "libs/base/errc.hpp"
#include "services/session/presence/roster_book.hpp"

namespace tern::session {

class session_state;

struct presence_state {
  roster_book book;
  std::vector<std::function<void(session_state&, errc)>> waiting;  // for the roster that was asked for
  clock::time_point notice_at{};                                   // when friends hear that nobody is left; 0: never
};

}  // namespace tern::session
