#include "libs/websocket/handshake.hpp"

#include <openssl/evp.h>
#include <openssl/sha.h>

#include <algorithm>
#include <cstdio>

namespace tern::websocket {
namespace {

// Base64 of 16 bytes: 22 digits and "==". The 4 spare bits of the last digit are not looked at (RFC 4648 3.5).
bool is_nonce(std::string_view key) noexcept {
  const auto digit = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
  };
  return key.size() == 24 && key.ends_with("==") && std::all_of(key.begin(), key.begin() + 22, digit);
}

std::string_view reason_phrase(int status) noexcept {
  switch (status) {
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 204: return "No Content";
    case 304: return "Not Modified";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 411: return "Length Required";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 417: return "Expectation Failed";
    case 426: return "Upgrade Required";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 503: return "Service Unavailable";
    case 505: return "HTTP Version Not Supported";
    default: return "Status";
  }
}

void append_date(std::string& out, std::time_t now) {
  std::tm parts{};
  gmtime_r(&now, &parts);
  static constexpr const char* days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                           "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  char text[64];
  std::snprintf(text, sizeof text, "Date: %s, %02d %s %04d %02d:%02d:%02d GMT\r\n", days[parts.tm_wday],
                parts.tm_mday, months[parts.tm_mon], parts.tm_year + 1900, parts.tm_hour, parts.tm_min, parts.tm_sec);
  out += text;
}

bool one_line(std::string_view text) noexcept {
  return std::none_of(text.begin(), text.end(), [](char c) { return c == '\r' || c == '\n' || c == '\0'; });
}

void append_field(std::string& out, std::string_view name, std::string_view value) {
  if (name.empty() || !one_line(name) || !one_line(value)) return;
  out.append(name).append(": ").append(value).append("\r\n");
}

}  // namespace

bool wants_websocket(const request& what) noexcept {
  return has_token(what, "upgrade", "websocket") || count_fields(what, "sec-websocket-key") > 0 ||
         count_fields(what, "sec-websocket-version") > 0;
}

std::optional<http_error> check_upgrade(const http_head& head) {
  const auto& what = head.what;
  if (what.method != "GET") return http_error{405, "a WebSocket is opened with GET"};
  if (head.minor_version == 0) return http_error{400, "a WebSocket needs HTTP/1.1"};
  if (what.field("host").empty()) return http_error{400, "Host is empty"};
  if (!has_token(what, "upgrade", "websocket")) return http_error{400, "Upgrade: websocket is missing"};
  if (!has_token(what, "connection", "upgrade")) return http_error{400, "Connection: Upgrade is missing"};
  if (head.content_length > 0) return http_error{400, "an opening handshake has no body"};
  if (count_fields(what, "sec-websocket-version") > 1) return http_error{400, "several Sec-WebSocket-Version fields"};
  if (what.field("sec-websocket-version") != "13") return http_error{426, "WebSocket version 13 is spoken here"};
  if (count_fields(what, "sec-websocket-key") != 1 || !is_nonce(what.field("sec-websocket-key"))) {
    return http_error{400, "bad Sec-WebSocket-Key"};
  }
  return {};
}

std::string accept_key(std::string_view key) {
  std::string text(key);
  text += "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  unsigned char digest[SHA_DIGEST_LENGTH];
  SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
  unsigned char base64[32];
  const int length = EVP_EncodeBlock(base64, digest, SHA_DIGEST_LENGTH);
  return {reinterpret_cast<const char*>(base64), static_cast<size_t>(length)};
}

void append_switching_protocols(std::string& out, std::string_view key) {
  out += "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ";
  out += accept_key(key);
  out += "\r\n\r\n";
}

void append_response(std::string& out, const response& what, const answer_mode& mode) {
  const int status = what.status >= 200 && what.status <= 599 ? what.status : 500;
  const bool bodiless = status == 204 || status == 304;
  out.append("HTTP/1.1 ").append(std::to_string(status)).append(" ").append(reason_phrase(status)).append("\r\n");
  append_date(out, mode.now);
  if (!bodiless) {
    append_field(out, "Content-Type", what.content_type);
    append_field(out, "Content-Length", std::to_string(what.body.size()));
  }
  if (status == 426) {
    append_field(out, "Upgrade", "websocket");
    append_field(out, "Sec-WebSocket-Version", "13");
    append_field(out, "Connection", mode.keep_alive ? "Upgrade" : "Upgrade, close");
  } else {
    append_field(out, "Connection", mode.keep_alive ? "keep-alive" : "close");
  }
  for (const auto& [name, value] : what.fields) append_field(out, name, value);
  out += "\r\n";
  if (!mode.head_only && !bodiless) out += what.body;
}

}  // namespace tern::websocket
