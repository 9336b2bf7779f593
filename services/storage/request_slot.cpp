#include "services/storage/request_slot.hpp"

#include "libs/crypto/hash.hpp"
#include "libs/crypto/identity.hpp"
#include "libs/crypto/token.hpp"

namespace tern::storage {
namespace {

std::optional<slot_type> named(const std::string& name_key) {
  if (name_key.size() != crypto::sha256_size) return std::nullopt;
  return slot_of(crypto::account_of(name_key));
}

}  // namespace

std::optional<slot_type> slot_asked(const v1::StorageRequest& request) {
  switch (request.op_case()) {
    case v1::StorageRequest::kAppend: return slot_of(request.append().conversation().hi());
    case v1::StorageRequest::kRelate: return slot_of(request.relate().conversation().hi());
    case v1::StorageRequest::kRecall: return slot_of(request.recall().conversation().hi());
    case v1::StorageRequest::kRead: return slot_of(request.read().conversation().hi());
    case v1::StorageRequest::kRosterPut: return slot_of(request.roster_put().account());
    case v1::StorageRequest::kCursorPut: return slot_of(request.cursor_put().account());
    case v1::StorageRequest::kNoticeDrop: return slot_of(request.notice_drop().account());
    case v1::StorageRequest::kNoticePut: return slot_of(request.notice_put().account());
    case v1::StorageRequest::kAccountRoomPut: return slot_of(request.account_room_put().account());
    case v1::StorageRequest::kProfilePut: return slot_of(request.profile_put().account());
    case v1::StorageRequest::kPasswordChange: return slot_of(request.password_change().account());
    case v1::StorageRequest::kAccountGet: return slot_of(request.account_get().account());
    case v1::StorageRequest::kRosterList: return slot_of(request.roster_list().account());
    case v1::StorageRequest::kBacklog: return slot_of(request.backlog().account());
    case v1::StorageRequest::kAccountRooms: return slot_of(request.account_rooms().account());
    case v1::StorageRequest::kRoomCreate: return slot_of(request.room_create().room());
    case v1::StorageRequest::kRoomAppend: return slot_of(request.room_append().room());
    case v1::StorageRequest::kRoomChange: return slot_of(request.room_change().room());
    case v1::StorageRequest::kRoomGet: return slot_of(request.room_get().room());
    case v1::StorageRequest::kRoomMembers: return slot_of(request.room_members().room());
    case v1::StorageRequest::kRoomPermit: return slot_of(request.room_permit().room());
    case v1::StorageRequest::kProfileGet: {
      if (request.profile_get().accounts().empty()) return std::nullopt;
      return slot_of(request.profile_get().accounts(0));
    }
    case v1::StorageRequest::kAccountCreate: return named(request.account_create().name_key());
    case v1::StorageRequest::kTokenIssue: return named(request.token_issue().name_key());
    case v1::StorageRequest::kPasswordLogin: return named(request.password_login().name_key());
    case v1::StorageRequest::kTokenLogin: {
      const auto token = crypto::parse_token(request.token_login().token());
      return token ? std::optional(slot_of(token->account)) : std::nullopt;
    }
    case v1::StorageRequest::OP_NOT_SET: break;
  }
  return std::nullopt;
}

}  // namespace tern::storage
