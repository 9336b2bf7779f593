#include "libs/wire/frame.hpp"

namespace tern::wire {
namespace {

constexpr uint8_t flag = 0x80;  // JSON from clients, acknowledgement wanted towards clients

constexpr std::array commands_table{
    command{frame_type::ack, "ack", auth_rule::after_login, false},
    command{frame_type::ping, "ping", auth_rule::before_login, false},
    command{frame_type::reg, "register", auth_rule::http_only, true},
    command{frame_type::token, "token", auth_rule::http_only, true},
    command{frame_type::auth, "auth", auth_rule::before_login, true},
    command{frame_type::offlinemsg, "offlinemsg", auth_rule::after_login, false},
    command{frame_type::offlinemsgend, "offlinemsgend", auth_rule::never, false},
    command{frame_type::broadpresence, "broadpresence", auth_rule::after_login, true},
    command{frame_type::logout, "logout", auth_rule::never, true},
    command{frame_type::pullmessage, "pullmessage", auth_rule::after_login, true},
    command{frame_type::vroom, "vroom", auth_rule::after_login, true},
    command{frame_type::business, "business", auth_rule::after_login, true},
    command{frame_type::nodes, "nodes", auth_rule::after_login, true},
    command{frame_type::message, "message", auth_rule::after_login, true},
    command{frame_type::presence, "presence", auth_rule::after_login, true},
    command{frame_type::revokemessage, "revokemessage", auth_rule::after_login, true},
    command{frame_type::burnmessage, "burnmessage", auth_rule::after_login, true},
    command{frame_type::stream, "stream", auth_rule::after_login, true},
    command{frame_type::bigstring, "bigstring", auth_rule::after_login, false},
    command{frame_type::bigbinary, "bigbinary", auth_rule::after_login, false},
    command{frame_type::bigbinarystream, "bigbinarystream", auth_rule::after_login, false},
};

constexpr uint8_t none = 0xFF;

constexpr std::array<uint8_t, 256> make_index() {
  std::array<uint8_t, 256> index{};
  index.fill(none);
  for (size_t i = 0; i < commands_table.size(); ++i) {
    index[static_cast<uint8_t>(commands_table[i].type)] = static_cast<uint8_t>(i);
  }
  return index;
}
constexpr std::array<uint8_t, 256> command_index = make_index();

}  // namespace

std::span<const command> commands() noexcept { return commands_table; }

const command* find_command(uint8_t type) noexcept {
  const uint8_t index = command_index[type];
  return index == none ? nullptr : &commands_table[index];
}

result<inbound_frame> parse_frame(std::string_view bytes) noexcept {
  if (bytes.empty()) return errc::bad_format;
  const auto first = static_cast<uint8_t>(bytes.front());
  const command* found = find_command(first & static_cast<uint8_t>(~flag));
  if (found == nullptr) return errc::bad_format;
  return inbound_frame{found->type, (first & flag) != 0 ? encoding::json : encoding::thrift, bytes.substr(1)};
}

std::optional<int32_t> parse_sync_id(std::string_view payload) noexcept {
  if (payload.size() != 4) return std::nullopt;
  uint32_t id = 0;
  for (const char byte : payload) id = id << 8U | static_cast<uint8_t>(byte);
  return static_cast<int32_t>(id);
}

frame_head make_head(frame_type type) noexcept {
  frame_head head;
  head.bytes[0] = static_cast<char>(type);
  head.size = 1;
  return head;
}

frame_head make_head(frame_type type, int32_t sync_id) noexcept {
  frame_head head;
  const auto id = static_cast<uint32_t>(sync_id);
  head.bytes[0] = static_cast<char>(static_cast<uint8_t>(type) | flag);
  for (unsigned i = 0; i < 4; ++i) head.bytes[1 + i] = static_cast<char>(id >> (24U - 8U * i));
  head.size = 5;
  return head;
}

}  // namespace tern::wire
