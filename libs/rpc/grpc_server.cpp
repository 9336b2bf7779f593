// The serving half: one generic service for every stream kind (the method's name decides).
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <map>
#include <set>
#include <utility>

#include "libs/rpc/byte_buffer.hpp"
#include "libs/rpc/grpc_completions.hpp"
#include "libs/rpc/grpc_parts.hpp"
#include "libs/rpc/grpc_stream.hpp"

namespace tern::rpc::detail {
namespace {

/// The streams of one method, and who is just being accepted.
struct offer {
  raw_accept accept;
  std::set<std::shared_ptr<grpc_stream>> live;
  int busy = 0;  // being accepted or live
  bool withdrawn = false;
};

struct offers {
  std::mutex mutex;
  std::condition_variable idle;
  std::map<std::string, std::shared_ptr<offer>, std::less<>> by_method;
};

std::string text_of(const std::multimap<grpc::string_ref, grpc::string_ref>& metadata, const char* key) {
  const auto at = metadata.find(key);
  return at == metadata.end() ? std::string() : std::string(at->second.data(), at->second.size());
}

/// With TLS the service a peer claims must be its certificate's CN or one of its SANs.
bool certified(const grpc::ServerContext& context, const std::string& service) {
  const auto auth = context.auth_context();
  for (const char* property : {GRPC_X509_SAN_PROPERTY_NAME, GRPC_X509_CN_PROPERTY_NAME}) {
    const auto names = auth->FindPropertyValues(property);
    if (std::any_of(names.begin(), names.end(), [&](const grpc::string_ref& name) { return name == service; })) {
      return true;
    }
  }
  return false;
}

class generic_service;

/// Waits for one call, is then that call, and deletes itself when gRPC has given back all its tags.
class server_call final : private wire {
 public:
  server_call(generic_service& service, grpc::AsyncGenericService& calls, completions& events)
      : use_(events), service_(service), call_(&context_) {
    calls.RequestCall(&context_, &call_, &events.queue(), &events.queue(), begin_op(asked_));
  }

  const grpc::GenericServerContext& context() const { return context_; }
  void refuse(const grpc::Status& why) {
    call_tally& counts = calls_of(served_calls(), context_.method());
    counts.started.fetch_add(1, std::memory_order_relaxed);
    counts.end(static_cast<size_t>(why.error_code()));
    call_.Finish(why, begin_op(ended_));
  }
  /// `handler` serves it.
  void begin(std::shared_ptr<offers> all, std::shared_ptr<offer> of, std::shared_ptr<grpc_stream> stream,
             std::shared_ptr<receiver> handler, uint32_t our_window, uint64_t credit) {
    all_ = std::move(all);
    offer_ = std::move(of);
    stream_ = std::move(stream);
    counts_ = &calls_of(served_calls(), context_.method());
    counts_->started.fetch_add(1, std::memory_order_relaxed);
    stream_->count(*counts_);
    context_.AddInitialMetadata(window_key, std::to_string(our_window));
    call_.SendInitialMetadata(begin_op(greeted_));
    stream_->open(std::move(handler), *this, credit);
    stream_->read();
  }

 private:
  using operation = call_back<server_call>;
  void* begin_op(operation& which) {
    ++under_way_;
    return &which;
  }
  void on_asked(bool ok);
  void on_read(bool ok) {
    if (ok) {
      const flat_bytes flat(incoming_);
      stream_->on_message(flat.view());
    } else {
      stream_->on_read_end();
    }
    end_op();
  }
  void on_written(bool ok) {
    stream_->on_written(ok);
    end_op();
  }
  void on_op(bool) { end_op(); }
  void end_op() {
    if (--under_way_ == 0) over();
  }
  void over() {
    if (stream_) {
      counts_->end(finished_ ? grpc::StatusCode::OK : grpc::StatusCode::CANCELLED);
      stream_->on_done();
      const std::lock_guard lock(all_->mutex);
      offer_->live.erase(stream_);
      --offer_->busy;
      all_->idle.notify_all();
    }
    delete this;
  }

  void start_write(std::string batch) override {
    if (finished_) return;
    outgoing_ = to_byte_buffer(std::move(batch));
    call_.Write(outgoing_, begin_op(written_));
  }
  void start_read() override {
    if (!finished_) call_.Read(&incoming_, begin_op(read_));
  }
  void finish() override {
    finished_ = true;
    call_.Finish(grpc::Status::OK, begin_op(ended_));
  }
  void cancel() override { context_.TryCancel(); }

