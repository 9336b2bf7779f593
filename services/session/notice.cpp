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

}  // namespace

uint64_t notice_id_of(const conversation_id& conversation, uint64_t version) {
  const uint64_t id = mix(mix(mix(conversation.hi) + conversation.lo) + version) >> 11U;
  return id == 0 ? 1 : id;
}

std::string make_notice(account_id to, uint64_t id, const v1::RelationChange& change) {
  const std::string other = to_node(account_id{change.other()});
  const std::string self = to_node(to);
  wire::tim_message out;
  out.ms_type = system_to_user;
  out.od_type = business;
  out.id = static_cast<int64_t>(id);
  out.bn_type = static_cast<int32_t>(change.notice_bn_type());
  wire::tid sender;
  sender.node = other;
  wire::tid recipient;
  recipient.node = self;
  if (!change.domain().empty()) sender.domain = recipient.domain = change.domain();
  out.from_tid = sender;
  out.to_tid = recipient;
  if (!change.text().empty()) out.data_string = change.text();
  out.timestamp = change.timestamp_ns();
  return wire::encode(wire::encoding::thrift, out);
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
