#include "libs/websocket/http_parser.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "libs/websocket/handshake.hpp"
#include "libs/websocket/testing/raw_client.hpp"

namespace tern::websocket {
namespace {

using outcome = head_scanner::outcome;

// Status of a head as the server would decide it: 0 when it is accepted, -1 when more is awaited.
int judge(const std::string& bytes, http_head& head, const http_limits& limits = {}) {
  head_scanner scanner;
  switch (scanner.feed(bytes, limits.max_head_bytes)) {
    case outcome::more: return -1;
    case outcome::bad: return 400;
    case outcome::too_large: return 431;
    case outcome::uri_too_long: return 414;
    case outcome::complete: break;
  }
  const auto whole = std::string_view(bytes).substr(scanner.begin(), scanner.end() - scanner.begin());
  const auto bad = parse_head(whole, limits, head);
  return bad ? bad->status : 0;
}

int judge(const std::string& bytes) {
  http_head head;
  return judge(bytes, head);
}

std::string get(const std::string& fields, const std::string& target = "/", const std::string& version = "HTTP/1.1") {
  return "GET " + target + " " + version + "\r\n" + fields + "\r\n";
}

const std::string host = "Host: a\r\n";

TEST(http_parser, takes_a_request_apart) {
  http_head head;
  const std::string bytes =
      "POST /v1/x?a=1&b=?2 HTTP/1.1\r\nHost: h:80\r\nX-One:  two words \t\r\nEmpty:\r\n"
      "content-length: 12\r\n\r\n";
  ASSERT_EQ(judge(bytes, head), 0);
  EXPECT_EQ(head.what.method, "POST");
  EXPECT_EQ(head.what.path, "/v1/x");
  EXPECT_EQ(head.what.query, "a=1&b=?2");
  EXPECT_EQ(head.what.field("x-oNE"), "two words");
  EXPECT_EQ(head.what.field("empty"), "");
  EXPECT_EQ(head.what.field("none"), "");
  EXPECT_EQ(head.content_length, 12U);
  EXPECT_TRUE(head.keep_alive);
}

TEST(http_parser, drops_scheme_and_authority_of_absolute_form) {
  for (const std::string target : {"http://h/p/q", "HTTPS://h:1/p/q", "ws://h/p/q", "wss://h/p/q"}) {
    http_head head;
    const auto bytes = get(host, target);
    ASSERT_EQ(judge(bytes, head), 0) << target;
    EXPECT_EQ(head.what.path, "/p/q");
  }
  http_head head;
  const auto bare = get(host, "http://h");
  ASSERT_EQ(judge(bare, head), 0);
  EXPECT_EQ(head.what.path, "/");
  http_head queried;
  const auto with_query = get(host, "http://h?x=1");
  ASSERT_EQ(judge(with_query, queried), 0);
  EXPECT_EQ(queried.what.path, "/");
  EXPECT_EQ(queried.what.query, "x=1");
}

TEST(http_parser, knows_when_a_connection_stays) {
  const auto stays = [](const std::string& bytes) {
    http_head head;
    EXPECT_EQ(judge(bytes, head), 0) << bytes;
    return head.keep_alive;
  };
  EXPECT_TRUE(stays(get(host)));
  EXPECT_FALSE(stays(get(host + "Connection: foo, Close\r\n")));
  EXPECT_FALSE(stays(get("", "/", "HTTP/1.0")));
}

struct bad_head {
  const char* what;
  std::string bytes;
  int status;
};

std::vector<bad_head> bad_heads() {
  using namespace std::string_literals;
  return {
      {"no Host", get(""), 400},
      {"two Hosts", get(host + host), 400},
      {"comma in Host", get("Host: a,b\r\n"), 400},
      {"space in Host", get("Host: a b\r\n"), 400},
      {"user in Host", get("Host: u@a\r\n"), 400},
      {"path in Host", get("Host: a/b\r\n"), 400},
      {"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\n", 505},
      {"HTTP/3", get(host, "/", "HTTP/3.0"), 505},
      {"HTTP/0.9 with fields", "GET /\r\n" + host + "\r\n", 400},
      {"version in lower case", get(host, "/", "http/1.1"), 400},
      {"version of three digits", get(host, "/", "HTTP/1.10"), 400},
      {"version missing", "GET / \r\n\r\n", 400},
      {"two spaces", "GET  / HTTP/1.1\r\n" + host + "\r\n", 400},
      {"space after the version", "GET / HTTP/1.1 \r\n" + host + "\r\n", 400},
      {"space in the target", get(host, "/a b"), 400},
      {"tab in the target", get(host, "/a\tb"), 400},
      {"NUL in the target", get(host, "/a\0b"s), 400},
      {"DEL in the target", get(host, "/a\x7f"), 400},
      {"not ASCII in the target", get(host, "/\xC3\xA4"), 400},
      {"fragment in the target", get(host, "/a#b"), 400},
      {"target without slash", get(host, "a"), 400},
      {"star with GET", get(host, "*"), 400},
      {"unknown scheme", get(host, "ftp://h/"), 400},
      {"absolute form without authority", get(host, "http:///p"), 400},
      {"absolute form cut", get(host, "http://"), 400},
      {"CONNECT", "CONNECT h:1 HTTP/1.1\r\n" + host + "\r\n", 501},
      {"method not a token", "G(T / HTTP/1.1\r\n" + host + "\r\n", 400},
      {"TLS greeting", "\x16\x03\x01\x02", 400},
      {"first byte NUL", "\0"s, 400},
      {"first byte space", " GET", 400},
      {"two empty lines before the request", "\r\n\r\n" + get(host), 400},
      {"bare LF after the request line", "GET / HTTP/1.1\n" + host + "\r\n", 400},
      {"bare LF at the end", "GET / HTTP/1.1\r\n" + host + "\n", 400},
      {"bare CR in a field", get(host + "A: b\rc\r\n"), 400},
      {"NUL in a field", get(host + "A: b\0c\r\n"s), 400},
      {"control character in a field", get(host + "A: b\x01\r\n"), 400},
      {"DEL in a field", get(host + "A: b\x7f\r\n"), 400},
      {"folded field", get(host + "A: b\r\n c\r\n"), 400},
      {"folded first field", get(" A: b\r\n" + host), 400},
      {"space before the colon", get(host + "A : b\r\n"), 400},
      {"no colon", get(host + "A\r\n"), 400},
      {"no name", get(host + ": b\r\n"), 400},
      {"name not a token", get(host + "A(b): c\r\n"), 400},
      {"Content-Length and Transfer-Encoding", get(host + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"),
       400},
      {"chunked", get(host + "Transfer-Encoding: chunked\r\n"), 411},
      {"chunked after another", get(host + "Transfer-Encoding: gzip, Chunked\r\n"), 411},
      {"transfer coding unknown", get(host + "Transfer-Encoding: gzip\r\n"), 501},
      {"Transfer-Encoding in HTTP/1.0", get("Transfer-Encoding: chunked\r\n", "/", "HTTP/1.0"), 400},
      {"two Content-Lengths", get(host + "Content-Length: 1\r\nContent-Length: 1\r\n"), 400},
      {"list of Content-Lengths", get(host + "Content-Length: 1, 1\r\n"), 400},
      {"negative Content-Length", get(host + "Content-Length: -1\r\n"), 400},
      {"signed Content-Length", get(host + "Content-Length: +1\r\n"), 400},
      {"hexadecimal Content-Length", get(host + "Content-Length: 0x1\r\n"), 400},
      {"empty Content-Length", get(host + "Content-Length:\r\n"), 400},
      {"body too large", get(host + "Content-Length: 65537\r\n"), 413},
      {"Content-Length beyond 64 bits", get(host + "Content-Length: 99999999999999999999999\r\n"), 413},
      {"Content-Length 2^64", get(host + "Content-Length: 18446744073709551616\r\n"), 413},
      {"unknown expectation", get(host + "Expect: 200-ok\r\n"), 417},
  };
}

TEST(http_parser, refuses_bad_heads_with_the_right_status) {
  for (const auto& bad : bad_heads()) EXPECT_EQ(judge(bad.bytes), bad.status) << bad.what;
}

TEST(http_parser, finds_bad_bytes_however_the_head_is_cut) {
  for (const auto& bad : bad_heads()) {
    for (size_t cut = 0; cut <= bad.bytes.size(); ++cut) {
      head_scanner pieces;
      auto found = pieces.feed(std::string_view(bad.bytes).substr(0, cut), 8192);
      if (found == outcome::more) found = pieces.feed(bad.bytes, 8192);
      head_scanner whole;
      EXPECT_EQ(found, whole.feed(bad.bytes, 8192)) << bad.what << " cut at " << cut;
      EXPECT_EQ(pieces.end(), whole.end());
    }
  }
}

TEST(http_parser, finds_the_end_of_a_head_at_each_cut_and_not_before) {
  const std::string head = "\r\n" + get(host + "A: b\r\n");
  const std::string bytes = head + "more";
  for (size_t cut = 0; cut < head.size(); ++cut) {
    head_scanner scanner;
    EXPECT_EQ(scanner.feed(std::string_view(bytes).substr(0, cut), 8192), outcome::more) << cut;
    EXPECT_EQ(scanner.feed(bytes, 8192), outcome::complete);
    EXPECT_EQ(scanner.begin(), 2U);
    EXPECT_EQ(scanner.end(), head.size());
  }
}

TEST(http_parser, bounds_head_target_and_fields) {
  const std::string base = get(host + "A: ");
  const std::string filler(8192 - get(host + "A: \r\n").size(), 'x');
  EXPECT_EQ(judge(get(host + "A: " + filler + "\r\n")), 0);
  EXPECT_EQ(judge(get(host + "A: " + filler + "x\r\n")), 431);
  EXPECT_EQ(judge(get(host, "/" + std::string(9000, 'x'))), 414);
  EXPECT_EQ(judge("GET /" + std::string(8187, 'x')), 414);
  EXPECT_EQ(judge("GET /" + std::string(8186, 'x')), -1);
  EXPECT_EQ(judge(get(host + std::string(100'000, 'h'))), 431);
  std::string fields;
  for (int i = 0; i < 99; ++i) fields += "A: b\r\n";
  EXPECT_EQ(judge(get(host + fields)), 0);
  EXPECT_EQ(judge(get(host + fields + "A: b\r\n")), 431);
  EXPECT_EQ(judge(get(host + "Content-Length: 65536\r\n")), 0);
}

TEST(http_parser, asks_for_the_body_only_when_one_is_announced) {
  http_head with;
  EXPECT_EQ(judge(get(host + "Expect: 100-Continue\r\nContent-Length: 3\r\n"), with), 0);
  EXPECT_TRUE(with.expects_continue);
  http_head without;
  EXPECT_EQ(judge(get(host + "Expect: 100-continue\r\n"), without), 0);
  EXPECT_FALSE(without.expects_continue);
  http_head old;
  EXPECT_EQ(judge(get("Expect: 100-continue\r\nContent-Length: 3\r\n", "/", "HTTP/1.0"), old), 0);
  EXPECT_FALSE(old.expects_continue);
}

// The opening handshake with one field replaced (or left out when `with` is empty).
int handshake(const std::string& field, const std::string& with, const std::string& start = "GET / HTTP/1.1\r\n") {
  std::string bytes = testing::upgrade_request();
  bytes.replace(0, bytes.find("\r\n") + 2, start);
  if (!field.empty()) {
    const size_t at = bytes.find("\r\n" + field + ":") + 2;
    bytes.replace(at, bytes.find("\r\n", at) + 2 - at, with);
  }
  http_head head;
  if (const int status = judge(bytes, head); status != 0) return status;
  EXPECT_TRUE(wants_websocket(head.what));
  const auto bad = check_upgrade(head);
  return bad ? bad->status : 101;
}

TEST(handshake, accepts_what_the_rfc_asks_for) {
  EXPECT_EQ(handshake("", ""), 101);
  EXPECT_EQ(handshake("Upgrade", "Upgrade: h2c, WebSocket\r\n"), 101);
  EXPECT_EQ(handshake("Connection", "Connection: keep-alive, uPgrade\r\n"), 101);
  EXPECT_EQ(handshake("Connection", "Connection: keep-alive\r\nConnection: Upgrade\r\n"), 101);
  EXPECT_EQ(handshake("Host", "hOsT: [::1]:443\r\n"), 101);
  EXPECT_EQ(handshake("", "", "GET /a?b HTTP/1.2\r\n"), 101);
  EXPECT_EQ(handshake("Host", "Host: a\r\nSec-WebSocket-Extensions: permessage-deflate; x=\"y\"\r\n"), 101);
}

TEST(handshake, refuses_what_it_must) {
  EXPECT_EQ(handshake("", "", "POST / HTTP/1.1\r\n"), 405);
  EXPECT_EQ(handshake("", "", "GET / HTTP/1.0\r\n"), 400);
  EXPECT_EQ(handshake("Host", ""), 400);
  EXPECT_EQ(handshake("Host", "Host:\r\n"), 400);
  EXPECT_EQ(handshake("Host", "Host: a\r\nHost: a\r\n"), 400);
  EXPECT_EQ(handshake("Upgrade", ""), 400);
  EXPECT_EQ(handshake("Upgrade", "Upgrade: websockets\r\n"), 400);
  EXPECT_EQ(handshake("Connection", ""), 400);
  EXPECT_EQ(handshake("Connection", "Connection: keep-alive\r\n"), 400);
  EXPECT_EQ(handshake("Host", "Host: a\r\nContent-Length: 1\r\n"), 400);
  for (const std::string version : {"", "8", "14", "013", "13,13", "13 ,8", "x"}) {
    EXPECT_EQ(handshake("Sec-WebSocket-Version", "Sec-WebSocket-Version: " + version + "\r\n"), 426) << version;
  }
  EXPECT_EQ(handshake("Sec-WebSocket-Version", ""), 426);
  EXPECT_EQ(handshake("Sec-WebSocket-Version", "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Version: 13\r\n"), 400);
  EXPECT_EQ(handshake("Sec-WebSocket-Key", ""), 400);
  for (const std::string key : {"", "AAAA", "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZQ===",
                                "dGhlIHNhbXBsZSBub25jZQAA", "dGhlIHNhbXBsZSBub25jZQ=A", "dGhlIHNhbXBs*SBub25jZQ==",
                                "dGhlIHNhbXBsZSBub25jZS4=", "dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ=="}) {
    EXPECT_EQ(handshake("Sec-WebSocket-Key", "Sec-WebSocket-Key: " + key + "\r\n"), 400) << key;
  }
  const std::string key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
  EXPECT_EQ(handshake("Sec-WebSocket-Key", key + key), 400);
}

TEST(handshake, leaves_other_requests_alone) {
  http_head head;
  const auto bytes = get(host + "Upgrade: h2c\r\nConnection: Upgrade\r\n");
  ASSERT_EQ(judge(bytes, head), 0);
  EXPECT_FALSE(wants_websocket(head.what));
}

TEST(handshake, computes_the_accept_key_of_the_rfc) {
  EXPECT_EQ(accept_key("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

TEST(handshake, answers_without_extension_or_subprotocol) {
  std::string out;
  append_switching_protocols(out, "dGhlIHNhbXBsZSBub25jZQ==");
  EXPECT_EQ(out,
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
}

TEST(http_answer, has_length_type_and_date) {
  std::string out;
  append_response(out, {200, "text/x", "body", {{"A", "b"}}}, {true, false, 784111777});
  EXPECT_EQ(out,
            "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: text/x\r\nContent-Length: 4\r\n"
            "Connection: keep-alive\r\nA: b\r\n\r\nbody");
}

TEST(http_answer, tells_the_version_with_426_and_has_no_body_for_head_and_204) {
  std::string out;
  append_response(out, {426, "text/x", "v", {}}, {});
  EXPECT_NE(out.find("\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nConnection: Upgrade, close\r\n"),
            std::string::npos);
  out.clear();
  append_response(out, {200, "text/x", "body", {}}, {false, true, 0});
  EXPECT_NE(out.find("Content-Length: 4\r\n"), std::string::npos);
  EXPECT_TRUE(out.ends_with("\r\n\r\n"));
  out.clear();
  append_response(out, {204, "text/x", "body", {}}, {});
  EXPECT_EQ(out.find("Content-"), std::string::npos);
  EXPECT_TRUE(out.ends_with("\r\n\r\n"));
}

TEST(http_answer, cannot_be_split_by_a_field) {
  std::string out;
  append_response(out, {200, "a\r\nX: y", "", {{"A", "b\nC: d"}, {"B\r\nD", "e"}}}, {});
  EXPECT_EQ(out.find("X: y"), std::string::npos);
  EXPECT_EQ(out.find("C: d"), std::string::npos);
  EXPECT_EQ(out.find("D: e"), std::string::npos);
}

}  // namespace
}  // namespace tern::websocket
