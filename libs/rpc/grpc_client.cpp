// The calling half: each link keeps one attempt under way, each attempt has a channel (one connection) of its own, so
// that nothing of a failed one, and no backoff of gRPC's own, outlives it.
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <optional>
#include <utility>
#include <vector>

#include "libs/base/backoff.hpp"
#include "libs/rpc/byte_buffer.hpp"
#include "libs/rpc/grpc_completions.hpp"
#include "libs/rpc/grpc_parts.hpp"
#include "libs/rpc/grpc_stream.hpp"

namespace tern::rpc::detail {
namespace {

/// What attempts of all links need.
struct client_core {
  grpc_options how;
  std::shared_ptr<completions> events;
  std::shared_ptr<timer> later;
  std::shared_ptr<pacer> pace;
};

/// Null when the TLS files cannot be read: nothing goes out in plaintext then. Files are read for each attempt, so
/// that renewed certificates are used.
std::shared_ptr<grpc::Channel> make_channel(const grpc_options& how, const std::string& address,
                                            const std::string& method) {
  grpc::ChannelArguments with;
  const auto keepalive = static_cast<int>(how.keepalive.count());
  with.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  with.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  with.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  with.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
  with.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, keepalive);
  with.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, keepalive / 2);
  with.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  with.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  with.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, static_cast<int>(how.connect_timeout.count()));
  if (address.starts_with("unix:")) {
    with.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
    with.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, unix_window_bytes);
  }
  with.SetMaxReceiveMessageSize(max_message_bytes);
  with.SetMaxSendMessageSize(max_message_bytes);
  if (!how.tls.enabled()) return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), with);
  const auto files = read_pem(how.tls);
  if (!files) return nullptr;
  grpc::SslCredentialsOptions secret;
  secret.pem_root_certs = files->ca;
  secret.pem_private_key = files->key;
  secret.pem_cert_chain = files->cert;
  with.SetSslTargetNameOverride(service_of(method));
  return grpc::CreateCustomChannel(address, grpc::SslCredentials(secret), with);
}

class client_link;

/// One attempt: a channel, a call, and the stream if it comes to one. Deletes itself when the call has ended and gRPC
/// has given back all tags. Reads end before the call does, and after them the stream starts nothing.
class attempt final : private wire {
 public:
  attempt(std::shared_ptr<client_link> owner, completions& events, std::shared_ptr<grpc::Channel> channel,
          std::shared_ptr<grpc_stream> stream, std::shared_ptr<receiver> client)
      : use_(events),
        owner_(std::move(owner)),
        stub_(std::move(channel)),
        stream_(std::move(stream)),
        client_(std::move(client)) {}

  void begin(const peer& self, const std::string& method, uint32_t window, grpc::CompletionQueue& queue) {
    counts_ = &calls_of(made_calls(), method);
    counts_->started.fetch_add(1, std::memory_order_relaxed);
    stream_->count(*counts_);
    context_.AddMetadata(service_key, self.service);
    context_.AddMetadata(node_key, self.node);
    context_.AddMetadata(incarnation_key, std::to_string(self.incarnation));
    context_.AddMetadata(window_key, std::to_string(window));
    call_ = stub_.PrepareCall(&context_, method, &queue);
    call_->StartCall(begin_op(started_));
  }
  void cancel() override { context_.TryCancel(); }

 private:
  using operation = call_back<attempt>;
  void* begin_op(operation& which) {
    ++under_way_;
    return &which;
  }
  void on_started(bool ok) {
    if (ok) {
      call_->ReadInitialMetadata(begin_op(greeted_));
    } else {
      end_call();
    }
    end_op();
  }
  void on_greeted(bool ok);
  void on_read(bool ok) {
    if (ok) {
      const flat_bytes flat(incoming_);
      stream_->on_message(flat.view());
    } else {
      reads_over_ = true;
      stream_->on_read_end();
      end_call();
    }
    end_op();
  }
  void on_written(bool ok) {
    stream_->on_written(ok);
    end_op();
  }
  void on_op(bool) { end_op(); }
  void end_call() { call_->Finish(&status_, begin_op(ended_)); }
  void end_op() {
    if (--under_way_ == 0) over();
  }
  void over();

  void start_write(std::string batch) override {
    outgoing_ = to_byte_buffer(std::move(batch));
    call_->Write(outgoing_, begin_op(written_));
  }
  void start_read() override { call_->Read(&incoming_, begin_op(read_)); }
  void finish() override {
    if (!reads_over_) call_->WritesDone(begin_op(half_closed_));
  }

