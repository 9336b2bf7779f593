#include "services/ternd/erase_account.hpp"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <thread>

#include "libs/erasure/eraser.hpp"
#include "libs/erasure/node_link.hpp"
#include "libs/rpc/streams.hpp"

namespace tern::ternd {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::seconds patience{60};

class account_eraser final : public app::service {
 public:
  account_eraser(app::context& with, std::string account) : with_(with), account_(std::move(account)) {}
  ~account_eraser() override { stop(); }

  std::string name() const override { return "erasure"; }
  result<void> start() override {
    auto account = erasing::parse_account(account_);
    if (!account) return account.error();
    thread_ = std::thread([this, id = *account] { run(id); });
    return {};
  }
  void drain(std::chrono::milliseconds) override { stop(); }
  void stop() override {
    stopping_ = true;
    if (thread_.joinable()) thread_.join();
  }

 private:
  void run(account_id account) {
    const rpc::peer self{"ternctl", "ternd-erasure", with_.incarnation};
    erasing::node_link<rpc::control_stream> routing(with_.network, self, with_.routing_address);
    const auto maps = [&]() -> result<routing::v1::Snapshot> {
      routing::v1::ControlRequest ask;
      ask.set_call(1);
      ask.mutable_status();
      auto reply = routing.ask(
          ask, [](const auto& one) { return one.call() == 1; }, 5s);
      if (!reply) return reply.error();
      if (reply->code() != 0) return errc::unavailable;
      return std::move(*reply->mutable_status()->mutable_maps());
    };
    erasing::eraser_options how;
    how.patience = patience;
    how.progress = [](const std::string&) {};
    how.stopped = [this] { return stopping_.load(); };
    erasing::eraser work(with_.network, self, maps, account, std::move(how));
    auto done = work.run();
    if (stopping_) return;
    if (!done) {
      with_.fatal("account " + account_ + " is not erased: " +
                  (done.error().detail.empty() ? std::string(to_string(done.code())) : done.error().detail));
      return;
    }
    std::fputs(done->text().c_str(), stdout);
    std::fflush(stdout);
    ::kill(::getpid(), SIGTERM);
  }

  app::context& with_;
  const std::string account_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace

std::unique_ptr<app::service> make_account_eraser(app::context& with, const std::string& account) {
  return std::make_unique<account_eraser>(with, account);
}

}  // namespace tern::ternd
