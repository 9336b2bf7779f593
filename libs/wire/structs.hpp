// The TIM client structs as views: every string is a view into the decoded bytes or the arena given to the decoder.
// Field names, ids and types are those of protos/tim/tim.thrift; absent optional fields are std::nullopt.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace tern::wire {

using text = std::string_view;
template <class T>
using opt = std::optional<T>;
/// Insertion order is kept; keys may not repeat.
using string_map = std::vector<std::pair<text, text>>;

struct tim_error {
  opt<int32_t> code;
  opt<text> info;
  bool operator==(const tim_error&) const = default;
};

struct tim_ack {
  bool ok = false;
  int8_t tim_type = 0;
  opt<tim_error> error;
  opt<int64_t> t;
  opt<text> n;
  opt<int64_t> t2;
  opt<text> n2;
  bool operator==(const tim_ack&) const = default;
};

struct tim_req {
  opt<int32_t> rtype;
  opt<text> node;
  opt<text> node2;
  opt<int64_t> req_int;
  opt<int64_t> req_int2;
  opt<text> req_str;
  opt<text> req_str2;
  bool operator==(const tim_req&) const = default;
};

struct tid {
  text node;
  opt<text> domain;
  opt<text> resource;
  opt<int8_t> termtyp;
  opt<string_map> extend;
  bool operator==(const tid&) const = default;
};

struct tim_auth {
  opt<text> name;
  opt<text> pwd;
  opt<text> domain;
  opt<text> resource;
  opt<int8_t> termtyp;
  opt<text> token;
  opt<string_map> extend;
  bool operator==(const tim_auth&) const = default;
};

struct tim_message {
  int8_t ms_type = 0;
  int8_t od_type = 0;
  opt<int64_t> id;
  opt<int64_t> mid;
  opt<int32_t> bn_type;
  opt<tid> from_tid;
  opt<tid> to_tid;
  opt<tid> room_tid;
  opt<text> data_binary;
  opt<text> data_string;
  opt<bool> is_offline;
  opt<int64_t> timestamp;  // ns since 1970
  opt<int16_t> udtype;
  opt<int16_t> udshow;
  opt<string_map> extend;
  opt<string_map> extra;  // values are binary
  opt<std::vector<text>> to_list;
  bool operator==(const tim_message&) const = default;
};

struct tim_message_list {
  opt<int64_t> id;
  opt<std::vector<tim_message>> message_list;
  bool operator==(const tim_message_list&) const = default;
};

struct tim_presence {
  opt<int64_t> id;
  opt<bool> offline;
  opt<int8_t> sub_status;
  opt<tid> from_tid;
  opt<tid> to_tid;
  opt<std::vector<text>> to_list;
  opt<int16_t> show;
  opt<text> status;
  opt<string_map> extend;
  opt<string_map> extra;  // values are binary
  bool operator==(const tim_presence&) const = default;
};

struct tim_stream {
  int64_t id = 0;  // required on the wire towards clients; clients may leave it and from_node out
  text vnode;
  opt<int8_t> dtype;
  opt<text> body;
  text from_node;
  bool operator==(const tim_stream&) const = default;
};

struct tim_user_bean {
  opt<text> name;
  opt<text> nick_name;
  opt<text> brithday;  // sic: the protocol's spelling
  opt<int8_t> gender;
  opt<text> cover;
  opt<text> area;
  opt<int64_t> createtime;
  opt<std::vector<text>> photo_tid_album;
  opt<string_map> extend;
  opt<string_map> extra;  // values are binary
  bool operator==(const tim_user_bean&) const = default;
};

struct tim_room_bean {
  opt<text> founder;
  opt<std::vector<text>> managers;
  opt<text> cover;
  opt<text> topic;
  opt<text> label;
  opt<int8_t> gtype;
  opt<int64_t> kind;
  opt<int64_t> createtime;
  opt<string_map> extend;
  opt<string_map> extra;  // values are binary
  bool operator==(const tim_room_bean&) const = default;
};

struct tim_nodes {
  int32_t ntype = 0;
  opt<std::vector<text>> nodelist;
  opt<std::vector<std::pair<text, tim_user_bean>>> usermap;
  opt<std::vector<std::pair<text, tim_room_bean>>> roommap;
  opt<text> node;
  bool operator==(const tim_nodes&) const = default;
};

}  // namespace tern::wire