  const queue_use use_;
  generic_service& service_;
  grpc::GenericServerContext context_;
  grpc::GenericServerAsyncReaderWriter call_;
  std::shared_ptr<offers> all_;
  std::shared_ptr<offer> offer_;
  std::shared_ptr<grpc_stream> stream_;
  grpc::ByteBuffer incoming_;
  grpc::ByteBuffer outgoing_;
  call_tally* counts_ = nullptr;
  bool finished_ = false;           // guarded by the stream, as all calls of the wire are
  std::atomic<int> under_way_ = 0;  // tags that gRPC has; there is one until the call is over
  operation asked_{*this, &server_call::on_asked};
  operation greeted_{*this, &server_call::on_op};
  operation read_{*this, &server_call::on_read};
  operation written_{*this, &server_call::on_written};
  operation ended_{*this, &server_call::on_op};
};

class generic_service final {
 public:
  generic_service(const grpc_options& how, std::shared_ptr<offers> all, std::shared_ptr<completions> events,
                  std::shared_ptr<timer> later, std::shared_ptr<pacer> pace)
      : how_(how),
        all_(std::move(all)),
        events_(std::move(events)),
        later_(std::move(later)),
        pace_(std::move(pace)) {}

  grpc::AsyncGenericService& calls() { return calls_; }
  /// After the server's start, and whenever one has come: the next call is taken.
  void ask() { new server_call(*this, calls_, *events_); }
  void on_call(server_call& call);

 private:
  std::shared_ptr<offer> enter(const std::string& method);
  void leave(offer& of);
  std::shared_ptr<grpc_stream> make_stream();

  const grpc_options& how_;
  std::shared_ptr<offers> all_;
  std::shared_ptr<completions> events_;
  std::shared_ptr<timer> later_;
  std::shared_ptr<pacer> pace_;
  grpc::AsyncGenericService calls_;
};

void server_call::on_asked(bool ok) {
  if (ok) {
    service_.ask();
    service_.on_call(*this);
  }
  end_op();
}

std::shared_ptr<offer> generic_service::enter(const std::string& method) {
  const std::lock_guard lock(all_->mutex);
  const auto at = all_->by_method.find(method);
  if (at == all_->by_method.end()) return nullptr;
  ++at->second->busy;
  return at->second;
}

void generic_service::leave(offer& of) {
  const std::lock_guard lock(all_->mutex);
  --of.busy;
  all_->idle.notify_all();
}

std::shared_ptr<grpc_stream> generic_service::make_stream() {
  auto stream = std::make_shared<grpc_stream>(limits_of(how_), pace_);
  stream->on_lingering([later = later_, after = how_.close_timeout, weak = stream->weak_from_this()] {
    later->after(after, [weak] {
      if (const auto still = weak.lock()) still->cut();
    });
  });
  return stream;
}

void generic_service::on_call(server_call& call) {
  const auto refuse = [&call](grpc::StatusCode code, const char* why) { call.refuse(grpc::Status(code, why)); };
  const auto& metadata = call.context().client_metadata();
  const peer who{text_of(metadata, service_key), text_of(metadata, node_key),
                 to_number(text_of(metadata, incarnation_key))};
  const uint64_t credit = to_number(text_of(metadata, window_key));
  if (who.service.empty() || who.node.empty() || credit == 0) {
    return refuse(grpc::StatusCode::INVALID_ARGUMENT, "who are you");
  }
  if (how_.tls.enabled() && !certified(call.context(), who.service)) {
    return refuse(grpc::StatusCode::PERMISSION_DENIED, "the certificate is not of this service");
  }
  auto of = enter(call.context().method());
  if (!of) return refuse(grpc::StatusCode::UNIMPLEMENTED, "not served here");
  auto stream = make_stream();
  auto handler = of->accept(who, stream);
  if (!handler) {
    leave(*of);
    return refuse(grpc::StatusCode::UNAVAILABLE, "refused");
  }
  bool withdrawn = false;
  {
    const std::lock_guard lock(all_->mutex);
    of->live.insert(stream);
    withdrawn = of->withdrawn;
  }
  call.begin(all_, of, stream, std::move(handler), how_.window_items, credit);
  if (withdrawn) stream->cut();
}

/// A unix socket path that nobody listens on is left over from a crash; one that answers is in use.
result<void> free_unix_path(const std::string& address) {
  if (!address.starts_with("unix:")) return {};
  const std::string path = address.substr(5);
  sockaddr_un at{};
  at.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(at.sun_path)) {
    return error{errc::config, "unix socket path '" + path + "' is empty or too long"};
  }
  std::copy(path.begin(), path.end(), at.sun_path);
  const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool in_use = ::connect(probe, reinterpret_cast<const sockaddr*>(&at), sizeof(at)) == 0;
  ::close(probe);
  if (in_use) return error{errc::unavailable, address + " is in use"};
  ::unlink(path.c_str());
  return {};
}

class server_half final : public grpc_server {
 public:
  server_half(const grpc_options& how, std::shared_ptr<completions> events, std::shared_ptr<timer> later,
              std::shared_ptr<pacer> pace)
      : how_(how),
        events_(std::move(events)),
        all_(std::make_shared<offers>()),
        service_(how, all_, events_, std::move(later), std::move(pace)) {}
  ~server_half() override { stop(); }

