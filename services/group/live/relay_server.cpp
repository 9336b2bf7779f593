#include "services/group/live/relay_server.hpp"

#include <utility>
#include <vector>

#include "services/group/links/request_handler.hpp"
#include "services/group/live/directory.hpp"

namespace tern::group::live {
namespace {

/// What a push costs beside its body.
constexpr size_t push_overhead = 256;

class relay_handler final : public request_handler<rpc::live_stream, gateway_stream, directory> {
 public:
  using request_handler::request_handler;

 private:
  room_id room_of(const v1::LiveRequest& item) const override { return room_id{item.vroom()}; }

  void take(v1::LiveRequest& item, work& now) override {
    const room_id room{item.vroom()};  // read before the moves below
    const uint64_t epoch = item.epoch();
    if (std::optional<asked> taken = item.has_push() ? push(room, item) : command(room, item, now)) {
      now.mails.push_back({room, request_event{std::move(*taken)}, epoch});
    }
  }

  std::optional<asked> push(room_id room, v1::LiveRequest& item) {
    push_queue::charge charged;
    auto full = crowded(room) ? push_queue::bound::node
                              : env_.pushes->take(room, item.push().body().size() + push_overhead, charged);
    if (full == push_queue::bound::none) return asked{stream_, std::move(item), {}, std::move(charged)};
    env_.metrics.live.dropped(full == push_queue::bound::room ? drop::room_queue : drop::node_queue);
    return std::nullopt;
  }

  std::optional<asked> command(room_id room, v1::LiveRequest& item, work& now) {
    const auto open = static_cast<uint64_t>(env_.metrics.open.load(std::memory_order_relaxed));
    if (open < env_.config.queue_requests && !crowded(room)) {
      return asked{stream_, std::move(item), ticket{env_.metrics.open}, {}};
    }
    refuse(item, errc::overload, now);
    return std::nullopt;
  }

  /// No more actors: those of unknown rooms cost memory too.
  bool crowded(room_id room) const {
    const auto most = static_cast<int64_t>(2 * env_.config.vrooms_per_node);
    return env_.metrics.live.actors.load(std::memory_order_relaxed) >= most && !env_.vrooms->find(room);
  }

  void refuse(const v1::LiveRequest& item, errc code, work& now) override {
    if (item.has_push()) {
      env_.metrics.live.dropped(code == errc::wrong_owner ? drop::wrong_owner : drop::node_queue);
      v1::LiveRefused& refused = *now.refused.emplace_back().mutable_refused();
      refused.set_vroom(item.vroom());
      refused.set_conn(item.push().conn());
      refused.set_code(static_cast<int32_t>(code));
      return;
    }
    if (const auto which = command_of(item)) env_.metrics.live.count(*which, outcome_of(code, false));
    v1::LiveAnswer& answer = *now.refused.emplace_back().mutable_answer();
    answer.set_call(item.call());
    answer.set_code(static_cast<int32_t>(code));
  }
};

}  // namespace

rpc::accept_function<rpc::live_stream> relay_acceptor(const environment& env, gateway_watch gone) {
  return acceptor_of<rpc::live_stream, gateway_stream, relay_handler>(env, *env.vrooms, "gateway", std::move(gone));
}

}  // namespace tern::group::live
