// tern-routing: who is in the cluster and who owns what.
#include "libs/app/main.hpp"

#include "services/routing/app.hpp"
#include "services/routing/config.hpp"

int main(int argc, char** argv) {
  using namespace tern;
  routing::routing_config options;
  app::program what;
  what.name = "tern-routing";
  what.summary = "knows the nodes of the cluster and tells them who owns which slots";
  what.services.push_back({"routing", [&](config::schema& into) { routing::declare(into, options); },
                           [&] { return routing::complaints(options); },
                           [&](app::context& with) { return routing::make_routing_service(with, options); }});
  return app::run_main(argc, argv, what);
}
