#include "services/ternd/app.hpp"

#include "services/gateway/app.hpp"
#include "services/group/app.hpp"
#include "services/routing/app.hpp"
#include "services/session/app.hpp"
#include "services/storage/app.hpp"
#include "services/ternd/erase_account.hpp"

namespace tern::ternd {

std::vector<app::service_entry> service_entries(ternd_config& o) {
  std::vector<app::service_entry> out;
  out.push_back({"routing", [&o](config::schema& into) { routing::declare(into, o.routing); },
                 [&o] { return routing::complaints(o.routing); },
                 [&o](app::context& with) { return routing::make_routing_service(with, o.routing); }});
  out.push_back({"storage", [&o](config::schema& into) { storage::declare(into, o.storage); },
                 [&o] { return storage::complaints(o.storage); },
                 [&o](app::context& with) { return storage::make_storage_service(with, o.storage); },
                 [&o] { return o.session.stores(); }});
  out.push_back({"group",
                 [&o](config::schema& into) { group::declare(into, o.group); },
                 {},
                 [&o](app::context& with) { return group::make_group_service(with, o.group); }});
  out.push_back({"session",
                 [&o](config::schema& into) { session::declare(into, o.session); },
                 {},
                 [&o](app::context& with) { return session::make_session_service(with, o.session); }});
  out.push_back({"gateway", [&o](config::schema& into) { gateway::declare(into, o.gateway); },
                 [&o] { return gateway::complaints(o.gateway); },
                 [&o](app::context& with) { return gateway::make_gateway_service(with, o.gateway); }});
  out.push_back({"erasure",
                 {},
                 {},
                 [&o](app::context& with) { return make_account_eraser(with, o.erase_account); },
                 [&o] { return !o.erase_account.empty() && o.session.stores(); }});
  return out;
}

uint16_t client_port(app::host& started) {
  const auto* gateway = dynamic_cast<gateway::gateway_service*>(started.find("gateway"));
  return gateway == nullptr ? uint16_t{0} : gateway->port();
}

std::string banner(const ternd_config& options, uint16_t port, const std::string& metrics_address) {
  std::string host;
  uint16_t ignored = 0;
  gateway::split_address(options.gateway.listen_address, host, ignored);
  const bool tls = !options.gateway.tls_certificate_file.empty();
  const bool anywhere = host == "0.0.0.0" || host == "::";
  const std::string shown = anywhere ? "localhost" : host.find(':') == std::string::npos ? host : "[" + host + "]";
  const std::string at = shown + ":" + std::to_string(port);
  const std::string http = (tls ? "https://" : "http://") + at;
  std::string out = "\n  Tern is running.\n\n";
  out += "    web page   " + http + "/\n";
  out += "    clients    " + std::string(tls ? "wss://" : "ws://") + at + "/tim\n";
  if (!metrics_address.empty()) out += "    metrics    http://" + metrics_address + "/metrics\n";
  out += "    data       " + options.data_dir + "\n\n";
  out += "  A first account, here or on the page:\n\n";
  out += "    printf '\\x8e{\"name\":\"alice\",\"pwd\":\"secret\"}' | curl -s --data-binary @- " + http + "/tim2\n\n";
  return out;
}

}  // namespace tern::ternd
