// Business notices (odType 4) of relation changes and of rooms.
#pragma once

#include <tern/session/v1/session.pb.h>

#include <string>
#include <string_view>

#include "libs/base/ids.hpp"

namespace tern::session {

/// The same for the same change, however often its outbox entry comes; below 2^53 and never 0.
uint64_t notice_id_of(const conversation_id& conversation, uint64_t version);

/// TimMessage (Thrift compact) as the client gets it: system to user, odType 4, from the other account.
std::string make_notice(account_id to, uint64_t id, const v1::RelationChange& change);

/// The same for a room: from who did it, with the room and the text.
std::string make_notice(account_id to, uint64_t id, const v1::RoomMembership& change);

/// A stored notice as a TimMessageList of one message with isOffline set. A damaged notice gives an empty list.
std::string notice_list(std::string_view notice);

}  // namespace tern::session
