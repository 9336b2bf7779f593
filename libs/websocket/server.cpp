#include "libs/websocket/server.hpp"

#include <algorithm>

#include "libs/websocket/acceptor.hpp"
#include "libs/websocket/io_thread.hpp"
#include "libs/websocket/server_state.hpp"

namespace tern::websocket {
namespace {

/// Composition of acceptor and io threads.
class server_impl final : public server {
 public:
  server_impl(server_options options, upgrade_function on_upgrade, request_function on_request)
      : state_(std::make_shared<server_state>(std::move(options), std::move(on_upgrade), std::move(on_request))),
        threads_(make_threads(state_)),
        acceptor_(std::make_unique<acceptor>(state_, threads_)) {}
  ~server_impl() override { stop(); }

  result<void> listen() override {
    if (state_->options.tls) {
      if (auto loaded = reload_certificates(); !loaded) return loaded;
    }
    return acceptor_->listen();
  }

  void start() override {
    if (started_) return;
    started_ = true;
    acceptor_->start();
    for (auto& one : threads_) one->start();
  }

  uint16_t port() const noexcept override { return acceptor_->port(); }

  std::vector<io_thread*> threads() override {
    std::vector<io_thread*> all;
    for (auto& one : threads_) all.push_back(one.get());
    return all;
  }

  void stop_accepting() override { acceptor_->close(); }

  void resume_accepting() override { acceptor_->reopen(); }

  void stop() override {
    acceptor_->close();
    if (!started_) return;
    for (auto& one : threads_) one->begin_stop();
    for (auto& one : threads_) one->join();
  }

  server_stats stats() const override {
    server_stats sum;
    sum.accepted = state_->accepted;
    sum.refused_limit = state_->refused_limit;
    for (const auto& one : threads_) add(sum, one->counters());
    return sum;
  }

  result<void> reload_certificates() override {
    auto context = tls_context::load(state_->options.certificate_file, state_->options.private_key_file);
    if (!context) return context.error();
    state_->set_tls(std::move(context).value());
    return {};
  }

 private:
  static std::vector<std::shared_ptr<io_thread_impl>> make_threads(const std::shared_ptr<server_state>& state) {
    std::vector<std::shared_ptr<io_thread_impl>> made;
    const size_t wanted = std::clamp<size_t>(state->options.threads, 1, 1024);
    for (size_t i = 0; i < wanted; ++i) made.push_back(std::make_shared<io_thread_impl>(state, i));
    return made;
  }

  static void add(server_stats& sum, const thread_counters& one) noexcept {
    sum.open += one.open.get();
    sum.half_open += one.half_open.get();
    sum.websockets += one.websockets.get();
    sum.received_bytes += one.received_bytes.get();
    sum.sent_bytes += one.sent_bytes.get();
    sum.queued_bytes += one.queued_bytes.get();
    sum.reads += one.reads.get();
    sum.writes += one.writes.get();
    sum.messages_in += one.messages_in.get();
    sum.messages_out += one.messages_out.get();
    sum.refused_protocol += one.refused_protocol.get();
  }

  const std::shared_ptr<server_state> state_;
  const std::vector<std::shared_ptr<io_thread_impl>> threads_;
  const std::unique_ptr<acceptor> acceptor_;
  bool started_ = false;
};

}  // namespace

std::unique_ptr<server> make_server(server_options options, upgrade_function on_upgrade,
                                    request_function on_request) {
  return std::make_unique<server_impl>(std::move(options), std::move(on_upgrade), std::move(on_request));
}

}  // namespace tern::websocket
