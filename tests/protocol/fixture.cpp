#include "tests/protocol/fixture.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <iostream>

namespace tern::testing {

using wire::frame_type;

std::string place_name(const ::testing::TestParamInfo<place>& info) {
  return info.param.enc == wire::encoding::json ? "json" : "thrift";
}

std::vector<place> encodings_at(server_kind kind) {
  return {{kind, wire::encoding::thrift}, {kind, wire::encoding::json}};
}

seen_message own(const wire::tim_message& message) {
  seen_message out;
  out.ms_type = message.ms_type;
  out.od_type = message.od_type;
  out.bn_type = message.bn_type.value_or(0);
  out.id = message.id.value_or(0);
  out.mid = message.mid.value_or(0);
  out.timestamp = message.timestamp.value_or(0);
  out.offline = message.is_offline.value_or(false);
  if (message.from_tid) out.from = message.from_tid->node;
  if (message.from_tid) out.from_domain = message.from_tid->domain.value_or("");
  if (message.to_tid) out.to = message.to_tid->node;
  if (message.room_tid) out.room = message.room_tid->node;
  out.text = message.data_string.value_or("");
  return out;
}

void protocol::SetUp() { ASSERT_EQ(where().problem(), ""); }

void protocol::TearDown() {
  ASSERT_EQ(where().dead(), "");
  if (HasFailure()) std::cout << where().logs();
}

std::string protocol::fresh_name(std::string_view stem) {
  static std::atomic<int> counter{0};
  return std::string(stem) + "-" + std::to_string(++counter);
}

std::string protocol::register_account(const std::string& name, std::string_view domain) {
  const auto answer = account_call(port(), frame_type::reg, enc(), name, "secret", domain);
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.code, 0);
  return answer.n;
}

protocol::client_ptr protocol::log_in(const std::string& name, std::string_view domain) {
  auto client = anonymous();
  EXPECT_TRUE(client->login(name, "secret", domain).ok);
  return client;
}

protocol::client_ptr protocol::log_in_as(const std::string& name, int8_t terminal_type) {
  auto client = anonymous();
  wire::tim_auth auth;
  auth.name = name;
  auth.pwd = "secret";
  auth.termtyp = terminal_type;
  EXPECT_TRUE(client->login(auth).ok);
  return client;
}

protocol::client_ptr protocol::new_user(std::string_view stem, std::string* name, std::string_view domain) {
  const std::string chosen = fresh_name(stem);
  register_account(chosen, domain);
  if (name != nullptr) *name = chosen;
  return log_in(chosen, domain);
}

protocol::client_ptr protocol::new_user_in_half(bool upper, size_t gateway) {
  for (;;) {
    const std::string name = fresh_name("half");
    const auto id = account_from_node(register_account(name));
    if (!id || (slot_of(*id) >= slot_count / 2) != upper) {
      if (!id) return anonymous();
      continue;
    }
    auto client = std::make_unique<tim_client>(where().port(gateway), enc());
    EXPECT_TRUE(client->login(name, "secret").ok);
    return client;
  }
}

void protocol::business(tim_client& who, int32_t what, std::string_view node, std::string_view text) {
  business_on(who, what, node, {}, text);
}

void protocol::business_on(tim_client& who, int32_t what, std::string_view node, std::string_view node2,
                           std::string_view text) {
  wire::tim_req req;
  req.rtype = what;
  if (!node.empty()) req.node = node;
  if (!node2.empty()) req.node2 = node2;
  if (!text.empty()) req.req_str = text;
  who.send(frame_type::business, req);
}

void protocol::befriend(tim_client& one, tim_client& other) {
  business(one, 4, other.node());
  expect_notice(other, one.node(), 4);
  business(other, 4, one.node());
  expect_notice(one, other.node(), 5);
}

wire::tim_message protocol::text_message(std::string_view to, std::string_view text, int64_t id) {
  wire::tim_message message;
  message.ms_type = 2;
  message.od_type = 1;
  if (id != 0) message.id = id;
  message.to_tid.emplace().node = to;
  message.data_string = text;
  return message;
}

wire::tim_message protocol::room_message(std::string_view room, std::string_view text, int64_t id) {
  auto message = text_message({}, text, id);
  message.ms_type = 3;
  message.to_tid.reset();
  message.room_tid.emplace().node = room;
  return message;
}

wire::tim_req protocol::history(int32_t rtype, std::string_view node, int64_t from_mid, int64_t limit) {
  wire::tim_req req;
  req.rtype = rtype;
  req.node = node;
  req.req_int = from_mid;
  req.req_int2 = limit;
  return req;
}