  const queue_use use_;
  std::shared_ptr<client_link> owner_;
  grpc::GenericStub stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> call_;
  std::shared_ptr<grpc_stream> stream_;
  std::shared_ptr<receiver> client_;
  grpc::ByteBuffer incoming_;
  grpc::ByteBuffer outgoing_;
  grpc::Status status_;
  call_tally* counts_ = nullptr;
  std::atomic<bool> reads_over_ = false;
  std::atomic<int> under_way_ = 0;  // tags that gRPC has; there is one until the call is over
  operation started_{*this, &attempt::on_started};
  operation greeted_{*this, &attempt::on_greeted};
  operation read_{*this, &attempt::on_read};
  operation written_{*this, &attempt::on_written};
  operation half_closed_{*this, &attempt::on_op};
  operation ended_{*this, &attempt::on_op};
};

/// A cancelled call is over within so long, unless a write of it is stuck.
constexpr auto stuck_after = std::chrono::milliseconds(100);

/// A link's state machine: attempt, up, down, pause, attempt, … until end().
class client_link : public std::enable_shared_from_this<client_link> {
 public:
  client_link(client_core core, peer self, std::string address, std::string method, std::shared_ptr<receiver> client)
      : core_(std::move(core)),
        self_(std::move(self)),
        address_(std::move(address)),
        method_(std::move(method)),
        client_(std::move(client)),
        pause_(core_.how.first_retry, core_.how.last_retry) {}

  void begin_attempt();
  void end();
  /// The attempt's stream stands: its deadline is off, the next pause is short again.
  void attempt_up();
  /// The attempt is over; nothing of it is used afterwards.
  void attempt_over(const std::string& why);
  /// Nothing once it has ended.
  std::optional<link_state> state() const;

 private:
  void changed(bool up);
  void retry_later();
  std::shared_ptr<grpc_stream> make_stream();
  void limit_connecting();

  const client_core core_;
  const peer self_;
  const std::string address_;
  const std::string method_;
  mutable std::mutex mutex_;
  std::condition_variable idle_;
  std::shared_ptr<receiver> client_;  // until end()
  attempt* current_ = nullptr;        // lives until attempt_over()
  bool busy_ = false;                 // from begin_attempt() to attempt_over()
  std::shared_ptr<grpc_stream> stream_;
  uint64_t number_ = 0;  // of the current attempt
  bool up_ = false;
  bool ended_ = false;
  backoff pause_;
  std::chrono::steady_clock::time_point since_ = std::chrono::steady_clock::now();
  bool shown_up_ = false;  // up_ as it is shown: an attempt under way is no change
  std::string why_;
};

void attempt::on_greeted(bool ok) {
  uint64_t credit = 0;
  if (ok) {
    const auto& metadata = context_.GetServerInitialMetadata();
    if (const auto at = metadata.find(window_key); at != metadata.end()) {
      credit = to_number({at->second.data(), at->second.size()});
    }
  }
  if (credit == 0) {  // refused, or nobody there
    context_.TryCancel();
    end_call();
  } else {
    owner_->attempt_up();
    stream_->open(client_, *this, credit);
    stream_->up();
    stream_->read();
  }
  end_op();
}

void attempt::over() {
  counts_->end(static_cast<size_t>(status_.error_code()));
  stream_->on_done();
  client_.reset();
  const auto owner = owner_;
  owner->attempt_over(status_.error_message());
  delete this;
}

void client_link::begin_attempt() {
  const std::lock_guard lock(mutex_);
  if (ended_ || busy_) return;
  auto channel = make_channel(core_.how, address_, method_);
  if (!channel) return retry_later();
  stream_ = make_stream();
  up_ = false;
  ++number_;
  busy_ = true;
  current_ = new attempt(shared_from_this(), *core_.events, std::move(channel), stream_, client_);
  limit_connecting();
  current_->begin(self_, method_, core_.how.window_items, core_.events->queue());
}

std::shared_ptr<grpc_stream> client_link::make_stream() {
  auto stream = std::make_shared<grpc_stream>(limits_of(core_.how), core_.pace);
  stream->on_lingering([later = core_.later, after = core_.how.close_timeout, weak = stream->weak_from_this()] {
    later->after(after, [weak] {
      if (const auto still = weak.lock()) still->cut();
    });
  });
  return stream;
}

