// A group node without links, and gateways played by the test.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "services/group/live/relay_server.hpp"
#include "services/group/testing/group_fixture.hpp"

namespace tern::group::live {

/// One reply, in short: "1:hello" a frame, "v2" a changed state, "gone", "#7 ok v2" an answer with a state,
/// "x9 permission_denied" a refusal for connection 9.
inline std::string shown(const v1::LiveReply& one) {
  if (one.has_frame()) return std::to_string(one.frame().seq()) + ":" + one.frame().body();
  if (one.has_state()) return "v" + std::to_string(one.state().version());
  if (one.has_gone()) return "gone";
  if (one.has_refused()) {
    return "x" + std::to_string(one.refused().conn()) + " " +
           std::string(to_string(static_cast<errc>(one.refused().code())));
  }
  const v1::LiveAnswer& answer = one.answer();
  std::string text = "#" + std::to_string(answer.call()) + " ";
  text += to_string(static_cast<errc>(answer.code()));
  if (answer.has_state()) text += " v" + std::to_string(answer.state().version());
  return text;
}

using lines = std::vector<std::string>;

/// Requests as gateways make them.
struct live_requests {
  static constexpr room_id vroom{0x4444'0000'0000'0001};
  static constexpr uint64_t owner = 11, guest = 12;

  static v1::LiveRequest request(uint64_t call, uint64_t account, room_id to = vroom) {
    v1::LiveRequest out;
    out.set_call(call);
    out.set_epoch(1);
    out.set_vroom(to.value);
    out.set_account(account);
    out.set_domain("d");
    return out;
  }
  static v1::LiveRequest create(uint64_t call, uint64_t account = owner, room_id to = vroom) {
    auto out = request(call, account, to);
    out.mutable_create();
    return out;
  }
  static v1::LiveRequest remove(uint64_t call, uint64_t account = owner) {
    auto out = request(call, account);
    out.mutable_remove();
    return out;
  }
  static v1::LiveRequest grant(uint64_t call, uint64_t target, bool on = true, uint64_t account = owner) {
    auto out = request(call, account);
    out.mutable_grant()->set_account(target);
    out.mutable_grant()->set_on(on);
    return out;
  }
  static v1::LiveRequest interest(uint64_t call, bool on = true) {
    auto out = request(call, guest);
    out.mutable_interest()->set_on(on);
    return out;
  }
  /// As a gateway sends it that was told `version` before, with the guest granted from 2 on.
  static v1::LiveRequest known_interest(uint64_t call, uint64_t version) {
    auto out = interest(call);
    out.set_domain("");  // nobody in particular asks
    v1::LiveState& known = *out.mutable_interest()->mutable_known();
    known.set_vroom(vroom.value);
    known.set_version(version);
    known.set_owner(owner);
    known.set_domain("d");
    if (version > 1) known.add_granted(guest);
    return out;
  }
  /// The account is the connection too.
  static v1::LiveRequest push(const std::string& body, uint64_t account = owner) {
    auto out = request(0, account);
    out.mutable_push()->set_conn(account);
    out.mutable_push()->set_body(body);
    return out;
  }
  static v1::LiveRequest elsewhere(v1::LiveRequest what) {
    what.set_domain("other");
    return what;
  }
  static v1::LiveRequest repeated(v1::LiveRequest what) {
    what.set_again(true);
    return what;
  }
};

/// A gateway as the test plays it.
struct gateway_node {
  std::shared_ptr<collecting_sink<v1::LiveReply>> out = std::make_shared<collecting_sink<v1::LiveReply>>();
  std::shared_ptr<rpc::server_handler<rpc::live_stream>> in;

  std::vector<std::string> take() {
    std::vector<std::string> all;
    for (const v1::LiveReply& one : std::exchange(out->items, {})) all.push_back(shown(one));
    return all;
  }
};

class live_fixture : public group_fixture, public live_requests {
 public:
  using live_requests::interest;
  using live_requests::request;

  live_fixture() {
    time.advance(options.vroom_grace);  // the node has had its range for a while
    one = attach("gateway-0");
    two = attach("gateway-1");
  }
  gateway_node attach(const std::string& name) {
    gateway_node node;
    node.in = relay_acceptor(env, [this](const gateway_ptr& stream) {
      vrooms.broadcast(gateway_gone_event{stream});
    })({"gateway", name, 1}, node.out);
    return node;
  }
  void detach(gateway_node& node) {
    node.out->closed = true;
    node.in->on_down();
    run();
  }
  void post(gateway_node& from, std::vector<v1::LiveRequest> items) {
    for (v1::LiveRequest& item : items) item.set_epoch(map_epoch);
    from.in->on_items(items);
  }
  void ask(gateway_node& from, v1::LiveRequest what) {
    std::vector<v1::LiveRequest> items;
    items.push_back(std::move(what));
    post(from, std::move(items));
    run();
  }
  /// Moves time by steps no longer than the timers' own.
  void wait(std::chrono::milliseconds by) {
    time.advance(by);
    timers.turn();
    run();
    time.advance(std::chrono::milliseconds(256));
    timers.turn();
    run();
  }
  const live_room& state() { return state_of<vroom_state>(vrooms.find(vroom)).room(); }
  double counted(const std::string& line) {
    metrics.refresh();
    metrics.live.refresh(pushes.bytes());
    const std::string page = registry.render();
    const size_t at = page.find("\n" + line + " ");
    return at == std::string::npos ? -1 : std::stod(page.substr(at + line.size() + 2));
  }

  gateway_node one, two;
};

}  // namespace tern::group::live
