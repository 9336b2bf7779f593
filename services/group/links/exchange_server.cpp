#include "services/group/links/exchange_server.hpp"

#include <utility>
#include <vector>

#include "services/group/directory.hpp"
#include "services/group/links/request_handler.hpp"

namespace tern::group {
namespace {

class exchange_handler final : public request_handler<rpc::group_stream, session_stream, directory> {
 public:
  using request_handler::request_handler;

 private:
  room_id room_of(const v1::GroupRequest& item) const override { return room_id{item.room()}; }

  void take(v1::GroupRequest& item, work& now) override {
    const auto open = static_cast<uint64_t>(env_.metrics.open.load(std::memory_order_relaxed));
    if (open >= env_.config.queue_requests) return refuse(item, errc::overload, now);
    const room_id room{item.room()};  // read before the move below
    const uint64_t epoch = item.epoch();
    caller who{stream_, item.call(), ticket{env_.metrics.open}};
    now.mails.push_back({room, request_event{std::move(who), std::move(item)}, epoch});
  }

  void refuse(const v1::GroupRequest& item, errc code, work& now) override {
    env_.metrics.count(command_of(item), outcome_of(code, false));
    v1::Answer& answer = *now.refused.emplace_back().mutable_answer();
    answer.set_call(item.call());
    answer.set_code(static_cast<int32_t>(code));
  }
};

}  // namespace

rpc::accept_function<rpc::group_stream> exchange_acceptor(const environment& env, stream_watch gone) {
  return acceptor_of<rpc::group_stream, session_stream, exchange_handler>(env, *env.directory, "session",
                                                                          std::move(gone));
}

}  // namespace tern::group
