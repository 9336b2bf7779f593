// The payload of a frame between the client's encoding and Thrift compact, which all services speak among themselves.
#pragma once

#include <string>
#include <string_view>

#include "libs/base/errc.hpp"
#include "libs/wire/codec.hpp"
#include "libs/wire/frame.hpp"

namespace tern::gateway {

/// A client's payload, checked, as Thrift compact appended to `out`. errc::bad_format when it is not the struct of
/// that type (a payload where none belongs included), errc::bad_parameter when only a list or text in it is too long,
/// errc::bad_interface for types without a struct from clients.
errc read_payload(wire::frame_type type, wire::encoding from, std::string_view bytes, wire::arena& memory,
                  std::string& out);

/// A Thrift compact payload as a client with encoding `to` gets it, appended to `out`. What the cluster made is read
/// with its own limits, not those of clients: a list may be longer than a client may send. errc::bad_format when it
/// is not the struct of that type towards clients, errc::bad_interface for types never sent to clients.
errc write_payload(wire::frame_type type, std::string_view bytes, wire::encoding to, std::string& out);

}  // namespace tern::gateway
