#include "tools/ctl/control_client.hpp"

#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <random>
#include <thread>

#include "libs/rpc/streams.hpp"

namespace tern::ctl {
namespace {

using namespace std::chrono_literals;
using time_point = std::chrono::steady_clock::time_point;
using routing::v1::ControlReply;
using routing::v1::ControlRequest;

/// One replica gets so long to open a stream, so that others are asked in time.
constexpr auto most_for_one = 1000ms;
/// Between two rounds while nobody leads.
constexpr auto rest = 150ms;
/// Gives up when a replica that leads does not answer for so long, whatever the timeout of a watch.
constexpr auto least_answer = 2000ms;

/// The calls of one stream, from the transport's threads.
class inbox final : public rpc::client_handler<rpc::control_stream> {
 public:
  void on_up(std::shared_ptr<rpc::sink<ControlRequest>> out) override {
    const std::lock_guard hold{lock_};
    if (!was_up_) out_ = std::move(out);
    was_up_ = true;
    wake_.notify_all();
  }
  void on_items(std::vector<ControlReply>& items) override {
    const std::lock_guard hold{lock_};
    for (auto& each : items) replies_.push_back(std::move(each));
    wake_.notify_all();
  }
  void on_down() override {
    const std::lock_guard hold{lock_};
    down_ = was_up_;
    wake_.notify_all();
  }

  /// Null: there is no stream.
  std::shared_ptr<rpc::sink<ControlRequest>> wait_up(time_point until) {
    std::unique_lock hold{lock_};
    wake_.wait_until(hold, until, [&] { return was_up_; });
    return down_ ? nullptr : out_;
  }
  /// unavailable: the stream has ended.
  result<ControlReply> wait_reply(uint64_t call, time_point until) {
    std::unique_lock hold{lock_};
    for (;;) {
      while (!replies_.empty()) {
        auto first = std::move(replies_.front());
        replies_.pop_front();
        if (first.call() == call) return first;
      }
      if (down_) return errc::unavailable;
      if (wake_.wait_until(hold, until) == std::cv_status::timeout && replies_.empty()) return errc::deadline;
    }
  }

 private:
  std::mutex lock_;
  std::condition_variable wake_;
  bool was_up_ = false;
  bool down_ = false;
  std::shared_ptr<rpc::sink<ControlRequest>> out_;
  std::deque<ControlReply> replies_;
};

bool redirects(const ControlReply& reply) { return reply.code() == static_cast<int32_t>(errc::wrong_owner); }

}  // namespace

struct control_client::impl {
  settings how;
  rpc::peer self;
  std::unique_ptr<rpc::network> network;
  std::unique_ptr<rpc::link> link;
  std::shared_ptr<inbox> stream;
  std::shared_ptr<rpc::sink<ControlRequest>> out;
  size_t next = 0;     // of the addresses
  std::string leader;  // where a replica said to ask
  uint64_t calls = 0;
  uint64_t watched = 0;  // call of the watch; 0: none on this stream
  std::string why = "no answer";

  void hang_up() {
    out.reset();
    link.reset();
    stream.reset();
    watched = 0;
  }

  /// A stream to the leader, or to whoever is next.
  bool connect(time_point until) {
    if (out) return true;
    hang_up();
    const auto address = leader.empty() ? how.routing[next++ % how.routing.size()] : std::exchange(leader, {});
    stream = std::make_shared<inbox>();
    link = network->connect<rpc::control_stream>(self, address, stream);
    out = stream->wait_up(std::min(until, std::chrono::steady_clock::now() + most_for_one));
    if (!out) why = "no connection to " + address;
    if (!out) hang_up();
    return out != nullptr;
  }

  /// What to do about a reply: true when it is the leader's.
  bool from_leader(const ControlReply& reply) {
    if (!redirects(reply)) return true;
    leader = reply.leader();
    why = leader.empty() ? "no replica leads" : "the leader at " + leader + " does not answer";
    hang_up();
    if (leader.empty()) std::this_thread::sleep_for(rest);
    return false;
  }

  std::optional<ControlReply> ask(ControlRequest& request, time_point until) {
    if (!connect(until)) {
      std::this_thread::sleep_for(std::min<std::chrono::nanoseconds>(rest, 20ms));
      return std::nullopt;
    }
    request.set_call(++calls);
    if (!out->send(request)) {
      hang_up();
      return std::nullopt;
    }
    auto reply = stream->wait_reply(request.call(), until);
    if (!reply) {
      why = reply.code() == errc::deadline ? "the replica does not answer" : "the stream broke";
      hang_up();
      return std::nullopt;
    }
    if (!from_leader(*reply)) return std::nullopt;
    return std::move(*reply);
  }

  error unreachable() const {
    std::string list;
    for (const auto& each : how.routing) list += (list.empty() ? "" : ",") + each;
    return {errc::unavailable, "routing cannot be reached at " + list + ": " + why +
                                   "; is --routing (or TERN_ROUTING) right, and does a replica run?"};
  }
};

control_client::control_client(std::unique_ptr<impl> parts) : impl_(std::move(parts)) {}

control_client::~control_client() {
  impl_->hang_up();
  impl_->network->stop();
}

result<std::unique_ptr<control_client>> control_client::make(const settings& how) {
  auto parts = std::make_unique<impl>();
  parts->how = how;
  std::random_device random;
  parts->self = {"ternctl", "ternctl-" + std::to_string(::getpid()), (uint64_t{random()} << 32U) | random()};
  rpc::grpc_options options;
  options.self = parts->self;
  options.tls = how.tls;
  options.pace = {};
  options.close_timeout = 200ms;
  parts->network = rpc::make_grpc_network(options);
  if (auto started = parts->network->start(); !started) return started.error();
  return std::unique_ptr<control_client>(new control_client(std::move(parts)));
}

rpc::network& control_client::network() { return *impl_->network; }

const rpc::peer& control_client::self() const { return impl_->self; }

result<ControlReply> control_client::call(ControlRequest request) {
  const auto until = std::chrono::steady_clock::now() + impl_->how.timeout;
  do {
    if (auto reply = impl_->ask(request, until)) return std::move(*reply);
  } while (std::chrono::steady_clock::now() < until);
  return impl_->unreachable();
}

result<routing::v1::Status> control_client::watch(std::chrono::milliseconds limit) {
  const auto began = std::chrono::steady_clock::now();
  auto until = began + limit;
  const auto lost = began + std::max<std::chrono::milliseconds>(impl_->how.timeout, least_answer);
  for (;;) {
    if (impl_->watched == 0) {
      ControlRequest request;
      request.mutable_status()->set_watch(true);
      if (auto first = impl_->ask(request, lost)) {
        impl_->watched = request.call();
        return std::move(*first->mutable_status());
      }
      if (std::chrono::steady_clock::now() >= lost) return impl_->unreachable();
      continue;
    }
    auto reply = impl_->stream->wait_reply(impl_->watched, until);
    if (reply && impl_->from_leader(*reply)) return std::move(*reply->mutable_status());
    if (!reply && reply.code() == errc::deadline) return errc::deadline;
    impl_->hang_up();  // the leader has changed, or is gone
  }
}

}  // namespace tern::ctl
