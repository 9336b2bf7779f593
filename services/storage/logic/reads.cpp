#include "services/storage/logic/reads.hpp"

#include <algorithm>
#include <utility>

#include "services/storage/convert.hpp"

namespace tern::storage {
namespace {

constexpr uint32_t rows_most = 1000;
constexpr uint32_t bytes_most = 2U << 20U;

result<v1::StorageReply> get_account(reader_store& store, const v1::StorageRequest& request) {
  const account_id id{request.account_get().account()};
  auto found = store.account(id);
  if (!found) return found.error();
  if (!*found) return reply_to(request, errc::not_found);
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

history_query query_of(const v1::Read& ask) {
  history_query query;
  query.conversation = from_proto(ask.conversation());
  query.newest_first = ask.newest_first();
  query.from_mid = ask.from_mid();
  query.not_after_ns = ask.newest_first() ? ask.not_after_ns() : 0;
  if (ask.limit() != 0) query.limit = std::min(ask.limit(), rows_most);
  if (ask.max_bytes() != 0) query.max_bytes = std::min(ask.max_bytes(), bytes_most);
  if (ask.others_only()) query.skip_sender = account_id{ask.reader()};
  return query;
}

result<v1::StorageReply> read_page(reader_store& store, const v1::StorageRequest& request) {
  const auto& ask = request.read();
  const account_id reader{ask.reader()};
  auto page = store.history(query_of(ask));
  if (!page) return page.error();
  auto reply = reply_to(request);
  auto& out = *reply.mutable_page();
  if (!page->conversation) return reply;
  if (reader != page->conversation->a && reader != page->conversation->b) {
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
    default: return reply_to(request, errc::bad_interface);
  }
}

}  // namespace tern::storage
