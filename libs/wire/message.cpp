#include "libs/wire/message.hpp"

#include "libs/wire/codec.hpp"
#include "libs/wire/thrift_codec.hpp"

namespace tern::wire {
namespace {

enum class payload_kind : uint8_t {
  never,  // not sent this way
  none,
  raw,
  ack,
  req,
  auth,
  message,
  message_list,
  presence,
  stream,
  nodes,
};

payload_kind kind_from_client(frame_type type) noexcept {
  switch (type) {
    case frame_type::ping:
    case frame_type::offlinemsg: return payload_kind::none;
    case frame_type::ack:
    case frame_type::bigstring:
    case frame_type::bigbinary:
    case frame_type::bigbinarystream: return payload_kind::raw;
    case frame_type::reg:
    case frame_type::token:
    case frame_type::auth: return payload_kind::auth;
    case frame_type::pullmessage:
    case frame_type::vroom:
    case frame_type::business: return payload_kind::req;
    case frame_type::nodes: return payload_kind::nodes;
    case frame_type::message:
    case frame_type::revokemessage:
    case frame_type::burnmessage: return payload_kind::message;
    case frame_type::presence:
    case frame_type::broadpresence: return payload_kind::presence;
    case frame_type::stream: return payload_kind::stream;
    case frame_type::offlinemsgend:
    case frame_type::logout: break;
  }
  return payload_kind::never;
}

payload_kind kind_to_client(frame_type type) noexcept {
  switch (type) {
    case frame_type::ping:
    case frame_type::offlinemsgend: return payload_kind::none;
    case frame_type::bigstring:
    case frame_type::bigbinary:
    case frame_type::bigbinarystream: return payload_kind::raw;
    case frame_type::ack:
    case frame_type::logout: return payload_kind::ack;
    case frame_type::offlinemsg:
    case frame_type::pullmessage: return payload_kind::message_list;
    case frame_type::nodes: return payload_kind::nodes;
    case frame_type::message:
    case frame_type::revokemessage:
    case frame_type::burnmessage: return payload_kind::message;
    case frame_type::presence: return payload_kind::presence;
    case frame_type::stream: return payload_kind::stream;
    case frame_type::reg:
    case frame_type::token:
    case frame_type::auth:
    case frame_type::broadpresence:
    case frame_type::vroom:
    case frame_type::business: break;
  }
  return payload_kind::never;
}

template <class T>
result<void> rewrite(encoding from, encoding to, std::string_view payload, std::string& out,
                     const decode_limits& limits) {
  arena memory;
  T value;
  if (auto decoded = decode_into(from, payload, memory, value, limits); !decoded) return decoded;
  encode(to, value, out);
  return {};
}

result<void> rewrite(payload_kind kind, encoding from, encoding to, std::string_view payload, std::string& out,
                     const decode_limits& limits) {
  switch (kind) {
    case payload_kind::ack: return rewrite<tim_ack>(from, to, payload, out, limits);
    case payload_kind::req: return rewrite<tim_req>(from, to, payload, out, limits);
    case payload_kind::auth: return rewrite<tim_auth>(from, to, payload, out, limits);
    case payload_kind::message: return rewrite<tim_message>(from, to, payload, out, limits);
    case payload_kind::message_list: return rewrite<tim_message_list>(from, to, payload, out, limits);
    case payload_kind::presence: return rewrite<tim_presence>(from, to, payload, out, limits);
    case payload_kind::stream: return rewrite<tim_stream>(from, to, payload, out, limits);
    case payload_kind::nodes: return rewrite<tim_nodes>(from, to, payload, out, limits);
    case payload_kind::never:
    case payload_kind::none:
    case payload_kind::raw: break;
  }
  return errc::internal;
}

/// Decodes a stored body and sets what the store keeps beside it.
const char* compose(std::string_view stored_body, int64_t mid, int64_t timestamp_ns, std::optional<bool> is_offline,
                    tim_message& out) {
  const char* why = nullptr;
  if (!thrift_decode(stored_body, trusted_limits, out, why)) return why;
  out.mid = mid;
  out.timestamp = timestamp_ns;
  out.is_offline = is_offline;
  return nullptr;
}

error damaged(const char* why) { return {errc::bad_format, std::string("stored message: ") + why}; }

}  // namespace

void encode_stored(const tim_message& message, std::string& out) {
  if (!message.mid && !message.timestamp && !message.is_offline) return thrift_encode(message, out);
  tim_message stored = message;
  stored.mid.reset();
  stored.timestamp.reset();
  stored.is_offline.reset();
  thrift_encode(stored, out);
}

result<void> compose_message(std::string_view stored_body, int64_t mid, int64_t timestamp_ns,
                             std::optional<bool> is_offline, std::string& out) {
  tim_message message;
  if (const char* why = compose(stored_body, mid, timestamp_ns, is_offline, message)) return damaged(why);
  thrift_encode(message, out);
  return {};
}

result<tim_message> compose_view(std::string_view stored_body, int64_t mid, int64_t timestamp_ns,
                                 std::optional<bool> is_offline) {
  result<tim_message> message{tim_message{}};
  if (const char* why = compose(stored_body, mid, timestamp_ns, is_offline, *message)) return damaged(why);
  return message;
}

result<void> transcode(direction way, frame_type type, encoding from, encoding to, std::string_view payload,
                       std::string& out, const decode_limits& limits) {
  const bool inbound = way == direction::from_client;
  const payload_kind kind = inbound ? kind_from_client(type) : kind_to_client(type);
  if (kind == payload_kind::never) return errc::bad_interface;
  if (kind == payload_kind::none) return {};
  if (kind == payload_kind::raw || (!inbound && from == to && to == encoding::thrift)) {
    out.append(payload);
    return {};
  }
  return rewrite(kind, from, to, payload, out, limits);
}

result<void> transcode(direction way, frame_type type, encoding from, encoding to, std::string_view payload,
                       std::string& out) {
  static constexpr decode_limits client_limits{};
  return transcode(way, type, from, to, payload, out, way == direction::from_client ? client_limits : trusted_limits);
}

}  // namespace tern::wire
