// REGISTER and TOKEN calls of POST /tim2 that wait for the session service, one table per io thread.
#pragma once

#include <tern/session/v1/session.pb.h>

#include <cstdint>
#include <unordered_map>

#include "libs/base/errc.hpp"
#include "libs/websocket/server.hpp"
#include "libs/wire/codec.hpp"
#include "libs/wire/frame.hpp"

namespace tern::gateway {

class lane;
struct core;
struct link_handle;

/// Who asked and how to answer.
struct pending_call {
  session::v1::AccountCall request;
  websocket::reply_function reply;
  wire::frame_type type = wire::frame_type::reg;
  wire::encoding enc = wire::encoding::thrift;
  std::string origin;     // allowed origin to name in the answer; may be empty
  uint32_t deadline = 0;  // tick
  uint32_t link = 0;
  uint32_t generation = 0;  // of the stream it was sent on; 0: not sent
};

/// On the lane's io thread.
class account_calls {
 public:
  explicit account_calls(lane& where) : lane_(where) {}

  /// Sends the call to the owner of its slot, now or when there is one. Answers 503 when too many wait already.
  void start(pending_call call);
  void on_result(const session::v1::AccountResult& result);
  /// The stream ended: what was sent on it has an unknown outcome.
  void on_link_down(link_handle stream);
  /// Sends what found no owner so far and gives up what is too old.
  void on_tick(uint32_t tick);
  void retry();
  size_t size() const noexcept { return calls_.size(); }

 private:
  bool send(pending_call& call);

  lane& lane_;
  std::unordered_map<uint64_t, pending_call> calls_;
  uint64_t counter_ = 0;
};

/// The answer to a call: status 200 (429 and 503 when shed) and an ACK frame in the call's encoding.
websocket::response call_response(const pending_call& call, errc code, std::string_view text);

}  // namespace tern::gateway