void client_link::limit_connecting() {
  core_.later->after(core_.how.connect_timeout, [weak = weak_from_this(), number = number_] {
    const auto self = weak.lock();
    if (!self) return;
    const std::lock_guard lock(self->mutex_);
    if (self->current_ != nullptr && self->number_ == number && !self->up_) self->current_->cancel();
  });
}

void client_link::attempt_up() {
  const std::lock_guard lock(mutex_);
  up_ = true;
  changed(true);
  pause_.reset();
}

void client_link::changed(bool up) {
  if (shown_up_ == up) return;
  shown_up_ = up;
  since_ = std::chrono::steady_clock::now();
}

std::optional<link_state> client_link::state() const {
  const std::lock_guard lock(mutex_);
  if (ended_) return std::nullopt;
  const auto age = std::chrono::steady_clock::now() - since_;
  return link_state{service_of(method_), address_, shown_up_,
                    std::chrono::duration_cast<std::chrono::milliseconds>(age), why_};
}

void client_link::attempt_over(const std::string& why) {
  const std::lock_guard lock(mutex_);
  changed(false);
  why_ = why;
  current_ = nullptr;
  busy_ = false;
  stream_.reset();
  if (!ended_) retry_later();
  idle_.notify_all();
}

void client_link::retry_later() {
  core_.later->after(pause_.next(), [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->begin_attempt();
  });
}

void client_link::end() {
  std::unique_lock lock(mutex_);
  ended_ = true;
  if (current_ != nullptr) current_->cancel();
  auto client = std::move(client_);
  if (busy_ && core_.events->in_thread()) {
    // In a handler: of this link, whose last call it is then, or of another one. No third can be running.
    stream_->mute();
    const bool down = up_ && !stream_->called_by_this_thread();
    lock.unlock();
    if (down && client) client->down();
    return;
  }
  const bool over = idle_.wait_for(lock, stuck_after, [this] { return !busy_; });
  const auto stream = stream_;
  const bool was_up = up_;
  lock.unlock();
  if (over) return;
  // gRPC does not give back a write that waits for a stopped peer before keepalive ends the connection. Nobody is to
  // wait for that: not the owner of a link to a node that has just been declared dead.
  if (stream->silence() && was_up && client) client->down();
}

class grpc_link final : public link {
 public:
  explicit grpc_link(std::shared_ptr<client_link> state) : state_(std::move(state)) {}
  ~grpc_link() override { state_->end(); }

 private:
  std::shared_ptr<client_link> state_;
};

class client_half final : public grpc_client {
 public:
  explicit client_half(client_core core) : core_(std::move(core)) {}
  ~client_half() override { stop(); }

  std::unique_ptr<link> connect(const peer& self, const std::string& address, const std::string& method,
                                std::shared_ptr<receiver> client) override {
    auto state = std::make_shared<client_link>(core_, self, address, method, std::move(client));
    auto made = std::make_unique<grpc_link>(state);
    {
      const std::lock_guard lock(mutex_);
      if (stopped_) return made;
      std::erase_if(links_, [](const auto& each) { return each.expired(); });
      links_.push_back(state);
    }
    state->begin_attempt();
    return made;
  }

  std::vector<link_state> links() const override {
    std::vector<std::weak_ptr<client_link>> known;
    {
      const std::lock_guard lock(mutex_);
      known = links_;
    }
    std::vector<link_state> out;
    for (const auto& each : known) {
      const auto link = each.lock();
      if (auto state = link ? link->state() : std::nullopt) out.push_back(std::move(*state));
    }
    return out;
  }

  void stop() override {
    std::vector<std::weak_ptr<client_link>> links;
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
      links.swap(links_);
    }
    for (const auto& each : links) {
      if (const auto state = each.lock()) state->end();
    }
  }

 private:
  const client_core core_;
  mutable std::mutex mutex_;
  std::vector<std::weak_ptr<client_link>> links_;
  bool stopped_ = false;
};

}  // namespace

std::unique_ptr<grpc_client> make_grpc_client(const grpc_options& how, std::shared_ptr<completions> events,
                                              std::shared_ptr<timer> later, std::shared_ptr<pacer> pace) {
  return std::make_unique<client_half>(client_core{how, std::move(events), std::move(later), std::move(pace)});
}

}  // namespace tern::rpc::detail
