// Virtual rooms and big data: what tests of several commands begin with.
#include "tests/protocol/fixture.hpp"

namespace tern::testing {

using wire::frame_type;

void protocol::vroom(tim_client& who, int32_t rtype, std::string_view node, std::string_view node2, int64_t form) {
  wire::tim_req req;
  req.rtype = rtype;
  if (!node.empty()) req.node = node;
  if (!node2.empty()) req.node2 = node2;
  if (form != 0) req.req_int = form;
  who.send(frame_type::vroom, req);
}

std::string protocol::new_vroom(tim_client& owner) {
  vroom(owner, 1);
  const std::string room(expect_ok(owner, frame_type::vroom, 1).n.value_or(""));
  EXPECT_TRUE(from_node(node_kind::virtual_room, room)) << room;
  return room;
}

void protocol::grant(tim_client& owner, std::string_view room, const tim_client& who) {
  vroom(owner, 3, room, who.node());
  EXPECT_EQ(expect_ok(owner, frame_type::vroom, 3).n, who.node());
}

void protocol::take_grant(tim_client& owner, std::string_view room, const tim_client& who) {
  vroom(owner, 4, room, who.node());
  EXPECT_EQ(expect_ok(owner, frame_type::vroom, 4).n, who.node());
}

void protocol::subscribe(tim_client& who, std::string_view room, bool binary) {
  vroom(who, 5, room, {}, binary ? 1 : 0);
  EXPECT_EQ(expect_ok(who, frame_type::vroom, 5).n, room);
}

void protocol::unsubscribe(tim_client& who, std::string_view room) {
  vroom(who, 6, room);
  EXPECT_EQ(expect_ok(who, frame_type::vroom, 6).n, room);
}

void protocol::push(tim_client& who, std::string_view room, std::string_view body) {
  wire::tim_stream stream;
  stream.vnode = room;
  stream.body = body;
  who.send(frame_type::stream, stream);
}

void protocol::settle_room(tim_client& who, std::string_view room) {
  // Requests of a room are handled in order, and taking a right is always answered, if only by a refusal.
  vroom(who, 4, room, to_node(account_id{12345}));
  const auto answer = who.find([&](const server_frame& frame) {
    if (frame.type != frame_type::ack) return false;
    const auto ack = who.read<wire::tim_ack>(frame);
    return static_cast<uint8_t>(ack.tim_type) == static_cast<uint8_t>(frame_type::vroom) && ack.t == 4;
  });
  EXPECT_TRUE(answer) << "no answer to VROOM 4";
}

seen_push protocol::next_push(tim_client& at) {
  const auto frame = at.find(is_push);
  EXPECT_TRUE(frame) << "no frame of a virtual room";
  if (!frame) return {};
  EXPECT_FALSE(frame->sync_id) << "nobody acknowledges a frame of a virtual room";
  seen_push out;
  if (frame->type == frame_type::bigbinarystream) {
    const size_t end = frame->payload.find(high_bar);
    EXPECT_NE(end, std::string::npos) << "no separator";
    if (end == std::string::npos) return {};
    out.binary = true;
    out.room = frame->payload.substr(0, end);
    out.body = frame->payload.substr(end + 1);
    return out;
  }
  const auto stream = at.read<wire::tim_stream>(*frame);
  out.id = stream.id;
  out.dtype = stream.dtype.value_or(-1);
  out.room = stream.vnode;
  out.from = stream.from_node;
  out.body = stream.body.value_or("");
  return out;
}

void protocol::expect_push(tim_client& at, std::string_view room, std::string_view body) {
  const auto got = next_push(at);
  EXPECT_EQ(got.room, room);
  EXPECT_TRUE(got.body == body) << got.body.substr(0, 100) << " instead of " << body.substr(0, 100);
}

void protocol::expect_big_not_kept(frame_type type, char separator) {
  auto alice = new_user("alice");
  std::string name;
  auto bob = new_user("bob", &name);
  befriend(*alice, *bob);
  drain(*bob);
  const std::string node = bob->node();
  bob.reset();
  EXPECT_TRUE(expect_presence(*alice, node).offline.value_or(false));
  alice->send_bytes(type, big_payload(node, separator, "missed"));
  settle(*alice);
  bob = log_in(name);
  for (const auto& m : drain(*bob)) EXPECT_EQ(m.od_type, 4) << m.text;
  expect_no_big(*bob);
  EXPECT_TRUE(pull(*bob, history(1, alice->node(), 0, 10)).empty());
  EXPECT_TRUE(pull(*alice, history(1, node, 0, 10)).empty());
}

void protocol::expect_vroom_refused(tim_client& at, int32_t rtype, std::string_view node, int code) {
  const auto frame = at.find([](const server_frame& f) { return f.type == frame_type::ack; });
  ASSERT_TRUE(frame) << "no ACK; awaited " << code << " for rtype " << rtype;
  const auto ack = at.read<wire::tim_ack>(*frame);
  EXPECT_FALSE(ack.ok) << "rtype " << rtype << " about " << node << ", awaited " << code;
  EXPECT_EQ(static_cast<uint8_t>(ack.tim_type), static_cast<uint8_t>(frame_type::vroom));
  EXPECT_EQ(ack.error ? ack.error->code.value_or(0) : 0, code) << "rtype " << rtype << " about " << node;
  EXPECT_EQ(ack.t.value_or(0), rtype);
  EXPECT_EQ(ack.n.value_or(""), node);
}

void protocol::expect_push_refused(tim_client& at, frame_type type, std::string_view room, int code) {
  const auto frame = at.find([](const server_frame& f) { return f.type == frame_type::ack; });
  ASSERT_TRUE(frame) << "no ACK; awaited " << code;
  const auto ack = at.read<wire::tim_ack>(*frame);
  EXPECT_FALSE(ack.ok);
  EXPECT_EQ(static_cast<uint8_t>(ack.tim_type), static_cast<uint8_t>(type));
  EXPECT_EQ(ack.error ? ack.error->code.value_or(0) : 0, code) << room;
  EXPECT_EQ(ack.n.value_or(""), room);
}

void protocol::expect_room_over(tim_client& at, std::string_view room) {
  EXPECT_EQ(expect_ok(at, frame_type::vroom, 2).n, room);
}

std::string protocol::big_payload(std::string_view node, char separator, std::string_view data) {
  const auto total = static_cast<uint32_t>(5 + node.size() + 1 + data.size());
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(total >> static_cast<unsigned>(shift));
  return out.append(node).append(1, separator).append(data);
}

void protocol::send_in_pieces(tim_client& who, frame_type type, std::string_view payload, size_t piece) {
  const std::string whole = client_frame(type, enc(), payload);
  for (size_t at = 0; at < whole.size(); at += piece) who.ws().send(whole.substr(at, piece));
}

void protocol::expect_no_big(tim_client& at) {
  expect_none(
      at, [](const server_frame& f) { return f.type == frame_type::bigstring || f.type == frame_type::bigbinary; },
      "big data");
}

void protocol::expect_big(tim_client& at, frame_type type, std::string_view from, std::string_view data) {
  const auto frame = at.find([&](const server_frame& f) { return f.type == type; });
  ASSERT_TRUE(frame) << "no frame of type " << static_cast<int>(type);
  EXPECT_FALSE(frame->sync_id) << "nobody acknowledges big data";
  const char separator = type == frame_type::bigstring ? bar : high_bar;
  const size_t end = frame->payload.find(separator);
  ASSERT_NE(end, std::string::npos) << "no separator";
  EXPECT_EQ(frame->payload.substr(0, end), from);
  const auto got = std::string_view(frame->payload).substr(end + 1);
  EXPECT_TRUE(got == data) << got.size() << " bytes instead of " << data.size() << ": " << got.substr(0, 100);
}

seen_message protocol::expect_live(tim_client& at, std::string_view from, std::string_view text) {
  seen_message out;
  const auto frame = at.find([&](const server_frame& f) {
    if (f.type != frame_type::message) return false;
    out = own(at.read<wire::tim_message>(f));
    return out.od_type == 5;
  });
  EXPECT_TRUE(frame) << "not received: " << text;
  if (!frame) return {};
  EXPECT_FALSE(frame->sync_id) << "nobody acknowledges what is of the moment";
  EXPECT_EQ(out.text, text);
  EXPECT_EQ(out.from, from);
  EXPECT_EQ(out.mid, 0);
  EXPECT_GT(out.timestamp, 0);
  EXPECT_NE(out.id, 0);
  return out;
}

}  // namespace tern::testing
