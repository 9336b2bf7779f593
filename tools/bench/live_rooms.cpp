#include "tools/bench/live_rooms.hpp"

namespace tern::bench {
namespace {

using namespace std::chrono_literals;

void send_request(const live_request& request) {
  wire::tim_req body;
  body.rtype = static_cast<int32_t>(request.what);
  if (!request.node.empty()) body.node = request.node;
  if (!request.node2.empty()) body.node2 = request.node2;
  if (request.binary) body.req_int = 1;
  request.by->terminal().send(wire::frame_type::vroom, body);
}

}  // namespace

result<std::vector<std::string>> command_rooms(client::loop& loop, const std::vector<live_request>& requests,
                                               size_t at_once) {
  std::vector<std::string> answers(requests.size());
  std::string failure;
  size_t next = 0;
  size_t answered = 0;
  std::function<void()> send_next = [&] {
    if (next == requests.size()) return;
    const size_t i = next++;
    requests[i].by->on_answer = [&, i](member&, const wire::tim_ack& ack) {
      if (ack.tim_type != static_cast<int8_t>(wire::frame_type::vroom)) return;
      if (ack.ok) {
        answers[i] = ack.n.value_or("");
      } else if (failure.empty()) {
        failure = std::to_string(ack.error ? ack.error->code.value_or(0) : 0);
      }
      ++answered;
      send_next();
    };
    send_request(requests[i]);
  };
  for (size_t i = 0; i < std::min(at_once, requests.size()); ++i) send_next();
  size_t before = 0;
  bool moving = true;
  while (moving && answered < requests.size() && failure.empty()) {
    before = answered;
    moving = loop.run_until([&] { return answered > before || !failure.empty(); }, 30s);
  }
  for (const auto& each : requests) each.by->on_answer = {};
  const auto step = "VROOM " + std::to_string(static_cast<int32_t>(requests.empty() ? live_command::create
                                                                                    : requests.front().what));
  if (!failure.empty()) return error{errc::unavailable, step + " refused: " + failure};
  if (answered < requests.size()) {
    return error{errc::deadline, step + ": " + std::to_string(answered) + " of " + std::to_string(requests.size())};
  }
  return answers;
}

}  // namespace tern::bench
