// tern-gateway: one gateway node.
#include "libs/app/main.hpp"

#include "services/gateway/app.hpp"
#include "services/gateway/config.hpp"

int main(int argc, char** argv) {
  using namespace tern;
  gateway::gateway_config options;
  app::program what;
  what.name = "tern-gateway";
  what.summary = "keeps client connections and passes their frames to session nodes";
  what.services.push_back({"gateway", [&](config::schema& into) { gateway::declare(into, options); },
                           [&] { return gateway::complaints(options); },
                           [&](app::context& with) { return gateway::make_gateway_service(with, options); }});
  return app::run_main(argc, argv, what);
}
