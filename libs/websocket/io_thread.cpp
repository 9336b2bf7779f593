#include "libs/websocket/io_thread.hpp"

#include <pthread.h>
#include <signal.h>

#include <boost/asio/post.hpp>

#include "libs/websocket/connection.hpp"

namespace tern::websocket {
namespace {

constexpr size_t read_buffer_bytes = 65536;
constexpr size_t max_spare_buffer_bytes = 65536;

}  // namespace

io_thread_impl::io_thread_impl(std::shared_ptr<server_state> state, size_t index)
    : state_(std::move(state)), index_(index), read_buffer_(read_buffer_bytes, '\0') {}

io_thread_impl::~io_thread_impl() { join(); }

void io_thread_impl::post(std::function<void()> work) {
  bool first = false;
  {
    const std::lock_guard lock(post_mutex_);
    if (closed_for_posts_) return;
    first = posted_.empty();
    posted_.push_back(std::move(work));
  }
  // One wake-up runs everything queued until then.
  if (first) boost::asio::post(context_, [this] { run_posted(); });
}

void io_thread_impl::run_posted() {
  {
    const std::lock_guard lock(post_mutex_);
    running_.swap(posted_);
  }
  for (auto& work : running_) {
    work();
    work = nullptr;
  }
  running_.clear();
  end_of_wakeup();
}

void io_thread_impl::every(std::chrono::milliseconds period, std::function<void()> work) {
  auto& one = periodics_.emplace_back(periodic{boost::asio::steady_timer(context_), period, std::move(work)});
  wait_periodic(one);
}

void io_thread_impl::after(std::chrono::milliseconds delay, std::function<void()> work) {
  const auto timer = once_.emplace(once_.end(), context_);
  timer->expires_after(delay);
  timer->async_wait([this, timer, work = std::move(work)](const boost::system::error_code& failed) {
    once_.erase(timer);
    if (failed || stopped_) return;
    work();
    end_of_wakeup();
  });
  if (stopped_) timer->cancel();
}

void io_thread_impl::wait_periodic(periodic& one) {
  one.timer.expires_after(one.period);
  one.timer.async_wait([this, &one](const boost::system::error_code& failed) {
    if (failed || stopped_) return;
    one.work();
    end_of_wakeup();
    if (!stopped_) wait_periodic(one);
  });
}

connection_impl* io_thread_impl::any(uint64_t id) noexcept {
  const auto found = connections_.find(id);
  return found == connections_.end() ? nullptr : found->second.get();
}

connection* io_thread_impl::find(uint64_t id) noexcept {
  auto* one = any(id);
  return one != nullptr && one->is_websocket() ? one : nullptr;
}

void io_thread_impl::for_each(const std::function<void(connection&)>& visit) {
  // The map cannot change meanwhile: connections are added and removed by asio handlers of this thread only.
  for (auto& [id, one] : connections_) {
    if (one->is_websocket()) visit(*one);
  }
}

void io_thread_impl::start() {
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), ("tern-io-" + std::to_string(index_)).c_str());
    // TLS writes with write(2), which cannot be told not to raise SIGPIPE; blocked, it is EPIPE only.
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
    context_.run();
  });
}

void io_thread_impl::begin_stop() {
  post([this] { stop_here(); });
}

void io_thread_impl::stop_here() {
  if (stopped_) return;
  stopped_ = true;
  open_.reset();
  tick_timer_.cancel();
  for (auto& one : periodics_) one.timer.cancel();
  for (auto& one : once_) one.cancel();
  for (auto& [id, one] : connections_) one->stop();
  end_of_wakeup();
  const std::lock_guard lock(post_mutex_);
  closed_for_posts_ = true;  // without timers and connections run() ends by itself
}

void io_thread_impl::join() {
  if (thread_.joinable()) thread_.join();
}

void io_thread_impl::adopt(unique_fd fd, peer_address address, welcome how) {
  const uint64_t id = static_cast<uint64_t>(index_) << 48 | ++next_id_;
  auto one = std::make_shared<connection_impl>(*this, id, std::move(address));
  connections_.emplace(id, one);
  if (how == welcome::serve) {
    one->serve(std::move(fd));
  } else {
    one->turn_away(std::move(fd));
  }
  if (stopped_) one->stop();
}

void io_thread_impl::end_of_wakeup() {
  for (size_t i = 0; i < dirty_.size(); ++i) {  // grows while handlers run
    const auto one = std::move(dirty_[i]);
    one->settle();
  }
  dirty_.clear();
}

uint64_t io_thread_impl::tick_now() const noexcept {
  return static_cast<uint64_t>((std::chrono::steady_clock::now() - epoch_) / tick);
}

void io_thread_impl::set_deadline(wheel_node& node, std::chrono::milliseconds after) noexcept {
  const auto ticks = static_cast<uint64_t>((after + tick - std::chrono::milliseconds(1)) / tick);
  wheel_.set(node, tick_now() + ticks + 1);
  need_tick();
}

void io_thread_impl::need_tick() {
  if (ticking_ || stopped_ || wheel_.size() == 0) return;
  ticking_ = true;
  tick_timer_.expires_after(tick);
  tick_timer_.async_wait([this](const boost::system::error_code& failed) {
    ticking_ = false;
    if (failed || stopped_) return;
    wheel_.advance(tick_now(),
                   [](wheel_node& node) { static_cast<connection_impl::deadline_node&>(node).owner->on_deadline(); });
    end_of_wakeup();
    need_tick();
  });
}

void io_thread_impl::give_buffer(std::string&& used) noexcept {
  if (used.capacity() > max_spare_buffer_bytes) return;
  used.clear();
  spare_buffer_ = std::move(used);
}

}  // namespace tern::websocket
