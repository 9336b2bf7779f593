// What most tests of a command begin with. Each test runs in both encodings against ternd and against a cluster,
// whose gateways the clients use in turn. The names are those of the command table: NN_<command>_<case>.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "libs/base/ids.hpp"
#include "tests/protocol/client.hpp"
#include "tests/protocol/server.hpp"

namespace tern::testing {

/// Where a case runs, and how its clients speak.
struct place {
  server_kind kind = server_kind::ternd;
  wire::encoding enc = wire::encoding::thrift;
};
std::string place_name(const ::testing::TestParamInfo<place>& info);
/// Both encodings. Instantiate a suite once per kind of server: GoogleTest then runs all cases of one before the
/// other.
std::vector<place> encodings_at(server_kind kind);

/// A MESSAGE that owns its texts.
struct seen_message {
  int ms_type = 0, od_type = 0, bn_type = 0;
  int64_t id = 0, mid = 0, timestamp = 0;
  bool offline = false;
  std::string from, from_domain, to, room, text;
  bool is_notice(int bn) const { return od_type == 4 && bn_type == bn; }
};
seen_message own(const wire::tim_message& message);

/// A frame of a virtual room in either form: TimStream (94), or 97, which has neither id, dtype nor sender.
struct seen_push {
  bool binary = false;
  int64_t id = 0;
  int dtype = -1;  // absent
  std::string room, from, body;
};

/// Separators of big data.
inline constexpr char bar = '|';
inline constexpr char high_bar = static_cast<char>(0x83);

/// Room types of BUSINESS 8.
inline constexpr int private_room = 1;
inline constexpr int open_room = 2;

class protocol : public ::testing::TestWithParam<place> {
 protected:
  using client_ptr = std::unique_ptr<tim_client>;

  void SetUp() override;
  void TearDown() override;

  /// The server of this case; suites with settings of their own override it.
  virtual server& where() { return server::shared(GetParam().kind); }
  uint16_t port() { return where().port(next_gateway_++); }
  wire::encoding enc() const { return GetParam().enc; }

  // ---- accounts and terminals ----
  /// A name nobody else uses.
  std::string fresh_name(std::string_view stem);
  /// Registers `name` with the password "secret"; its node.
  std::string register_account(const std::string& name, std::string_view domain = {});
  /// Logs a registered account on.
  client_ptr log_in(const std::string& name, std::string_view domain = {});
  client_ptr log_in_as(const std::string& name, int8_t terminal_type);
  client_ptr anonymous() { return std::make_unique<tim_client>(port(), enc()); }
  /// A new account, logged on; its name in `name` if wanted.
  client_ptr new_user(std::string_view stem, std::string* name = nullptr, std::string_view domain = {});
  /// A new account whose id is in the lower or upper half of all slots: with two session nodes, one each.
  client_ptr new_user_in_half(bool upper, size_t gateway);
  /// Both ask for friendship; both have got their notices when this returns.
  void befriend(tim_client& one, tim_client& other);

  // ---- commands ----
  void business(tim_client& who, int32_t what, std::string_view node = {}, std::string_view text = {});
  /// BUSINESS with node and node2.
  void business_on(tim_client& who, int32_t what, std::string_view node, std::string_view node2,
                   std::string_view text = {});
  /// Sends a text and waits for the receipt; its mid.
  int64_t send_text(tim_client& from, std::string_view to, std::string_view text, int64_t id = 0);
  static wire::tim_message text_message(std::string_view to, std::string_view text, int64_t id = 0);
  static wire::tim_message room_message(std::string_view room, std::string_view text, int64_t id = 0);
  static wire::tim_req history(int32_t rtype, std::string_view node, int64_t from_mid, int64_t limit);
  /// odType 2 or 3.
  static wire::tim_message recall(int8_t od_type, std::string_view to, std::string_view room, int64_t mid);

  // ---- rooms ----
  /// A new room of this founder; its node.
  std::string new_room(tim_client& founder, int kind = open_room, std::string_view name = "a room");
  /// BUSINESS 12; both have heard of it when this returns.
  void pull_in(tim_client& by, std::string_view room, tim_client& who);
  /// NODES 7 by the founder: `who` becomes a manager.
  void make_manager(tim_client& founder, std::string_view room, tim_client& who);
  /// Sends a text to a room and waits for one's own copy; its mid.
  int64_t send_to_room(tim_client& from, std::string_view room, std::string_view text, int64_t id = 0);
  /// Sorted nodes of BUSINESS 1, 2, 3, 18, 19, 20; empty when there is no answer before that of a later command.
  std::vector<std::string> list_of(tim_client& who, int32_t rtype, std::string_view node = {});
  /// PULLMESSAGE; empty when there is no answer before that of a later command.
  std::vector<seen_message> pull(tim_client& who, const wire::tim_req& what);
  /// OFFLINEMSG until OFFLINEMSGEND: all entries of the lists; live messages are left where they are.
  std::vector<seen_message> drain(tim_client& who);

