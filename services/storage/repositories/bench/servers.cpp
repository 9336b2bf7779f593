#include <cstdio>

#include "services/storage/repositories/bench/scenarios.hpp"

namespace tern::storage::bench {

std::unique_ptr<testing::postgres_server> start_server() {
  testing::postgres_options how;
  how.settings = {"shared_buffers=1GB", "max_wal_size=4GB", "wal_compression=on", "checkpoint_timeout=15min"};
  auto started = testing::postgres_server::start(how);
  if (started) return std::move(*started);
  (void)failed(started.error());
  return nullptr;
}

int failed(const error& why) {
  std::fprintf(stderr, "%s: %s\n", std::string(to_string(why.code)).c_str(), why.detail.c_str());
  return 1;
}

}  // namespace tern::storage::bench
