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

  void on_items(std::vector<v1::LiveRequest>& items) override {
    const auto map = env_.cluster->get();
    mail_list mails;
    mails.reserve(items.size());
    for (v1::LiveRequest& item : items) {
      const room_id room{item.vroom()};  // read before the moves below
      const uint64_t epoch = item.epoch();
      if (!owns(env_, *map, room, epoch)) {
        refuse(item, errc::wrong_owner);
      } else if (std::optional<asked> taken = item.has_push() ? push(room, item) : command(room, item)) {
        mails.push_back({room, request_event{std::move(*taken)}, epoch});
      }
    }
    finish(*env_.vrooms, mails);
  }

 private:
  std::optional<asked> push(room_id room, v1::LiveRequest& item) {
    push_queue::charge charged;
    auto full = crowded(room) ? push_queue::bound::node
                              : env_.pushes->take(room, item.push().body().size() + push_overhead, charged);
    if (full == push_queue::bound::none) return asked{stream_, std::move(item), {}, std::move(charged)};
    env_.metrics.live.dropped(full == push_queue::bound::room ? drop::room_queue : drop::node_queue);
    return std::nullopt;
  }

  std::optional<asked> command(room_id room, v1::LiveRequest& item) {
    const auto open = static_cast<uint64_t>(env_.metrics.open.load(std::memory_order_relaxed));
    if (open < env_.config.queue_requests && !crowded(room)) {
      return asked{stream_, std::move(item), ticket{env_.metrics.open}, {}};
    }
    refuse(item, errc::overload);
    return std::nullopt;
  }

  /// No more actors: those of unknown rooms cost memory too.
  bool crowded(room_id room) const {
    const auto most = static_cast<int64_t>(2 * env_.config.vrooms_per_node);
    return env_.metrics.live.actors.load(std::memory_order_relaxed) >= most && !env_.vrooms->find(room);
  }

  void refuse(const v1::LiveRequest& item, errc code) {
    if (item.has_push()) {
      env_.metrics.live.dropped(drop::wrong_owner);
      v1::LiveRefused& refused = *refused_.emplace_back().mutable_refused();
      refused.set_vroom(item.vroom());
      refused.set_conn(item.push().conn());
      refused.set_code(static_cast<int32_t>(code));
      return;
    }
    if (const auto which = command_of(item)) env_.metrics.live.count(*which, outcome_of(code, false));
    v1::LiveAnswer& answer = *refused_.emplace_back().mutable_answer();
    answer.set_call(item.call());
    answer.set_code(static_cast<int32_t>(code));
  }
};

}  // namespace

rpc::accept_function<rpc::live_stream> relay_acceptor(const environment& env, gateway_watch gone) {
  return acceptor_of<rpc::live_stream, gateway_stream, relay_handler>(env, "gateway", std::move(gone));
}

}  // namespace tern::group::live