  // ---- virtual rooms and big data (live.cpp) ----
  void vroom(tim_client& who, int32_t rtype, std::string_view node = {}, std::string_view node2 = {},
             int64_t form = 0);
  /// VROOM 1; the room's node.
  std::string new_vroom(tim_client& owner);
  /// VROOM 3, 4, 5, 6; each has its answer when this returns.
  void grant(tim_client& owner, std::string_view room, const tim_client& who);
  void take_grant(tim_client& owner, std::string_view room, const tim_client& who);
  void subscribe(tim_client& who, std::string_view room, bool binary = false);
  void unsubscribe(tim_client& who, std::string_view room);
  /// STREAM with a body only.
  void push(tim_client& who, std::string_view room, std::string_view body);
  /// Everything the room's owner answered to what this terminal sent to it is here: pushes too. Frames are kept.
  void settle_room(tim_client& who, std::string_view room);
  static bool is_push(const server_frame& frame) {
    return frame.type == wire::frame_type::stream || frame.type == wire::frame_type::bigbinarystream;
  }
  /// The next frame of any virtual room, whatever it is; fails the test when none comes.
  seen_push next_push(tim_client& at);
  /// The next frame of any virtual room is this one.
  void expect_push(tim_client& at, std::string_view room, std::string_view body);
  /// The next ACK refuses VROOM `rtype` about `node`.
  void expect_vroom_refused(tim_client& at, int32_t rtype, std::string_view node, int code);
  /// The next ACK refuses a STREAM or BIGBINARYSTREAM into `room`.
  void expect_push_refused(tim_client& at, wire::frame_type type, std::string_view room, int code);
  /// The room's end, as the server tells a subscriber.
  void expect_room_over(tim_client& at, std::string_view room);
  /// Payload of big data from a client: total length, node, separator, data.
  static std::string big_payload(std::string_view node, char separator, std::string_view data);
  /// A frame of big data in several WebSocket messages of at most `piece` bytes.
  void send_in_pieces(tim_client& who, wire::frame_type type, std::string_view payload, size_t piece);
  /// Nothing of big data at all, now and for a moment.
  void expect_no_big(tim_client& at);
  /// Big data for somebody off line comes never: not live, not in a list, not in the history.
  void expect_big_not_kept(wire::frame_type type, char separator);
  /// The next frame of this type (95, 96) is from `from` with this data; it wants no acknowledgement.
  void expect_big(tim_client& at, wire::frame_type type, std::string_view from, std::string_view data);
  /// A MESSAGE of odType 5 with this text; it wants no acknowledgement and has no mid.
  seen_message expect_live(tim_client& at, std::string_view from, std::string_view text);

  // ---- expectations; each fails the test with what was awaited ----
  /// The next MESSAGE with odType 1 and this text.
  void expect_text(tim_client& at, std::string_view from, std::string_view text, int64_t mid);
  /// A notice of this bnType from `from` (any if empty); what else came is kept.
  seen_message expect_notice(tim_client& at, std::string_view from, int32_t bn_type);
  /// A MESSAGE that is wanted; what else came is kept.
  seen_message expect_message(tim_client& at, const std::function<bool(const seen_message&)>& wanted,
                              std::string_view what);
  /// MESSAGE msType 3 of this room with this text.
  seen_message expect_room_text(tim_client& at, std::string_view room, std::string_view text);
  /// A PRESENCE from this node; what else came is kept. Views live until the next read().
  wire::tim_presence expect_presence(tim_client& at, std::string_view from);
  /// The next ACK refuses `type` with `code`.
  void expect_refused(tim_client& at, wire::frame_type type, int code);
  /// The next ACK says ok for `type` with this t. Views live until the next read().
  wire::tim_ack expect_ok(tim_client& at, wire::frame_type type, int64_t t);
  /// Everything the server answered to earlier commands of this terminal is here; frames are kept.
  void settle(tim_client& who);
  /// Nothing wanted has come to the terminal, and nothing does for a moment.
  void expect_none(tim_client& at, const std::function<bool(const server_frame&)>& unwanted, std::string_view what);
  /// No MESSAGE with this text.
  void expect_no_text(tim_client& at, std::string_view text);

 private:
  std::optional<server_frame> answer_or_fence(tim_client& who, wire::frame_type type);

  std::atomic<size_t> next_gateway_{0};
};

}  // namespace tern::testing