wire::tim_message protocol::recall(int8_t od_type, std::string_view to, std::string_view room, int64_t mid) {
  wire::tim_message message;
  message.ms_type = room.empty() ? 2 : 3;
  message.od_type = od_type;
  if (!to.empty()) message.to_tid.emplace().node = to;
  if (!room.empty()) message.room_tid.emplace().node = room;
  message.mid = mid;
  return message;
}

int64_t protocol::send_text(tim_client& from, std::string_view to, std::string_view text, int64_t id) {
  from.send(frame_type::message, text_message(to, text, id));
  const auto receipt = expect_message(
      from, [&](const seen_message& m) { return m.text == text && m.from == from.node(); }, "the receipt");
  EXPECT_NE(receipt.timestamp, 0);
  return receipt.mid;
}

std::string protocol::new_room(tim_client& founder, int kind, std::string_view name) {
  wire::tim_req req;
  req.rtype = 8;
  req.node = name;
  req.req_int = kind;
  founder.send(frame_type::business, req);
  const auto ack = expect_ok(founder, frame_type::business, 8);
  const std::string room(ack.n.value_or(""));
  EXPECT_TRUE(from_node(node_kind::room, room)) << room;
  return room;
}

void protocol::pull_in(tim_client& by, std::string_view room, tim_client& who) {
  business_on(by, 12, room, who.node());
  const auto ack = expect_ok(by, frame_type::business, 12);
  EXPECT_EQ(ack.n, room);
  EXPECT_EQ(ack.n2, who.node());
  expect_message(
      who, [&](const seen_message& m) { return m.is_notice(12) && m.room == room; }, "the notice of being pulled in");
}

void protocol::make_manager(tim_client& founder, std::string_view room, tim_client& who) {
  wire::tim_nodes nodes;
  nodes.ntype = 7;
  wire::tim_room_bean bean;
  bean.managers = std::vector<wire::text>{who.node()};
  nodes.roommap.emplace().emplace_back(room, bean);
  founder.send(frame_type::nodes, nodes);
  expect_ok(founder, frame_type::nodes, 7);
}

int64_t protocol::send_to_room(tim_client& from, std::string_view room, std::string_view text, int64_t id) {
  from.send(frame_type::message, room_message(room, text, id));
  const auto receipt = expect_room_text(from, room, text);
  EXPECT_EQ(receipt.from, from.node());
  return receipt.mid;
}

std::optional<server_frame> protocol::answer_or_fence(tim_client& who, frame_type type) {
  // Commands of a terminal are handled in order, and one's own profile is always answered.
  const std::string self = who.node();
  wire::tim_nodes fence;
  fence.ntype = 4;
  fence.nodelist = std::vector<wire::text>{self};
  who.send(frame_type::nodes, fence);
  std::optional<server_frame> answer;
  const auto end = who.find([&](const server_frame& frame) {
    if (frame.type == frame_type::nodes && who.read<wire::tim_nodes>(frame).ntype == 4) return true;
    if (frame.type == type && !answer) answer = frame;
    return false;
  });
  EXPECT_TRUE(end) << "no answer to NODES 4";
  if (answer) who.find([&](const server_frame& frame) { return frame.type == type; });
  return answer;
}

