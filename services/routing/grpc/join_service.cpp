#include "services/routing/grpc/join_service.hpp"

#include <atomic>
#include <memory>
#include <utility>

namespace tern::routing {
namespace {

class join_handler final : public rpc::server_handler<rpc::join_stream> {
 public:
  join_handler(caf::actor placement, uint64_t stream) : placement_(std::move(placement)), stream_(stream) {}
  void on_items(std::vector<v1::NodeItem>& items) override {
    caf::anon_send(placement_, items_message{stream_, std::make_shared<std::vector<v1::NodeItem>>(std::move(items))});
  }
  void on_down() override { caf::anon_send(placement_, closed_message{stream_}); }

 private:
  const caf::actor placement_;
  const uint64_t stream_;
};

class control_handler final : public rpc::server_handler<rpc::control_stream> {
 public:
  control_handler(caf::actor placement, uint64_t stream) : placement_(std::move(placement)), stream_(stream) {}
  void on_items(std::vector<v1::ControlRequest>& items) override {
    caf::anon_send(placement_, control_items_message{
                                   stream_, std::make_shared<std::vector<v1::ControlRequest>>(std::move(items))});
  }
  void on_down() override { caf::anon_send(placement_, control_closed_message{stream_}); }

 private:
  const caf::actor placement_;
  const uint64_t stream_;
};

}  // namespace

rpc::accept_function<rpc::join_stream> make_join_acceptor(caf::actor placement) {
  auto next = std::make_shared<std::atomic<uint64_t>>(0);
  return [placement = std::move(placement), next](
             const rpc::peer& who,
             std::shared_ptr<join_sink> out) -> std::shared_ptr<rpc::server_handler<rpc::join_stream>> {
    const uint64_t stream = ++*next;
    caf::anon_send(placement, opened_message{stream, who, std::move(out)});
    return std::make_shared<join_handler>(placement, stream);
  };
}

rpc::accept_function<rpc::control_stream> make_control_acceptor(caf::actor placement) {
  auto next = std::make_shared<std::atomic<uint64_t>>(0);
  return [placement = std::move(placement), next](
             const rpc::peer&,
             std::shared_ptr<control_sink> out) -> std::shared_ptr<rpc::server_handler<rpc::control_stream>> {
    const uint64_t stream = ++*next;
    caf::anon_send(placement, control_opened_message{stream, std::move(out)});
    return std::make_shared<control_handler>(placement, stream);
  };
}

}  // namespace tern::routing
