#include "libs/rpc/call_tally.hpp"

#include "libs/rpc/streams.hpp"

namespace tern::rpc {
namespace {

constexpr std::array<const char*, 10> methods{
    join_stream::method,   control_stream::method, session_handover_stream::method, group_handover_stream::method,
    attach_stream::method, deliver_stream::method, storage_stream::method,          group_stream::method,
    live_stream::method,   peer_stream::method};

void name(call_tallies& all) {
  for (size_t i = 0; i < methods.size(); ++i) {
    const std::string_view full = methods[i];
    const auto slash = full.rfind('/');
    all[i].service = full.substr(1, slash - 1);
    all[i].method = full.substr(slash + 1);
  }
  all.back().service = all.back().method = "other";
}

}  // namespace

call_tallies& served_calls() {
  static call_tallies all;
  static const bool named = (name(all), true);
  static_cast<void>(named);
  return all;
}

call_tallies& made_calls() {
  static call_tallies all;
  static const bool named = (name(all), true);
  static_cast<void>(named);
  return all;
}

call_tally& calls_of(call_tallies& all, std::string_view method) {
  for (size_t i = 0; i < methods.size(); ++i) {
    if (method == methods[i]) return all[i];
  }
  return all.back();
}

}  // namespace tern::rpc