std::vector<std::string> protocol::list_of(tim_client& who, int32_t rtype, std::string_view node) {
  business(who, rtype, node);
  std::vector<std::string> out;
  const auto frame = answer_or_fence(who, frame_type::nodes);
  if (!frame) return out;
  const auto nodes = who.read<wire::tim_nodes>(*frame);
  EXPECT_EQ(nodes.ntype, rtype > 3 ? rtype - 10 : rtype);
  if (!node.empty()) {
    EXPECT_EQ(nodes.node, node);
  }
  if (nodes.nodelist) out.assign(nodes.nodelist->begin(), nodes.nodelist->end());
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<seen_message> protocol::pull(tim_client& who, const wire::tim_req& what) {
  who.send(frame_type::pullmessage, what);
  std::vector<seen_message> out;
  const auto frame = answer_or_fence(who, frame_type::pullmessage);
  if (!frame) return out;
  const auto list = who.read<wire::tim_message_list>(*frame);
  if (!list.message_list) return out;
  for (const auto& message : *list.message_list) out.push_back(own(message));
  return out;
}

std::vector<seen_message> protocol::drain(tim_client& who) {
  who.send_bytes(frame_type::offlinemsg, {});
  std::vector<seen_message> out;
  for (;;) {
    const auto frame = who.find([](const server_frame& f) {
      return f.type == frame_type::offlinemsg || f.type == frame_type::offlinemsgend;
    });
    EXPECT_TRUE(frame) << "no OFFLINEMSGEND";
    if (!frame || frame->type == frame_type::offlinemsgend) return out;
    EXPECT_TRUE(frame->sync_id);
    const auto list = who.read<wire::tim_message_list>(*frame);
    if (!list.message_list) continue;
    for (const auto& message : *list.message_list) out.push_back(own(message));
  }
}

void protocol::expect_text(tim_client& at, std::string_view from, std::string_view text, int64_t mid) {
  const auto message = expect_message(
      at, [](const seen_message& m) { return m.od_type == 1; }, text);
  EXPECT_EQ(message.text, text);
  EXPECT_EQ(message.mid, mid);
  EXPECT_EQ(message.from, from);
}

seen_message protocol::expect_notice(tim_client& at, std::string_view from, int32_t bn_type) {
  return expect_message(
      at, [&](const seen_message& m) { return m.is_notice(bn_type) && (from.empty() || m.from == from); },
      "notice " + std::to_string(bn_type));
}

seen_message protocol::expect_message(tim_client& at, const std::function<bool(const seen_message&)>& wanted,
                                      std::string_view what) {
  seen_message out;
  const auto frame = at.find([&](const server_frame& f) {
    if (f.type != frame_type::message) return false;
    out = own(at.read<wire::tim_message>(f));
    return wanted(out);
  });
  EXPECT_TRUE(frame) << "not received: " << what;
  if (!frame) return {};
  EXPECT_TRUE(frame->sync_id) << what;
  return out;
}

seen_message protocol::expect_room_text(tim_client& at, std::string_view room, std::string_view text) {
  auto out = expect_message(
      at, [&](const seen_message& m) { return m.ms_type == 3 && m.room == room && m.text == text; }, text);
  EXPECT_GT(out.mid, 0);
  EXPECT_GT(out.timestamp, 0);
  return out;
}

wire::tim_presence protocol::expect_presence(tim_client& at, std::string_view from) {
  const auto frame = at.find([&](const server_frame& f) {
    if (f.type != frame_type::presence) return false;
    const auto seen = at.read<wire::tim_presence>(f);
    return seen.from_tid && seen.from_tid->node == from;
  });
  EXPECT_TRUE(frame) << "no PRESENCE from " << from;
  if (!frame) return {};
  EXPECT_FALSE(frame->sync_id) << "nobody acknowledges a PRESENCE";
  return at.read<wire::tim_presence>(*frame);
}

void protocol::expect_refused(tim_client& at, frame_type type, int code) {
  const auto frame = at.find([](const server_frame& f) { return f.type == frame_type::ack; });
  ASSERT_TRUE(frame) << "no ACK; awaited " << code;
  const auto ack = at.read<wire::tim_ack>(*frame);
  EXPECT_FALSE(ack.ok);
  EXPECT_EQ(static_cast<uint8_t>(ack.tim_type), static_cast<uint8_t>(type));
  ASSERT_TRUE(ack.error);
  EXPECT_EQ(ack.error->code, code);
}

wire::tim_ack protocol::expect_ok(tim_client& at, frame_type type, int64_t t) {
  const auto frame = at.find([](const server_frame& f) { return f.type == frame_type::ack; });
  EXPECT_TRUE(frame) << "no ACK; awaited t = " << t;
  if (!frame) return {};
  const auto ack = at.read<wire::tim_ack>(*frame);
  EXPECT_TRUE(ack.ok) << "error " << (ack.error ? ack.error->code.value_or(0) : 0) << " instead of t = " << t;
  EXPECT_EQ(static_cast<uint8_t>(ack.tim_type), static_cast<uint8_t>(type));
  EXPECT_EQ(ack.t, t);
  return ack;
}

void protocol::settle(tim_client& who) { answer_or_fence(who, frame_type::offlinemsgend); }

void protocol::expect_none(tim_client& at, const std::function<bool(const server_frame&)>& unwanted,
                           std::string_view what) {
  EXPECT_FALSE(at.find(unwanted, silence)) << what;
}

void protocol::expect_no_text(tim_client& at, std::string_view text) {
  expect_none(
      at,
      [&](const server_frame& f) {
        return f.type == frame_type::message && at.read<wire::tim_message>(f).data_string == text;
      },
      text);
}

}  // namespace tern::testing
