// fake_storage: rooms, recalls, notices and profiles.
#include <algorithm>

#include "libs/base/ids.hpp"
#include "libs/shards/testing/fake_storage.hpp"
#include "libs/wire/codec.hpp"

namespace tern::shards {

using storage::v1::RoomChange;
using storage::v1::StorageRequest;

namespace {

constexpr uint32_t founder_bits = storage::v1::ROOM_MEMBER | storage::v1::ROOM_MANAGER | storage::v1::ROOM_FOUNDER;

common::v1::Conversation talk_of(uint64_t room) {
  common::v1::Conversation id;
  id.set_hi(room);
  return id;
}

bool has(uint32_t bits, storage::v1::RoomBits what) { return (bits & static_cast<uint32_t>(what)) != 0; }

uint32_t bits_of(const std::map<uint64_t, uint32_t>& all, uint64_t account) {
  const auto at = all.find(account);
  return at == all.end() ? 0 : at->second;
}

}  // namespace

errc fake_storage::execute_room(const StorageRequest& request, storage::v1::StorageReply& reply) {
  switch (request.op_case()) {
    case StorageRequest::kRecall: return recall(request.recall(), *reply.mutable_appended());
    case StorageRequest::kRoomCreate: return room_create(request.room_create(), *reply.mutable_room_changed());
    case StorageRequest::kRoomAppend: return room_append(request.room_append(), *reply.mutable_appended());
    case StorageRequest::kRoomChange: return room_change(request.room_change(), *reply.mutable_room_changed());
    case StorageRequest::kAccountRoomPut: account_room_put(request.account_room_put()); return errc::ok;
    case StorageRequest::kNoticePut: notice_put(request.notice_put()); return errc::ok;
    case StorageRequest::kAccountRooms:
      list_rooms(request.account_rooms().account(), *reply.mutable_account_rooms());
      return errc::ok;
    case StorageRequest::kRoomGet: return room_get(request.room_get(), *reply.mutable_room());
    case StorageRequest::kRoomMembers: return room_members(request.room_members(), *reply.mutable_room_members());
    case StorageRequest::kRoomPermit: return room_permit(request.room_permit());
    case StorageRequest::kProfilePut:
      if (!accounts_.contains(request.profile_put().account())) return errc::bad_account;
      profiles[request.profile_put().account()] = request.profile_put().bean();
      return errc::ok;
    case StorageRequest::kProfileGet:
      for (const uint64_t account : request.profile_get().accounts()) {
        const auto at = accounts_.find(account);
        if (at == accounts_.end() || at->second != request.profile_get().domain()) continue;
        auto& row = *reply.mutable_profiles()->add_rows();
        row.set_account(account);
        row.set_bean(profiles[account]);
      }
      return errc::ok;
    case StorageRequest::kPasswordChange: {
      auto& password = account_passwords[request.password_change().account()];
      if (password != request.password_change().old_password()) return errc::password_change;
      password = request.password_change().new_password();
      return errc::ok;
    }
    default: return errc::internal;
  }
}

void fake_storage::add_room(room_id room, account_id founder, storage::v1::RoomKind kind, const std::string& domain) {
  room_record& record = rooms_[room.value];
  record.founder = founder.value;
  record.kind = kind;
  record.domain = domain;
  pairs_[{room.value, 0}];
  add_member(room, founder, founder_bits);
}

void fake_storage::add_member(room_id room, account_id account, uint32_t bits) {
  room_record& record = rooms_[room.value];
  record.bits[account.value] = bits;
  auto& row = account_rooms[{account.value, room.value}];
  row.set_account(account.value);
  row.set_room(room.value);
  row.set_version(record.version);
  row.set_bits(bits);
  row.set_since(head_of(room));
}

uint32_t fake_storage::bits_in(room_id room, account_id account) const {
  const auto at = rooms_.find(room.value);
  return at == rooms_.end() ? 0 : bits_of(at->second.bits, account.value);
}

uint64_t fake_storage::head_of(room_id room) const {
  const auto at = pairs_.find({room.value, 0});
  return at == pairs_.end() ? 0 : at->second.head;
}

errc fake_storage::may_use(const room_record* room, uint64_t account) const {
  if (room == nullptr) return errc::no_such_object;
  if (room->cancelled) return account == room->founder ? errc::cancelled_object : errc::permission_denied;
  return has(bits_of(room->bits, account), storage::v1::ROOM_MEMBER) ? errc::ok : errc::permission_denied;
}

const fake_storage::room_record* fake_storage::room_of(uint64_t room, const std::string& domain) const {
  const auto at = rooms_.find(room);
  return at == rooms_.end() || at->second.domain != domain ? nullptr : &at->second;
}

errc fake_storage::recall(const storage::v1::Recall& what, storage::v1::Appended& out) {
  const conversation_id id{what.conversation().hi(), what.conversation().lo()};
  const auto at = pairs_.find(id);
  if (what.mid() == 0) return errc::bad_parameter;
  if (id.lo == 0 && what.burn()) return errc::bad_parameter;
  const std::string key = "R" + std::to_string(what.mid());
  if (at != pairs_.end() && known_key(at->second, what.actor(), key, out)) return errc::ok;
  if (id.lo == 0) {
    const auto room = rooms_.find(id.hi);
    const errc allowed = may_use(room == rooms_.end() ? nullptr : &room->second, what.actor());
    if (allowed != errc::ok) return allowed == errc::no_such_object ? errc::permission_denied : allowed;
  }
  if (at == pairs_.end() || what.mid() > at->second.head) return errc::bad_parameter;
  pair_record& record = at->second;
  const auto target = record.rows[what.mid() - 1];
  if (target.target() != 0) return errc::bad_parameter;
  if ((target.sender() == what.actor()) == what.burn()) return errc::permission_denied;
  if (!record.tombstones.insert(what.mid()).second) {
    out.set_duplicate(true);
    return errc::ok;
  }
  record.rows[what.mid() - 1].clear_body();
  auto& row = store(record, what.actor(), key, what.body(), out);
  row.set_target(what.mid());
  record.unlisted.insert(row.mid());
  if (id.lo == 0) return errc::ok;
  for (const auto& [account, bits] : record.bits) {
    if (account != what.actor()) tell_message(account, what.conversation(), row, what.accepted_ns());
  }
  return errc::ok;
}

errc fake_storage::room_create(const storage::v1::RoomCreate& what, storage::v1::RoomChanged& out) {
  const auto [at, inserted] = rooms_.try_emplace(what.room());
  room_record& room = at->second;
  if (!inserted && (room.founder != what.founder() || room.create_key != what.key())) return errc::exists;
  out.set_version(room.version);
  if (!inserted) return errc::ok;
  room.founder = what.founder();
  room.kind = what.kind();
  room.domain = what.domain();
  room.topic = what.name();
  room.create_key = what.key();
  room.bits[what.founder()] = founder_bits;
  pairs_[{what.room(), 0}];
  tell_room(what.room(), what.founder(), true, 0, what.founder(), "", true);
  out.set_joined(true);
  return errc::ok;
}

errc fake_storage::room_append(const storage::v1::RoomAppend& what, storage::v1::Appended& out) {
  pair_record& record = pairs_[{what.room(), 0}];
  if (known_key(record, what.sender(), what.key(), out)) return errc::ok;
  const auto room = rooms_.find(what.room());
  const errc allowed = may_use(room == rooms_.end() ? nullptr : &room->second, what.sender());
  if (allowed != errc::ok) return allowed;
  const auto& row = store(record, what.sender(), what.key(), what.body(), out);
  if (what.unlisted()) record.unlisted.insert(row.mid());
  return errc::ok;
}

fake_storage::room_outcome fake_storage::outcome_of(const room_record& room, const RoomChange& what) {
  const uint32_t actor = bits_of(room.bits, what.actor());
  const uint32_t target = bits_of(room.bits, what.target());
  const bool manages = has(actor, storage::v1::ROOM_MANAGER);
  const bool founded = what.actor() == room.founder;
  const bool open = room.kind == storage::v1::ROOM_OPEN;
  const bool removes = manages && what.target() != room.founder && what.target() != what.actor() &&
                       (founded || !has(target, storage::v1::ROOM_MANAGER));
  const bool quiet =
      what.change() == RoomChange::BLOCK || what.change() == RoomChange::LEAVE || what.change() == RoomChange::CANCEL;
  if (room.cancelled && !quiet) return {.code = errc::cancelled_object};
  switch (what.change()) {
    case RoomChange::APPLY:
      if (has(actor, storage::v1::ROOM_MEMBER)) return {.code = errc::exists};
      if (has(actor, storage::v1::ROOM_BARRED)) return {.code = errc::blocked};
      if (open) return {.who = what.actor(), .bits = storage::v1::ROOM_MEMBER, .notice = 10};
      if (has(actor, storage::v1::ROOM_APPLIED)) return {.code = errc::repeated};
      return {.who = what.actor(), .bits = storage::v1::ROOM_APPLIED, .application = true};
    case RoomChange::PULL_IN:
      if (!has(actor, storage::v1::ROOM_MEMBER) || (!open && !manages)) return {.code = errc::permission_denied};
      if (has(target, storage::v1::ROOM_MEMBER)) return {.code = errc::exists};
      if (has(target, storage::v1::ROOM_REFUSES) || (has(target, storage::v1::ROOM_BARRED) && !manages)) {
        return {.code = errc::blocked};
      }
      return {.who = what.target(),
              .bits = storage::v1::ROOM_MEMBER,
              .notice = has(target, storage::v1::ROOM_APPLIED) ? 10U : 12U};
    case RoomChange::REFUSE:
      if (!manages) return {.code = errc::permission_denied};
      if (!has(target, storage::v1::ROOM_APPLIED)) return {.code = errc::expired};
      return {.who = what.target(), .bits = target & ~uint32_t{storage::v1::ROOM_APPLIED}, .notice = 11};
    case RoomChange::KICK:
      if (!removes) return {.code = errc::permission_denied};
      if (!has(target, storage::v1::ROOM_MEMBER)) return {.code = errc::bad_parameter};
      return {.who = what.target(), .notice = 13};
    case RoomChange::BAR:
      if (!removes) return {.code = errc::permission_denied};
      return {.who = what.target(),
              .bits = storage::v1::ROOM_BARRED | (target & uint32_t{storage::v1::ROOM_REFUSES}),
              .notice = has(target, storage::v1::ROOM_MEMBER) ? 15U : 0U};
    case RoomChange::BLOCK:
      if (founded) return {.code = errc::permission_denied};
      return {.who = what.actor(), .bits = storage::v1::ROOM_REFUSES | (actor & uint32_t{storage::v1::ROOM_BARRED})};
    case RoomChange::LEAVE:
      if (founded || !has(actor, storage::v1::ROOM_MEMBER)) return {.code = errc::permission_denied};
      return {.who = what.actor()};
    case RoomChange::CANCEL: {
      const auto members = std::count_if(room.bits.begin(), room.bits.end(),
                                         [](const auto& one) { return has(one.second, storage::v1::ROOM_MEMBER); });
      if (founded && room.cancelled) return {.code = errc::cancelled_object};
      if (!founded || members > 1) return {.code = errc::permission_denied};
      return {.who = what.actor()};
    }
    case RoomChange::PROFILE: return {.code = manages ? errc::ok : errc::permission_denied};
    default: return {.code = errc::bad_parameter};
  }
}

errc fake_storage::room_change(const RoomChange& what, storage::v1::RoomChanged& out) {
  const auto at = rooms_.find(what.room());
  if (at == rooms_.end() || at->second.domain != what.domain()) return errc::no_such_object;
  room_record& room = at->second;
  const auto outcome = outcome_of(room, what);
  out.set_version(room.version);
  if (outcome.code != errc::ok) return outcome.code;
  if (what.change() == RoomChange::PROFILE) return room_profile(what, out);
  const uint32_t before = bits_of(room.bits, outcome.who);
  if (before == outcome.bits) return errc::ok;
  out.set_version(++room.version);
  room.bits[outcome.who] = outcome.bits;
  if (outcome.bits == 0) room.bits.erase(outcome.who);
  room.cancelled = room.cancelled || what.change() == RoomChange::CANCEL;
  if (has(before & ~outcome.bits, storage::v1::ROOM_MEMBER)) out.add_gone(outcome.who);
  out.set_joined(what.change() == RoomChange::APPLY && has(outcome.bits, storage::v1::ROOM_MEMBER));
  out.set_was_applicant(what.change() == RoomChange::PULL_IN && has(before, storage::v1::ROOM_APPLIED));
  const bool enters = has(outcome.bits & ~before, storage::v1::ROOM_MEMBER);
  tell_room(what.room(), outcome.who, true, outcome.notice, what.actor(), what.text(), enters);
  if (!outcome.application) return errc::ok;
  for (const auto& [account, bits] : room.bits) {
    if (has(bits, storage::v1::ROOM_MANAGER)) tell_room(what.room(), account, false, 9, what.actor(), what.text());
  }
  return errc::ok;
}

errc fake_storage::room_profile(const RoomChange& what, storage::v1::RoomChanged& out) {
  room_record& room = rooms_.at(what.room());
  wire::arena memory;
  const auto bean = wire::decode<wire::tim_room_bean>(wire::encoding::thrift, what.bean(), memory);
  if (!bean) return errc::bad_parameter;
  std::set<uint64_t> wanted;
  if (bean->managers) {
    if (what.actor() != room.founder) return errc::permission_denied;
    for (const auto& node : *bean->managers) {
      const auto account = account_from_node(node);
      if (!account) return errc::bad_parameter;
      if (account->value != room.founder) wanted.insert(account->value);
    }
    for (const uint64_t one : wanted) {
      if (!has(bits_of(room.bits, one), storage::v1::ROOM_MEMBER)) return errc::bad_parameter;
    }
  }
  room.bean = what.bean();
  out.set_version(++room.version);
  if (!bean->managers) return errc::ok;
  for (auto& [account, bits] : room.bits) {
    if (account == room.founder || !has(bits, storage::v1::ROOM_MEMBER)) continue;
    const uint32_t now =
        storage::v1::ROOM_MEMBER | (wanted.contains(account) ? uint32_t{storage::v1::ROOM_MANAGER} : 0U);
    if (now == bits) continue;
    bits = now;
    tell_room(what.room(), account, true, 0, what.actor(), "");
  }
  return errc::ok;
}

void fake_storage::tell_room(uint64_t room, uint64_t account, bool changed, uint32_t notice, uint64_t actor,
                             const std::string& text, bool enters) {
  const room_record& record = rooms_.at(room);
  session::v1::RoomMembership& news = *entry_for(account, talk_of(room)).mutable_room();
  news.set_room(room);
  news.set_version(record.version);
  news.set_changed(changed);
  news.set_bits(bits_of(record.bits, account));
  if (enters) news.set_since(head_of({room}));
  news.set_notice_bn_type(notice);
  news.set_actor(actor);
  news.set_text(text);
  news.set_domain(record.domain);
  news.set_timestamp_ns(++time_ns);
}

void fake_storage::account_room_put(const storage::v1::AccountRoomPut& what) {
  if (what.notice_id() != 0) notices.emplace(std::pair{what.account(), what.notice_id()}, what.notice());
  auto& row = account_rooms[{what.account(), what.room()}];
  if (row.version() >= what.version()) return;
  const uint64_t since = std::max(row.since(), what.since());
  row = what;
  row.set_since(since);
}

void fake_storage::notice_put(const storage::v1::NoticePut& what) {
  if (!notices.emplace(std::pair{what.account(), what.id()}, what.body()).second) return;
  session::v1::StoredNotice& notice = *entry_for(what.account(), talk_of(what.account())).mutable_notice();
  notice.set_id(what.id());
  notice.set_body(what.body());
}

void fake_storage::list_rooms(uint64_t account, storage::v1::AccountRoomList& out) const {
  for (const auto& [key, row] : account_rooms) {
    if (key.first != account) continue;
    if (!has(row.bits(), storage::v1::ROOM_MEMBER) && !has(row.bits(), storage::v1::ROOM_REFUSES)) continue;
    const auto position = room_positions.find(key);
    storage::v1::AccountRoom& one = *out.add_rows();
    one.set_room(row.room());
    one.set_bits(row.bits());
    one.set_version(row.version());
    one.set_delivered(std::max(row.since(), position == room_positions.end() ? 0 : position->second));
  }
}

errc fake_storage::room_get(const storage::v1::RoomGet& what, storage::v1::Room& out) const {
  const auto at = rooms_.find(what.room());
  if (at == rooms_.end() || (!what.any_domain() && at->second.domain != what.domain())) return errc::no_such_object;
  const room_record& room = at->second;
  out.set_room(what.room());
  out.set_founder(room.founder);
  out.set_kind(room.kind);
  out.set_cancelled(room.cancelled);
  out.set_head(head_of({what.room()}));
  out.set_version(room.version);
  out.set_bean(room.bean);
  return errc::ok;
}

errc fake_storage::room_members(const storage::v1::RoomMembers& what, storage::v1::RoomMemberList& out) const {
  const room_record* room = room_of(what.room(), what.domain());
  if (room == nullptr) return errc::no_such_object;
  const auto needed = what.barred() ? storage::v1::ROOM_MANAGER : storage::v1::ROOM_MEMBER;
  if (!has(bits_of(room->bits, what.reader()), needed)) return errc::permission_denied;
  for (const auto& [account, bits] : room->bits) {
    if (!has(bits, what.barred() ? storage::v1::ROOM_BARRED : storage::v1::ROOM_MEMBER)) continue;
    if (what.limit() != 0 && static_cast<uint32_t>(out.accounts_size()) == what.limit()) {
      out.set_more(true);
      break;
    }
    out.add_accounts(account);
    out.add_bits(bits);
  }
  return errc::ok;
}

errc fake_storage::room_permit(const storage::v1::RoomPermit& what) const {
  const room_record* room = room_of(what.room(), what.domain());
  const errc first = may_use(room, what.one());
  return first != errc::ok ? first : may_use(room, what.other());
}

}  // namespace tern::shards
