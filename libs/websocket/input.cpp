// The input side of a connection: requests, the upgrade, frames.
#include <atomic>
#include <ctime>

#include "libs/websocket/connection.hpp"
#include "libs/websocket/handshake.hpp"

namespace tern::websocket {
namespace {

constexpr uint32_t max_requests_per_connection = 100;
constexpr uint16_t max_control_frames_per_second = 200;

// Takes one answer from any thread to the connection it is for; makes up a 500 when the application forgets it.
class reply_slot {
 public:
  reply_slot(std::weak_ptr<io_thread_impl> thread, uint64_t connection, uint32_t number)
      : thread_(std::move(thread)), connection_(connection), number_(number) {}
  reply_slot(const reply_slot&) = delete;
  reply_slot& operator=(const reply_slot&) = delete;
  ~reply_slot() { give({500, "text/plain; charset=utf-8", "no answer\n", {}}); }

  void give(response what) {
    if (given_.exchange(true)) return;
    const auto thread = thread_.lock();
    if (!thread) return;
    thread->post([thread = thread.get(), id = connection_, number = number_, answer = std::move(what)] {
      if (auto* one = thread->any(id)) one->on_reply(number, answer);
    });
  }

 private:
  const std::weak_ptr<io_thread_impl> thread_;
  const uint64_t connection_;
  const uint32_t number_;
  std::atomic<bool> given_{false};
};

// Takes `used` bytes off the front, and gives memory back that a big message needed.
void drop_front(std::string& text, size_t used) {
  if (used >= text.size()) {
    text = std::string();
  } else if (text.capacity() > 4096 && text.size() - used < text.capacity() / 4) {
    text = text.substr(used);
  } else {
    text.erase(0, used);
  }
}

}  // namespace

void connection_impl::feed(char* data, size_t size) {
  if (!in_.empty()) {
    in_.append(data, size);
    return consume_kept();
  }
  const size_t used = consume(data, size);
  if (used < size) in_.assign(data + used, size - used);
  end_batch();
}

void connection_impl::consume_kept() {
  if (in_.empty()) return;
  const size_t used = consume(in_.data(), in_.size());
  drop_front(in_, used);
  end_batch();
}

void connection_impl::end_batch() {
  if (!delivered_) return;
  delivered_ = false;
  handler_->on_batch_end(*this);
}

bool connection_impl::can_consume() const noexcept {
  switch (phase_) {
    case phase::http: return queued_bytes() == 0;
    case phase::open: return !paused_;
    case phase::closing: return true;
    default: return false;
  }
}

size_t connection_impl::consume(char* data, size_t size) {
  size_t used = 0;
  while (used < size && can_consume()) {
    const size_t n =
        phase_ == phase::http ? consume_request(data + used, size - used) : consume_frame(data + used, size - used);
    if (n == 0) break;
    used += n;
  }
  const bool over = phase_ == phase::finishing || phase_ == phase::lingering || phase_ == phase::dead;
  return over ? size : used;
}

bool connection_impl::find_head(std::string_view bytes) {
  const auto& options = thread_.state().options;
  switch (http_->scanner.feed(bytes, options.max_head_bytes)) {
    case head_scanner::outcome::complete: return true;
    case head_scanner::outcome::more: return false;
    case head_scanner::outcome::bad: refuse(400, "malformed request"); return false;
    case head_scanner::outcome::too_large: refuse(431, "header fields too large"); return false;
    case head_scanner::outcome::uri_too_long: refuse(414, "request target too long"); return false;
  }
  return false;
}

size_t connection_impl::consume_request(char* data, size_t size) {
  const auto& options = thread_.state().options;
  auto& stage = *http_;
  const std::string_view bytes(data, size);
  if (stage.need == 0) {
    if (!find_head(bytes)) return 0;
    stage.need = stage.scanner.end();
  }
  if (size < stage.need) return 0;
  const size_t begin = stage.scanner.begin();
  const size_t end = stage.scanner.end();
  http_head head;
  const http_limits limits{options.max_head_bytes, options.max_head_fields, options.max_body_bytes};
  if (const auto bad = parse_head(bytes.substr(begin, end - begin), limits, head)) {
    refuse(bad->status, bad->text);
    return 0;
  }
  leave_half_open();
  stage.need = end + head.content_length;
  if (size < stage.need) {
    if (head.expects_continue && !stage.continue_sent && size == end) {
      stage.continue_sent = true;
      out() += "HTTP/1.1 100 Continue\r\n\r\n";
      thread_.counters().queued_bytes.add(queued_bytes());
    }
    return 0;
  }
  head.what.body = bytes.substr(end, head.content_length);
  const size_t whole = stage.need;
  stage.scanner.reset();
  stage.need = 0;
  stage.continue_sent = false;
  dispatch(head);
  return whole;
}

void connection_impl::leave_half_open() noexcept {
  if (!http_ || !http_->counted_half_open) return;
  http_->counted_half_open = false;
  thread_.counters().half_open.sub();
  if (!turned_away_) thread_.state().half_open.leave(address_.key);
}

void connection_impl::dispatch(http_head& head) {
  head.what.remote_address = address_.text;
  thread_.clear_deadline(deadline_);
  http_->head_only = head.what.method == "HEAD";
  http_->keep_alive = head.keep_alive && ++http_->requests < max_requests_per_connection;
  if (!wants_websocket(head.what)) return hand_over_request(head);
  if (const auto bad = check_upgrade(head)) return refuse(bad->status, bad->text);
  open_websocket(head);
}

void connection_impl::open_websocket(const http_head& head) {
  auto decision = thread_.state().on_upgrade(thread_, head.what);
  if (!decision.handler) {
    if (decision.refusal.status < 400) decision.refusal.status = 403;
    return answer_and_finish(decision.refusal);
  }
  append_switching_protocols(out(), head.what.field("sec-websocket-key"));
  thread_.counters().queued_bytes.add(queued_bytes());
  handler_ = std::move(decision.handler);
  http_.reset();
  phase_ = phase::open;
  thread_.counters().websockets.add();
  handler_->on_open(*this);
}

void connection_impl::hand_over_request(const http_head& head) {
  phase_ = phase::replying;
  auto slot = std::make_shared<reply_slot>(thread_.weak_from_this(), id_, http_->requests);
  thread_.state().on_request(thread_, head.what, [slot](response what) { slot->give(std::move(what)); });
}

void connection_impl::on_reply(uint32_t request_number, const response& what) {
  if (phase_ != phase::replying || http_->requests != request_number) return;
  if (!http_->keep_alive) return answer_and_finish(what);
  append_response(out(), what, {true, http_->head_only, std::time(nullptr)});
  thread_.counters().queued_bytes.add(queued_bytes());
  phase_ = phase::http;
  set_deadline(thread_.state().options.head_timeout);
  mark_dirty();
}

void connection_impl::refuse(int status, std::string_view text) {
  thread_.counters().refused_protocol.add();
  answer_and_finish({status, "text/plain; charset=utf-8", std::string(text) + "\n", {}});
}

void connection_impl::answer_and_finish(const response& what) {
  const size_t before = queued_bytes();
  append_response(out(), what, {false, http_ && http_->head_only, std::time(nullptr)});
  thread_.counters().queued_bytes.add(queued_bytes() - before);
  finish(thread_.state().options.write_stall_timeout);
}

size_t connection_impl::consume_frame(char* data, size_t size) {
  const auto step = parser_.next(data, size);
  switch (step.event) {
    case frame_event::need_more: return 0;
    case frame_event::fragment: break;
    case frame_event::message:
      if (phase_ == phase::open) {
        thread_.counters().messages_in.add();
        delivered_ = true;
        handler_->on_message(*this, step.payload, step.binary);
      }
      parser_.release();
      break;
    case frame_event::ping:
    case frame_event::pong: on_control_frame(step); break;
    case frame_event::close: on_peer_close(step); break;
    case frame_event::error:
      thread_.counters().refused_protocol.add();
      fail_websocket(step.code, step.what,
                     step.code == close_code::too_big || step.code == close_code::policy ? close_reason::limit
                                                                                         : close_reason::protocol);
      return 0;
  }
  return step.consumed;
}

void connection_impl::on_control_frame(const frame_step& step) {
  const auto second = static_cast<uint32_t>(thread_.coarse_seconds());
  if (second != control_second_) {
    control_second_ = second;
    control_frames_ = 0;
  }
  if (++control_frames_ > max_control_frames_per_second) {
    return fail_websocket(close_code::policy, "too many control frames", close_reason::limit);
  }
  if (step.event != frame_event::ping || phase_ != phase::open) return;
  // Only the newest unanswered ping gets its pong (RFC 6455 5.5.3), so a flood of them queues nothing.
  if (!pong_) pong_ = std::make_unique<std::string>();
  pong_->assign(step.payload);
}

void connection_impl::on_peer_close(const frame_step& step) {
  const auto& options = thread_.state().options;
  if (phase_ == phase::closing) {
    note_close(reason_);
    return finish(queued_bytes() > 0 ? options.write_stall_timeout : options.close_timeout);
  }
  const size_t before = queued_bytes();
  append_close(out(), step.code, {});
  thread_.counters().queued_bytes.add(queued_bytes() - before);
  note_close(close_reason::client);
  finish(options.close_timeout);
}

void connection_impl::fail_websocket(uint16_t code, std::string_view text, close_reason reason) {
  const auto& options = thread_.state().options;
  if (phase_ == phase::closing) return die(reason_);
  const size_t before = queued_bytes();
  append_close(out(), code, text);
  thread_.counters().queued_bytes.add(queued_bytes() - before);
  note_close(reason);
  finish(options.close_timeout);
}

}  // namespace tern::websocket
