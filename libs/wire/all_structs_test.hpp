// The list of all structs for typed tests.
#pragma once

#include <gtest/gtest.h>

#include "libs/wire/structs.hpp"

namespace tern::wire {

using all_structs = testing::Types<tim_error, tim_ack, tim_req, tid, tim_auth, tim_message, tim_message_list,
                                   tim_presence, tim_stream, tim_user_bean, tim_room_bean, tim_nodes>;

}  // namespace tern::wire
