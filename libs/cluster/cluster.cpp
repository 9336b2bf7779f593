#include "libs/cluster/cluster.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <sstream>
#include <thread>

namespace tern::testing {
namespace {

using namespace std::chrono_literals;

constexpr auto poll_every = 20ms;

std::string binaries_or_default(const std::string& given) {
  if (!given.empty()) return given;
  const char* from_environment = std::getenv("TERN_BIN");
  return from_environment != nullptr ? from_environment : "build/bin";
}

std::string hex_secret() {
  std::array<unsigned char, 32> bytes{};
  std::ifstream("/dev/urandom", std::ios::binary).read(reinterpret_cast<char*>(bytes.data()), bytes.size());
  static constexpr const char* digits = "0123456789abcdef";
  std::string text;
  for (const auto byte : bytes) {
    text += digits[byte >> 4U];
    text += digits[byte & 15U];
  }
  return text;
}

/// Dotted keys as nested YAML; keys of one map are sorted, so a prefix stays together.
std::string to_yaml(const std::map<std::string, std::string>& options) {
  std::ostringstream out;
  std::vector<std::string> open;
  for (const auto& [key, value] : options) {
    std::vector<std::string> parts;
    std::istringstream in(key);
    for (std::string part; std::getline(in, part, '.');) parts.push_back(part);
    size_t same = 0;
    while (same < open.size() && same + 1 < parts.size() && open[same] == parts[same]) ++same;
    open.resize(same);
    for (size_t i = same; i + 1 < parts.size(); ++i) {
      out << std::string(2 * i, ' ') << parts[i] << ":\n";
      open.push_back(parts[i]);
    }
    out << std::string(2 * (parts.size() - 1), ' ') << parts.back() << ": " << value << "\n";
  }
  return out.str();
}

std::string list_of(const std::vector<std::string>& values) {
  std::string text = "[";
  for (const auto& value : values) text += (text.size() > 1 ? ", " : "") + ("\"" + value + "\"");
  return text + "]";
}

bool answers_ready(const std::string& host, uint16_t port) {
  return client::http_get({host, port}, "/readyz", 500ms).status == 200;
}

bool poll_until(const std::function<bool()>& done, std::chrono::milliseconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!done()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(poll_every);
  }
  return true;
}

std::string tail_of(const std::string& file, size_t lines) {
  std::ifstream in(file);
  std::deque<std::string> last;
  for (std::string line; std::getline(in, line);) {
    last.push_back(line);
    if (last.size() > lines) last.pop_front();
  }
  std::string text;
  for (const auto& line : last) text += line + "\n";
  return text;
}

}  // namespace

cluster::cluster(cluster_options how) : how_(std::move(how)) {
  if (how_.directory.empty()) {
    scratch_ = std::make_unique<temp_dir>("tern-cluster");
    home_ = scratch_->path();
  } else {
    std::filesystem::create_directories(how_.directory);
    home_ = std::filesystem::canonical(how_.directory);
  }
  sockets_ = std::make_unique<temp_dir>("tern-rpc");
  how_.binaries = binaries_or_default(how_.binaries);
}

cluster::~cluster() {
  for (auto& node : nodes_) node.child.stop(0ms, SIGKILL);
}

result<std::unique_ptr<cluster>> cluster::start(cluster_options how) {
  std::unique_ptr<cluster> made(new cluster(std::move(how)));
  if (auto done = made->make_secrets(); !done) return done.error();
  if (auto done = made->start_databases(); !done) return done.error();
  made->plan("routing", made->how_.routings);
  made->plan("storage", made->databases_.empty() ? 0 : made->how_.storages);
  made->plan("group", made->how_.groups);
  made->plan("session", made->how_.sessions);
  made->plan("gateway", made->how_.gateways);
  if (made->how_.planned) made->how_.planned(*made);
  made->write_ctl_config();
  for (auto& node : made->nodes_) {
    if (auto done = made->launch(node); !done) return done.error();
  }
  for (auto& node : made->nodes_) {
    if (!made->wait_ready(node.name, 30s)) {
      return error{errc::unavailable, node.name + " is not ready:\n" + made->log_tail(node.name)};
    }
    made->say(node.name + " is ready");
  }
  return made;
}

void cluster::say(const std::string& line) const {
  if (how_.progress) how_.progress(line);
}

