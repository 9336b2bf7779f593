// The one description of every client struct: field id, JSON name, member. Both codecs are built from it, so a field
// is added here, in structs.hpp and in protos/tim/tim.thrift, and nowhere else.
#pragma once

#include <concepts>
#include <cstddef>
#include <string_view>
#include <tuple>
#include <type_traits>

#include "libs/wire/structs.hpp"

namespace tern::wire {

/// What a text means: UTF-8 or bytes (base64 in JSON), and which limit it has. Of a map it describes the values.
enum class content : uint8_t { utf8, bytes, utf8_body, bytes_body };
constexpr bool is_bytes(content c) noexcept { return c == content::bytes || c == content::bytes_body; }
constexpr bool is_body(content c) noexcept { return c == content::utf8_body || c == content::bytes_body; }

/// One field. A member that is no std::optional is required, unless `MayLack` (then decoders accept its absence).
template <int16_t Id, auto Member, content Content = content::utf8, bool MayLack = false>
struct field {
  std::string_view name;
  static constexpr int16_t id = Id;
  static constexpr auto member = Member;
  static constexpr content holds = Content;
  static constexpr bool may_lack = MayLack;
};

/// std::tuple of the fields of T in the order of their ids.
template <class T>
inline constexpr std::nullptr_t fields = nullptr;

template <class T>
concept described = !std::is_same_v<std::remove_cvref_t<decltype(fields<T>)>, std::nullptr_t>;

template <>
inline constexpr auto fields<tim_error> =
    std::tuple{field<1, &tim_error::code>{"code"}, field<2, &tim_error::info>{"info"}};

template <>
inline constexpr auto fields<tim_ack> =
    std::tuple{field<1, &tim_ack::ok>{"ok"},       field<2, &tim_ack::tim_type>{"timType"},
               field<3, &tim_ack::error>{"error"}, field<4, &tim_ack::t>{"t"},
               field<5, &tim_ack::n>{"n"},         field<6, &tim_ack::t2>{"t2"},
               field<7, &tim_ack::n2>{"n2"}};

template <>
inline constexpr auto fields<tim_req> =
    std::tuple{field<1, &tim_req::rtype>{"rtype"},      field<2, &tim_req::node>{"node"},
               field<3, &tim_req::node2>{"node2"},      field<4, &tim_req::req_int>{"reqInt"},
               field<5, &tim_req::req_int2>{"reqInt2"}, field<6, &tim_req::req_str>{"reqStr"},
               field<7, &tim_req::req_str2>{"reqStr2"}};

template <>
inline constexpr auto fields<tid> =
    std::tuple{field<1, &tid::node>{"node"}, field<2, &tid::domain>{"domain"}, field<3, &tid::resource>{"resource"},
               field<4, &tid::termtyp>{"termtyp"}, field<5, &tid::extend>{"extend"}};

template <>
inline constexpr auto fields<tim_auth> =
    std::tuple{field<1, &tim_auth::name>{"name"},       field<2, &tim_auth::pwd>{"pwd"},
               field<3, &tim_auth::domain>{"domain"},   field<4, &tim_auth::resource>{"resource"},
               field<5, &tim_auth::termtyp>{"termtyp"}, field<6, &tim_auth::token>{"token"},
               field<7, &tim_auth::extend>{"extend"}};

template <>
inline constexpr auto fields<tim_message> =
    std::tuple{field<1, &tim_message::ms_type>{"msType"},
               field<2, &tim_message::od_type>{"odType"},
               field<3, &tim_message::id>{"id"},
               field<4, &tim_message::mid>{"mid"},
               field<5, &tim_message::bn_type>{"bnType"},
               field<6, &tim_message::from_tid>{"fromTid"},
               field<7, &tim_message::to_tid>{"toTid"},
               field<8, &tim_message::room_tid>{"roomTid"},
               field<9, &tim_message::data_binary, content::bytes_body>{"dataBinary"},
               field<10, &tim_message::data_string, content::utf8_body>{"dataString"},
               field<11, &tim_message::is_offline>{"isOffline"},
               field<12, &tim_message::timestamp>{"timestamp"},
               field<13, &tim_message::udtype>{"udtype"},
               field<14, &tim_message::udshow>{"udshow"},
               field<15, &tim_message::extend>{"extend"},
               field<16, &tim_message::extra, content::bytes_body>{"extra"},
               field<17, &tim_message::to_list>{"ToList"}};

template <>
inline constexpr auto fields<tim_message_list> =
    std::tuple{field<1, &tim_message_list::id>{"id"}, field<2, &tim_message_list::message_list>{"messageList"}};

template <>
inline constexpr auto fields<tim_presence> =
    std::tuple{field<1, &tim_presence::id>{"id"},
               field<2, &tim_presence::offline>{"offline"},
               field<3, &tim_presence::sub_status>{"subStatus"},
               field<4, &tim_presence::from_tid>{"fromTid"},
               field<5, &tim_presence::to_tid>{"toTid"},
               field<6, &tim_presence::to_list>{"toList"},
               field<7, &tim_presence::show>{"show"},
               field<8, &tim_presence::status>{"status"},
               field<9, &tim_presence::extend>{"extend"},
               field<10, &tim_presence::extra, content::bytes_body>{"extra"}};

template <>
inline constexpr auto fields<tim_stream> =
    std::tuple{field<1, &tim_stream::id, content::utf8, true>{"id"}, field<2, &tim_stream::vnode>{"VNode"},
               field<3, &tim_stream::dtype>{"dtype"}, field<4, &tim_stream::body, content::bytes_body>{"body"},
               field<5, &tim_stream::from_node, content::utf8, true>{"fromNode"}};

template <>
inline constexpr auto fields<tim_user_bean> =
    std::tuple{field<1, &tim_user_bean::name>{"name"},
               field<2, &tim_user_bean::nick_name>{"nickName"},
               field<3, &tim_user_bean::brithday>{"brithday"},
               field<4, &tim_user_bean::gender>{"gender"},
               field<5, &tim_user_bean::cover>{"cover"},
               field<6, &tim_user_bean::area>{"area"},
               field<7, &tim_user_bean::createtime>{"createtime"},
               field<8, &tim_user_bean::photo_tid_album>{"photoTidAlbum"},
               field<9, &tim_user_bean::extend>{"extend"},
               field<10, &tim_user_bean::extra, content::bytes_body>{"extra"}};

template <>
inline constexpr auto fields<tim_room_bean> = std::tuple{
    field<1, &tim_room_bean::founder>{"founder"}, field<2, &tim_room_bean::managers>{"managers"},
    field<3, &tim_room_bean::cover>{"cover"},     field<4, &tim_room_bean::topic>{"topic"},
    field<5, &tim_room_bean::label>{"label"},     field<6, &tim_room_bean::gtype>{"gtype"},
    field<7, &tim_room_bean::kind>{"kind"},       field<8, &tim_room_bean::createtime>{"createtime"},
    field<9, &tim_room_bean::extend>{"extend"},   field<10, &tim_room_bean::extra, content::bytes_body>{"extra"}};

template <>
inline constexpr auto fields<tim_nodes> =
    std::tuple{field<1, &tim_nodes::ntype>{"ntype"}, field<2, &tim_nodes::nodelist>{"nodelist"},
               field<3, &tim_nodes::usermap>{"usermap"}, field<4, &tim_nodes::roommap>{"roommap"},
               field<5, &tim_nodes::node>{"node"}};

// ---- traits of members ----

template <class M>
struct unwrap {
  using type = M;
  static constexpr bool optional = false;
};
template <class M>
struct unwrap<std::optional<M>> {
  using type = M;
  static constexpr bool optional = true;
};

/// The member's value in `object` to decode into; an optional gets a fresh value.
template <class Field, class T>
auto& fresh_member(T& object) {
  auto& member = object.*Field::member;
  if constexpr (unwrap<std::remove_cvref_t<decltype(member)>>::optional) {
    return member.emplace();
  } else {
    return member;
  }
}

template <class Field, class T>
constexpr bool member_is_required() {
  return !unwrap<std::remove_cvref_t<decltype(std::declval<T&>().*Field::member)>>::optional && !Field::may_lack;
}

/// Bit `id - 1` for every field that must be there.
template <class T>
constexpr uint32_t required_mask() {
  return std::apply(
      []<class... F>(const F&...) {
        return (0U | ... | (member_is_required<F, T>() ? 1U << static_cast<unsigned>(F::id - 1) : 0U));
      },
      fields<T>);
}

template <class M>
struct is_list : std::false_type {};
template <class E>
struct is_list<std::vector<E>> : std::true_type {};
template <class M>
struct is_map : std::false_type {};
template <class V>
struct is_map<std::vector<std::pair<text, V>>> : std::true_type {};

template <class M>
concept map_member = is_map<M>::value;
template <class M>
concept list_member = is_list<M>::value && !is_map<M>::value;

}  // namespace tern::wire
