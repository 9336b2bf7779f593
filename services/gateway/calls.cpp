#include "services/gateway/calls.hpp"

#include <utility>
#include <vector>

#include "services/gateway/lane.hpp"

namespace tern::gateway {

websocket::response call_response(const pending_call& call, errc code, std::string_view text) {
  const errc shown = to_wire(code);
  wire::tim_ack ack;
  ack.tim_type = static_cast<int8_t>(call.type);
  ack.ok = code == errc::ok;
  if (ack.ok) {
    ack.n = text;
  } else {
    ack.error = wire::tim_error{static_cast<int32_t>(shown), wire_text(shown)};
  }
  websocket::response out;
  out.status = shown == errc::overload ? 503 : shown == errc::rate_limited ? 429 : 200;
  out.content_type = "application/octet-stream";
  out.body = wire::make_head(wire::frame_type::ack).view();
  wire::encode(call.enc, ack, out.body);
  if (!call.origin.empty()) out.fields.emplace_back("access-control-allow-origin", call.origin);
  out.fields.emplace_back("cache-control", "no-store");
  return out;
}

void account_calls::start(pending_call call) {
  core& shared = lane_.shared();
  if (calls_.size() >= shared.config.max_http_calls) {
    shared.metrics.refused(refusal::overload);
    call.reply(call_response(call, errc::overload, {}));
    return;
  }
  // The number carries the io thread, so that the answer finds its way back, and is never used twice.
  const uint64_t id = (static_cast<uint64_t>(lane_.thread().index()) << 48U) | ++counter_;
  call.request.set_call(id);
  call.deadline = lane_.tick() + core::ticks(shared.config.owner_timeout);
  pending_call& kept = calls_.emplace(id, std::move(call)).first->second;
  send(kept);
  lane_.flush();
}

bool account_calls::send(pending_call& call) {
  const auto to = lane_.owner_of(slot_of(call.request.slot_key()));
  if (!to) return false;
  gateway_item* item = lane_.add(to->stream);
  if (item == nullptr) return false;
  *item->mutable_account_call() = call.request;
  call.link = to->stream.link;
  call.generation = to->stream.generation;
  return true;
}

void account_calls::on_result(const session::v1::AccountResult& result) {
  const auto found = calls_.find(result.call());
  if (found == calls_.end()) return;
  const auto code = static_cast<errc>(result.code());
  if (code == errc::wrong_owner) {
    found->second.generation = 0;  // the next tick or map tries again
    return;
  }
  pending_call call = std::move(found->second);
  calls_.erase(found);
  if (code != errc::ok) {
    lane_.shared().metrics.refused(to_wire(code) == errc::overload ? refusal::overload : refusal::login);
  }
  call.reply(call_response(call, code, result.text()));
}

void account_calls::on_link_down(link_handle stream) {
  std::vector<uint64_t> lost;
  for (auto& [id, call] : calls_) {
    if (call.link != stream.link || call.generation != stream.generation) continue;
    // A token may be asked for twice; a registration may have happened, and asking again would say "exists".
    if (call.type == wire::frame_type::token) {
      call.generation = 0;
    } else {
      lost.push_back(id);
    }
  }
  for (const uint64_t id : lost) {
    const auto found = calls_.find(id);
    pending_call call = std::move(found->second);
    calls_.erase(found);
    call.reply(call_response(call, errc::deadline, {}));
  }
}

void account_calls::retry() {
  for (auto& [id, call] : calls_) {
    if (call.generation == 0) send(call);
  }
}

void account_calls::on_tick(uint32_t tick) {
  if (calls_.empty()) return;
  retry();
  for (auto it = calls_.begin(); it != calls_.end();) {
    if (static_cast<int32_t>(tick - it->second.deadline) < 0) {
      ++it;
      continue;
    }
    pending_call call = std::move(it->second);
    it = calls_.erase(it);
    call.reply(call_response(call, call.generation == 0 ? errc::overload : errc::deadline, {}));
  }
}

}  // namespace tern::gateway
