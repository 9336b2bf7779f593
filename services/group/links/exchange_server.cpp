#include "services/group/links/exchange_server.hpp"

#include <utility>
#include <vector>

#include "libs/actor/inline_run.hpp"
#include "services/group/directory.hpp"

namespace tern::group {
namespace {

/// A link that brought no more runs the rooms itself.
constexpr size_t few_items = 4;

class exchange_handler final : public rpc::server_handler<rpc::group_stream> {
 public:
  exchange_handler(const environment& env, session_ptr stream, stream_watch gone)
      : env_(env), stream_(std::move(stream)), gone_(std::move(gone)) {}

  void on_items(std::vector<v1::GroupRequest>& items) override {
    const auto map = env_.cluster->get();
    std::vector<directory::addressed> mails;
    mails.reserve(items.size());
    for (v1::GroupRequest& item : items) {
      const room_id room{item.room()};  // read before the move below
      const uint64_t epoch = item.epoch();
      if (const errc code = admit(*map, room, epoch); code != errc::ok) {
        refuse(item, code);
        continue;
      }
      caller who{stream_, item.call(), ticket{env_.metrics.open}};
      mails.push_back({room, request_event{std::move(who), std::move(item)}, epoch});
    }
    if (!mails.empty()) {
      const actor::inline_scope here(env_.actors, mails.size() <= few_items);
      env_.directory->post(mails);
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
  errc admit(const placement::snapshot& map, room_id room, uint64_t epoch) const {
    if (!owns(env_, map, room, epoch)) return errc::wrong_owner;
    const auto open = static_cast<uint64_t>(env_.metrics.open.load(std::memory_order_relaxed));
    return open < env_.config.queue_requests ? errc::ok : errc::overload;
  }

  void refuse(const v1::GroupRequest& item, errc code) {
    env_.metrics.count(command_of(item), outcome_of(code, false));
    v1::Answer& answer = *refused_.emplace_back().mutable_answer();
    answer.set_call(item.call());
    answer.set_code(static_cast<int32_t>(code));
  }

  const environment& env_;
  const session_ptr stream_;
  const stream_watch gone_;
  std::vector<v1::GroupReply> refused_;
};

}  // namespace

rpc::accept_function<rpc::group_stream> exchange_acceptor(const environment& env, stream_watch gone) {
  return [&env, gone = std::move(gone)](const rpc::peer& who, std::shared_ptr<rpc::sink<v1::GroupReply>> out)
             -> std::shared_ptr<rpc::server_handler<rpc::group_stream>> {
    auto stream = std::make_shared<session_stream>();
    stream->node = who.node;
    stream->incarnation = who.incarnation;
    stream->out = std::move(out);
    env.log.info("session node attached", {{"session", stream->node}});
    return std::make_shared<exchange_handler>(env, std::move(stream), gone);
  };
}

}  // namespace tern::group
