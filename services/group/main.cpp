// tern-group: one group node.
#include "libs/app/main.hpp"

#include "services/group/app.hpp"
#include "services/group/config.hpp"

int main(int argc, char** argv) {
  using namespace tern;
  group::group_config options;
  app::program what;
  what.name = "tern-group";
  what.summary = "owns rooms and answers their commands";
  what.services.push_back({"group",
                           [&](config::schema& into) { group::declare(into, options); },
                           {},
                           [&](app::context& with) { return group::make_group_service(with, options); }});
  return app::run_main(argc, argv, what);
}
