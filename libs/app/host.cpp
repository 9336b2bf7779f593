#include "libs/app/host.hpp"

#include <algorithm>
#include <caf/all.hpp>

#include "libs/actor/actor.hpp"
#include "libs/app/health.hpp"
#include "libs/app/http.hpp"
#include "libs/app/process_metrics.hpp"
#include "libs/app/runtime_metrics.hpp"
#include "libs/app/watch.hpp"
#include "libs/log/log.hpp"
#include "libs/metrics/metrics.hpp"
#include "libs/rpc/grpc_network.hpp"
#include "libs/rpc/local_network.hpp"

namespace tern::app {
namespace {

const log::logger logger{"app"};

/// A service and the context it was made with.
struct running_service {
  std::unique_ptr<context> surroundings;
  std::unique_ptr<service> it;
};

std::unique_ptr<rpc::network> make_network(const host_options& how, uint64_t incarnation) {
  if (how.how == links::local) return rpc::make_local_network();
  rpc::grpc_options options;
  options.self.node = how.node;
  options.self.incarnation = incarnation;
  options.listen_address = how.listen_address;
  options.tls = {how.tls_ca_file, how.tls_certificate_file, how.tls_key_file};
  return rpc::make_grpc_network(options);
}

/// What peers connect to: the address told, or the one listened on with the port that was bound.
std::string advertised(const host_options& how, const rpc::network& network) {
  if (!how.advertise_address.empty() || how.listen_address.starts_with("unix:")) {
    return how.advertise_address.empty() ? how.listen_address : how.advertise_address;
  }
  const auto colon = how.listen_address.rfind(':');
  const int port = rpc::bound_port(network);
  if (colon == std::string::npos || port == 0) return how.listen_address;
  return how.listen_address.substr(0, colon + 1) + std::to_string(port);
}

}  // namespace

/// Members in order of construction; end() takes them down the other way.
struct host::impl {
  explicit impl(host_options options)
      : how(std::move(options)),
        incarnation(static_cast<uint64_t>(system_clock().wall_ns())),
        actor_config(how.actor_threads),
        actors(std::make_unique<caf::actor_system>(actor_config)),
        network(make_network(how, incarnation)) {}

  host_options how;
  uint64_t incarnation;  // grows with each start of a node, if clocks are halfway right
  std::string address;
  metrics::registry metrics;
  health_state health;
  actor::system_config actor_config;
  std::unique_ptr<caf::actor_system> actors;
  std::unique_ptr<rpc::network> network;
  std::vector<std::string> names;  // of services, for the report
  std::unique_ptr<reporter> reports;
  std::unique_ptr<watch> watching;
  std::unique_ptr<operations_server> operations;
  std::vector<running_service> services;
  bool ended = false;

  result<void> begin();
  operations_pages pages();
  result<void> start(const service_entry& entry);
  void end();
};

result<void> host::impl::begin() {
  add_process_metrics(metrics);
  add_runtime_metrics(metrics, how.actor_threads);
  if (auto up = network->start(); !up) return error{up.code(), "rpc.listen_address: " + up.error().detail};
  if (how.how == links::grpc) address = advertised(how, *network);
  if (how.metrics_address.empty()) return {};
  watching = std::make_unique<watch>(metrics, health,
                                     watched_files{{{"clients", how.report.client_certificate},
                                                    {"links", how.tls_certificate_file},
                                                    {"authority", how.tls_ca_file}}});
  auto server = operations_server::start(how.metrics_address, metrics, health, pages());
  if (!server) return error{server.code(), "metrics.listen_address: " + server.error().detail};
  operations = std::move(*server);
  return {};
}

operations_pages host::impl::pages() {
  if (!how.details) return {};
  report_subject about;
  about.node = how.node;
  about.incarnation = incarnation;
  about.address = &address;
  about.services = &names;
  about.health = &health;
  about.network = network.get();
  about.tls_ca_file = how.tls_ca_file;
  about.tls_certificate_file = how.tls_certificate_file;
  about.tls_key_file = how.tls_key_file;
  about.sources = &how.report;
  reports = std::make_unique<reporter>(std::move(about));
  operations_pages out;
  out.status = [this](std::function<void(std::string)> then) { reports->ask(std::move(then)); };
  out.configuration = how.report.configuration;
  out.log = [] {
    std::string text;
    for (const auto& line : log::recent()) text += line + "\n";
    return text;
  };
  return out;
}

result<void> host::impl::start(const service_entry& entry) {
  const bool local = how.how == links::local;
  const auto node = how.node.empty() ? entry.name + "-0" : how.node;
  running_service made;
  made.surroundings = std::make_unique<context>(context{system_clock(), metrics, *actors, *network, health, node,
                                                        incarnation, local ? "local:" + node : address,
                                                        local ? "local:routing-0" : how.routing_address, how.fatal});
  made.it = entry.make(*made.surroundings);
  names.push_back(entry.name);
  services.push_back(std::move(made));
  if (auto up = services.back().it->start(); !up) return error{up.code(), entry.name + ": " + up.error().detail};
  logger.info("service started", {{"name", entry.name}, {"of", node}});
  return {};
}

void host::impl::end() {
  if (ended) return;
  ended = true;
  health.set_draining();
  health.clear_liveness();
  if (reports) reports->stop();  // answers whoever waits
  operations.reset();            // scrapes read from services
  watching.reset();
  for (auto it = services.rbegin(); it != services.rend(); ++it) it->it->stop();
  network->stop();  // before the services whose handlers it calls go
  while (!services.empty()) services.pop_back();
  network.reset();
  actors.reset();  // waits for the last actor
}

host::host(std::unique_ptr<impl> parts) : impl_(std::move(parts)) {}
host::~host() { stop(); }

result<std::unique_ptr<host>> host::make(host_options how) {
  std::unique_ptr<host> made{new host(std::make_unique<impl>(std::move(how)))};
  if (auto up = made->impl_->begin(); !up) return up.error();
  return made;
}

result<void> host::start(const std::vector<service_entry>& entries) {
  for (const auto& entry : entries) {
    if (entry.wanted && !entry.wanted()) continue;
    if (auto up = impl_->start(entry); !up) {
      stop();
      return up;
    }
  }
  impl_->health.set_started();
  return {};
}

void host::drain(std::chrono::milliseconds limit) {
  impl_->health.set_draining();
  const auto end = std::chrono::steady_clock::now() + limit;
  for (auto it = impl_->services.rbegin(); it != impl_->services.rend(); ++it) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    it->it->drain(std::max(left, std::chrono::milliseconds::zero()));
  }
}

void host::stop() { impl_->end(); }

metrics::registry& host::metrics() { return impl_->metrics; }
health_state& host::health() { return impl_->health; }
uint16_t host::metrics_port() const { return impl_->operations ? impl_->operations->port() : uint16_t{0}; }
std::string host::address() const { return impl_->address; }

context& host::context_of(const std::string& name) {
  for (auto& each : impl_->services) {
    if (each.it->name() == name) return *each.surroundings;
  }
  throw std::logic_error("no service " + name);
}

service* host::find(const std::string& name) {
  for (auto& each : impl_->services) {
    if (each.it->name() == name) return each.it.get();
  }
  return nullptr;
}

}  // namespace tern::app
