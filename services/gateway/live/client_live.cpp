// Virtual rooms and live frames in a client and in its lane: what events do, and what is answered.
#include <algorithm>
#include <utility>

#include "services/gateway/client.hpp"
#include "services/gateway/live/hub.hpp"
#include "services/gateway/payload.hpp"

namespace tern::gateway {

// ---- the lane -----------------------------------------------------------------------------------------------------

void lane::on_live(std::vector<live::event>& events) {
  for (live::event& each : events) {
    switch (each.what) {
      case live::event::kind::frame: on_live_frame(each); break;
      case live::event::kind::gone:
        for (const live::member& one : live::take_members(*each.at, thread_.index()))
          one.who->owner().on_live_gone(each);
        break;
      case live::event::kind::answer:
        if (client* who = find(each.conn)) {
          who->on_live_answer(each);
        } else if (each.at) {
          live_->release(each.at);
        }
        break;
      case live::event::kind::refused:
        if (client* who = find(each.conn & ~live::binary_push)) who->on_live_refused(each);
        break;
    }
  }
  flush();
}

void lane::on_live_frame(const live::event& of) {
  if (live::fan_out(of, thread_.index(), core_.milliseconds(), core_.metrics.live) == 0) return;
  if (of.frame->received_ns == 0) return;
  const int64_t took = core_.time.wall_ns() - of.frame->received_ns;
  core_.metrics.live.fanout_seconds.observe(static_cast<double>(std::max<int64_t>(took, 0)) * 1e-9);
}

// ---- the client ---------------------------------------------------------------------------------------------------

live::viewer& client::live() {
  if (!live_) {
    live_ = std::make_unique<live::viewer>(*this, lane_.live(), *connection_, shared().live_limits,
                                           shared().metrics.live);
  }
  return *live_;
}

void client::answer_live(uint8_t type, errc code, int64_t rtype, std::string_view node, refusal why) {
  wire::tim_ack ack;
  ack.tim_type = static_cast<int8_t>(type);
  ack.ok = code == errc::ok;
  if (!ack.ok) {
    const errc shown = to_wire(code);
    shared().metrics.refused(shown == errc::overload ? refusal::overload : why);
    ack.error = wire::tim_error{static_cast<int32_t>(shown), wire_text(shown)};
  }
  if (rtype != 0) ack.t = rtype;
  if (!node.empty()) ack.n = node;
  std::string& out = lane_.buffer();
  wire::encode(enc_, ack, out);
  send(wire::frame_type::ack, out);
}

void client::on_live_answer(const live::event& done) {
  if (is_closing()) {
    if (done.at) lane_.live()->release(done.at);
    return;
  }
  errc code = live().finish(done.asked, done.vroom, done.at, done.how);
  if (done.code != errc::ok) code = done.code;
  // This answer tells of the end already.
  if (done.asked == live::op::remove && code == errc::ok) live().unsubscribe(done.vroom);
  const bool named = done.asked != live::op::create || code == errc::ok;
  std::string node = named ? to_node(node_kind::virtual_room, done.vroom) : std::string();
  const bool of_other = done.asked == live::op::grant || done.asked == live::op::revoke;
  if (of_other && code == errc::ok) node = to_node(account_id{done.target});
  answer_live(static_cast<uint8_t>(wire::frame_type::vroom), code, static_cast<int64_t>(done.asked), node);
}

void client::on_live_refused(const live::event& what) {
  if (!is_bound()) return;
  const bool binary = (what.conn & live::binary_push) != 0;
  const auto type = binary ? wire::frame_type::bigbinarystream : wire::frame_type::stream;
  answer_live(static_cast<uint8_t>(type), what.code, 0, to_node(node_kind::virtual_room, what.vroom));
}

void client::on_live_gone(const live::event& what) {
  if (is_closing() || !live_) return;
  if (!live_->on_gone(what.at) || !what.tell) return;
  answer_live(static_cast<uint8_t>(wire::frame_type::vroom), errc::ok, static_cast<int64_t>(live::op::remove),
              to_node(node_kind::virtual_room, what.vroom));
}

void client::write_live(const session::v1::Out& out) {
  const auto type = static_cast<wire::frame_type>(out.type());
  const bool raw = type == wire::frame_type::bigstring || type == wire::frame_type::bigbinary;
  std::string_view payload = out.payload();
  std::string& transcoded = lane_.buffer();
  if (!raw && enc_ != wire::encoding::thrift) {
    if (write_payload(type, out.payload(), enc_, transcoded) != errc::ok) {
      shared().log.error("frame of a session node cannot be read", {{"type", out.type()}, {"conn", id_}});
      return;
    }
    payload = transcoded;
  }
  auto message = std::make_shared<std::string>();
  websocket::append_message(*message, wire::make_head(type).view(), payload);
  shared().metrics.live.frames_out.add();
  shared().metrics.live.bytes_out.add(static_cast<double>(message->size()));
  live().offer(std::move(message), shared().milliseconds());
}

}  // namespace tern::gateway
