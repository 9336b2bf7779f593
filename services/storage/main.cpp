// tern-storage: accounts, relations, messages and their delivery queue, on PostgreSQL or SQLite.
#include "libs/app/main.hpp"

#include "libs/config/schema.hpp"
#include "services/storage/app.hpp"

int main(int argc, char** argv) {
  tern::storage::storage_config options;
  tern::app::program program;
  program.name = "tern-storage";
  program.summary = "Tern storage service: shards of accounts, relations and messages";
  program.services.push_back(
      {"storage", [&](tern::config::schema& schema) { tern::storage::declare(schema, options); },
       [&] { return tern::storage::cluster_complaints(options); },
       [&](tern::app::context& with) { return tern::storage::make_storage_service(with, options); }});
  return tern::app::run_main(argc, argv, program);
}
