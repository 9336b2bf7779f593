// Profiles of accounts and rooms: TimUserBean and TimRoomBean, Thrift compact, as the tables keep them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libs/base/result.hpp"
#include "services/storage/repositories/store.hpp"

namespace tern::storage {

/// A stored bean is at most this long.
inline constexpr size_t bean_bytes_most = 16U << 10U;
/// Managers of a room beside its founder.
inline constexpr size_t managers_most = 100;

/// The fields of `given` in place of those of `stored` (which may be empty). createtime is the server's and left out.
/// Errors: bad_parameter (not decodable, or the result is too long).
result<std::string> merge_user_bean(std::string_view stored, std::string_view given);
/// The same; founder, managers, gtype and createtime are no fields of the stored bean.
result<std::string> merge_room_bean(std::string_view stored, std::string_view given);
/// Of a new room.
std::string room_bean_of(std::string_view topic);

/// The `managers` of a given TimRoomBean, without doubles; nothing if the field is absent. bad_parameter: a node that
/// is no account's, or too many.
result<std::optional<std::vector<account_id>>> given_managers(std::string_view given);

/// As clients get them: with founder, managers, gtype and createtime (nanoseconds).
std::string whole_room_bean(const room_row& room);
std::string whole_user_bean(const profile_row& profile);

}  // namespace tern::storage
