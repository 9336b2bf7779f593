// Changes without a key of their own that were sent twice: what a refusal of the second sending means.
#pragma once

#include <tern/storage/v1/storage.pb.h>

#include "libs/base/errc.hpp"

namespace tern::shards {

/// True for a code that tells a client: not done, for good (TIM's 41xx).
constexpr bool is_refusal(errc code) noexcept {
  return static_cast<int32_t>(code) >= static_cast<int32_t>(errc::exists) &&
         static_cast<int32_t>(code) <= static_cast<int32_t>(errc::repeated);
}

/// A request that changes something and has no key by which storage would know it again. If its answer was lost and
/// it is refused when it is sent again, the refusal may be of its own making (a member that has left is no member):
/// the outcome is unknown.
inline bool is_keyless_change(const storage::v1::StorageRequest& request) noexcept {
  return request.has_room_change() || request.has_relate() || request.has_account_create() ||
         request.has_token_login() || request.has_password_change();
}

/// What an answer to a request says that was under way when the way to its owner broke. What is not offered was not
/// done the first time either.
constexpr errc in_doubt(errc code) noexcept {
  return is_refusal(code) && code != errc::bad_interface ? errc::deadline : code;
}

}  // namespace tern::shards
