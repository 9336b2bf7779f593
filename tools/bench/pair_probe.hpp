// Two friends of whom one writes now and then: what a 1:1 message takes while the server is busy with something else.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tools/bench/histogram.hpp"
#include "tools/bench/population.hpp"

namespace tern::bench {

/// Used on the loop's thread. At most one message is under way.
class pair_probe {
 public:
  /// Registers two accounts named <prefix>-pair<n>, logs them in and makes them friends. Blocking.
  static result<std::unique_ptr<pair_probe>> make(client::loop& loop, const target& where, wire::encoding encoding,
                                                  const std::string& prefix, const progress_function& progress);

  /// Sends a message that was due at `due_ns` (steady clock), unless the last one has no receipt yet.
  void send(int64_t due_ns);
  void reset() { receipt_latency.clear(); }

  histogram receipt_latency;  // ns

 private:
  std::vector<std::unique_ptr<member>> members_;
  int64_t due_ns_ = 0;  // of the message under way; 0: none is
  int64_t next_id_ = 0;
};

}  // namespace tern::bench
