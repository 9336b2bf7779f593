// The opening handshake of RFC 6455 section 4.2 and the writing of HTTP answers; no I/O.
#pragma once

#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>

#include "libs/websocket/http_parser.hpp"

namespace tern::websocket {

/// True when the client means to open a WebSocket: it asks for the upgrade or sends fields of that handshake.
bool wants_websocket(const request& what) noexcept;

/// Nothing when `head` is a right opening handshake; else 400, 405 or 426 (with the version spoken here).
std::optional<http_error> check_upgrade(const http_head& head);

/// Sec-WebSocket-Accept of a Sec-WebSocket-Key (RFC 6455 4.2.2 5.4).
std::string accept_key(std::string_view key);

/// The 101 answer. Extensions and subprotocols offered are not taken up.
void append_switching_protocols(std::string& out, std::string_view key);

/// How an answer is to be written.
struct answer_mode {
  bool keep_alive = false;
  bool head_only = false;  // answer to HEAD: length but no body
  std::time_t now = 0;     // for Date; seconds since 1970
};

/// A whole HTTP answer. Fields with characters that could end a line are left out; 426 gets its Upgrade and version.
void append_response(std::string& out, const response& what, const answer_mode& mode);

}  // namespace tern::websocket
