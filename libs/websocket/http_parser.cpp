#include "libs/websocket/http_parser.hpp"

#include <algorithm>
#include <array>
#include <limits>

namespace tern::websocket {
namespace {

using failure = std::optional<http_error>;

constexpr std::array<bool, 256> make_token_table() {
  std::array<bool, 256> table{};
  for (unsigned c = '0'; c <= '9'; ++c) table[c] = true;
  for (unsigned c = 'a'; c <= 'z'; ++c) table[c] = true;
  for (unsigned c = 'A'; c <= 'Z'; ++c) table[c] = true;
  for (const char c : std::string_view("!#$%&'*+-.^_`|~")) table[static_cast<unsigned char>(c)] = true;
  return table;
}
constexpr auto token_table = make_token_table();

bool is_token(char c) noexcept { return token_table[static_cast<unsigned char>(c)]; }
bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
bool is_alpha(char c) noexcept { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

std::string_view trim(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Cuts the text up to the first `mark` off the front of `rest`; nullopt when there is none.
std::optional<std::string_view> cut(std::string_view& rest, std::string_view mark) noexcept {
  const size_t at = rest.find(mark);
  if (at == std::string_view::npos) return std::nullopt;
  const auto part = rest.substr(0, at);
  rest.remove_prefix(at + mark.size());
  return part;
}

failure parse_version(std::string_view version, http_head& out) {
  if (version.size() != 8 || !version.starts_with("HTTP/") || !is_digit(version[5]) || version[6] != '.' ||
      !is_digit(version[7])) {
    return http_error{400, "malformed HTTP version"};
  }
  if (version[5] != '1') return http_error{505, "HTTP version not supported"};
  out.minor_version = version[7] - '0';
  return {};
}

// origin-form, absolute-form and "OPTIONS *" (RFC 9112 3.2); the scheme and authority of absolute-form are dropped.
failure parse_target(std::string_view target, http_head& out) {
  const auto visible = [](char c) { return c > 0x20 && c < 0x7F && c != '#'; };
  if (target.empty() || !std::all_of(target.begin(), target.end(), visible)) {
    return http_error{400, "bad request target"};
  }
  if (out.what.method == "CONNECT") return http_error{501, "CONNECT is not offered"};
  if (target == "*") {
    if (out.what.method != "OPTIONS") return http_error{400, "bad request target"};
    out.what.path = target;
    return {};
  }
  if (target.front() != '/') {
    const size_t scheme = target.find("://");
    if (scheme == std::string_view::npos) return http_error{400, "bad request target"};
    const auto name = target.substr(0, scheme);
    if (!equals_ignoring_case(name, "http") && !equals_ignoring_case(name, "https") &&
        !equals_ignoring_case(name, "ws") && !equals_ignoring_case(name, "wss")) {
      return http_error{400, "bad request target"};
    }
    target.remove_prefix(scheme + 3);
    const size_t path = target.find_first_of("/?");
    if (path == 0 || target.empty()) return http_error{400, "bad request target"};
    target = path == std::string_view::npos ? std::string_view("/") : target.substr(path);
  }
  const size_t question = target.find('?');
  out.what.path = target.substr(0, question);
  if (question != std::string_view::npos) out.what.query = target.substr(question + 1);
  if (out.what.path.empty()) out.what.path = "/";
  return {};
}

failure parse_request_line(std::string_view line, http_head& out) {
  const auto method = cut(line, " ");
  if (!method || method->empty() || !std::all_of(method->begin(), method->end(), is_token)) {
    return http_error{400, "malformed request line"};
  }
  out.what.method = *method;
  const auto target = cut(line, " ");
  if (!target) return http_error{400, "malformed request line"};
  if (auto bad = parse_version(line, out)) return bad;
  return parse_target(*target, out);
}

failure parse_field(std::string_view line, http_head& out) {
  if (line.front() == ' ' || line.front() == '\t') return http_error{400, "folded header field"};
  const auto name = cut(line, ":");
  if (!name || name->empty() || !std::all_of(name->begin(), name->end(), is_token)) {
    return http_error{400, "malformed header field"};
  }
  const auto value = trim(line);
  const auto allowed = [](char c) { return c == '\t' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7F); };
  if (!std::all_of(value.begin(), value.end(), allowed)) {
    return http_error{400, "control character in a header field"};
  }
  out.what.fields.emplace_back(*name, value);
  return {};
}

// Host: exactly one in HTTP/1.1, and of characters that an authority can have (no list, no user).
failure check_host(const http_head& head) {
  const size_t hosts = count_fields(head.what, "host");
  if (hosts > 1 || (hosts == 0 && head.minor_version > 0)) return http_error{400, "exactly one Host is needed"};
  const auto host = head.what.field("host");
  const auto allowed = [](char c) {
    return is_alpha(c) || is_digit(c) || std::string_view("-._~%!$&'()*+;=[]:").find(c) != std::string_view::npos;
  };
  if (!std::all_of(host.begin(), host.end(), allowed)) return http_error{400, "bad Host"};
  return {};
}

failure check_length(http_head& head, const http_limits& limits) {
  const size_t lengths = count_fields(head.what, "content-length");
  if (count_fields(head.what, "transfer-encoding") > 0) {
    if (lengths > 0 || head.minor_version == 0) return http_error{400, "Transfer-Encoding not allowed here"};
    if (has_token(head.what, "transfer-encoding", "chunked")) return http_error{411, "a Content-Length is needed"};
    return http_error{501, "transfer coding not supported"};
  }
  if (lengths == 0) return {};
  if (lengths > 1) return http_error{400, "several Content-Length fields"};
  const auto text = head.what.field("content-length");
  if (text.empty() || !std::all_of(text.begin(), text.end(), is_digit)) return http_error{400, "bad Content-Length"};
  uint64_t length = 0;
  for (const char c : text) {
    if (length > std::numeric_limits<uint64_t>::max() / 10 - 1) return http_error{413, "body too large"};
    length = length * 10 + static_cast<uint64_t>(c - '0');
  }
  if (length > limits.max_body_bytes) return http_error{413, "body too large"};
  head.content_length = static_cast<size_t>(length);
  return {};
}

failure check_connection(http_head& head) {
  head.keep_alive = head.minor_version > 0 && !has_token(head.what, "connection", "close");
  if (head.minor_version == 0 || count_fields(head.what, "expect") == 0) return {};
  if (!equals_ignoring_case(head.what.field("expect"), "100-continue")) return http_error{417, "expectation unknown"};
  head.expects_continue = head.content_length > 0;
  return {};
}

}  // namespace

std::string_view request::field(std::string_view name) const noexcept {
  for (const auto& [key, value] : fields) {
    if (equals_ignoring_case(key, name)) return value;
  }
  return {};
}

bool equals_ignoring_case(std::string_view a, std::string_view b) noexcept {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return lower(x) == lower(y); });
}

