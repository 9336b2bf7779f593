#include "libs/base/errc.hpp"

namespace tern {

std::string_view to_string(errc code) noexcept {
  switch (code) {
    case errc::ok: return "ok";
    case errc::exists: return "exists";
    case errc::no_pass: return "no_pass";
    case errc::expired: return "expired";
    case errc::bad_parameter: return "bad_parameter";
    case errc::permission_denied: return "permission_denied";
    case errc::bad_account: return "bad_account";
    case errc::bad_interface: return "bad_interface";
    case errc::cancelled_object: return "cancelled_object";
    case errc::no_such_object: return "no_such_object";
    case errc::blocked: return "blocked";
    case errc::over_entry: return "over_entry";
    case errc::password_change: return "password_change";
    case errc::bad_format: return "bad_format";
    case errc::big_data: return "big_data";
    case errc::bad_token: return "bad_token";
    case errc::ping_count: return "ping_count";
    case errc::repeated: return "repeated";
    case errc::undefined: return "undefined";
    case errc::blocking: return "blocking";
    case errc::database: return "database";
    case errc::overload: return "overload";
    case errc::rate_limited: return "rate_limited";
    case errc::wrong_owner: return "wrong_owner";
    case errc::unavailable: return "unavailable";
    case errc::deadline: return "deadline";
    case errc::stale_epoch: return "stale_epoch";
    case errc::cancelled: return "cancelled";
    case errc::not_found: return "not_found";
    case errc::internal: return "internal";
    case errc::config: return "config";
  }
  return "unknown";
}

std::string_view wire_text(errc code) noexcept {
  switch (to_wire(code)) {
    case errc::ok: return "";
    case errc::exists: return "has exist";
    case errc::no_pass: return "no pass";
    case errc::expired: return "expire operate";
    case errc::bad_parameter: return "parameter incorrect";
    case errc::permission_denied: return "permission denied";
    case errc::bad_account: return "account incorrect";
    case errc::bad_interface: return "interface incorrect";
    case errc::cancelled_object: return "must not be a cancle object";
    case errc::no_such_object: return "must not be a no exist object";
    case errc::blocked: return "blocked object";
    case errc::over_entry: return "over entry";
    case errc::password_change: return "modify password failed";
    case errc::bad_format: return "format error";
    case errc::big_data: return "big data error";
    case errc::bad_token: return "error token";
    case errc::ping_count: return "error ping count";
    case errc::repeated: return "error repetitive operation";
    case errc::blocking: return "blocking operation";
    case errc::database: return "database error";
    case errc::overload: return "heavy server load";
    case errc::rate_limited: return "freq out of limit";
    default: return "undefined error";
  }
}

errc to_wire(errc code) noexcept {
  switch (code) {
    case errc::wrong_owner:
    case errc::unavailable:
    case errc::deadline:
    case errc::stale_epoch: return errc::database;
    case errc::cancelled: return errc::overload;
    case errc::not_found:
    case errc::internal:
    case errc::config: return errc::undefined;
    default: return code;
  }
}

}  // namespace tern
