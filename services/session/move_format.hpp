// What a session takes along to another node, as it travels: handover::v1::SessionState.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libs/delivery/account_delivery.hpp"
#include "services/session/presence/roster_book.hpp"

namespace tern::session {

struct own_room;

/// Written and read by this version. 0: nothing but which terminals there are. Fields are only ever added; a new
/// number is for states an older version must not use.
inline constexpr uint32_t move_format = 1;

/// What goes out. Pointers may be null: not known.
struct move_out {
  account_id account;
  const std::string& domain;
  delivery::memory delivery = {};
  const std::vector<own_room>* rooms = nullptr;
  std::vector<room_id> behind = {};  // rooms whose messages do not come live: something waits, or that is not known
  bool rooms_by_themselves = false;
  const std::vector<roster_book::row>* roster = nullptr;
  int64_t rate = -1;
  std::vector<uint64_t> terminals = {};  // their connections
};

/// What came.
struct move_in {
  std::string domain;
  delivery::memory delivery;
  bool rooms_known = false;
  std::vector<own_room> rooms;
  std::vector<room_id> behind;
  bool rooms_by_themselves = false;
  bool roster_known = false;
  std::vector<roster_book::row> roster;
  int64_t rate = -1;
  std::vector<uint64_t> terminals;
};

/// `format` is the newest the reader knows.
std::string write_state(const move_out& what, uint32_t format);
/// Nothing for what cannot be read, or is another account's.
std::optional<move_in> read_state(uint32_t format, std::string_view body, account_id account);

}  // namespace tern::session
