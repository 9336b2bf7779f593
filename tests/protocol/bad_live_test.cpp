// Virtual rooms and big data that are wrong, cut short, or announced as what they are not.
#include <limits>

#include "tests/protocol/bad_inputs.hpp"

namespace tern::testing {
namespace {

using wire::encoding;
using wire::frame_type;

constexpr frame_type big_types[] = {frame_type::bigstring, frame_type::bigbinary, frame_type::bigbinarystream};
constexpr uint32_t limit = 1U << 20U;  // gateway.big_data_bytes

char separator_of(frame_type type) { return type == frame_type::bigstring ? bar : high_bar; }

std::string big_endian(uint32_t value) {
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(value >> static_cast<unsigned>(shift));
  return out;
}

class bad_live : public bad_inputs {
 protected:
  /// Sends the messages on a new connection; what came before the answer to a PING behind them. What is incomplete
  /// swallows every other command.
  std::string outcome_of(const std::vector<std::string>& messages) {
    attacker_.reset();
    attacker_ = log_in(mallory_);
    for (const auto& one : messages) attacker_->ws().send(one);
    attacker_->send_bytes(frame_type::ping, {});
    std::string got;
    while (const auto frame = attacker_->next()) {
      if (frame->type == frame_type::ping) return got.empty() ? "none" : got;
      if (frame->type != frame_type::ack) continue;
      const auto ack = attacker_->read<wire::tim_ack>(*frame);
      if (!got.empty()) got += " ";
      got += ack.ok ? "ok" : std::to_string(ack.error ? ack.error->code.value_or(0) : 0);
    }
    return attacker_->ws().ended() ? "close" : got + " and then silence";
  }
};

TEST_P(bad_live, lengths_of_big_data) {
  for (const auto type : big_types) {
    const char mark = separator_of(type);
    for (const std::string& rest : {std::string(), std::string("no separator"), std::string(1, mark),
                                    std::string("x") + mark, bob_->node() + mark + "data"}) {
      for (const uint32_t length : {0U, 1U, 4U, 5U, 6U, 7U, 20U, 11U << 20U, 0x7FFFFFFFU, 0x80000000U, 0xFFFFFFFFU}) {
        // 20 is the one length that is possible and never reached by a rest; longer rests are more than announced.
        const size_t sent = 5 + rest.size();
        const bool incomplete = length >= 7 && length <= limit && sent < length && rest[0] != mark;
        const bool complete =
            length >= 7 && sent == length && rest.find(mark) != std::string::npos && rest[0] != mark;
        const std::string got = outcome_of({client_frame(type, enc(), big_endian(length) + rest)});
        const std::string what = "type " + std::to_string(static_cast<int>(type)) + ", length " +
                                 std::to_string(length) + ", " + std::to_string(sent) + " bytes";
        if (incomplete) {
          EXPECT_EQ(got, "none") << what;
        } else if (!complete) {
          EXPECT_EQ(got, "4114") << what;
        } else {
          EXPECT_TRUE(got != "4114" && got != "close") << what << ": " << got;
        }
        ASSERT_EQ(where().dead(), "") << what;
      }
    }
  }
}

TEST_P(bad_live, pieces_of_big_data_that_do_not_fit) {
  for (const auto type : big_types) {
    const std::string whole = client_frame(type, enc(), big_payload("nobody", separator_of(type), "some more data"));
    const std::string first = whole.substr(0, 10), second = whole.substr(10);
    EXPECT_EQ(outcome_of({first, second + "x"}), "4114");
    EXPECT_EQ(outcome_of({first, second + std::string(30'000, 'x')}), "4114");
    EXPECT_EQ(outcome_of({first, "", "", second.substr(1)}), "none") << "a byte is missing";
    EXPECT_EQ(outcome_of({whole.substr(0, 4), whole.substr(4)}).substr(0, 4), "4114") << "a header in two";
    // A frame of another kind between the pieces is a piece, as far as anybody can tell: too long for this one.
    const auto message = text_message(bob_->node(), std::string(100, 'm'));
    EXPECT_EQ(outcome_of({first, message_frame(wire::encode(enc(), message))}), "4114");
  }
}

TEST_P(bad_live, a_flood_of_announcements_leaves_memory_flat) {
  const size_t before = where().resident_kib();
  for (int round = 0; round < 150; ++round) {
    const auto type = big_types[round % 3];
    EXPECT_EQ(outcome_of({client_frame(type, enc(), big_endian(limit) + "n")}), "none");
  }
  EXPECT_LT(where().resident_kib(), before + 48 * 1024);
}

TEST_P(bad_live, requests_about_virtual_rooms) {
  const auto vroom_frame = [&](std::string_view payload) { return client_frame(frame_type::vroom, enc(), payload); };
  const auto stream_frame = [&](std::string_view payload) {
    return client_frame(frame_type::stream, enc(), payload);
  };
  wire::tim_req req;
  req.rtype = 5;
  wire::tim_stream stream;
  std::vector<bad_input> table{
      {"VROOM without payload", vroom_frame(""), "4113"},
      {"STREAM without payload", stream_frame(""), "4113"},
      {"VROOM of one byte", vroom_frame("\x1C"), "4113"},
      {"STREAM of one byte", stream_frame("\x1C"), "4113"},
      {"an empty VROOM", vroom_frame(wire::encode(enc(), wire::tim_req{})), "4107|4104|4113"},
      {"an empty STREAM", stream_frame(wire::encode(enc(), stream)), "4104|4113"}};
  for (const std::string& node : {std::string(1, '\0'), std::string("0OIl"), std::string(64, '1'),
                                  std::string(4096, 'z'), bob_->node(), to_node(room_id{42}), std::string("../x")}) {
    req.node = node;
    stream.vnode = node;
    const std::string about = node.substr(0, 20);
    table.push_back({"VROOM about " + about, vroom_frame(wire::encode(enc(), req)), "4104|4113"});
    table.push_back({"STREAM into " + about, stream_frame(wire::encode(enc(), stream)), "4104|4113"});
  }
  const auto wrong = enc() == encoding::json ? encoding::thrift : encoding::json;
  table.push_back({"STREAM in the other encoding", stream_frame(wire::encode(wrong, stream)), "4113"});
  table.push_back({"VROOM in the other encoding", vroom_frame(wire::encode(wrong, req)), "4113"});
  if (enc() == encoding::json) {
    const std::string head = R"({"VNode":"nonsense")";
    table.push_back({"base64 with bad padding", stream_frame(head + R"(,"body":"QQ"})"), "4113"});
    table.push_back({"dtype of 300", stream_frame(head + R"(,"dtype":300})"), "4113"});
    table.push_back({"id of 2^63", stream_frame(head + R"(,"id":9223372036854775808})"), "4113"});
    table.push_back({"body as an object", stream_frame(head + R"(,"body":{}})"), "4113"});
    table.push_back({"rtype as a text", vroom_frame(R"({"rtype":"5"})"), "4113"});
    table.push_back({"rtype of 2^40", vroom_frame(R"({"rtype":1099511627776})"), "4113"});
  } else {
    table.push_back({"body of 2^31 - 1", stream_frame(thrift_field(4, 8) + thrift_varint(0x7FFFFFFF) + "x"), "4113"});
    table.push_back({"VNode that is no text", stream_frame(thrift_field(2, 5) + thrift_varint(4)), "4113"});
  }
  play(table);
}

TEST_P(bad_live, forms_and_numbers_of_a_subscription_that_make_no_sense) {
  const std::string room = new_vroom(*alice_);
  for (const int64_t form : {int64_t{-1}, int64_t{2}, std::numeric_limits<int64_t>::max()}) {
    vroom(*attacker_, 5, room, {}, form);
    EXPECT_TRUE(attacker_->next_ack().tim_type == static_cast<int8_t>(frame_type::vroom)) << form;
  }
  unsubscribe(*attacker_, room);
  for (int round = 0; round < 10; ++round) {
    // At most 64 commands of a connection may be unanswered.
    for (int i = 0; i < 30; ++i) {
      vroom(*attacker_, 5, room);
      vroom(*attacker_, 6, room);
    }
    for (int i = 0; i < 30; ++i) {
      EXPECT_EQ(expect_ok(*attacker_, frame_type::vroom, 5).n, room);
      EXPECT_EQ(expect_ok(*attacker_, frame_type::vroom, 6).n, room);
    }
  }
  push(*alice_, room, "nobody watches");
  settle_room(*alice_, room);
  settle_room(*attacker_, room);
  expect_none(*attacker_, is_push, "a frame after the last end of a subscription");
}

TEST_P(bad_live, more_unanswered_commands_than_allowed_are_refused_and_each_is_answered) {
  constexpr int count = 500;
  for (int i = 0; i < count; ++i) vroom(*attacker_, 4, to_node(node_kind::virtual_room, 77), bob_->node());
  for (int i = 0; i < count; ++i) {
    const auto ack = attacker_->next_ack();
    ASSERT_FALSE(ack.ok);
    const int code = ack.error ? ack.error->code.value_or(0) : 0;
    EXPECT_TRUE(code == 4109 || code == 5104) << code;
  }
}

TEST_P(bad_live, pushes_of_who_may_not_reach_nobody_however_many) {
  const std::string room = new_vroom(*alice_);
  subscribe(*bob_, room);
  constexpr int count = 500;
  for (int i = 0; i < count; ++i) push(*attacker_, room, "unwanted");
  for (int i = 0; i < count; ++i) expect_push_refused(*attacker_, frame_type::stream, room, 4105);
  push(*alice_, room, "wanted");
  expect_push(*bob_, room, "wanted");
}

INSTANTIATE_TEST_SUITE_P(ternd, bad_live, ::testing::ValuesIn(encodings_at(server_kind::ternd)), place_name);
INSTANTIATE_TEST_SUITE_P(cluster, bad_live, ::testing::ValuesIn(encodings_at(server_kind::cluster)), place_name);

}  // namespace
}  // namespace tern::testing
