#include "services/gateway/live/frame.hpp"

#include <utility>

#include "libs/base/ids.hpp"
#include "libs/websocket/server.hpp"
#include "libs/wire/big_data.hpp"
#include "libs/wire/frame.hpp"
#include "services/gateway/live/push.hpp"

namespace tern::gateway::live {

namespace {

std::string stream_message(const wire::tim_stream& value, wire::encoding enc) {
  const std::string payload = wire::encode(enc, value);
  std::string out;
  websocket::append_message(out, wire::make_head(wire::frame_type::stream).view(), payload);
  return out;
}

std::string binary_message(const std::string& room, const std::string& data) {
  std::string frame, out;
  wire::write_big({wire::frame_type::bigbinarystream, room, data}, frame);
  websocket::append_message(out, {}, frame);
  return out;
}

}  // namespace

made_frame_ptr make_frame(const group::v1::LiveFrame& frame, const std::array<bool, forms>& wanted) {
  auto out = std::make_shared<made_frame>();
  out->received_ns = frame.received_ns();
  const std::string room = to_node(node_kind::virtual_room, frame.vroom());
  const std::string sender = to_node(account_id{frame.sender()});
  wire::tim_stream value;
  value.id = frame.id() != 0 ? frame.id() : static_cast<int64_t>(frame.seq());
  value.vnode = room;
  if (frame.dtype() >= INT8_MIN && frame.dtype() <= INT8_MAX) value.dtype = static_cast<int8_t>(frame.dtype());
  value.body = frame.body();
  value.from_node = sender;
  for (const wire::encoding enc : {wire::encoding::thrift, wire::encoding::json}) {
    const auto at = static_cast<size_t>(form_of(enc));
    if (wanted[at]) out->messages[at] = std::make_shared<const std::string>(stream_message(value, enc));
  }
  const auto binary = static_cast<size_t>(form::binary);
  if (wanted[binary]) out->messages[binary] = std::make_shared<const std::string>(binary_message(room, frame.body()));
  return out;
}

}  // namespace tern::gateway::live
