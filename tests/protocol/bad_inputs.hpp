// Hostile bytes on a logged-in connection, and what may come of them.
#pragma once

#include <string>
#include <vector>

#include "tests/protocol/fixture.hpp"

namespace tern::testing {

/// One entry of a table. `expected`: what may come, separated by '|': an error code, "none", "ok" (accepted),
/// "close".
struct bad_input {
  std::string name;
  std::string frame;  // with its type byte
  std::string expected;
};

class bad_inputs : public protocol {
 protected:
  /// Two friends that talk before and after a table: whatever happens beside them, they do not notice.
  class witnesses;

  void SetUp() override;
  void TearDown() override;

  /// Plays the table on one connection of `who`, which is replaced when the server closes it.
  void play(const std::vector<bad_input>& table);
  /// Sends the bytes, then a command that is always answered; what came before its answer.
  std::string outcome(tim_client& who, const std::string& bytes);
  /// A MESSAGE in this case's encoding that is right in all but what is told.
  std::string message_frame(std::string_view payload) const {
    return client_frame(wire::frame_type::message, enc(), payload);
  }

  client_ptr alice_, bob_;
  std::string mallory_;  // whose connection it is
  client_ptr attacker_;

 private:
  void talk();
  int said_ = 0;
  size_t resident_before_ = 0;
};

/// Thrift compact by hand: a field header by delta and type, a varint, a length and bytes.
std::string thrift_field(int delta, int type);
std::string thrift_varint(uint64_t value);
std::string thrift_text(std::string_view text);

}  // namespace tern::testing
