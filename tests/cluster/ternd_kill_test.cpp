// The same promise for the embedded server: ternd is killed with SIGKILL under load, again and again.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <iostream>

#include "libs/cluster/cluster.hpp"
#include "tests/verify/history.hpp"
#include "tests/verify/workload.hpp"

namespace tern {
namespace {

using namespace std::chrono_literals;

TEST(ternd_kill_test, a_killed_ternd_loses_doubles_and_reorders_nothing) {
  testing::ternd_options options;
  options.settings = {"storage.login.hash_memory_kib=64", "storage.login.hash_passes=1"};
  auto started = testing::ternd_process::start(options);
  ASSERT_TRUE(started) << started.error().detail;
  auto& ternd = **started;
  verify::workload_options clients;
  clients.gateways = {ternd.gateway()};
  clients.accounts = 60;
  clients.messages_per_second = 300;
  verify::workload workload(clients);
  const auto ready = workload.start();
  ASSERT_TRUE(ready) << ready.error().detail;
  for (int round = 0; round < 4; ++round) {
    ASSERT_TRUE(workload.wait_receipts(400, 30s)) << "no traffic in round " << round;
    ternd.child().stop(0ms, SIGKILL);
    ASSERT_TRUE(ternd.restart());
    ASSERT_TRUE(ternd.wait_ready(20s));
  }
  ASSERT_TRUE(workload.wait_receipts(400, 30s));
  const auto seen = workload.finish(40s);
  std::cout << "  " << seen.sends.size() << " messages sent, " << seen.receives.size() << " received\n";
  for (const auto& one : verify::check(seen)) ADD_FAILURE() << one.check << ": " << one.detail;
  EXPECT_EQ(ternd.child().stop(15s), 0) << "SIGTERM did not end ternd cleanly";
}

}  // namespace
}  // namespace tern
