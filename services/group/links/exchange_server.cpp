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

  void on_items(std::vector<v1::GroupRequest>& items) override {
    const auto map = env_.cluster->get();
    mail_list mails;
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
    finish(*env_.directory, mails);
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
};

}  // namespace

rpc::accept_function<rpc::group_stream> exchange_acceptor(const environment& env, stream_watch gone) {
  return acceptor_of<rpc::group_stream, session_stream, exchange_handler>(env, "session", std::move(gone));
}

}  // namespace tern::group
