// Hand-written sample structs of the tests: `full` has every field set to a value of its own, `minimal` only what is
// required. Maps are in key order, as libthrift writes them.
#pragma once

#include <limits>

#include "libs/wire/structs.hpp"

namespace tern::wire::samples {

using namespace std::string_view_literals;

template <class T>
T full();
template <class T>
T minimal() {
  return T{};
}

inline constexpr text raw_bytes = "\x00\x01\xfe\xff\x80|"sv;
inline constexpr text hard_text = "tab\t quote\" back\\ nul\0 line\n \x01 \x7f \u20ac \U0001F600"sv;

inline string_map texts() { return {{"alpha", "first"}, {"beta", ""}, {"gr\u00fc\u00df", "\u4f60\u597d"}}; }
inline string_map binaries() { return {{"empty", ""}, {"raw", raw_bytes}}; }

template <>
inline tim_error full() {
  return {.code = 4101, .info = "has exist"};
}
template <>
inline tim_ack full() {
  return {.ok = true,
          .tim_type = 16,
          .error = tim_error{.code = -1, .info = "why"},
          .t = std::numeric_limits<int64_t>::min(),
          .n = "node",
          .t2 = std::numeric_limits<int64_t>::max(),
          .n2 = "node two"};
}
template <>
inline tim_req full() {
  return {.rtype = 21,
          .node = "node",
          .node2 = "node2",
          .req_int = 9'007'199'254'740'991,
          .req_int2 = -64,
          .req_str = "old",
          .req_str2 = "new"};
}
template <>
inline tid full() {
  return {
      .node = "4Tq9sXb2Kd7", .domain = "example", .resource = "phone", .termtyp = int8_t{-128}, .extend = texts()};
}
template <>
inline tim_auth full() {
  return {.name = "alice",
          .pwd = "secret",
          .domain = "example",
          .resource = "web",
          .termtyp = int8_t{127},
          .token = "token",
          .extend = texts()};
}
template <>
inline tim_message full() {
  tid room;
  room.node = "room";
  return {.ms_type = 3,
          .od_type = 100,
          .id = 1,
          .mid = 9'007'199'254'740'991,
          .bn_type = 4,
          .from_tid = full<tid>(),
          .to_tid = minimal<tid>(),
          .room_tid = room,
          .data_binary = raw_bytes,
          .data_string = hard_text,
          .is_offline = true,
          .timestamp = 1'760'000'000'123'456'789,
          .udtype = std::numeric_limits<int16_t>::min(),
          .udshow = std::numeric_limits<int16_t>::max(),
          .extend = texts(),
          .extra = binaries(),
          .to_list = std::vector<text>{"one", "", "three"}};
}
template <>
inline tim_message_list full() {
  return {.id = 7, .message_list = std::vector<tim_message>{full<tim_message>(), minimal<tim_message>()}};
}
template <>
inline tim_presence full() {
  return {.id = 3,
          .offline = false,
          .sub_status = int8_t{2},
          .from_tid = full<tid>(),
          .to_tid = minimal<tid>(),
          .to_list = std::vector<text>{"a", "b"},
          .show = int16_t{5},
          .status = "away",
          .extend = texts(),
          .extra = binaries()};
}
template <>
inline tim_stream full() {
  return {.id = 11, .vnode = "vroom", .dtype = int8_t{1}, .body = raw_bytes, .from_node = "sender"};
}
template <>
inline tim_user_bean full() {
  return {.name = "Alice",
          .nick_name = "al",
          .brithday = "2000-02-29",
          .gender = int8_t{1},
          .cover = "cover",
          .area = "area",
          .createtime = 1'700'000'000,
          .photo_tid_album = std::vector<text>{"p1", "p2"},
          .extend = texts(),
          .extra = binaries()};
}
template <>
inline tim_room_bean full() {
  return {.founder = "founder",
          .managers = std::vector<text>{"m1", "m2"},
          .cover = "cover",
          .topic = "topic",
          .label = "label",
          .gtype = int8_t{2},
          .kind = 12,
          .createtime = 1'700'000'001,
          .extend = texts(),
          .extra = binaries()};
}
template <>
inline tim_nodes full() {
  tim_nodes nodes{.ntype = 4, .nodelist = std::vector<text>(20, "n"), .usermap = {}, .roommap = {}, .node = "node"};
  nodes.usermap.emplace().emplace_back("u1", full<tim_user_bean>());
  nodes.usermap->emplace_back("u2", minimal<tim_user_bean>());
  nodes.roommap.emplace().emplace_back("r1", full<tim_room_bean>());
  return nodes;
}

/// The name of a struct in golden files.
template <class T>
inline constexpr const char* name_of = "";
template <>
inline constexpr const char* name_of<tim_error> = "tim_error";
template <>
inline constexpr const char* name_of<tim_ack> = "tim_ack";
template <>
inline constexpr const char* name_of<tim_req> = "tim_req";
template <>
inline constexpr const char* name_of<tid> = "tid";
template <>
inline constexpr const char* name_of<tim_auth> = "tim_auth";
template <>
inline constexpr const char* name_of<tim_message> = "tim_message";
template <>
inline constexpr const char* name_of<tim_message_list> = "tim_message_list";
template <>
inline constexpr const char* name_of<tim_presence> = "tim_presence";
template <>
inline constexpr const char* name_of<tim_stream> = "tim_stream";
template <>
inline constexpr const char* name_of<tim_user_bean> = "tim_user_bean";
template <>
inline constexpr const char* name_of<tim_room_bean> = "tim_room_bean";
template <>
inline constexpr const char* name_of<tim_nodes> = "tim_nodes";

}  // namespace tern::wire::samples
