// BUSINESS (41): contacts, rooms and the password, by rtype. Flows: docs/flows/business.md, business-rooms.md. Here
// the dispatch; each group of rtypes has its file.
#pragma once

#include <string>

#include "services/session/actors/session_state.hpp"

namespace tern::session {

/// TimReq.rtype of BUSINESS; the same numbers are the bnType of its notices.
enum business_type : int32_t {
  list_roster = 1,
  list_rooms = 2,
  list_members = 3,
  add_friend = 4,
  remove_friend = 6,
  block_user = 7,
  new_room = 8,
  join_room = 9,
  refuse_applicant = 11,
  pull_in = 12,
  kick = 13,
  block_room = 14,
  bar_member = 15,
  leave_room = 16,
  cancel_room = 17,
  list_blocked = 18,
  list_refused_rooms = 19,
  list_barred = 20,
  change_password = 21,
};

void run_business(session_state& state, const origin& from, std::string payload);

}  // namespace tern::session
