// tern-session: one session node.
#include "libs/app/main.hpp"

#include "services/session/app.hpp"
#include "services/session/config.hpp"

int main(int argc, char** argv) {
  using namespace tern;
  session::session_config options;
  app::program what;
  what.name = "tern-session";
  what.summary = "owns the live sessions of its accounts: order, delivery, receipts, device limits";
  what.services.push_back({"session",
                           [&](config::schema& into) { session::declare(into, options); },
                           {},
                           [&](app::context& with) { return session::make_session_service(with, options); }});
  return app::run_main(argc, argv, what);
}