result<void> cluster::make_secrets() {
  for (const char* name : {"identity.key", "encryption.key"}) {
    const auto file = home_ / name;
    if (std::filesystem::exists(file)) continue;
    const int fd = ::open(file.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    const auto secret = hex_secret() + "\n";
    const bool written = fd >= 0 && ::write(fd, secret.data(), secret.size()) == static_cast<ssize_t>(secret.size());
    if (fd >= 0) ::close(fd);
    if (!written) return error{errc::unavailable, "cannot write " + file.string()};
  }
  return {};
}

result<void> cluster::start_databases() {
  for (size_t i = 0; i < how_.databases; ++i) {
    postgres_options options;
    options.directory = (home_ / ("postgres-" + std::to_string(i))).string();
    if (how_.database_of) how_.database_of(i, options);
    auto server = postgres_server::start(options);
    if (!server) return server.error();
    say("postgres-" + std::to_string(i) + " runs: " + (*server)->tcp_dsn());
    databases_.push_back(std::move(*server));
  }
  if (databases_.empty()) return {};
  const auto meta = databases_.front()->query("select 1 from pg_database where datname = 'tern_meta'");
  if (meta && meta->find('1') == std::string::npos) {
    if (auto made = databases_.front()->create_database("tern_meta"); !made) return made.error();
  }
  if (!how_.redis) return {};
  auto server = redis_server::start({});
  if (!server) return server.error();
  redis_ = std::move(*server);
  say("redis runs: " + redis_->url());
  return {};
}

void cluster::plan(const std::string& service, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    cluster_node node;
    node.service = service;
    node.name = service + "-" + std::to_string(i);
    node.host = how_.host_of ? how_.host_of(node.name) : "127.0.0.1";
    node.rpc_address = how_.tcp ? node.host + ":" + std::to_string(free_port()) : "unix:" + sockets_->file(node.name);
    node.metrics_port = free_port();
    if (service == "gateway") {
      node.client_port = how_.first_port != 0 ? static_cast<uint16_t>(how_.first_port + i) : free_port();
    }
    node.config_file = (home_ / (node.name + ".yaml")).string();
    node.log_file = (home_ / (node.name + ".log")).string();
    nodes_.push_back(std::move(node));
  }
}

std::map<std::string, std::string> cluster::config_of(const cluster_node& node) const {
  std::map<std::string, std::string> options;
  options["node.name"] = node.name;
  options["rpc.listen_address"] = "\"" + node.rpc_address + "\"";
  options["metrics.listen_address"] = "\"" + node.host + ":" + std::to_string(node.metrics_port) + "\"";
  std::string routings;
  for (const auto& each : nodes_) {
    if (each.service == "routing") routings += (routings.empty() ? "" : ",") + each.rpc_address;
  }
  options["routing.address"] = "\"" + routings + "\"";
  std::vector<std::string> shards;
  std::vector<std::string> names;
  for (size_t i = 0; i < databases_.size(); ++i) {
    names.push_back("shard-" + std::to_string(i));
    shards.push_back(names.back() + "=" + databases_[i]->dsn());
  }
  if (node.service == "routing") {
    const bool forgets = databases_.empty();
    options["routing.meta.dsn"] = forgets ? "\"memory:\"" : "\"" + databases_.front()->dsn("tern_meta") + "\"";
    options["routing.shards"] = forgets ? "[none]" : list_of(names);
  }
  if (node.service == "session" && databases_.empty()) options["session.storage"] = "none";
  if (node.service == "storage") {
    options["storage.shards"] = list_of(shards);
    options["storage.encryption.key_file"] = "\"" + (home_ / "encryption.key").string() + "\"";
    if (redis_) options["storage.redis.url"] = "\"" + redis_->url() + "\"";
  }
  if (node.service == "gateway") {
    options["gateway.listen_address"] = "\"" + node.host + ":" + std::to_string(node.client_port) + "\"";
  }
  if (node.service == "gateway" || node.service == "session") {
    options["identity.key_file"] = "\"" + (home_ / "identity.key").string() + "\"";
  }
  for (const auto& scope : {std::string{}, node.service, node.name}) {
    const auto extra = how_.settings.find(scope);
    if (extra == how_.settings.end()) continue;
    for (const auto& [key, value] : extra->second) options[key] = value;
  }
  return options;
}

void cluster::write_config(const cluster_node& node) const {
  std::ofstream(node.config_file) << to_yaml(config_of(node));
}

/// With the operators' certificate if there is one: settings of "ctl".
void cluster::write_ctl_config() const {
  std::vector<std::string> nodes;
  std::string routings;
  for (const auto& each : nodes_) {
    nodes.push_back(each.name + "=" + each.host + ":" + std::to_string(each.metrics_port));
    if (each.service == "routing") routings += (routings.empty() ? "" : ",") + each.rpc_address;
  }
  std::map<std::string, std::string> options{{"routing.address", "\"" + routings + "\""},
                                             {"ternctl.nodes", list_of(nodes)}};
  if (const auto own = how_.settings.find("ctl"); own != how_.settings.end()) {
    for (const auto& [key, value] : own->second) options[key] = value;
  }
  std::ofstream((home_ / "ternctl.yaml").string()) << to_yaml(options);
}

result<void> cluster::launch(cluster_node& node) {
  process_options how;
  how.output = node.log_file;
  write_config(node);
  std::vector<std::string> command;
  if (how_.prefix_of) command = how_.prefix_of(node.name);
  for (const auto& each : {how_.binaries + "/tern-" + node.service, std::string("--config"), node.config_file}) {
    command.push_back(each);
  }
  auto child = process::start(command, how);
  if (!child) return child.error();
  node.child = std::move(*child);
  return {};
}

