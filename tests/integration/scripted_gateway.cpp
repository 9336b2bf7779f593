#include "tests/integration/scripted_gateway.hpp"

#include <algorithm>
#include <utility>

namespace tern::testing {

using namespace std::chrono_literals;

class scripted_gateway::handler final : public rpc::client_handler<rpc::attach_stream> {
 public:
  explicit handler(std::shared_ptr<state> where) : state_(std::move(where)) {}
  void on_up(std::shared_ptr<rpc::sink<session::v1::GatewayItem>> out) override {
    const std::lock_guard held(state_->mutex);
    state_->out = std::move(out);
    state_->changed.notify_all();
  }
  void on_items(std::vector<session::v1::SessionItem>& items) override {
    const std::lock_guard held(state_->mutex);
    for (auto& one : items) state_->items.push_back(std::move(one));
    state_->changed.notify_all();
  }
  void on_down() override {
    const std::lock_guard held(state_->mutex);
    state_->out = nullptr;
  }

 private:
  std::shared_ptr<state> state_;
};

scripted_gateway::scripted_gateway(rpc::network& network, std::string address, uint64_t incarnation)
    : network_(network), address_(std::move(address)), self_{"gateway", "gateway-test", incarnation} {
  call();
}

scripted_gateway::~scripted_gateway() = default;

void scripted_gateway::call() {
  link_ = network_.connect<rpc::attach_stream>(self_, address_, std::make_shared<handler>(state_));
}

void scripted_gateway::hang_up() { link_.reset(); }

bool scripted_gateway::send(session::v1::GatewayItem item) {
  std::shared_ptr<rpc::sink<session::v1::GatewayItem>> out;
  {
    std::unique_lock held(state_->mutex);
    if (!state_->changed.wait_for(held, 5s, [&] { return state_->out != nullptr; })) return false;
    out = state_->out;
  }
  return out->send(std::move(item));
}

std::optional<session::v1::SessionItem> scripted_gateway::wait(
    const std::function<bool(const session::v1::SessionItem&)>& wanted) {
  std::unique_lock held(state_->mutex);
  auto found = state_->items.end();
  state_->changed.wait_for(held, 5s, [&] {
    found = std::find_if(state_->items.begin(), state_->items.end(), wanted);
    return found != state_->items.end();
  });
  if (found == state_->items.end()) return std::nullopt;
  session::v1::SessionItem item = std::move(*found);
  state_->items.erase(found);
  return item;
}

std::optional<session::v1::Out> scripted_gateway::wait_out(uint64_t conn, uint32_t type) {
  auto item = wait([&](const session::v1::SessionItem& one) {
    return one.has_out() && one.out().conn() == conn && one.out().type() == type;
  });
  if (!item) return std::nullopt;
  return std::move(*item->mutable_out());
}

size_t scripted_gateway::count(const std::function<bool(const session::v1::SessionItem&)>& wanted) {
  const std::lock_guard held(state_->mutex);
  return static_cast<size_t>(std::count_if(state_->items.begin(), state_->items.end(), wanted));
}

}  // namespace tern::testing
