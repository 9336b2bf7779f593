#include "services/session/commands/pullmessage.hpp"

#include <algorithm>
#include <charconv>

#include "libs/wire/codec.hpp"
#include "libs/wire/message.hpp"
#include "services/session/contact.hpp"

namespace tern::session {
namespace {

constexpr int32_t of_user = 1;
constexpr int32_t of_room = 2;

/// A time in ns as text; nothing unless all of it is a number that is not negative.
std::optional<int64_t> parse_time(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

errc fill(const session_state& state, const wire::tim_req& req, storage::v1::Read& read) {
  const int64_t from_mid = req.req_int.value_or(0);
  const int64_t limit = req.req_int2.value_or(0);
  if (from_mid < 0 || limit <= 0) return errc::bad_parameter;
  read.set_reader(state.account().value);
  read.set_newest_first(true);
  read.set_from_mid(static_cast<uint64_t>(from_mid));
  if (from_mid == 0 && req.node2 && !req.node2->empty()) {
    const auto time = parse_time(*req.node2);
    if (!time) return errc::bad_parameter;
    read.set_not_after_ns(*time);
  }
  const auto most = static_cast<int64_t>(state.env().config.pull_messages);
  read.set_limit(static_cast<uint32_t>(std::min(limit, most)));
  read.set_max_bytes(static_cast<uint32_t>(state.env().config.pull_bytes));
  return errc::ok;
}

void answer_page(session_state& state, const origin& from, storage_answer& got) {
  if (got.code == errc::not_found) return state.finish(from);  // nothing was ever said there
  if (got.code != errc::ok) return state.refuse(from, got.code);
  std::vector<wire::tim_message> rows;
  for (const auto& row : got.reply.page().rows()) {
    auto view = wire::compose_view(row.body(), static_cast<int64_t>(row.mid()), row.timestamp_ns(), std::nullopt);
    if (view) rows.push_back(std::move(*view));
  }
  if (rows.empty()) return state.finish(from);
  wire::tim_message_list list;
  list.message_list = std::move(rows);
  state.reply(from, wire::frame_type::pullmessage, wire::encode(wire::encoding::thrift, list));
}

}  // namespace

void run_pullmessage(session_state& state, const origin& from, std::string payload) {
  wire::arena memory;
  const auto req = wire::decode<wire::tim_req>(wire::encoding::thrift, payload, memory);
  if (!req) return state.refuse(from, errc::bad_format);
  const int32_t what = req->rtype.value_or(0);
  if (what == of_room) return state.refuse(from, errc::bad_interface);
  if (what != of_user) return state.refuse(from, errc::bad_parameter);
  const auto other = other_account(state, req->node);
  if (!other) return state.refuse(from, other.code());
  storage::v1::StorageRequest request;
  request.set_trace(from.trace);
  storage::v1::Read& read = *request.mutable_read();
  if (const errc problem = fill(state, *req, read); problem != errc::ok) return state.refuse(from, problem);
  const conversation_id conversation = state.conversation_with(*other);
  read.mutable_conversation()->set_hi(conversation.hi);
  read.mutable_conversation()->set_lo(conversation.lo);
  state.ask(slot_of(conversation), std::move(request), patience::deadline,
            [from](session_state& again, storage_answer& got) { answer_page(again, from, got); });
}

}  // namespace tern::session