cluster_node& cluster::node(const std::string& name) {
  const auto found = std::find_if(nodes_.begin(), nodes_.end(), [&](const auto& node) { return node.name == name; });
  if (found == nodes_.end()) throw std::invalid_argument("no node " + name);
  return *found;
}

std::vector<client::endpoint> cluster::gateways() const {
  std::vector<client::endpoint> all;
  for (const auto& node : nodes_) {
    if (node.client_port != 0) all.push_back({node.host, node.client_port});
  }
  return all;
}

void cluster::kill(const std::string& name) { node(name).child.stop(0ms, SIGKILL); }

result<void> cluster::restart(const std::string& name) { return launch(node(name)); }

bool cluster::wait_ready(const std::string& name, std::chrono::milliseconds limit) {
  auto& which = node(name);
  bool gone = false;
  const bool ready = poll_until(
      [&] {
        gone = !which.child.running();
        return gone || answers_ready(which.host, which.metrics_port);
      },
      limit);
  return ready && !gone;
}

bool cluster::wait_all_ready(std::chrono::milliseconds limit) {
  return std::all_of(nodes_.begin(), nodes_.end(), [&](const auto& node) { return wait_ready(node.name, limit); });
}

std::vector<std::string> cluster::stop() {
  std::vector<std::string> unclean;
  for (const std::string service : {"gateway", "session", "group", "storage", "routing"}) {
    for (auto& node : nodes_) {
      if (node.service == service && node.child.running()) node.child.signal(SIGTERM);
    }
    for (auto& node : nodes_) {
      if (node.service != service || node.child.pid() <= 0) continue;
      // A second SIGTERM would mean "at once"; SIGKILL only after the limit of a drain.
      if (!node.child.wait(25s)) node.child.stop(0ms, SIGKILL);
      const int code = node.child.exit_code();
      if (code != 0) unclean.push_back(node.name + " (code " + std::to_string(code) + ")");
    }
  }
  nodes_.clear();
  redis_.reset();
  databases_.clear();
  return unclean;
}

std::string cluster::describe() const {
  std::ostringstream out;
  for (size_t i = 0; i < databases_.size(); ++i) {
    out << "postgres-" << i << "  pid " << databases_[i]->pid() << "  " << databases_[i]->tcp_dsn() << "\n";
  }
  if (redis_) out << "redis       pid " << redis_->pid() << "  " << redis_->url() << "\n";
  for (const auto& node : nodes_) {
    out << node.name << std::string(node.name.size() < 12 ? 12 - node.name.size() : 1, ' ') << "pid "
        << node.child.pid() << "  metrics http://" << node.host << ":" << node.metrics_port << "/metrics";
    if (node.client_port != 0) out << "  clients http://" << node.host << ":" << node.client_port << "/";
    out << "  log " << node.log_file << "\n";
  }
  return out.str();
}

std::string cluster::log_tail(const std::string& name, size_t lines) const {
  for (const auto& node : nodes_) {
    if (node.name == name) return tail_of(node.log_file, lines);
  }
  return {};
}

ternd_process::ternd_process(ternd_options how)
    : how_(std::move(how)), port_(free_port()), metrics_port_(free_port()) {
  if (how_.directory.empty()) {
    scratch_ = std::make_unique<temp_dir>("ternd");
    how_.directory = scratch_->file("data");
  }
  how_.binaries = binaries_or_default(how_.binaries);
}

result<std::unique_ptr<ternd_process>> ternd_process::start(ternd_options how) {
  std::unique_ptr<ternd_process> made(new ternd_process(std::move(how)));
  if (auto done = made->launch(); !done) return done.error();
  if (!made->wait_ready(20s)) {
    return error{errc::unavailable, "ternd is not ready:\n" + tail_of(made->how_.directory + ".log", 20)};
  }
  return made;
}

result<void> ternd_process::launch() {
  process_options how;
  how.output = how_.directory + ".log";
  std::vector<std::string> arguments{how_.binaries + "/ternd",
                                     "--data-dir",
                                     how_.directory,
                                     "--listen",
                                     "127.0.0.1:" + std::to_string(port_),
                                     "--metrics",
                                     "127.0.0.1:" + std::to_string(metrics_port_)};
  for (const auto& setting : how_.settings) {
    arguments.emplace_back("--set");
    arguments.push_back(setting);
  }
  auto child = process::start(arguments, how);
  if (!child) return child.error();
  child_ = std::move(*child);
  return {};
}

client::endpoint ternd_process::gateway() const { return {"127.0.0.1", port_}; }

result<void> ternd_process::restart() { return launch(); }

bool ternd_process::wait_ready(std::chrono::milliseconds limit) {
  bool gone = false;
  const bool ready = poll_until(
      [&] {
        gone = !child_.running();
        return gone || answers_ready("127.0.0.1", metrics_port_);
      },
      limit);
  return ready && !gone;
}

}  // namespace tern::testing
