#include "libs/app/common_options.hpp"

#include <unistd.h>

#include <algorithm>

#include "libs/app/http.hpp"
#include "libs/config/schema.hpp"

namespace tern::app {
namespace {

std::string address_complaint(const std::string& address) {
  auto parts = split_address(address);
  return parts ? "" : parts.error().detail;
}

std::string optional_address_complaint(const std::string& address) {
  return address.empty() ? "" : address_complaint(address);
}

std::string peer_address_complaint(const std::string& address) {
  if (address.starts_with("unix:")) return address.size() > 5 ? "" : "unix: names no path";
  return address_complaint(address);
}

/// Several, separated by commas.
std::string peer_addresses_complaint(const std::string& list) {
  size_t begin = 0;
  while (begin <= list.size()) {
    const auto comma = std::min(list.find(',', begin), list.size());
    auto one = list.substr(begin, comma - begin);
    one.erase(0, one.find_first_not_of(' '));
    one.erase(one.find_last_not_of(' ') + 1);
    if (auto wrong = peer_address_complaint(one); !wrong.empty()) return wrong;
    begin = comma + 1;
  }
  return "";
}

std::string optional_peer_address_complaint(const std::string& address) {
  return address.empty() ? "" : peer_address_complaint(address);
}

std::string node_complaint(const std::string& name) {
  const bool legal = name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
                     std::string::npos;
  return legal && name.size() <= 100 ? "" : "at most 100 letters, digits, dots, dashes and underscores expected";
}

std::string host_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 && name[0] != '\0' ? name : "0";
}

void declare_links(config::schema& into, common_options& o) {
  into.add("node.name", o.node, "stable name of this node, unique in the cluster; empty: service name and host name",
           node_complaint);
  into.add("rpc.listen_address", o.listen_address,
           "where other nodes reach this one: host:port or unix:PATH; port 0: any free one", peer_address_complaint);
  into.add("rpc.advertise_address", o.advertise_address,
           "what other nodes are told to connect to; empty: rpc.listen_address", optional_peer_address_complaint);
  into.add("rpc.tls.ca_file", o.tls_ca_file,
           "PEM: who signs all nodes' certificates; with the two below: mutual TLS");
  into.add("rpc.tls.certificate_file", o.tls_certificate_file,
           "PEM: this node's certificate, its name the service's");
  into.add("rpc.tls.key_file", o.tls_key_file, "PEM: its private key");
  into.add("routing.address", o.routing_address,
           "host:port or unix:PATH of the routing service; of several replicas each, separated by commas",
           peer_addresses_complaint);
}

}  // namespace

void declare(config::schema& into, common_options& o, links how) {
  into.add_choice("log.level", o.log_level, {"debug", "info", "warn", "error"}, "least level that is written");
  into.add_choice("log.format", o.log_format, {"json", "text"}, "JSON objects for machines or text for people");
  into.add("metrics.listen_address", o.metrics_address,
           "host:port of /metrics, /livez, /readyz and /startupz; port 0: any free one; empty: none",
           optional_address_complaint);
  into.add("metrics.details", o.metrics_details,
           "serve /statusz, /configz (without secrets) and /logz there, too: what ternctl doctor and ternctl debug "
           "bundle read");
  into.add("drain.timeout_ms", o.drain_timeout, "after SIGTERM: time to finish and hand over before the process ends",
           {0, 3'600'000});
  into.add("actors.threads", o.actor_threads, "threads that run actors; 0: one per core", {0, 1024});
  if (how == links::grpc) declare_links(into, o);
}

std::vector<std::string> complaints(const common_options& o, links how) {
  if (how == links::local) return {};
  const bool any = !o.tls_ca_file.empty() || !o.tls_certificate_file.empty() || !o.tls_key_file.empty();
  const bool all = !o.tls_ca_file.empty() && !o.tls_certificate_file.empty() && !o.tls_key_file.empty();
  if (any && !all) return {"rpc.tls: ca_file, certificate_file and key_file belong together"};
  return {};
}

host_options to_host_options(const common_options& o, links how, const std::string& service) {
  host_options out;
  out.how = how;
  out.metrics_address = o.metrics_address;
  out.details = o.metrics_details;
  out.actor_threads = o.actor_threads;
  if (how == links::local) return out;
  out.node = o.node.empty() ? service + "-" + host_name() : o.node;
  out.listen_address = o.listen_address;
  out.advertise_address = o.advertise_address;
  out.routing_address = o.routing_address;
  out.tls_ca_file = o.tls_ca_file;
  out.tls_certificate_file = o.tls_certificate_file;
  out.tls_key_file = o.tls_key_file;
  return out;
}

}  // namespace tern::app
