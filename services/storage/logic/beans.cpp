#include "services/storage/logic/beans.hpp"

#include <algorithm>

#include "libs/base/ids.hpp"
#include "libs/wire/codec.hpp"

namespace tern::storage {
namespace {

/// The decoded struct with the memory its views point to.
template <class Bean>
struct opened {
  wire::arena memory;
  Bean bean;
};

template <class Bean>
result<void> open(std::string_view bytes, opened<Bean>& to) {
  if (bytes.empty()) return {};  // no bean yet
  if (bytes.size() > bean_bytes_most) return errc::bad_parameter;
  if (!wire::decode_into(wire::encoding::thrift, bytes, to.memory, to.bean)) return errc::bad_parameter;
  return {};
}

template <class Field>
void put(Field& into, const Field& given) {
  if (given) into = given;
}

template <class Bean>
result<std::string> closed(const Bean& bean) {
  auto bytes = wire::encode(wire::encoding::thrift, bean);
  if (bytes.size() > bean_bytes_most) return errc::bad_parameter;
  return bytes;
}

}  // namespace

result<std::string> merge_user_bean(std::string_view stored, std::string_view given) {
  opened<wire::tim_user_bean> old;
  opened<wire::tim_user_bean> fresh;
  if (auto read = open(stored, old); !read) return read.error();
  if (auto read = open(given, fresh); !read) return read.error();
  auto& to = old.bean;
  const auto& from = fresh.bean;
  put(to.name, from.name);
  put(to.nick_name, from.nick_name);
  put(to.brithday, from.brithday);
  put(to.gender, from.gender);
  put(to.cover, from.cover);
  put(to.area, from.area);
  put(to.photo_tid_album, from.photo_tid_album);
  put(to.extend, from.extend);
  put(to.extra, from.extra);
  to.createtime.reset();
  return closed(to);
}

result<std::string> merge_room_bean(std::string_view stored, std::string_view given) {
  opened<wire::tim_room_bean> old;
  opened<wire::tim_room_bean> fresh;
  if (auto read = open(stored, old); !read) return read.error();
  if (auto read = open(given, fresh); !read) return read.error();
  auto& to = old.bean;
  const auto& from = fresh.bean;
  put(to.cover, from.cover);
  put(to.topic, from.topic);
  put(to.label, from.label);
  put(to.kind, from.kind);
  put(to.extend, from.extend);
  put(to.extra, from.extra);
  to.founder.reset();
  to.managers.reset();
  to.gtype.reset();
  to.createtime.reset();
  return closed(to);
}

std::string room_bean_of(std::string_view topic) {
  wire::tim_room_bean bean;
  bean.topic = topic;
  return wire::encode(wire::encoding::thrift, bean);
}

result<std::optional<std::vector<account_id>>> given_managers(std::string_view given) {
  opened<wire::tim_room_bean> fresh;
  if (auto read = open(given, fresh); !read) return read.error();
  if (!fresh.bean.managers) return std::optional<std::vector<account_id>>{};
  std::vector<account_id> out;
  for (const auto& node : *fresh.bean.managers) {
    const auto account = account_from_node(node);
    if (!account) return errc::bad_parameter;
    if (std::find(out.begin(), out.end(), *account) == out.end()) out.push_back(*account);
  }
  if (out.size() > managers_most) return errc::bad_parameter;
  return std::optional{std::move(out)};
}

std::string whole_room_bean(const room_row& room) {
  opened<wire::tim_room_bean> stored;
  // A bean that cannot be read any more must not hide the room.
  if (!open(room.bean, stored)) stored.bean = {};
  std::vector<std::string> nodes{to_node(room.founder)};
  for (const auto manager : room.managers) nodes.push_back(to_node(manager));
  stored.bean.founder = nodes.front();
  stored.bean.managers.emplace(nodes.begin() + 1, nodes.end());
  stored.bean.gtype = static_cast<int8_t>(room.kind);
  stored.bean.createtime = room.created_ns;
  return wire::encode(wire::encoding::thrift, stored.bean);
}

std::string whole_user_bean(const profile_row& profile) {
  opened<wire::tim_user_bean> stored;
  if (!open(profile.bean, stored)) stored.bean = {};
  stored.bean.createtime = profile.created_ns;
  return wire::encode(wire::encoding::thrift, stored.bean);
}

}  // namespace tern::storage
