// Error codes of the whole project: TIM's wire codes (4101…, 5101…) and internal ones that never reach a client.
#pragma once

#include <cstdint>
#include <string_view>

namespace tern {

/// Values up to 5105 are the client protocol's (TIM error table) and go on the wire as they are.
enum class errc : int32_t {
  ok = 0,
  exists = 4101,             // "has exist"
  no_pass = 4102,            // wrong name or password
  expired = 4103,            // operation expired
  bad_parameter = 4104,      // parameter incorrect
  permission_denied = 4105,  // not allowed
  bad_account = 4106,        // account (or room) incorrect
  bad_interface = 4107,      // command unknown or not offered
  cancelled_object = 4108,   // room was cancelled
  no_such_object = 4109,     // object does not exist
  blocked = 4110,            // blocked object
  over_entry = 4111,         // device limit
  password_change = 4112,    // modify password failed
  bad_format = 4113,         // frame or struct not decodable
  big_data = 4114,           // big data error
  bad_token = 4115,          // token unknown, used or expired
  ping_count = 4116,         // error ping count
  repeated = 4117,           // repetitive operation
  undefined = 5101,          // anything else
  blocking = 5102,           // blocking operation
  database = 5103,           // database error: outcome unknown or not stored
  overload = 5104,           // heavy server load, try later
  rate_limited = 5105,       // frequency out of limit
  // Internal: mapped by to_wire() before a client sees an error.
  wrong_owner = 9001,  // this node does not own the slot (any more): refresh the map and resend
  unavailable = 9002,  // peer or database cannot be reached now
  deadline = 9003,     // no answer in time: outcome unknown
  stale_epoch = 9004,  // the caller's (or our own) epoch is not the current one
  cancelled = 9005,    // shutting down
  not_found = 9006,    // no such row
  internal = 9007,     // a bug or a broken invariant; logged where it happens
  config = 9008,       // configuration refused
};

/// Short stable name ("permission_denied") for logs and metric labels.
std::string_view to_string(errc code) noexcept;

/// The text clients get beside the code (TIM's own wording).
std::string_view wire_text(errc code) noexcept;

/// The code a client sees: wire codes as they are, unavailable/deadline/stale_epoch/wrong_owner -> database,
/// cancelled -> overload, the rest -> undefined.
errc to_wire(errc code) noexcept;

}  // namespace tern
