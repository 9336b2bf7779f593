#include "tests/protocol/bad_inputs.hpp"

namespace tern::testing {
namespace {

using wire::encoding;
using wire::frame_type;

std::string repeat(std::string_view what, size_t times) {
  std::string out;
  out.reserve(what.size() * times);
  for (size_t i = 0; i < times; ++i) out += what;
  return out;
}

/// msType 2, odType 1 and toTid of a MESSAGE; what follows begins with a delta from field 7.
std::string thrift_head(std::string_view to) {
  return thrift_field(1, 3) + "\x02" + thrift_field(1, 3) + "\x01" + thrift_field(5, 12) + thrift_field(1, 8) +
         thrift_text(to) + std::string(1, '\0');
}

std::string json_head(std::string_view to) {
  return R"("msType":2,"odType":1,"toTid":{"node":")" + std::string(to) + "\"}";
}

TEST_P(bad_inputs, frames_of_the_tim_layer) {
  std::vector<bad_input> table{
      {"no byte", "", "4113|close"},
      {"ACK of 5 bytes", client_frame(frame_type::ack, enc(), "12345"), "4113|none|close"},
      {"ACK of 60000 bytes", client_frame(frame_type::ack, enc(), std::string(60000, 'x')), "4113|none|close"},
      {"a frame above the limit", message_frame(std::string(70000, 'x')), "4113|close"},
      {"PING with a payload", client_frame(frame_type::ping, enc(), "payload"), "none|4113"}};
  for (size_t size = 0; size < 4; ++size) {
    table.push_back({"ACK of " + std::to_string(size) + " bytes",
                     client_frame(frame_type::ack, enc(), std::string(size, 'x')), "4113|none|close"});
  }
  const auto wrong = enc() == encoding::json ? encoding::thrift : encoding::json;
  const auto message = text_message(bob_->node(), "x");
  table.push_back({"a payload in the other encoding", message_frame(wire::encode(wrong, message)), "4113"});
  table.push_back({"a JSON text said to be Thrift or the reverse",
                   client_frame(frame_type::message, wrong, wire::encode(enc(), message)), "4113"});
  play(table);
}

TEST_P(bad_inputs, every_byte_alone_and_before_login) {
  for (int byte = 0; byte < 256; ++byte) {
    if (attacker_->ws().ended()) attacker_ = log_in(mallory_);
    const std::string got = outcome(*attacker_, std::string(1, static_cast<char>(byte)));
    EXPECT_EQ(got.find("silence"), std::string::npos) << "byte " << byte << ": " << got;
    ws_client stranger(port());
    stranger.send(std::string(1, static_cast<char>(byte)));
    if ((byte & 0x7F) != static_cast<int>(frame_type::ping) && (byte & 0x7F) != static_cast<int>(frame_type::auth)) {
      EXPECT_TRUE(stranger.wait_close()) << "byte " << byte << " before login";
    }
  }
}

TEST_P(bad_inputs, acknowledgements_of_what_one_never_got) {
  std::string name;
  auto carol = new_user("carol", &name);
  befriend(*alice_, *carol);
  carol->acknowledge_by_itself(false);
  const int64_t mid = send_text(*alice_, carol->node(), "for carol only");
  const auto frame = carol->find([](const server_frame& f) { return f.type == frame_type::message; });
  ASSERT_TRUE(frame && frame->sync_id);
  for (const int32_t id : {*frame->sync_id, *frame->sync_id + 1, -1, INT32_MAX}) attacker_->acknowledge(id);
  settle(*attacker_);
  carol.reset();
  carol = log_in(name);
  bool kept = false;
  for (const auto& m : drain(*carol)) kept = kept || (m.mid == mid && m.text == "for carol only");
  EXPECT_TRUE(kept) << "another client's acknowledgement settled it";
}

TEST_P(bad_inputs, second_logins_on_a_connection) {
  const std::string other = fresh_name("other");
  const std::string node = register_account(other), before = attacker_->node();
  wire::tim_auth auth;
  auth.name = other;
  auth.pwd = "secret";
  attacker_->send(frame_type::auth, auth);
  const auto ack = attacker_->next_ack();
  EXPECT_NE(ack.n.value_or(""), node) << "a connection stays who it was";
  if (!attacker_->ws().ended()) {
    business(*attacker_, 4, alice_->node());
    EXPECT_EQ(expect_notice(*alice_, {}, 4).from, before);
  }
}

TEST_P(bad_inputs, kinds_of_messages_that_do_not_exist) {
  for (int kind = -128; kind <= 127; ++kind) {
    auto message = text_message(bob_->node(), "x");
    if (kind != 2) {
      message.ms_type = static_cast<int8_t>(kind);
      attacker_->send(frame_type::message, message);
      EXPECT_FALSE(attacker_->next_ack().ok) << "msType " << kind;
    }
    message = text_message(bob_->node(), "x");
    message.od_type = static_cast<int8_t>(kind);
    attacker_->send(frame_type::message, message);  // mallory is nobody's friend: refused in any case
    EXPECT_FALSE(attacker_->next_ack().ok) << "odType " << kind;
  }
}

TEST_P(bad_inputs, messages_with_strange_fields) {
  befriend(*attacker_, *bob_);
  auto message = text_message(bob_->node(), "stamped");
  for (const int64_t stamp : {INT64_MIN, int64_t{0}, INT64_MAX}) {
    message.timestamp = stamp;
    message.mid = int64_t{77};
    message.is_offline = true;
    attacker_->send(frame_type::message, message);
    const auto got = expect_message(
        *bob_, [](const seen_message& m) { return m.text == "stamped"; }, "stamped");
    EXPECT_GT(got.timestamp, 1'600'000'000'000'000'000) << "the server's clock stamps";
    EXPECT_LT(got.timestamp, 5'000'000'000'000'000'000);
    EXPECT_NE(got.mid, 77);
    EXPECT_FALSE(got.offline);
  }
  auto nobody = text_message(bob_->node(), "x");
  nobody.to_tid.reset();
  attacker_->send(frame_type::message, nobody);
  settle(*attacker_);
  auto both = text_message(bob_->node(), "both");
  both.to_list = std::vector<wire::text>{alice_->node(), attacker_->node(), "nonsense", bob_->node()};
  attacker_->send(frame_type::message, both);
  settle(*attacker_);
  expect_no_text(*alice_, "both");
}

TEST_P(bad_inputs, thrift_structs) {
  if (enc() != encoding::thrift) return;
  const std::string head = thrift_head(bob_->node()), stop(1, '\0');
  const auto frame = [&](const std::string& rest) { return message_frame(head + rest); };
  const std::string eleven = repeat("\xFF", 10) + "\x01";
  std::vector<bad_input> table{
      {"nothing but a stop", message_frame(stop), "4113"},
      {"no payload", message_frame(""), "4113"},
      {"missing required field", message_frame(thrift_field(2, 3) + "\x01" + stop), "4113"},
      {"stop missing", frame(""), "4113"},
      {"trailing bytes", frame(stop + "x"), "4113"},
      {"varint of 11 bytes", frame(thrift_field(3, 8) + eleven + stop), "4113"},
      {"i64 of 11 bytes", message_frame(thrift_field(3, 6) + eleven + stop), "4113"},
      {"text of 2^31 - 1 bytes", frame(thrift_field(3, 8) + thrift_varint(0x7FFFFFFF) + "x"), "4113"},
      {"text of 2^32 - 1 bytes", frame(thrift_field(3, 8) + thrift_varint(0xFFFFFFFFU) + "x"), "4113"},
      {"text of 2^63 bytes", frame(thrift_field(3, 8) + thrift_varint(1ULL << 63U) + "x"), "4113"},
      {"list of 2^31 - 1", frame(thrift_field(10, 9) + "\xF8" + thrift_varint(0x7FFFFFFF)), "4113"},
      {"list of negative size", frame(thrift_field(10, 9) + "\xF8" + thrift_varint(0xFFFFFFFFU)), "4113"},
      {"map of 2^31 - 1", frame(thrift_field(8, 11) + thrift_varint(0x7FFFFFFF) + "\x88"), "4113"},
      {"map with keys of another type",
       frame(thrift_field(8, 11) + thrift_varint(1) + "\x58" + thrift_varint(2) + thrift_text("v") + stop),
       "4113|4105"},
      {"nested structs", frame(repeat("\x1C", 10000)), "4113"},
      {"nested unknown structs", frame(thrift_field(13, 12) + repeat("\x1C", 10000) + repeat(stop, 10001)), "4113"},
      {"nested unknown lists", frame(thrift_field(13, 9) + repeat("\x19", 30000)), "4113"},
      {"unknown type 15", frame(thrift_field(1, 15) + stop), "4113"},
      {"unknown field with known type", frame(thrift_field(13, 8) + thrift_text("more") + stop), "4105"},
      {"unknown field of doubles", frame(thrift_field(13, 7) + std::string(8, '\xFF') + stop), "4105"},
      {"field ids that wrap", frame(repeat(thrift_field(15, 1), 10000) + stop), "4113|4105"},
      {"field id beyond 16 bits", frame(std::string(1, '\x08') + thrift_varint(0xFFFFFFFFFFULL) + "x" + stop),
       "4113"},
      {"text that is no UTF-8", frame(thrift_field(3, 8) + thrift_text("\xC3(") + stop), "4113|4105"},
      {"a type of another field", message_frame(thrift_field(1, 8) + thrift_text("2") + stop), "4113"},
  };
  for (const int type : {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}) {
    table.push_back({"dataString as type " + std::to_string(type), frame(thrift_field(3, type)), "4113|4105"});
  }
  play(table);
}

TEST_P(bad_inputs, json_texts) {
  if (enc() != encoding::json) return;
  const std::string head = json_head(bob_->node());
  const auto with = [&](const std::string& rest) { return message_frame("{" + head + rest + "}"); };
  std::vector<bad_input> table{
      {"no payload", message_frame(""), "4113"},
      {"null", message_frame("null"), "4113"},
      {"an array", message_frame("[]"), "4113"},
      {"a number", message_frame("5"), "4113"},
      {"a text", message_frame("\"x\""), "4113"},
      {"an empty object", message_frame("{}"), "4113|4104|4105"},
      {"missing required field", message_frame(R"({"odType":1})"), "4113|4104|4105"},
      {"depth", message_frame(repeat("[", 30000)), "4113"},
      {"depth of objects", with(",\"x\":" + repeat("{\"a\":", 10000) + "1" + repeat("}", 10000)), "4113"},
      {"trailing comma", with(","), "4113"},
      {"trailing garbage", message_frame("{" + head + "}x"), "4113"},
      {"two objects", message_frame("{" + head + "}{}"), "4113"},
      {"not closed", message_frame("{" + head), "4113"},
      {"single quotes", message_frame("{'msType':2}"), "4113"},
      {"byte order mark", message_frame("\xEF\xBB\xBF{" + head + "}"), "4113"},
      {"NUL behind", message_frame("{" + head + "}" + std::string(1, '\0')), "4113"},
      {"id of 1e999", with(",\"id\":1e999"), "4113"},
      {"id of 2^63", with(",\"id\":9223372036854775808"), "4113"},
      {"id of 20 digits", with(",\"id\":99999999999999999999"), "4113"},
      {"id of -0", with(",\"id\":-0"), "4105|4113"},
      {"id of 1.5", with(",\"id\":1.5"), "4113"},
      {"id with a leading zero", with(",\"id\":007"), "4113"},
      {"id as hexadecimal", with(",\"id\":0x10"), "4113"},
      {"odType of 300", message_frame(R"({"msType":2,"odType":300})"), "4113"},
      {"lone surrogate", with(R"(,"dataString":"\ud800")"), "4113|4105"},
      {"surrogates in reverse", with(R"(,"dataString":"\udc00\ud800")"), "4113|4105"},
      {"bad escape", with(R"(,"dataString":"\x41")"), "4113"},
      {"raw control character", with(",\"dataString\":\"a\nb\""), "4113"},
      {"no UTF-8", with(",\"dataString\":\"\xC3(\""), "4113"},
      {"right to left", with(",\"dataString\":\"\xE2\x80\xAE\""), "4105"},
      {"escaped NUL", with(R"(,"dataString":"\u0000")"), "4105|4113"},
      {"base64 with bad padding", with(R"(,"dataBinary":"QQ")"), "4113"},
      {"base64 with bad characters", with(R"(,"dataBinary":"Q*==")"), "4113"},
      {"unknown fields", with(R"(,"unknown":[1,{"a":null}],"more":1e999)"), "4105|4113"},
      {"6,000 keys", with([&] {
         std::string keys;
         for (int i = 0; i < 6000; ++i) keys += ",\"k" + std::to_string(i) + "\":1";
         return keys;
       }()),
       "4105|4113"},
      {"duplicate keys", with(",\"id\":1,\"id\":2"), "4105|4113"},
      {"duplicate keys of another case", with(",\"id\":1,\"ID\":2"), "4105|4113"},
  };
  for (const std::string field : {"id", "mid", "bnType", "isOffline", "timestamp", "udtype", "dataString", "toTid",
                                  "roomTid", "fromTid", "extend", "extra", "ToList", "dataBinary"}) {
    table.push_back({field + " as an array of arrays", with(",\"" + field + "\":[[]]"), "4113"});
  }
  for (const std::string field : {"id", "mid", "bnType", "timestamp", "udtype", "toTid", "extend", "ToList"}) {
    table.push_back({field + " as a text", with(",\"" + field + "\":\"x\""), "4113"});
  }
  play(table);
}

TEST_P(bad_inputs, floods_of_hostile_frames_leave_memory_flat) {
  const size_t before = where().resident_kib();
  const std::string junk(2000, '\x1C');
  for (int round = 0; round < 200; ++round) {
    ws_client stranger(port());
    if (stranger.status() != 101) continue;
    for (int i = 0; i < 3; ++i) stranger.send(message_frame(junk));
    if (attacker_->ws().ended()) attacker_ = log_in(mallory_);
    for (int i = 0; i < 50; ++i) attacker_->ws().send(message_frame(junk));
    attacker_->send_bytes(frame_type::ping, {});
    attacker_->next(frame_type::ping);
  }
  EXPECT_LT(where().resident_kib(), before + 64 * 1024);
}

INSTANTIATE_TEST_SUITE_P(ternd, bad_inputs, ::testing::ValuesIn(encodings_at(server_kind::ternd)), place_name);
INSTANTIATE_TEST_SUITE_P(cluster, bad_inputs, ::testing::ValuesIn(encodings_at(server_kind::cluster)), place_name);

}  // namespace
}  // namespace tern::testing
