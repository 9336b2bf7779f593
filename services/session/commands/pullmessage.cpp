#include "services/session/commands/pullmessage.hpp"

#include <algorithm>
#include <charconv>

#include "libs/wire/codec.hpp"
#include "libs/wire/message.hpp"
#include "services/session/commands/answers.hpp"
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
  const bool of_a_room = got.request.read().conversation().lo() == 0;
  const bool nowhere = got.code == errc::not_found || got.code == errc::no_such_object;
  // Two accounts may never have said anything; a room that is not there is one the caller is no member of.
  if (nowhere && !of_a_room) return state.finish(from);
  if (got.code != errc::ok) return state.refuse(from, nowhere ? errc::permission_denied : got.code);
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

/// The conversation whose history is asked for.
result<conversation_id> place_of(session_state& state, const wire::tim_req& req) {
  const int32_t what = req.rtype.value_or(0);
  if (what == of_room) {
    const auto room = room_of(req.node, errc::permission_denied);
    if (!room) return room.code();
    return conversation_id{room->value, 0};
  }
  if (what != of_user) return errc::bad_parameter;
  const auto other = other_account(state, req.node);
  if (!other) return other.code();
  return state.conversation_with(*other);
}

}  // namespace

void run_pullmessage(session_state& state, const origin& from, std::string payload) {
  wire::arena memory;
  wire::tim_req req;
  if (const errc problem = decode_request(state, payload, memory, req); problem != errc::ok)
    return state.refuse(from, problem);
  const auto place = place_of(state, req);
  if (!place) return state.refuse(from, place.code());
  storage::v1::StorageRequest request;
  request.set_trace(from.trace);
  storage::v1::Read& read = *request.mutable_read();
  if (const errc problem = fill(state, req, read); problem != errc::ok) return state.refuse(from, problem);
  read.set_listed_only(true);
  read.mutable_conversation()->set_hi(place->hi);
  read.mutable_conversation()->set_lo(place->lo);
  state.ask(slot_of(*place), std::move(request), patience::deadline,
            [from](session_state& again, storage_answer& got) { answer_page(again, from, got); });
}

}  // namespace tern::session
