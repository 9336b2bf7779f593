// What the gRPC streams of this process have done, by method, for whoever exports it.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "libs/metrics/tally.hpp"

namespace tern::rpc {

/// Status codes of gRPC by number.
inline constexpr std::array<const char*, 17> grpc_code_names{
    "OK",       "Canceled",       "Unknown",          "InvalidArgument",   "DeadlineExceeded",
    "NotFound", "AlreadyExists",  "PermissionDenied", "ResourceExhausted", "FailedPrecondition",
    "Aborted",  "OutOfRange",     "Unimplemented",    "Internal",          "Unavailable",
    "DataLoss", "Unauthenticated"};

/// The streams of one method at one end. A message is a batch of items.
struct call_tally {
  std::string service, method;  // "tern.session.v1.SessionService", "Attach"
  std::atomic<uint64_t> started{0};
  std::array<std::atomic<uint64_t>, grpc_code_names.size()> handled{};
  metrics::tally received, sent;

  void end(size_t code) noexcept {
    if (code < handled.size()) handled[code].fetch_add(1, std::memory_order_relaxed);
  }
};

/// The methods of rpc/streams.hpp and, last, "other" for what is none of them.
using call_tallies = std::array<call_tally, 11>;
call_tallies& served_calls();
call_tallies& made_calls();
/// `method` as gRPC names it: "/tern.session.v1.SessionService/Attach".
call_tally& calls_of(call_tallies& all, std::string_view method);

}  // namespace tern::rpc
