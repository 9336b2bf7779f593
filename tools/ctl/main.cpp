// ternctl: what operators ask of a Tern cluster. docs/ternctl.md
#include <absl/synchronization/mutex.h>
#include <signal.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "tools/ctl/command.hpp"

int main(int argc, char** argv) {
  // gRPC's bundled lock checker reports false cycles and costs time.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  ::signal(SIGPIPE, SIG_IGN);
  return tern::ctl::run({argv + 1, argv + argc}, environ);
}
