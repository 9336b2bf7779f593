#include "services/gateway/payload.hpp"

#include "libs/wire/bounded.hpp"
#include "libs/wire/message.hpp"

namespace tern::gateway {

namespace {

template <class T>
errc convert(wire::encoding from, wire::encoding to, std::string_view bytes, wire::arena& memory, std::string& out) {
  memory.clear();
  T value;
  const errc code = wire::decode_bounded(from, bytes, memory, value);
  if (code != errc::ok) return code;
  if (from == to) {
    out.append(bytes);
  } else {
    wire::encode(to, value, out);
  }
  return errc::ok;
}

}  // namespace

errc read_payload(wire::frame_type type, wire::encoding from, std::string_view bytes, wire::arena& memory,
                  std::string& out) {
  using wire::frame_type;
  constexpr auto thrift = wire::encoding::thrift;
  switch (type) {
    case frame_type::auth: return convert<wire::tim_auth>(from, thrift, bytes, memory, out);
    case frame_type::offlinemsg:
      return errc::ok;  // carries nothing; clients in circulation send an empty struct or nothing
    case frame_type::pullmessage:
    case frame_type::vroom:
    case frame_type::business: return convert<wire::tim_req>(from, thrift, bytes, memory, out);
    case frame_type::nodes: return convert<wire::tim_nodes>(from, thrift, bytes, memory, out);
    case frame_type::message:
    case frame_type::revokemessage:
    case frame_type::burnmessage: return convert<wire::tim_message>(from, thrift, bytes, memory, out);
    case frame_type::presence:
    case frame_type::broadpresence: return convert<wire::tim_presence>(from, thrift, bytes, memory, out);
    case frame_type::stream: return convert<wire::tim_stream>(from, thrift, bytes, memory, out);
    default: return errc::bad_interface;
  }
}

errc write_payload(wire::frame_type type, std::string_view bytes, wire::encoding to, std::string& out) {
  return wire::transcode(type, wire::encoding::thrift, to, bytes, out).code();
}

}  // namespace tern::gateway
