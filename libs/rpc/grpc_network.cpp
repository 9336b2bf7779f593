#include "libs/rpc/grpc_network.hpp"

#include <grpc/support/log.h>

#include <charconv>
#include <fstream>
#include <mutex>
#include <sstream>
#include <utility>

#include "libs/log/log.hpp"
#include "libs/rpc/grpc_parts.hpp"

namespace tern::rpc {
namespace detail {

outbox_limits limits_of(const grpc_options& how) {
  outbox_limits limits;
  limits.items = how.queue_items;
  limits.bytes = how.queue_bytes;
  limits.window = how.window_items;
  return limits;
}

result<pem> read_pem(const tls_files& files) {
  const auto read = [](const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    return in ? text.str() : std::string();
  };
  pem out{read(files.ca), read(files.cert), read(files.key)};
  for (const auto& [text, path] : {std::pair(&out.ca, &files.ca), {&out.cert, &files.cert}, {&out.key, &files.key}}) {
    if (text->empty()) return error{errc::config, "TLS file '" + *path + "' cannot be read or is empty"};
  }
  return out;
}

std::string service_of(const std::string& method) {
  const auto first = method.find('.');
  const auto last = method.find('.', first + 1);
  if (first == std::string::npos || last == std::string::npos) return {};
  return method.substr(first + 1, last - first - 1);
}

uint64_t to_number(std::string_view text) {
  uint64_t value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  return problem == std::errc() && end == text.data() + text.size() ? value : 0;
}

}  // namespace detail

namespace {

/// What gRPC has to say (a failed handshake, an address in use) goes where all other lines go. Its errors are the
/// peer's or the network's, hence warnings.
void log_like_us(gpr_log_func_args* line) {
  static const log::logger logger{"grpc"};
  const log::fields where{{"file", line->file}, {"line", line->line}};
  if (line->severity == GPR_LOG_SEVERITY_ERROR) {
    logger.warn(line->message, where);
  } else {
    logger.debug(line->message, where);
  }
}

class grpc_network final : public network {
 public:
  explicit grpc_network(grpc_options how)
      : how_(std::move(how)),
        later_(std::make_shared<timer>()),
        pace_(how_.pace.count() > 0 ? std::make_shared<detail::interval_pacer>(how_.pace, how_.longest_pace)
                                    : nullptr),
        events_(detail::make_completions()),
        server_(detail::make_grpc_server(how_, events_, later_, pace_)),
        client_(detail::make_grpc_client(how_, events_, later_, pace_)) {}
  ~grpc_network() override { stop(); }

  result<void> start() override { return how_.listen_address.empty() ? result<void>{} : server_->start(); }
  void stop() override {
    client_->stop();
    server_->stop();
    later_->stop();
    if (pace_) pace_->stop();
    detail::stop(*events_);
  }
  int port() const { return server_->port(); }
  std::vector<link_state> links() const { return client_->links(); }

 protected:
  void raw_serve(const std::string&, const std::string& method, detail::raw_accept accept) override {
    server_->serve(method, std::move(accept));
  }
  void raw_withdraw(const std::string&, const std::string& method) override { server_->withdraw(method); }
  std::unique_ptr<link> raw_connect(const peer& self, const std::string& address, const std::string& method,
                                    std::shared_ptr<detail::receiver> client) override {
    return client_->connect(self.service.empty() ? how_.self : self, address, method, std::move(client));
  }

 private:
  const grpc_options how_;
  std::shared_ptr<timer> later_;
  std::shared_ptr<detail::interval_pacer> pace_;
  std::shared_ptr<detail::completions> events_;
  std::unique_ptr<detail::grpc_server> server_;
  std::unique_ptr<detail::grpc_client> client_;
};

}  // namespace

std::unique_ptr<network> make_grpc_network(grpc_options how) {
  static std::once_flag once;
  std::call_once(once, [] { gpr_set_log_function(log_like_us); });
  return std::make_unique<grpc_network>(std::move(how));
}

int bound_port(const network& of) {
  const auto* grpc = dynamic_cast<const grpc_network*>(&of);
  return grpc != nullptr ? grpc->port() : 0;
}

std::vector<link_state> links_of(const network& of) {
  const auto* grpc = dynamic_cast<const grpc_network*>(&of);
  return grpc != nullptr ? grpc->links() : std::vector<link_state>{};
}

}  // namespace tern::rpc
