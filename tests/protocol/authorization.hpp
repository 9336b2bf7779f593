// The authorization table: its rows, and the scenes on which they are played.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "tests/protocol/fixture.hpp"

namespace tern::testing {

/// Columns of authorization.txt, in their order.
enum class role : uint8_t { founder, manager, member, ex, stranger, blocked, elsewhere, nologin };
inline constexpr size_t roles = 8;
std::string_view to_string(role who);

struct table_row {
  std::string command;  // "business-9"
  std::string about;    // "private/applicant"
  std::array<std::string, roles> expected;
  int line = 0;

  /// "business" of "business-9"; the whole where there is no '-'.
  std::string base() const { return command.substr(0, command.find('-')); }
  /// 9 of "business-9"; 0 where there is none.
  int number() const;
  /// Part of `about` before '/', and behind it.
  std::string object() const { return about.substr(0, about.find('/')); }
  std::string target() const;
  /// What it sends is of the moment: an answer only when it is refused.
  bool is_live() const;
  /// It is answered by the owner of a virtual room, not by a session node.
  bool is_virtual() const { return base() == "vroom" || base() == "stream" || base() == "bigbinarystream"; }
};

/// The row's command in the wire's table; fails the test where there is none.
const wire::command& command_of(const table_row& row);

/// All rows; fails the test for a line that has not ten columns.
std::vector<table_row> read_table();

/// Everybody a row needs, fresh: who has one role in one cell has no other in another.
struct cast {
  std::unique_ptr<tim_client> founder, manager, member, ex, stranger, blocked, elsewhere;
  std::unique_ptr<tim_client> target;  // of node2, and the person of rows about persons; listens
};

/// What a cell's request names.
struct scene {
  tim_client* actor = nullptr;
  std::string room, node, node2;
  int64_t mid = 1;  // of a message that is there
};

class authorization : public protocol {
 protected:
  /// Puts everybody in place for one cell. The actor has seen everything that came of it.
  scene stage(const table_row& row, role who, cast& people);
  cast new_cast();
  /// Sends the cell's request.
  void request(const table_row& row, const scene& on, tim_client& from);
  /// Plays one cell; what came instead of what was expected, or nothing.
  std::optional<std::string> play(const table_row& row, role who, cast& people);
  std::optional<std::string> play_logged_out(const table_row& row);

 private:
  tim_client& actor_of(role who, cast& people);
  scene stage_room(const table_row& row, role who, cast& people);
  scene stage_person(const table_row& row, role who, cast& people);
  std::string stage_target(const table_row& row, role who, cast& people, const std::string& room);
  void set_managers(tim_client& founder, const std::string& room, const std::vector<std::string>& managers);
  void send_message(const table_row& row, const scene& on, tim_client& from);
  void send_presence(const table_row& row, const scene& on, tim_client& from);
  void send_business(const table_row& row, const scene& on, tim_client& from);
  void send_nodes(const table_row& row, const scene& on, tim_client& from);
  void send_vroom(const table_row& row, const scene& on, tim_client& from);
  void send_live(const table_row& row, const scene& on, tim_client& from);
  scene stage_vroom(const table_row& row, role who, cast& people);
  /// A command behind the cell's, which is answered when that one has been.
  void send_fence(const table_row& row, const scene& on, tim_client& from);
  bool is_fence(const table_row& row, tim_client& actor, const server_frame& frame);
  /// What is wrong with what the listener heard, or nothing.
  std::optional<std::string> listen(tim_client& listener, bool wanted);
  std::string describe(const table_row& row, tim_client& actor, const server_frame& frame);
};

}  // namespace tern::testing
