#include "libs/app/report.hpp"

#include <sys/statvfs.h>
#include <unistd.h>

#include <chrono>
#include <future>
#include <nlohmann/json.hpp>
#include <set>

#include "libs/app/certificates.hpp"
#include "libs/app/health.hpp"
#include "libs/app/version.hpp"
#include "libs/base/clock.hpp"
#include "libs/crypto/hash.hpp"
#include "libs/rpc/grpc_network.hpp"

namespace tern::app {
namespace {

using nlohmann::json;

int64_t now_ms() { return system_clock().wall_ns() / 1'000'000; }

json ready_json(const health_state& health) {
  json conditions = json::array();
  for (const auto& each : health.conditions()) {
    conditions.push_back({{"name", each.name}, {"ok", each.ready}, {"why", each.why}});
  }
  return {{"ok", health.ready().good},
          {"started", health.started()},
          {"draining", health.draining()},
          {"conditions", conditions}};
}

dependency_state try_now(const dependency& what) {
  try {
    return what.probe();
  } catch (const std::exception& e) {
    return {false, e.what(), -1, {}};
  }
}

/// All at once: one that does not answer costs its limit, not the sum. Notes directories of their files.
json dependencies_json(const std::vector<dependency>& all, std::set<std::string>& directories) {
  std::vector<std::future<std::pair<dependency_state, int64_t>>> under_way;
  for (const auto& each : all) {
    under_way.push_back(std::async(std::launch::async, [&each] {
      const auto began = now_ms();
      auto state = try_now(each);
      return std::pair(std::move(state), now_ms() - began);
    }));
  }
  json out = json::array();
  for (size_t i = 0; i < all.size(); ++i) {
    const auto [state, took] = under_way[i].get();
    if (!state.directory.empty()) directories.insert(state.directory);
    out.push_back({{"name", all[i].name},
                   {"kind", all[i].kind},
                   {"where", all[i].where},
                   {"ok", state.ok},
                   {"text", state.text},
                   {"schema", state.schema},
                   {"ms", took}});
  }
  return out;
}

json disks_json(const std::set<std::string>& directories) {
  json out = json::array();
  for (const auto& path : directories) {
    struct statvfs found {};
    if (::statvfs(path.c_str(), &found) != 0 || found.f_blocks == 0) continue;
    out.push_back({{"path", path},
                   {"free_bytes", uint64_t{found.f_bavail} * found.f_frsize},
                   {"size_bytes", uint64_t{found.f_blocks} * found.f_frsize}});
  }
  return out;
}

json certificate_json(const std::string& role, const certificate_report& it) {
  return {{"role", role},
          {"file", it.file},
          {"subject", it.subject},
          {"issuer", it.issuer},
          {"problem", it.problem},
          {"not_after_ms", it.not_after * 1000},
          {"fingerprint", it.fingerprint}};
}

json certificates_json(const report_subject& about) {
  json out = json::array();
  if (!about.tls_ca_file.empty()) {
    out.push_back(certificate_json("authority", inspect_certificate(about.tls_ca_file)));
    out.push_back(certificate_json(
        "node", inspect_certificate(about.tls_certificate_file, about.tls_ca_file, about.tls_key_file)));
  }
  if (!about.sources->client_certificate.empty()) {
    out.push_back(certificate_json(
        "clients", inspect_certificate(about.sources->client_certificate, {}, about.sources->client_key)));
  }
  return out;
}

json links_json(const rpc::network& network) {
  json out = json::array();
  for (const auto& each : rpc::links_of(network)) {
    out.push_back({{"service", each.service},
                   {"address", each.address},
                   {"up", each.up},
                   {"ms", each.since.count()},
                   {"why", each.why}});
  }
  return out;
}

std::string make_report(const report_subject& about) {
  std::set<std::string> directories;
  json out;
  out["node"] = about.node;
  out["services"] = about.health->started() ? *about.services : std::vector<std::string>{};
  out["version"] = version();
  out["commit"] = commit();
  out["build"] = build_type();
  out["incarnation"] = std::to_string(about.incarnation);
  out["pid"] = ::getpid();
  out["address"] = *about.address;
  const auto live = about.health->live();
  out["live"] = {{"ok", live.good}, {"why", live.good ? "" : live.text}};
  out["ready"] = ready_json(*about.health);
  out["dependencies"] = dependencies_json(about.health->dependencies(), directories);
  out["disks"] = disks_json(directories);
  out["certificates"] = certificates_json(about);
  out["fingerprints"] = about.sources->fingerprints;
  out["options"] = about.sources->options;
  out["links"] = links_json(*about.network);
  out["now_ms"] = now_ms();
  return out.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace

std::string fingerprint(const std::string& secret) {
  const auto bytes = crypto::hmac_sha256(secret, "tern fingerprint of a shared secret");
  constexpr const char* digits = "0123456789abcdef";
  std::string text;
  for (size_t i = 0; i < 4; ++i) {
    text += digits[static_cast<uint8_t>(bytes[i]) >> 4U];
    text += digits[static_cast<uint8_t>(bytes[i]) & 15U];
  }
  return text;
}

reporter::reporter(report_subject about) : about_(std::move(about)), thread_([this] { run(); }) {}

void reporter::ask(std::function<void(std::string)> then) {
  {
    const std::lock_guard hold{lock_};
    if (!stopped_) {
      waiting_.push_back(std::move(then));
      wake_.notify_all();
      return;
    }
  }
  then({});
}

void reporter::stop() {
  {
    const std::lock_guard hold{lock_};
    stopped_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void reporter::run() {
  for (;;) {
    std::vector<std::function<void(std::string)>> asked;
    bool last = false;
    {
      std::unique_lock hold{lock_};
      wake_.wait(hold, [this] { return stopped_ || !waiting_.empty(); });
      asked.swap(waiting_);
      last = stopped_;
    }
    const auto text = last || asked.empty() ? std::string() : make_report(about_);
    for (const auto& then : asked) then(text);
    if (last) return;
  }
}

}  // namespace tern::app
