#include "services/group/grpc/group_service.hpp"

#include <memory>
#include <utility>
#include <vector>

namespace tern::group {
namespace {

outcome outcome_of(errc code) {
  if (code == errc::wrong_owner) return outcome::wrong_owner;
  return code == errc::overload ? outcome::overload : outcome::not_offered;
}

/// One stream of a session node. Stateless: a broken stream loses nothing, the session asks again.
class exchange_handler final : public rpc::server_handler<rpc::group_stream> {
 public:
  exchange_handler(const surroundings& around, std::shared_ptr<rpc::sink<v1::GroupReply>> out)
      : around_(around), out_(std::move(out)) {}

  void on_items(std::vector<v1::GroupRequest>& items) override {
    const auto map = around_.cluster->get();
    std::vector<v1::GroupReply> replies;
    replies.reserve(items.size());
    for (const v1::GroupRequest& item : items) {
      const bool too_many = replies.size() >= around_.config.max_batch_requests;
      const errc code = too_many ? errc::overload : answer_of(*map, around_, room_id{item.room()}, item.epoch());
      around_.metrics.count(outcome_of(code));
      v1::Answer& reply = *replies.emplace_back().mutable_answer();
      reply.set_call(item.call());
      reply.set_code(static_cast<int32_t>(code));
    }
    if (!out_->send_all(replies)) out_->close();
  }

  void on_down() override {}

 private:
  const surroundings& around_;
  const std::shared_ptr<rpc::sink<v1::GroupReply>> out_;
};

}  // namespace

errc answer_of(const placement::snapshot& map, const surroundings& around, room_id room, uint64_t epoch) {
  const placement::range* range = map.groups.find(slot_of(room));
  if (range == nullptr || range->owner != around.node || range->epoch != epoch || !around.lease_valid()) {
    return errc::wrong_owner;
  }
  return errc::bad_interface;
}

rpc::accept_function<rpc::group_stream> exchange_acceptor(const surroundings& around) {
  return [&around](const rpc::peer&, std::shared_ptr<rpc::sink<v1::GroupReply>> out)
             -> std::shared_ptr<rpc::server_handler<rpc::group_stream>> {
    return std::make_shared<exchange_handler>(around, std::move(out));
  };
}

}  // namespace tern::group
