#include "services/session/commands/message.hpp"

#include "libs/crypto/random.hpp"
#include "libs/wire/codec.hpp"
#include "libs/wire/message.hpp"
#include "services/session/contact.hpp"

namespace tern::session {
namespace {

constexpr int8_t user_to_user = 2;
constexpr int8_t user_to_room = 3;
constexpr int8_t ordinary = 1;
constexpr size_t max_stored_bytes = 128 << 10;  // a body of the frame limit with every other field at its limit
constexpr uint64_t id_mask = (uint64_t{1} << 53U) - 1;

/// Kinds of messages this protocol knows and this server does not offer (yet); anything else is a bad parameter.
bool known_kind(int8_t od_type) {
  return od_type == 2 || od_type == 3 || od_type == 5 || od_type == 6 || od_type == 7 || od_type > 30;
}

errc check(const wire::tim_message& message) {
  if (message.ms_type != user_to_user && message.ms_type != user_to_room) return errc::bad_parameter;
  if (message.od_type == ordinary) return errc::ok;
  return known_kind(message.od_type) ? errc::bad_interface : errc::bad_parameter;
}

void reject(session_state& state, const origin& from, errc code) {
  const bool throttled = code == errc::overload || code == errc::rate_limited;
  state.env().metrics.count(throttled ? accepted::throttled : accepted::rejected);
  state.refuse(from, code);
}

/// 'i' and the client's id, or the position of the frame: a replay after a broken link is recognised either way.
std::string key_of(session_state& state, const origin& from, const wire::tim_message& message) {
  const uint64_t id = message.id ? static_cast<uint64_t>(*message.id) : 0;
  if (id == 0) return state.frame_key(from);
  std::string key = "i";
  for (int shift = 56; shift >= 0; shift -= 8) key.push_back(static_cast<char>(id >> static_cast<unsigned>(shift)));
  return key;
}

/// What is stored: the sender is who is logged on here, whatever the client wrote.
std::string stored_form(session_state& state, const origin& from, wire::tim_message& message) {
  const terminal* sender = state.find(from);
  const std::string node = to_node(state.account());
  wire::tid self;
  self.node = node;
  if (!state.domain().empty()) self.domain = state.domain();
  if (!sender->resource.empty()) self.resource = sender->resource;
  self.termtyp = static_cast<int8_t>(sender->termtyp);
  message.from_tid = self;
  if (!message.id || *message.id == 0) message.id = static_cast<int64_t>((crypto::random_u64() & id_mask) | 1U);
  message.to_list.reset();
  std::string body;
  wire::encode_stored(message, body);
  return body;
}

void stored(session_state& state, const origin& from, storage_answer& got) {
  const auto& append = got.request.append();
  if (got.code == errc::permission_denied) {
    // No relation, or nobody there to have one with: the client is told which.
    check_account(state, account_id{append.recipient()}, [from](session_state& again, errc found) {
      reject(again, from, found == errc::ok ? errc::permission_denied : found);
    });
    return;
  }
  if (got.code != errc::ok) return reject(state, from, got.code);
  const auto& done = got.reply.appended();
  std::string payload;
  const auto composed = wire::compose_message(append.body(), static_cast<int64_t>(done.mid()), done.timestamp_ns(),
                                              std::nullopt, payload);
  if (!composed) return reject(state, from, errc::internal);
  state.env().metrics.count(done.duplicate() ? accepted::duplicate : accepted::ok);
  if (from.received_ns != 0) {
    state.env().metrics.receipt_seconds.observe(static_cast<double>(state.env().time.wall_ns() - from.received_ns) /
                                                1e9);
  }
  log::trace(from.trace, "session", "receipt", {{"duplicate", done.duplicate()}});
  state.send_receipt(from, {append.conversation().hi(), append.conversation().lo()}, done.mid(), std::move(payload),
                     done.duplicate());
}

void append(session_state& state, const origin& from, storage::v1::StorageRequest request) {
  const slot_type slot = slot_of(conversation_id{request.append().conversation().hi(), 0});
  state.ask(slot, std::move(request), patience::deadline,
            [from](session_state& again, storage_answer& got) { stored(again, from, got); });
}

}  // namespace

void run_message(session_state& state, const origin& from, std::string payload) {
  wire::arena memory;
  auto decoded = wire::decode<wire::tim_message>(wire::encoding::thrift, payload, memory);
  if (!decoded) return reject(state, from, errc::bad_format);
  wire::tim_message& message = *decoded;
  if (const errc problem = check(message); problem != errc::ok) return reject(state, from, problem);
  if (message.ms_type == user_to_room || message.room_tid) return reject(state, from, errc::bad_interface);
  const auto other = other_account(state, message.to_tid ? std::optional{message.to_tid->node} : std::nullopt);
  if (!other) return reject(state, from, other.code());
  if (message.to_tid->domain && *message.to_tid->domain != state.domain())
    return reject(state, from, errc::bad_account);

  storage::v1::StorageRequest request;
  request.set_trace(from.trace);
  storage::v1::Append& what = *request.mutable_append();
  const conversation_id conversation = state.conversation_with(*other);
  what.mutable_conversation()->set_hi(conversation.hi);
  what.mutable_conversation()->set_lo(conversation.lo);
  what.set_sender(state.account().value);
  what.set_recipient(other->value);
  what.set_key(key_of(state, from, message));
  what.set_body(stored_form(state, from, message));
  what.set_open(state.env().config.open_messaging);
  what.set_accepted_ns(from.received_ns != 0 ? from.received_ns : state.env().time.wall_ns());
  if (what.body().size() > max_stored_bytes) return reject(state, from, errc::bad_parameter);
  if (!what.open()) return append(state, from, std::move(request));
  // Friends exist; with open messaging somebody must look.
  auto kept = std::make_shared<storage::v1::StorageRequest>(std::move(request));
  check_account(state, *other, [from, kept](session_state& again, errc found) {
    if (found != errc::ok) return reject(again, from, found);
    append(again, from, std::move(*kept));
  });
}

}  // namespace tern::session