bool has_token(const request& what, std::string_view name, std::string_view token) noexcept {
  for (const auto& [key, value] : what.fields) {
    if (!equals_ignoring_case(key, name)) continue;
    auto rest = value;
    while (true) {
      const size_t comma = rest.find(',');
      if (equals_ignoring_case(trim(rest.substr(0, comma)), token)) return true;
      if (comma == std::string_view::npos) break;
      rest.remove_prefix(comma + 1);
    }
  }
  return false;
}

size_t count_fields(const request& what, std::string_view name) noexcept {
  return static_cast<size_t>(std::count_if(what.fields.begin(), what.fields.end(),
                                           [name](const auto& f) { return equals_ignoring_case(f.first, name); }));
}

head_scanner::outcome head_scanner::feed(std::string_view bytes, size_t limit) noexcept {
  const auto end = static_cast<uint32_t>(std::min(bytes.size(), limit));
  for (; scanned_ < end; ++scanned_) {
    const char c = bytes[scanned_];
    const bool after_cr = scanned_ > line_ && bytes[scanned_ - 1] == '\r';
    if (c == '\0' || (c == '\n') != after_cr) return outcome::bad;  // NUL, bare LF, bare CR
    if (scanned_ == begin_ && !is_token(c) && (c != '\r' || begin_ > 0)) return outcome::bad;
    if (c != '\n') continue;
    const bool empty = scanned_ == line_ + 1;
    line_ = scanned_ + 1;
    if (!empty) continue;
    if (begin_ == 0 && scanned_ == 1) {
      begin_ = line_;  // the one empty line that may come before a request
      continue;
    }
    scanned_ = line_;
    return outcome::complete;
  }
  if (bytes.size() < limit) return outcome::more;
  return line_ == begin_ ? outcome::uri_too_long : outcome::too_large;
}

std::optional<http_error> parse_head(std::string_view head, const http_limits& limits, http_head& out) {
  const auto first = cut(head, "\r\n");
  if (!first) return http_error{400, "malformed request line"};
  if (auto bad = parse_request_line(*first, out)) return bad;
  while (true) {
    const auto line = cut(head, "\r\n");
    if (!line) return http_error{400, "head is not complete"};
    if (line->empty()) break;
    if (out.what.fields.size() == limits.max_head_fields) return http_error{431, "too many header fields"};
    if (auto bad = parse_field(*line, out)) return bad;
  }
  if (auto bad = check_host(out)) return bad;
  if (auto bad = check_length(out, limits)) return bad;
  return check_connection(out);
}

}  // namespace tern::websocket
