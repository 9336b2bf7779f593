#include "services/storage/logic/reads.hpp"

#include <algorithm>
#include <utility>

#include "services/storage/convert.hpp"
#include "services/storage/erasure/erased_account.hpp"
#include "services/storage/logic/beans.hpp"
#include "services/storage/logic/room_rules.hpp"

namespace tern::storage {
namespace {

constexpr uint32_t rows_most = 1000;
constexpr uint32_t bytes_most = 2U << 20U;

result<v1::StorageReply> get_account(reader_store& store, const v1::StorageRequest& request) {
  const account_id id{request.account_get().account()};
  auto found = store.account(id);
  if (!found) return found.error();
  if (!*found || is_erased(**found)) return reply_to(request, errc::not_found);
  auto reply = reply_to(request);
  reply.mutable_account()->set_account(id.value);
  reply.mutable_account()->set_domain((*found)->domain);
  return reply;
}

result<v1::StorageReply> list_roster(reader_store& store, const v1::StorageRequest& request) {
  auto rows = store.roster(account_id{request.roster_list().account()});
  if (!rows) return rows.error();
  auto reply = reply_to(request);
  auto& out = *reply.mutable_roster();
  for (const auto& row : *rows) {
    auto& one = *out.add_rows();
    one.set_other(row.other.value);
    one.set_version(row.version);
    one.set_mine(row.mine);
    one.set_theirs(row.theirs);
  }
  return reply;
}

result<v1::StorageReply> list_backlog(reader_store& store, const v1::StorageRequest& request) {
  const auto& ask = request.backlog();
  const uint32_t limit = ask.limit() == 0 ? rows_most : std::min(ask.limit(), rows_most);
  auto found = store.waiting(account_id{ask.account()}, limit);
  if (!found) return found.error();
  auto reply = reply_to(request);
  auto& out = *reply.mutable_backlog();
  out.set_more(found->more);
  for (const auto& row : found->dirty) {
    auto& one = *out.add_rows();
    to_proto(row.conversation, *one.mutable_conversation());
    one.set_delivered(row.delivered);
    one.set_other(row.other.value);
  }
  for (auto& row : found->notices) {
    auto& one = *out.add_notices();
    one.set_id(row.id);
    one.set_body(std::move(row.body));
  }
  return reply;
}

/// What the account is in the room.
result<uint32_t> bits_in(reader_store& store, room_id room, account_id account) {
  auto row = store.member(room, account);
  if (!row) return row.error();
  return *row ? (*row)->bits : uint32_t{room_none};
}

history_query query_of(const v1::Read& ask) {
  history_query query;
  query.conversation = from_proto(ask.conversation());
  query.newest_first = ask.newest_first();
  query.from_mid = ask.from_mid();
  query.not_after_ns = ask.newest_first() ? ask.not_after_ns() : 0;
  if (ask.limit() != 0) query.limit = std::min(ask.limit(), rows_most);
  if (ask.max_bytes() != 0) query.max_bytes = std::min(ask.max_bytes(), bytes_most);
  query.listed_only = ask.listed_only();
  if (ask.others_only()) query.skip_sender = account_id{ask.reader()};
  return query;
}

result<v1::StorageReply> read_page(reader_store& store, const v1::StorageRequest& request) {
  const auto& ask = request.read();
  const account_id reader{ask.reader()};
  const bool of_room = ask.conversation().lo() == 0;
  if (of_room && reader) {
    auto bits = bits_in(store, room_id{ask.conversation().hi()}, reader);
    if (!bits) return bits.error();
    if ((*bits & room_member) == 0) return reply_to(request, errc::permission_denied);
  }
  auto page = store.history(query_of(ask));
  if (!page) return page.error();
  auto reply = reply_to(request);
  auto& out = *reply.mutable_page();
  if (!page->conversation) return reply;
  if (!of_room && reader && reader != page->conversation->a && reader != page->conversation->b) {
    return reply_to(request, errc::permission_denied);
  }
  out.set_head(page->conversation->head);
  out.set_reached(page->reached);
  for (auto& row : page->rows) {
    auto& one = *out.add_rows();
    one.set_mid(row.mid);
    one.set_sender(row.sender.value);
    one.set_timestamp_ns(row.timestamp_ns);
    one.set_body(std::move(row.body));
    one.set_target(row.target);
  }
  return reply;
}

// ---- rooms and profiles ------------------------------------------------------------------------------------------

result<v1::StorageReply> list_rooms(reader_store& store, const v1::StorageRequest& request) {
  auto rows = store.rooms_of(account_id{request.account_rooms().account()});
  if (!rows) return rows.error();
  auto reply = reply_to(request);
  auto& out = *reply.mutable_account_rooms();
  for (const auto& row : *rows) {
    auto& one = *out.add_rows();
    one.set_room(row.room.value);
    one.set_bits(row.bits);
    one.set_delivered(row.delivered);
    one.set_version(row.version);
  }
  return reply;
}

/// The room if it is one of `domain`.
result<std::optional<std::pair<room_row, uint64_t>>> room_of(reader_store& store, room_id id,
                                                             const std::string& domain) {
  auto found = store.room(id);
  if (found && *found && (*found)->first.domain != domain) found->reset();
  return found;
}

result<v1::StorageReply> get_room(reader_store& store, const v1::StorageRequest& request) {
  const auto& ask = request.room_get();
  auto found = store.room(room_id{ask.room()});
  if (!found) return found.error();
  if (!*found || (!ask.any_domain() && (*found)->first.domain != ask.domain())) {
    return reply_to(request, errc::no_such_object);
  }
  const auto& [row, head] = **found;
  auto reply = reply_to(request);
  auto& out = *reply.mutable_room();
  out.set_room(row.id.value);
  out.set_founder(row.founder.value);
  out.set_kind(static_cast<v1::RoomKind>(row.kind));
  out.set_cancelled(row.cancelled);
  out.set_head(head);
  out.set_version(row.version);
  out.set_created_ns(row.created_ns);
  out.set_bean(whole_room_bean(row));
  return reply;
}

result<v1::StorageReply> list_members(reader_store& store, const v1::StorageRequest& request) {
  const auto& ask = request.room_members();
  const room_id id{ask.room()};
  auto found = room_of(store, id, ask.domain());
  if (!found) return found.error();
  if (!*found) return reply_to(request, errc::no_such_object);
  auto bits = bits_in(store, id, account_id{ask.reader()});
  if (!bits) return bits.error();
  if ((*bits & (ask.barred() ? room_manager : room_member)) == 0) return reply_to(request, errc::permission_denied);
  const uint32_t limit = ask.limit() == 0 ? rows_most : std::min(ask.limit(), rows_most);
  auto rows = store.members(id, ask.barred() ? room_barred : room_member, limit + 1);
  if (!rows) return rows.error();
  auto reply = reply_to(request);
  auto& out = *reply.mutable_room_members();
  out.set_more(rows->size() > limit);
  if (rows->size() > limit) rows->resize(limit);
  for (const auto& row : *rows) {
    out.add_accounts(row.account.value);
    out.add_bits(row.bits);
  }
  return reply;
}

result<v1::StorageReply> permit(reader_store& store, const v1::StorageRequest& request) {
  const auto& ask = request.room_permit();
  const room_id id{ask.room()};
  auto found = room_of(store, id, ask.domain());
  if (!found) return found.error();
  if (!*found) return reply_to(request, errc::no_such_object);
  const auto& row = (*found)->first;
  for (const account_id one : {account_id{ask.one()}, account_id{ask.other()}}) {
    auto bits = bits_in(store, id, one);
    if (!bits) return bits.error();
    const errc allowed = may_use_room(row.cancelled, *bits, row.founder == one);
    if (allowed != errc::ok) return reply_to(request, allowed);
  }
  return reply_to(request);
}

result<v1::StorageReply> get_profiles(reader_store& store, const v1::StorageRequest& request) {
  const auto& ask = request.profile_get();
  if (static_cast<uint32_t>(ask.accounts_size()) > rows_most) return reply_to(request, errc::bad_parameter);
  std::vector<account_id> ids;
  for (const uint64_t id : ask.accounts()) ids.push_back({id});
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  auto rows = store.profiles(ids);
  if (!rows) return rows.error();
  auto reply = reply_to(request);
  auto& out = *reply.mutable_profiles();
  for (const auto& row : *rows) {
    if (row.domain != ask.domain()) continue;
    auto& one = *out.add_rows();
    one.set_account(row.account.value);
    one.set_bean(whole_user_bean(row));
  }
  return reply;
}

}  // namespace

result<v1::StorageReply> execute_read(reader_store& store, const v1::StorageRequest& request) {
  switch (request.op_case()) {
    case v1::StorageRequest::kAccountGet: return get_account(store, request);
    case v1::StorageRequest::kRosterList: return list_roster(store, request);
    case v1::StorageRequest::kBacklog: return list_backlog(store, request);
    case v1::StorageRequest::kRead: return read_page(store, request);
    case v1::StorageRequest::kAccountRooms: return list_rooms(store, request);
    case v1::StorageRequest::kRoomGet: return get_room(store, request);
    case v1::StorageRequest::kRoomMembers: return list_members(store, request);
    case v1::StorageRequest::kRoomPermit: return permit(store, request);
    case v1::StorageRequest::kProfileGet: return get_profiles(store, request);
    default: return reply_to(request, errc::bad_interface);
  }
}

}  // namespace tern::storage
