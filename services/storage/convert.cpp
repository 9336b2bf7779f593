#include "services/storage/convert.hpp"

#include <utility>

namespace tern::storage {
namespace {

/// Payloads that cannot be read leave it empty: the session confirms such an entry without doing anything.
void fill(session::v1::Delivery& out, outbox_entry&& entry) {
  const auto& payload = entry.row.payload;
  bool readable = true;
  switch (entry.row.kind) {
    case outbox_kind::relation: readable = out.mutable_relation()->ParseFromString(payload); break;
    case outbox_kind::room: readable = out.mutable_room()->ParseFromString(payload); break;
    case outbox_kind::notice: readable = out.mutable_notice()->ParseFromString(payload); break;
    case outbox_kind::message: {
      // Of a message recalled meanwhile there is nothing to be told but the recall, which has an entry of its own.
      if (!entry.message || entry.message->tombstone) return;
      auto& message = *out.mutable_message();
      message.set_mid(entry.message->mid);
      message.set_sender(entry.message->sender.value);
      message.set_timestamp_ns(entry.message->timestamp_ns);
      message.set_body(std::move(entry.message->body));
      message.set_target(entry.message->target);
      return;
    }
  }
  if (!readable) out.clear_what();
}

}  // namespace

session::v1::Delivery to_delivery(std::string_view shard, uint64_t epoch, outbox_entry&& entry, uint64_t trace) {
  session::v1::Delivery out;
  out.set_shard(shard.data(), shard.size());
  out.set_epoch(epoch);
  out.set_entry(entry.row.entry);
  out.set_account(entry.row.recipient.value);
  to_proto(entry.row.conversation, *out.mutable_conversation());
  out.set_trace(trace);
  out.set_accepted_ns(entry.row.accepted_ns);
  fill(out, std::move(entry));
  return out;
}

v1::StorageReply reply_to(const v1::StorageRequest& request, errc code) {
  v1::StorageReply reply;
  reply.set_call(request.call());
  reply.set_code(static_cast<int32_t>(code));
  reply.set_shard(request.shard());
  reply.set_epoch(request.epoch());
  return reply;
}

bool is_write(const v1::StorageRequest& request) {
  switch (request.op_case()) {
    case v1::StorageRequest::kAppend:
    case v1::StorageRequest::kRelate:
    case v1::StorageRequest::kRosterPut:
    case v1::StorageRequest::kCursorPut:
    case v1::StorageRequest::kNoticeDrop:
    case v1::StorageRequest::kRecall:
    case v1::StorageRequest::kRoomCreate:
    case v1::StorageRequest::kRoomAppend:
    case v1::StorageRequest::kRoomChange:
    case v1::StorageRequest::kAccountRoomPut:
    case v1::StorageRequest::kNoticePut:
    case v1::StorageRequest::kProfilePut: return true;
    default: return false;
  }
}

std::string_view operation_name(v1::StorageRequest::OpCase op) {
  switch (op) {
    case v1::StorageRequest::kAppend: return "append";
    case v1::StorageRequest::kRelate: return "relate";
    case v1::StorageRequest::kRosterPut: return "roster_put";
    case v1::StorageRequest::kCursorPut: return "cursor_put";
    case v1::StorageRequest::kNoticeDrop: return "notice_drop";
    case v1::StorageRequest::kAccountCreate: return "account_create";
    case v1::StorageRequest::kTokenIssue: return "token_issue";
    case v1::StorageRequest::kTokenLogin: return "token_login";
    case v1::StorageRequest::kPasswordLogin: return "password_login";
    case v1::StorageRequest::kAccountGet: return "account_get";
    case v1::StorageRequest::kRosterList: return "roster_list";
    case v1::StorageRequest::kBacklog: return "backlog";
    case v1::StorageRequest::kRead: return "read";
    case v1::StorageRequest::kRecall: return "recall";
    case v1::StorageRequest::kRoomCreate: return "room_create";
    case v1::StorageRequest::kRoomAppend: return "room_append";
    case v1::StorageRequest::kRoomChange: return "room_change";
    case v1::StorageRequest::kAccountRoomPut: return "account_room_put";
    case v1::StorageRequest::kNoticePut: return "notice_put";
    case v1::StorageRequest::kProfilePut: return "profile_put";
    case v1::StorageRequest::kPasswordChange: return "password_change";
    case v1::StorageRequest::kAccountRooms: return "account_rooms";
    case v1::StorageRequest::kRoomGet: return "room_get";
    case v1::StorageRequest::kRoomMembers: return "room_members";
    case v1::StorageRequest::kRoomPermit: return "room_permit";
    case v1::StorageRequest::kProfileGet: return "profile_get";
    case v1::StorageRequest::OP_NOT_SET: break;
  }
  return "none";
}

}  // namespace tern::storage
