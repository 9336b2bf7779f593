#include "tools/ctl/settings.hpp"

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>

#include "libs/config/schema.hpp"

namespace tern::ctl {
namespace {

struct texts {
  std::string routing = "127.0.0.1:20010";
  rpc::tls_files tls;
  std::vector<std::string> nodes;
};

result<void> read(config::schema& into, const arguments& from, char** environment) {
  if (from.has("--config")) {
    const auto path = from.value("--config");
    std::ifstream in(path, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    if (!in.is_open() || in.bad()) return error{errc::bad_parameter, "cannot read --config " + path};
    into.read_yaml(text, path);
  }
  into.read_environment(environment);
  const char* routing = std::getenv("TERN_ROUTING");
  if (routing != nullptr && *routing != '\0') into.read_assignment("routing.address=" + std::string(routing));
  const char* nodes = std::getenv("TERN_NODES");
  if (nodes != nullptr && *nodes != '\0') into.read_assignment("ternctl.nodes=" + std::string(nodes));
  static constexpr std::pair<const char*, const char*> keys[] = {{"--routing", "routing.address"},
                                                                 {"--nodes", "ternctl.nodes"},
                                                                 {"--tls-ca", "rpc.tls.ca_file"},
                                                                 {"--tls-cert", "rpc.tls.certificate_file"},
                                                                 {"--tls-key", "rpc.tls.key_file"}};
  for (const auto& [name, key] : keys) {
    if (from.has(name)) into.read_assignment(std::string(key) + "=" + from.value(name));
  }
  const auto errors = into.errors();
  if (!errors.empty()) return error{errc::bad_parameter, errors.front()};
  return {};
}

bool is_address(const std::string& text) {
  if (text.starts_with("unix:")) return text.size() > 5;
  const auto colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) return false;
  const auto port = text.substr(colon + 1);
  return !port.empty() && port.size() <= 5 && port.find_first_not_of("0123456789") == std::string::npos &&
         std::stoi(port) > 0 && std::stoi(port) < 65536;
}

result<void> read_nodes(const std::vector<std::string>& list, settings& into) {
  for (const auto& each : list) {
    const auto equals = each.find('=');
    ops_target one;
    one.name = equals == std::string::npos ? "" : each.substr(0, equals);
    one.address = equals == std::string::npos ? each : each.substr(equals + 1);
    if (one.address.starts_with("unix:") || !is_address(one.address)) {
      return error{errc::bad_parameter, "--nodes: '" + each + "' is not HOST:PORT or NAME=HOST:PORT"};
    }
    into.nodes.push_back(std::move(one));
  }
  return {};
}

result<void> read_metrics_port(const arguments& from, settings& into) {
  if (!from.has("--metrics-port")) return {};
  const auto text = from.value("--metrics-port");
  if (!is_address("host:" + text)) return error{errc::bad_parameter, "--metrics-port: '" + text + "' is not a port"};
  into.metrics_port = static_cast<uint16_t>(std::stoi(text));
  into.metrics_port_given = true;
  return {};
}

}  // namespace

const std::vector<flag>& common_flags() {
  static const std::vector<flag> all{
      {"--routing", "ADDR[,ADDR...]",
       "routing replicas, host:port or unix:PATH [127.0.0.1:20010]; also TERN_ROUTING"},
      {"--config", "FILE", "YAML with routing.address and rpc.tls.{ca,certificate,key}_file, as the nodes have them"},
      {"--tls-ca", "FILE", "PEM: who signs the nodes' certificates (rpc.tls.ca_file)"},
      {"--tls-cert", "FILE", "PEM: this operator's certificate (rpc.tls.certificate_file)"},
      {"--tls-key", "FILE", "PEM: its private key (rpc.tls.key_file)"},
      {"--timeout", "TIME", "how long routing may be away or without a leader, e.g. 500ms, 10s [5s]"},
      {"--json", "", "JSON instead of text; with --watch an object per line"},
  };
  return all;
}

result<settings> read_settings(const arguments& from, char** environment) {
  settings out;
  texts given;
  config::schema schema;
  schema.add("routing.address", given.routing, "routing replicas");
  schema.add("ternctl.nodes", given.nodes, "where nodes show their metrics");
  schema.add("rpc.tls.ca_file", given.tls.ca, "PEM: who signs");
  schema.add("rpc.tls.certificate_file", given.tls.cert, "PEM: own certificate");
  schema.add("rpc.tls.key_file", given.tls.key, "PEM: its key");
  if (auto done = read(schema, from, environment); !done) return done.error();
  out.tls = given.tls;
  if (out.tls.enabled() && (out.tls.ca.empty() || out.tls.cert.empty() || out.tls.key.empty())) {
    return error{errc::bad_parameter, "--tls-ca, --tls-cert and --tls-key belong together"};
  }
  std::istringstream list(given.routing);
  for (std::string address; std::getline(list, address, ',');) {
    if (!is_address(address)) {
      return error{errc::bad_parameter,
                   "'" + address + "' is not an address of routing; host:port or unix:PATH, e.g. 127.0.0.1:20010"};
    }
    out.routing.push_back(address);
  }
  if (out.routing.empty()) return error{errc::bad_parameter, "--routing names no address"};
  if (from.has("--timeout")) {
    const auto limit = parse_milliseconds(from.value("--timeout"));
    if (!limit) return error{errc::bad_parameter, "--timeout: " + limit.error().detail};
    out.timeout = std::chrono::milliseconds(*limit);
    out.timeout_given = true;
  }
  if (const auto read = read_nodes(given.nodes, out); !read) return read.error();
  if (const auto read = read_metrics_port(from, out); !read) return read.error();
  out.json = from.has("--json");
  out.watch = from.has("--watch");
  return out;
}

}  // namespace tern::ctl
