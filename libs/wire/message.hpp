// Stored messages and the change of encoding between clients and the cluster, where payloads are Thrift compact.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "libs/base/result.hpp"
#include "libs/wire/frame.hpp"
#include "libs/wire/structs.hpp"

namespace tern::wire {

/// Appends the stored form: Thrift compact without mid, timestamp and isOffline, whatever `message` holds of them.
void encode_stored(const tim_message& message, std::string& out);

/// Appends the message a client gets: the stored one with mid, timestamp (ns since 1970) and isOffline set, in
/// Thrift. The body is trusted to be what encode_stored wrote. errc::bad_format when it is not decodable (a damaged
/// row).
result<void> compose_message(std::string_view stored_body, int64_t mid, int64_t timestamp_ns,
                             std::optional<bool> is_offline, std::string& out);

/// The same as a struct: its views live as long as `stored_body` (which is Thrift, so no arena is needed).
result<tim_message> compose_view(std::string_view stored_body, int64_t mid, int64_t timestamp_ns,
                                 std::optional<bool> is_offline);

/// Which way a payload goes: a type can have another struct in each direction.
enum class direction : uint8_t { from_client, to_client };

/// Appends `payload` in the encoding `to`. The struct is that of the frame type in this direction:
/// from clients REGISTER, TOKEN, AUTH = TimAuth; PULLMESSAGE, VROOM, BUSINESS = TimReq; NODES = TimNodes; MESSAGE,
/// REVOKEMESSAGE, BURNMESSAGE = TimMessage; PRESENCE, BROADPRESENCE = TimPresence; STREAM = TimStream;
/// to clients ACK, LOGOUT = TimAck; OFFLINEMSG, PULLMESSAGE = TimMessageList; NODES = TimNodes; MESSAGE,
/// REVOKEMESSAGE, BURNMESSAGE = TimMessage; PRESENCE = TimPresence; STREAM = TimStream.
/// Types with raw payloads (ACK from clients, big data) are copied; PING, OFFLINEMSG from clients and OFFLINEMSGEND
/// become empty. From clients everything is decoded with `limits` and written anew, so what enters the cluster is
/// canonical; to clients Thrift is copied as it is.
/// Errors: errc::bad_format; errc::bad_interface for a type that is never sent this way.
result<void> transcode(direction way, frame_type type, encoding from, encoding to, std::string_view payload,
                       std::string& out, const decode_limits& limits);

/// With the default limits from clients, and trusted_limits to clients.
result<void> transcode(direction way, frame_type type, encoding from, encoding to, std::string_view payload,
                       std::string& out);

/// To a client.
inline result<void> transcode(frame_type type, encoding from, encoding to, std::string_view payload,
                              std::string& out) {
  return transcode(direction::to_client, type, from, to, payload, out);
}

}  // namespace tern::wire
