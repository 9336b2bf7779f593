#include "libs/client/terminal.hpp"

namespace tern::client {
namespace {

constexpr uint8_t json_bit = 0x80;
constexpr size_t most_message_bytes = 60 * 1024;
constexpr char text_separator = '|';
constexpr char binary_separator = static_cast<char>(0x83);

char separator_of(wire::frame_type type) {
  return type == wire::frame_type::bigstring ? text_separator : binary_separator;
}

/// Servers are trusted with larger lists than clients.
wire::decode_limits from_server() {
  wire::decode_limits limits;
  limits.container_items = 100'000;
  limits.body_bytes = 16U << 20U;
  limits.string_bytes = 1U << 20U;
  return limits;
}

uint8_t first_byte(wire::frame_type type, wire::encoding encoding) {
  const auto byte = static_cast<uint8_t>(type);
  return encoding == wire::encoding::json ? static_cast<uint8_t>(byte | json_bit) : byte;
}

}  // namespace

terminal::terminal(loop& where, const endpoint& to, wire::encoding encoding, terminal_observer& observer)
    : observer_(observer), encoding_(encoding), connection_(where, to, *this) {}

void terminal::send_raw(wire::frame_type type, std::string_view payload) {
  connection_.send(first_byte(type, encoding_), payload);
}

void terminal::send_big_data(wire::frame_type type, std::string_view node, std::string_view data) {
  const auto total = static_cast<uint32_t>(1 + 4 + node.size() + 1 + data.size());
  scratch_.assign(1, static_cast<char>(type));
  for (int shift = 24; shift >= 0; shift -= 8) scratch_ += static_cast<char>(total >> static_cast<unsigned>(shift));
  scratch_.append(node).append(1, separator_of(type)).append(data);
  // Parts of about one size: a last part of a few bytes could be taken for a PING or an acknowledgement.
  const size_t parts = (scratch_.size() + most_message_bytes - 1) / most_message_bytes;
  const size_t part = (scratch_.size() + parts - 1) / parts;
  for (size_t at = 0; at < scratch_.size(); at += part) {
    const auto bytes = std::string_view(scratch_).substr(at, part);
    connection_.send(static_cast<uint8_t>(bytes[0]), bytes.substr(1));
  }
}

void terminal::send_text(std::string_view to_node, std::string_view text, int64_t id) {
  wire::tim_message message;
  message.ms_type = 2;
  message.od_type = 1;
  if (id != 0) message.id = id;
  message.to_tid.emplace().node = to_node;
  message.data_string = text;
  send(wire::frame_type::message, message);
}

void terminal::ping() { send_raw(wire::frame_type::ping, {}); }
void terminal::request_offline() { send_raw(wire::frame_type::offlinemsg, {}); }

void terminal::on_open(connection&) { observer_.on_open(*this); }
void terminal::on_closed(connection&, std::string_view why) { observer_.on_closed(*this, why); }

void terminal::on_frame(connection&, const frame& received) {
  dispatch(received);
  if (received.sync_id && auto_ack_ && connection_.is_open()) {
    connection_.send_ack(*received.sync_id, encoding_ == wire::encoding::json);
  }
}

void terminal::dispatch(const frame& received) {
  static const auto limits = from_server();
  memory_.clear();
  switch (static_cast<wire::frame_type>(received.type)) {
    case wire::frame_type::message:
    case wire::frame_type::revokemessage:
    case wire::frame_type::burnmessage:
      if (auto message = wire::decode<wire::tim_message>(encoding_, received.payload, memory_, limits)) {
        return observer_.on_message(*this, *message, false);
      }
      break;
    case wire::frame_type::offlinemsg:
      if (auto list = wire::decode<wire::tim_message_list>(encoding_, received.payload, memory_, limits)) {
        if (list->message_list) {
          for (const auto& message : *list->message_list) observer_.on_message(*this, message, true);
        }
        return;
      }
      break;
    case wire::frame_type::pullmessage:
      if (auto list = wire::decode<wire::tim_message_list>(encoding_, received.payload, memory_, limits)) {
        return observer_.on_history(*this, *list);
      }
      break;
    case wire::frame_type::nodes:
      if (auto nodes = wire::decode<wire::tim_nodes>(encoding_, received.payload, memory_, limits)) {
        return observer_.on_nodes(*this, *nodes);
      }
      break;
    case wire::frame_type::ack:
    case wire::frame_type::auth:
    case wire::frame_type::logout:
      if (auto ack = wire::decode<wire::tim_ack>(encoding_, received.payload, memory_, limits)) {
        return observer_.on_ack(*this, *ack, received.type == static_cast<uint8_t>(wire::frame_type::logout));
      }
      break;
    case wire::frame_type::stream:
      if (auto pushed = wire::decode<wire::tim_stream>(encoding_, received.payload, memory_, limits)) {
        return observer_.on_stream(*this, *pushed);
      }
      break;
    case wire::frame_type::bigstring:
    case wire::frame_type::bigbinary:
    case wire::frame_type::bigbinarystream: {
      const auto type = static_cast<wire::frame_type>(received.type);
      const auto end = received.payload.find(separator_of(type));
      if (end == std::string_view::npos) break;
      return observer_.on_big_data(*this, type, received.payload.substr(0, end), received.payload.substr(end + 1));
    }
    case wire::frame_type::offlinemsgend: return observer_.on_offline_end(*this);
    case wire::frame_type::ping: return observer_.on_pong(*this);
    default: return;
  }
  ++undecodable_;
}

namespace {

result<std::string> post_auth(const endpoint& to, wire::frame_type type, const account& who,
                              wire::encoding encoding) {
  wire::tim_auth auth;
  auth.name = who.name;
  auth.pwd = who.password;
  if (!who.domain.empty()) auth.domain = who.domain;
  std::string body(1, static_cast<char>(first_byte(type, encoding)));
  wire::encode(encoding, auth, body);
  const auto reply = http_post(to, "/tim2", body);
  if (reply.status == 0) return error{errc::unavailable, "no answer"};
  if (reply.status != 200 || reply.body.empty()) {
    return error{reply.status == 429 || reply.status == 503 ? errc::overload : errc::undefined,
                 "status " + std::to_string(reply.status)};
  }
  wire::arena memory;
  auto ack = wire::decode<wire::tim_ack>(encoding, std::string_view(reply.body).substr(1), memory);
  if (!ack) return error{errc::bad_format, "the reply is no TimAck"};
  if (!ack->ok) return static_cast<errc>(ack->error ? ack->error->code.value_or(5101) : 5101);
  return std::string(ack->n.value_or(""));
}

}  // namespace

result<std::string> register_account(const endpoint& to, const account& who, wire::encoding encoding) {
  return post_auth(to, wire::frame_type::reg, who, encoding);
}

result<std::string> fetch_token(const endpoint& to, const account& who, wire::encoding encoding) {
  return post_auth(to, wire::frame_type::token, who, encoding);
}

}  // namespace tern::client
