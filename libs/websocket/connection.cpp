#include "libs/websocket/connection.hpp"

#include <sys/socket.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>

#include "libs/websocket/handshake.hpp"

namespace tern::websocket {

using boost::system::error_code;
using socket_base = boost::asio::socket_base;

void append_message(std::string& out, std::string_view head, std::string_view payload) {
  append_frame(out, opcode::binary, head, payload);
}

connection_impl::connection_impl(io_thread_impl& thread, uint64_t id, peer_address address)
    : thread_(thread),
      id_(id),
      address_(std::move(address)),
      socket_(thread.context()),
      http_(std::make_unique<http_stage>()),
      parser_(thread.state().options.max_message_bytes) {
  deadline_.owner = this;
  thread_.counters().open.add();
  thread_.counters().half_open.add();
}

connection_impl::~connection_impl() { thread_.clear_deadline(deadline_); }

void connection_impl::adopt_socket(unique_fd fd) {
  error_code failed;
  socket_.assign(boost::asio::ip::tcp::v4(), fd.get(), failed);  // the protocol is not looked at
  if (failed) return die();
  fd.release();
}

void connection_impl::serve(unique_fd fd) {
  adopt_socket(std::move(fd));
  if (phase_ == phase::dead) return;
  set_deadline(thread_.state().options.head_timeout);
  if (const auto context = thread_.state().tls()) {
    tls_.emplace(*context, socket_.native_handle());
    phase_ = phase::tls;
  }
  mark_dirty();
}

void connection_impl::turn_away(unique_fd fd) {
  turned_away_ = true;
  adopt_socket(std::move(fd));
  if (phase_ == phase::dead) return;
  answer_and_finish({503, "text/plain; charset=utf-8", "too many connections\n", {{"Retry-After", "1"}}});
}

void connection_impl::mark_dirty() {
  if (dirty_ || removed_) return;
  dirty_ = true;
  thread_.mark_dirty(shared_from_this());
}

std::string& connection_impl::out() {
  // A short frame may sit in the string itself: only an empty one is exchanged.
  if (out_.empty() && out_.capacity() <= std::string().capacity()) out_ = thread_.take_buffer();
  return out_;
}

void connection_impl::send(std::string_view head, std::string_view payload) {
  if (phase_ != phase::open) return;
  const size_t before = queued_bytes();
  append_frame(out(), opcode::binary, head, payload);
  thread_.counters().queued_bytes.add(queued_bytes() - before);
  thread_.counters().messages_out.add();
  mark_dirty();
}

void connection_impl::send_made(std::string_view message, bool at_once) {
  if (phase_ != phase::open) return;
  auto& counters = thread_.counters();
  counters.messages_out.add();
  if (at_once && queued_bytes() == 0 && !write_armed_) {
    for (bool more = true; more;) {
      const auto sent = write_socket(message.data(), message.size());
      if (sent.status == io_status::eof || sent.status == io_status::failed) return die(close_reason::error);
      if (sent.status == io_status::ok) {
        counters.sent_bytes.add(sent.bytes);
        message.remove_prefix(sent.bytes);
      }
      if (message.empty()) return;
      // TLS takes one record at a time; a plain socket that did not take all is full.
      more = tls_ && sent.status == io_status::ok;
    }
  }
  out().append(message);  // the end of the wake-up writes it, or waits until it can be written
  counters.queued_bytes.add(message.size());
  mark_dirty();
}

void connection_impl::pause_reading(bool paused) {
  if (paused_ == paused) return;
  paused_ = paused;
  if (paused) return;
  resume_ = true;
  mark_dirty();
}

void connection_impl::close(uint16_t code, std::string_view text, close_reason reason) {
  if (phase_ != phase::open) return;
  const auto& options = thread_.state().options;
  const size_t before = queued_bytes();
  append_close(out(), code, text);
  thread_.counters().queued_bytes.add(queued_bytes() - before);
  phase_ = phase::closing;
  reason_ = reason;
  resume_ = true;  // what was kept because of a pause may hold the peer's close frame
  set_deadline(before > 0 ? options.write_stall_timeout : options.close_timeout);
  mark_dirty();
}

void connection_impl::abort(close_reason reason) {
  if (!is_websocket()) return;  // what a close has queued still leaves
  reset_ = queued_bytes() > 0;  // frees what the kernel still holds for a peer that does not read
  die(reason);
}

void connection_impl::stop() { die(close_reason::drain); }

void connection_impl::note_close(close_reason reason) noexcept {
  if (!handler_ || close_noted_ || close_told_) return;
  close_noted_ = true;
  reason_ = reason;
}

void connection_impl::tell_close() {
  if (!close_noted_) return;
  close_noted_ = false;
  close_told_ = true;
  thread_.counters().websockets.sub();
  handler_->on_close(*this, reason_);
}

void connection_impl::die() {
  phase_ = phase::dead;
  mark_dirty();
}

void connection_impl::die(close_reason reason) {
  note_close(reason);
  die();
}

void connection_impl::finish(std::chrono::milliseconds within) {
  phase_ = phase::finishing;
  set_deadline(within);
  mark_dirty();
}

void connection_impl::settle() {
  dirty_ = false;
  if (removed_) return;
  if (resume_) {
    resume_ = false;
    consume_kept();
  }
  tell_close();
  if (phase_ != phase::dead) flush();
  if (phase_ != phase::dead) {
    if (wants_read() && !read_armed_) wait_readable();
    if (want_write_ && !write_armed_) wait_writable();
    return;
  }
  tell_close();  // writing may have failed
  removed_ = true;
  auto& counters = thread_.counters();
  leave_half_open();
  counters.queued_bytes.sub(queued_bytes());
  counters.open.sub();
  --(turned_away_ ? thread_.state().turned_away : thread_.state().open);
  thread_.clear_deadline(deadline_);
  error_code ignored;
  if (reset_) socket_.set_option(socket_base::linger(true, 0), ignored);
  tls_.reset();
  socket_.close(ignored);
  thread_.remove(id_);  // the caller still holds it
}

bool connection_impl::wants_read() const noexcept {
  switch (phase_) {
    case phase::tls: return !want_write_;
    case phase::http: return queued_bytes() == 0 && !read_blocked_;
    case phase::open: return !paused_ && !read_blocked_;
    case phase::closing: return !read_blocked_;
    case phase::lingering: return true;
    case phase::replying:
    case phase::finishing:
    case phase::dead: return false;
  }
  return false;
}

void connection_impl::wait_readable() {
  read_armed_ = true;
  auto readable = [self = shared_from_this()](const error_code& failed) {
    self->read_armed_ = false;
    if (failed || self->removed_) return;
    self->on_readable();
    self->thread_.end_of_wakeup();
  };
  if (tls_ && tls_->pending()) {  // the rest of a record: the socket would not tell
    boost::asio::post(thread_.context(), [readable = std::move(readable)] { readable({}); });
  } else {
    socket_.async_wait(socket_base::wait_read, std::move(readable));
  }
}

void connection_impl::wait_writable() {
  write_armed_ = true;
  socket_.async_wait(socket_base::wait_write, [self = shared_from_this()](const error_code& failed) {
    self->write_armed_ = false;
    if (failed || self->removed_) return;
    self->on_writable();
    self->thread_.end_of_wakeup();
  });
}

void connection_impl::on_readable() {
  mark_dirty();
  if (phase_ == phase::tls) return on_handshake();
  if (phase_ == phase::lingering) return drain_input();
  if (wants_read()) on_input();
}

void connection_impl::on_writable() {
  mark_dirty();  // flushes
  want_write_ = false;
  read_blocked_ = false;
  if (phase_ == phase::tls) on_handshake();
}

void connection_impl::on_handshake() {
  const auto done = tls_->handshake();
  switch (done.status) {
    case io_status::ok: phase_ = phase::http; return on_input();
    case io_status::want_read: return;
    case io_status::want_write: want_write_ = true; return;
    case io_status::eof:
    case io_status::failed: break;
  }
  thread_.counters().refused_protocol.add();
  if (!tls_->peer_spoke_http()) return die();
  tls_.reset();
  refuse(400, "TLS is spoken on this port");
}

io_outcome connection_impl::read_socket(char* data, size_t size) noexcept {
  thread_.counters().reads.add();
  if (!tls_) return plain_read(socket_.native_handle(), data, size);
  // A TLS read gives one record at most; several make one batch.
  size_t total = 0;
  io_outcome last;
  while (total < size) {
    last = tls_->read(data + total, size - total);
    if (last.status != io_status::ok) break;
    total += last.bytes;
  }
  // An end or error behind data is found again by the next read.
  if (total > 0) return {io_status::ok, total};
  return last;
}

io_outcome connection_impl::write_socket(const char* data, size_t size) noexcept {
  thread_.counters().writes.add();
  return tls_ ? tls_->write(data, size) : plain_write(socket_.native_handle(), data, size);
}

void connection_impl::on_input() {
  auto& buffer = thread_.read_buffer();
  const auto got = read_socket(buffer.data(), buffer.size());
  switch (got.status) {
    case io_status::ok: thread_.counters().received_bytes.add(got.bytes); return feed(buffer.data(), got.bytes);
    case io_status::want_read: return;
    case io_status::want_write:
      want_write_ = read_blocked_ = true;
      if (!deadline_.linked()) set_deadline(thread_.state().options.write_stall_timeout);
      return;
    case io_status::eof: return die(phase_ == phase::closing ? reason_ : close_reason::client);
    case io_status::failed: return die(phase_ == phase::closing ? reason_ : close_reason::error);
  }
}

void connection_impl::drain_input() {
  auto& buffer = thread_.read_buffer();
  const auto got = plain_read(socket_.native_handle(), buffer.data(), buffer.size());
  if (got.status == io_status::eof || got.status == io_status::failed) die();
}

void connection_impl::flush() {
  if (phase_ == phase::tls || phase_ == phase::lingering || write_armed_) return;
  if (pong_ && phase_ == phase::open) {
    const size_t before = queued_bytes();
    append_frame(out(), opcode::pong, {}, *pong_);
    thread_.counters().queued_bytes.add(queued_bytes() - before);
    pong_.reset();
  }
  bool progress = false;
  while (queued_bytes() > 0) {
    const auto sent = write_socket(out_.data() + out_begin_, queued_bytes());
    if (sent.status == io_status::ok) {
      out_begin_ += sent.bytes;
      progress = true;
      thread_.counters().sent_bytes.add(sent.bytes);
      thread_.counters().queued_bytes.sub(sent.bytes);
      continue;
    }
    if (sent.status == io_status::eof || sent.status == io_status::failed) {
      return die(phase_ == phase::closing ? reason_ : close_reason::error);
    }
    want_write_ = sent.status == io_status::want_write;
    break;
  }
  if (queued_bytes() == 0) return on_drained();
  if (out_begin_ > out_.size() / 2) {
    out_.erase(0, out_begin_);
    out_begin_ = 0;
  }
  if (phase_ == phase::open && (progress || !deadline_.linked())) {
    set_deadline(thread_.state().options.write_stall_timeout);
  }
}

void connection_impl::on_drained() {
  const bool had_queued = out_begin_ > 0;
  if (had_queued) {
    thread_.give_buffer(std::exchange(out_, {}));
    out_begin_ = 0;
    if (phase_ == phase::http && !in_.empty()) {  // a pipelined request had to wait for the answer to leave
      resume_ = true;
      mark_dirty();
    }
  }
  if (phase_ == phase::open && deadline_.linked() && !read_blocked_) thread_.clear_deadline(deadline_);
  if (phase_ == phase::closing && !close_flushed_) {
    close_flushed_ = true;
    set_deadline(thread_.state().options.close_timeout);
  }
  if (phase_ == phase::open && had_queued) return handler_->on_drained(*this);
  if (phase_ != phase::finishing) return;
  if (tls_) tls_->shutdown();
  phase_ = phase::lingering;
  want_write_ = false;
  ::shutdown(socket_.native_handle(), SHUT_WR);
  set_deadline(thread_.state().options.close_timeout);
}

void connection_impl::on_deadline() {
  switch (phase_) {
    case phase::open: return abort(close_reason::slow_consumer);
    case phase::closing: return abort(reason_);
    case phase::http:
      if (!in_.empty() && queued_bytes() == 0) return refuse(408, "the request took too long");
      return die();
    default: return die();
  }
}

}  // namespace tern::websocket
