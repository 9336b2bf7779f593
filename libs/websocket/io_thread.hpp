// One io thread of the server: an io_context, its connections, its deadlines and the queue of work from other
// threads.
#pragma once

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "libs/websocket/counters.hpp"
#include "libs/websocket/server_state.hpp"
#include "libs/websocket/timer_wheel.hpp"

namespace tern::websocket {

class connection_impl;

/// Everything but post() and counters() on its own thread. Held by shared_ptr: a late reply may reach for it.
class io_thread_impl final : public io_thread, public std::enable_shared_from_this<io_thread_impl> {
 public:
  io_thread_impl(std::shared_ptr<server_state> state, size_t index);
  ~io_thread_impl() override;

  size_t index() const noexcept override { return index_; }
  void post(std::function<void()> work) override;
  void every(std::chrono::milliseconds period, std::function<void()> work) override;
  void after(std::chrono::milliseconds delay, std::function<void()> work) override;
  connection* find(uint64_t id) noexcept override;
  void for_each(const std::function<void(connection&)>& visit) override;

  /// Starts the thread.
  void start();
  /// Makes the thread drop its connections and end. From any thread.
  void begin_stop();
  void join();

  /// What to do with a connection handed over by the acceptor.
  enum class welcome : uint8_t { serve, turn_away };
  void adopt(unique_fd fd, peer_address address, welcome how);
  /// Connections given to this thread and not removed yet, also those on their way to it. Any thread.
  size_t load() const noexcept { return load_.load(std::memory_order_relaxed); }
  void add_load() noexcept { load_.fetch_add(1, std::memory_order_relaxed); }

  // For the connections of this thread.
  connection_impl* any(uint64_t id) noexcept;
  void mark_dirty(std::shared_ptr<connection_impl> one) { dirty_.push_back(std::move(one)); }
  /// Settles all connections that something happened to: one write each. At the end of every asio handler.
  void end_of_wakeup();
  void remove(uint64_t id) {
    connections_.erase(id);
    load_.fetch_sub(1, std::memory_order_relaxed);
  }
  void set_deadline(wheel_node& node, std::chrono::milliseconds after) noexcept;
  void clear_deadline(wheel_node& node) noexcept { wheel_.clear(node); }
  /// Seconds on the thread's coarse clock.
  uint64_t coarse_seconds() const noexcept { return tick_now() / ticks_per_second; }
  std::string& read_buffer() noexcept { return read_buffer_; }
  /// An empty output buffer, with the capacity of one given back when there is one.
  std::string take_buffer() noexcept { return std::exchange(spare_buffer_, {}); }
  void give_buffer(std::string&& used) noexcept;
  server_state& state() noexcept { return *state_; }
  thread_counters& counters() noexcept { return counters_; }
  boost::asio::io_context& context() noexcept { return context_; }

 private:
  static constexpr uint64_t ticks_per_second = 10;
  static constexpr std::chrono::milliseconds tick{1000 / ticks_per_second};

  struct periodic {
    boost::asio::steady_timer timer;
    std::chrono::milliseconds period;
    std::function<void()> work;
  };

  uint64_t tick_now() const noexcept;
  void need_tick();
  void wait_periodic(periodic& one);
  void run_posted();
  void stop_here();

  const std::shared_ptr<server_state> state_;
  const size_t index_;
  thread_counters counters_;
  std::atomic<size_t> load_{0};
  const std::chrono::steady_clock::time_point epoch_ = std::chrono::steady_clock::now();

  boost::asio::io_context context_{1};
  /// Until it stops the thread runs even with nothing to wait for.
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> open_{context_.get_executor()};
  boost::asio::steady_timer tick_timer_{context_};
  std::list<periodic> periodics_;
  std::list<boost::asio::steady_timer> once_;
  timer_wheel wheel_;
  bool ticking_ = false;  // while there are deadlines: a thread without any sleeps
  std::string read_buffer_;
  std::string spare_buffer_;
  uint64_t next_id_ = 0;
  bool stopped_ = false;
  std::unordered_map<uint64_t, std::shared_ptr<connection_impl>> connections_;
  std::vector<std::shared_ptr<connection_impl>> dirty_;

  std::mutex post_mutex_;
  std::vector<std::function<void()>> posted_;   // guarded by post_mutex_
  bool closed_for_posts_ = false;               // guarded by post_mutex_
  std::vector<std::function<void()>> running_;  // the batch being run
  std::thread thread_;
};

}  // namespace tern::websocket
