// ternd: a whole Tern in one process, for a laptop or a small server.
#include "libs/app/main.hpp"

#include <cstdio>
#include <optional>

#include "libs/config/schema.hpp"
#include "services/ternd/app.hpp"

int main(int argc, char** argv) {
  using namespace tern;
  ternd::ternd_config options;
  std::optional<app::data_directory> held;
  std::string metrics;
  app::program what;
  what.name = "ternd";
  what.summary = "a whole Tern in one process: gateway, session, group, storage on SQLite, routing";
  what.links = app::links::local;
  what.services = ternd::service_entries(options);
  what.started = [&](app::host& host) {
    if (!metrics.empty()) metrics = metrics.substr(0, metrics.rfind(':') + 1) + std::to_string(host.metrics_port());
    std::fputs(ternd::banner(options, ternd::client_port(host), metrics).c_str(), stdout);
    std::fflush(stdout);
  };
  what.defaults = {{"routing.shards", ternd::shard_name}, {"routing.settle_ms", "0"}, {"log.format", "text"}};
  what.flags = {
      {"data-dir", "DIR", "ternd.data_dir", "where everything is kept"},
      {"listen", "HOST:PORT", "gateway.listen_address", "where clients and browsers connect"},
      {"control", "PATH", "routing.control.socket", "a unix socket for ternctl --routing unix:PATH"},
      {"erase-account", "ACCOUNT", "ternd.erase_account", "destroys an account's data, shows the receipt, ends"},
      {"metrics", "HOST:PORT", "metrics.listen_address", "metrics and health for operators"}};
  what.declare = [&](config::schema& into) { ternd::declare(into, options); };
  what.prepare = [&](config::schema& schema, bool dry) -> result<void> {
    const std::string dir = schema.value_of("ternd.data_dir").value_or(options.data_dir);
    metrics = schema.value_of("metrics.listen_address").value_or("");
    auto directory = ternd::use_directory(schema, dir, dry);
    if (!directory) return directory.error();
    held = std::move(*directory);
    return {};
  };
  return app::run_main(argc, argv, what);
}
