#include "libs/app/watch.hpp"

#include <sys/statvfs.h>

#include "libs/app/certificates.hpp"
#include "libs/app/health.hpp"
#include "libs/metrics/metrics.hpp"

namespace tern::app {
namespace {

dependency_state try_now(const dependency& what) {
  try {
    return what.probe();
  } catch (const std::exception& e) {
    return {false, e.what(), -1, {}};
  }
}

void show_disk(metrics::registry& into, const std::string& path) {
  struct statvfs found {};
  if (::statvfs(path.c_str(), &found) != 0 || found.f_blocks == 0) return;
  const auto unit = static_cast<double>(found.f_frsize);
  into.gauge("tern_disk_free_bytes", "free space where a database of this machine keeps its files", {{"path", path}})
      .set(static_cast<double>(found.f_bavail) * unit);
  into.gauge("tern_disk_size_bytes", "size of that disk", {{"path", path}})
      .set(static_cast<double>(found.f_blocks) * unit);
}

}  // namespace

watch::watch(metrics::registry& into, const health_state& health, watched_files files,
             std::chrono::milliseconds every)
    : into_(into), health_(health), files_(std::move(files)), every_(every) {
  const auto ready = into.gauge("tern_ready", "1 while /readyz says yes");
  into.on_collect([ready, &health] { ready.set(health.ready().good ? 1 : 0); });
  look_at_certificates();
  thread_ = std::thread([this] { run(); });
}

void watch::stop() {
  {
    const std::lock_guard hold{lock_};
    stopped_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void watch::run() {
  std::unique_lock hold{lock_};
  while (!stopped_) {
    hold.unlock();
    look();
    hold.lock();
    wake_.wait_for(hold, every_, [this] { return stopped_; });
  }
}

void watch::look() const {
  look_at_certificates();
  for (const auto& each : health_.dependencies()) {
    const metrics::labels labels{{"dependency", each.name}, {"kind", each.kind}};
    const auto state = try_now(each);
    into_.gauge("tern_dependency_up", "1 while what this node depends on answers, tried each 10 s", labels)
        .set(state.ok ? 1 : 0);
    if (state.schema >= 0) {
      into_.gauge("tern_schema_version", "newest migration of a database", labels)
          .set(static_cast<double>(state.schema));
    }
    if (!state.directory.empty()) show_disk(into_, state.directory);
  }
}

void watch::look_at_certificates() const {
  for (const auto& [use, file] : files_.certificates) {
    if (file.empty()) continue;
    const auto found = inspect_certificate(file);
    if (found.not_after == 0) continue;  // cannot be read: /readyz and the log say so
    into_
        .gauge("tern_tls_certificate_expiry_timestamp_seconds", "end of a certificate's validity, seconds since 1970",
               {{"use", use}})
        .set(static_cast<double>(found.not_after));
  }
}

}  // namespace tern::app
