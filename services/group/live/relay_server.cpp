#include "services/group/live/relay_server.hpp"

#include <utility>
#include <vector>

#include "libs/actor/inline_run.hpp"
#include "services/group/live/directory.hpp"

namespace tern::group::live {
namespace {

/// A link that brought no more runs the rooms itself.
constexpr size_t few_items = 4;
/// What a push costs beside its body.
constexpr size_t push_overhead = 256;

class relay_handler final : public rpc::server_handler<rpc::live_stream> {
 public:
  relay_handler(const environment& env, gateway_ptr stream, gateway_watch gone)
      : env_(env), stream_(std::move(stream)), gone_(std::move(gone)) {}

  void on_items(std::vector<v1::LiveRequest>& items) override {
    const auto map = env_.cluster->get();
    std::vector<directory::addressed> mails;
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
    if (!mails.empty()) {
      const actor::inline_scope here(env_.actors, mails.size() <= few_items);
      env_.vrooms->post(mails);
    }
    if (refused_.empty()) return;
    if (!stream_->out->send_all(refused_)) stream_->out->close();
    refused_.clear();
  }

  void on_down() override {
    stream_->up = false;
    gone_(stream_);
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

  const environment& env_;
  const gateway_ptr stream_;
  const gateway_watch gone_;
  std::vector<v1::LiveReply> refused_;
};

}  // namespace

rpc::accept_function<rpc::live_stream> relay_acceptor(const environment& env, gateway_watch gone) {
  return [&env, gone = std::move(gone)](const rpc::peer& who, std::shared_ptr<rpc::sink<v1::LiveReply>> out)
             -> std::shared_ptr<rpc::server_handler<rpc::live_stream>> {
    auto stream = std::make_shared<gateway_stream>();
    stream->node = who.node;
    stream->incarnation = who.incarnation;
    stream->out = std::move(out);
    env.log.info("gateway attached", {{"gateway", stream->node}});
    return std::make_shared<relay_handler>(env, std::move(stream), gone);
  };
}

}  // namespace tern::group::live
