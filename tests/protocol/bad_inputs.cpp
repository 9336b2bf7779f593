#include "tests/protocol/bad_inputs.hpp"

#include <algorithm>

namespace tern::testing {

using wire::frame_type;

namespace {

/// What a table may leave behind: caches, histories, tables of counters. A leak of frames is far above.
constexpr size_t may_grow_kib = 96 * 1024;

}  // namespace

std::string thrift_field(int delta, int type) {
  return std::string(1, static_cast<char>(static_cast<unsigned>(delta) << 4U | static_cast<unsigned>(type)));
}

std::string thrift_varint(uint64_t value) {
  std::string out;
  for (; value >= 128; value >>= 7U) out += static_cast<char>(value | 128U);
  return out + static_cast<char>(value);
}

std::string thrift_text(std::string_view text) { return thrift_varint(text.size()) + std::string(text); }

void bad_inputs::SetUp() {
  protocol::SetUp();
  if (HasFatalFailure()) return;
  alice_ = new_user("alice");
  bob_ = new_user("bob");
  befriend(*alice_, *bob_);
  attacker_ = new_user("mallory", &mallory_);
  talk();
  resident_before_ = where().resident_kib();
}

void bad_inputs::TearDown() {
  if (alice_ && bob_) talk();
  EXPECT_LT(where().resident_kib(), resident_before_ + may_grow_kib) << "memory grew";
  protocol::TearDown();
}

void bad_inputs::talk() {
  const std::string text = "still here " + std::to_string(++said_);
  const int64_t mid = send_text(*alice_, bob_->node(), text);
  const auto got = expect_message(
      *bob_, [&](const seen_message& m) { return m.from == alice_->node(); }, text);
  EXPECT_EQ(got.text, text);
  EXPECT_EQ(got.mid, mid);
}

std::string bad_inputs::outcome(tim_client& who, const std::string& bytes) {
  who.ws().send(bytes);
  wire::tim_nodes fence;
  fence.ntype = 5;
  fence.nodelist = std::vector<wire::text>{"fence"};
  who.send(frame_type::nodes, fence);
  std::string got;
  while (const auto frame = who.next()) {
    if (frame->type == frame_type::nodes && who.read<wire::tim_nodes>(*frame).ntype == 5) {
      return got.empty() ? "none" : got;
    }
    if (frame->type == frame_type::ping || frame->type == frame_type::presence) continue;
    if (!got.empty()) got += " ";
    if (frame->type != frame_type::ack) {
      got += "ok";
      continue;
    }
    const auto ack = who.read<wire::tim_ack>(*frame);
    got += ack.ok ? "ok" : std::to_string(ack.error ? ack.error->code.value_or(0) : 0);
  }
  return who.ws().ended() ? "close" : got + " and then silence";
}

void bad_inputs::play(const std::vector<bad_input>& table) {
  for (const auto& one : table) {
    if (attacker_->ws().ended()) attacker_ = log_in(mallory_);
    const std::string got = outcome(*attacker_, one.frame);
    const std::string choices = "|" + one.expected + "|";
    EXPECT_NE(choices.find("|" + got + "|"), std::string::npos)
        << one.name << ": expected " << one.expected << ", got " << got;
    ASSERT_EQ(where().dead(), "") << "after " << one.name;
  }
}

}  // namespace tern::testing
