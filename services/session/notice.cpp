#include "services/session/notice.hpp"

#include "libs/wire/codec.hpp"

namespace tern::session {
namespace {

constexpr int8_t system_to_user = 1;
constexpr int8_t business = 4;

/// Finalizer of SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 30U)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27U)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31U);
}

struct what_happened {
  account_id actor;
  room_id room;  // 0: none
  uint32_t bn_type = 0;
  std::string_view text;
  std::string_view domain;
  int64_t timestamp_ns = 0;
};

std::string compose(const what_happened& what, account_id to, uint64_t id) {
  const std::string actor = to_node(what.actor);
  const std::string self = to_node(to);
  const std::string place = to_node(what.room);
  const auto tid_of = [&](std::string_view node) {
    wire::tid out;
    out.node = node;
    if (!what.domain.empty()) out.domain = what.domain;
    return out;
  };
  wire::tim_message out;
  out.ms_type = system_to_user;
  out.od_type = business;
  out.id = static_cast<int64_t>(id);
  out.bn_type = static_cast<int32_t>(what.bn_type);
  out.from_tid = tid_of(actor);
  out.to_tid = tid_of(self);
  if (what.room) out.room_tid = tid_of(place);
  if (!what.text.empty()) out.data_string = what.text;
  out.timestamp = what.timestamp_ns;
  return wire::encode(wire::encoding::thrift, out);
}

}  // namespace

uint64_t notice_id_of(const conversation_id& conversation, uint64_t version) {
  const uint64_t id = mix(mix(mix(conversation.hi) + conversation.lo) + version) >> 11U;
  return id == 0 ? 1 : id;
}

std::string make_notice(account_id to, uint64_t id, const v1::RelationChange& change) {
  return compose({account_id{change.other()},
                  {},
                  change.notice_bn_type(),
                  change.text(),
                  change.domain(),
                  change.timestamp_ns()},
                 to, id);
}

std::string make_notice(account_id to, uint64_t id, const v1::RoomMembership& change) {
  return compose({account_id{change.actor()}, room_id{change.room()}, change.notice_bn_type(), change.text(),
                  change.domain(), change.timestamp_ns()},
                 to, id);
}

std::string notice_list(std::string_view notice) {
  wire::arena memory;
  wire::tim_message_list list;
  list.message_list.emplace();
  auto decoded = wire::decode<wire::tim_message>(wire::encoding::thrift, notice, memory);
  if (decoded) {
    decoded->is_offline = true;
    list.message_list->push_back(std::move(*decoded));
  }
  return wire::encode(wire::encoding::thrift, list);
}

}  // namespace tern::session