  void serve(const std::string& method, raw_accept accept) override {
    const std::lock_guard lock(all_->mutex);
    if (stopped_) return;
    auto& at = all_->by_method[method];
    at = std::make_shared<offer>();
    at->accept = std::move(accept);
  }
  void withdraw(const std::string& method) override;
  result<void> start() override;
  void stop() override;
  int port() const override { return port_; }

 private:
  result<std::shared_ptr<grpc::ServerCredentials>> credentials() const;
  void set_arguments(grpc::ServerBuilder& builder) const;

  const grpc_options& how_;
  std::shared_ptr<completions> events_;
  std::shared_ptr<offers> all_;
  generic_service service_;
  std::unique_ptr<grpc::Server> server_;  // until the queue has given back its last tag
  bool shut_ = false;
  int port_ = 0;
  bool stopped_ = false;
};

void server_half::withdraw(const std::string& method) {
  std::unique_lock lock(all_->mutex);
  const auto at = all_->by_method.find(method);
  if (at == all_->by_method.end()) return;
  const auto of = at->second;
  all_->by_method.erase(at);
  of->withdrawn = true;
  const auto live = of->live;
  lock.unlock();
  for (const auto& stream : live) stream->cut();
  lock.lock();
  all_->idle.wait(lock, [&] { return of->busy == 0; });
}

result<std::shared_ptr<grpc::ServerCredentials>> server_half::credentials() const {
  if (!how_.tls.enabled()) return grpc::InsecureServerCredentials();
  auto files = read_pem(how_.tls);
  if (!files) return files.error();
  grpc::SslServerCredentialsOptions options(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  options.pem_root_certs = files->ca;
  options.pem_key_cert_pairs.push_back({files->key, files->cert});
  return grpc::SslServerCredentials(options);
}

void server_half::set_arguments(grpc::ServerBuilder& builder) const {
  const auto keepalive = static_cast<int>(how_.keepalive.count());
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, keepalive);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, keepalive / 2);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, keepalive / 4);
  if (how_.listen_address.starts_with("unix:")) {
    builder.AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 0);
    builder.AddChannelArgument(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, unix_window_bytes);
  }
  builder.SetMaxReceiveMessageSize(max_message_bytes);
  builder.SetMaxSendMessageSize(max_message_bytes);
}

result<void> server_half::start() {
  if (auto free = free_unix_path(how_.listen_address); !free) return free;
  auto secret = credentials();
  if (!secret) return secret.error();
  auto& builder = events_->builder();
  set_arguments(builder);
  builder.AddListeningPort(how_.listen_address, *secret, &port_);
  builder.RegisterAsyncGenericService(&service_.calls());
  server_ = builder.BuildAndStart();
  if (server_ && (port_ != 0 || how_.listen_address.starts_with("unix:"))) {
    service_.ask();
    return {};
  }
  return error{errc::unavailable, "cannot listen on " + how_.listen_address};
}

void server_half::stop() {
  std::vector<std::string> methods;
  {
    const std::lock_guard lock(all_->mutex);
    stopped_ = true;
    for (const auto& [method, of] : all_->by_method) methods.push_back(method);
  }
  for (const auto& method : methods) withdraw(method);
  if (!server_ || std::exchange(shut_, true)) return;
  server_->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(1));
  if (how_.listen_address.starts_with("unix:")) ::unlink(how_.listen_address.substr(5).c_str());
}

}  // namespace

std::shared_ptr<completions> make_completions() { return std::make_shared<completions>(); }

void stop(completions& which) { which.stop(); }

std::unique_ptr<grpc_server> make_grpc_server(const grpc_options& how, std::shared_ptr<completions> events,
                                              std::shared_ptr<timer> later, std::shared_ptr<pacer> pace) {
  return std::make_unique<server_half>(how, std::move(events), std::move(later), std::move(pace));
}

}  // namespace tern::rpc::detail
