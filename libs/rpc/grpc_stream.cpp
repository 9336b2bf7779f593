#include "libs/rpc/grpc_stream.hpp"

#include <chrono>
#include <utility>

namespace tern::rpc::detail {
namespace {

/// So much is worth a write of its own.
constexpr size_t enough_items = 64;
constexpr size_t enough_bytes = 32U << 10U;

}  // namespace

/// Marks the thread that runs a handler, so that a link destroyed inside it does not wait for itself.
class grpc_stream::calling {
 public:
  explicit calling(grpc_stream& of) : of_(of) { of_.caller_ = std::this_thread::get_id(); }
  ~calling() { of_.caller_ = std::thread::id{}; }
  calling(const calling&) = delete;
  calling& operator=(const calling&) = delete;

 private:
  grpc_stream& of_;
};

bool grpc_stream::send(google::protobuf::MessageLite& item) {
  const std::lock_guard lock(mutex_);
  if (closing_ || finishing_ || !out_.push(item)) return false;
  kick();
  return true;
}

bool grpc_stream::send_all(item_list& items) {
  const std::lock_guard lock(mutex_);
  if (closing_ || finishing_ || !out_.push_all(items)) return false;
  kick();
  return true;
}

void grpc_stream::close() {
  std::function<void()> lingering;
  {
    const std::lock_guard lock(mutex_);
    if (closing_ || finishing_) return;
    closing_ = true;
    kick();
    lingering.swap(lingering_);
  }
  if (lingering) lingering();
}

void grpc_stream::open(std::shared_ptr<receiver> handler, wire& to, uint64_t credit) {
  const std::lock_guard lock(mutex_);
  handler_ = std::move(handler);
  wire_ = &to;
  out_.grant(credit);
  kick();
}

void grpc_stream::read() {
  const std::lock_guard lock(mutex_);
  wire_->start_read();
}

void grpc_stream::up() {
  const calling mark(*this);  // before muted_ is looked at: see silence()
  if (!muted_) handler_->up(shared_from_this());
}

void grpc_stream::on_message(std::string_view batch) {
  if (counts_ != nullptr) counts_->received.add();
  auto list = handler_->make_list();
  uint64_t credit = 0;
  const bool good = parse_batch(batch, *list, credit);
  const size_t count = list->size();
  if (credit > 0) {
    const std::lock_guard lock(mutex_);
    out_.grant(credit);
    kick();
  }
  if (good && count > 0) {
    const calling mark(*this);
    if (!muted_) handler_->items(*list);
  }
  const std::lock_guard lock(mutex_);
  out_.consumed(count);
  if (!good) wire_->cancel();
  kick();
  wire_->start_read();
}

void grpc_stream::on_read_end() {
  const std::lock_guard lock(mutex_);
  finishing_ = true;
  out_.clear();
  if (writing_) wire_->cancel();  // it would wait for a peer that no longer reads
  kick();
}

void grpc_stream::on_written(bool ok) {
  const std::lock_guard lock(mutex_);
  writing_ = false;
  if (!ok) {  // the call is over; what the peer sent before its end can still be read, so it is not cancelled
    finishing_ = true;
    out_.clear();
  }
  kick();
}

void grpc_stream::go() {
  const std::lock_guard lock(mutex_);
  waits_ = false;
  last_write_ = {};
  kick();
}

bool grpc_stream::waits_for_more() {
  if (!pace_ || closing_ || out_.items() == 0 || out_.items() >= enough_items || out_.bytes() >= enough_bytes) {
    return false;
  }
  if (waits_) return true;
  const auto now = pace_->now();
  if (now - last_write_ < pace_->interval()) {
    waits_ = true;
    pace_->later(weak_from_this());
    return true;
  }
  last_write_ = now;
  return false;
}

void grpc_stream::kick() {
  if (wire_ == nullptr || writing_ || finished_) return;
  if (!finishing_ && waits_for_more()) return;
  if (!finishing_) {
    if (auto batch = out_.next()) {
      writing_ = true;
      if (counts_ != nullptr) counts_->sent.add();
      wire_->start_write(*std::move(batch));
      return;
    }
  }
  if (finishing_ || (closing_ && out_.items() == 0)) finish_once();
}

void grpc_stream::finish_once() {
  finished_ = true;
  wire_->finish();
}

void grpc_stream::on_done() {
  std::shared_ptr<receiver> handler;
  std::function<void()> lingering;
  {
    const std::lock_guard lock(mutex_);
    wire_ = nullptr;
    finishing_ = true;
    out_.clear();
    handler.swap(handler_);
    lingering.swap(lingering_);
  }
  if (!handler) return;
  const calling mark(*this);
  if (muted_) return;
  told_down_ = true;
  handler->down();
}

bool grpc_stream::silence() {
  muted_ = true;
  while (caller_.load() != std::thread::id{}) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return !told_down_;
}

void grpc_stream::cut() {
  const std::lock_guard lock(mutex_);
  finishing_ = true;
  out_.clear();
  if (wire_ != nullptr) wire_->cancel();
}

}  // namespace tern::rpc::detail
