// The listening socket: accepts, applies the limits, hands connections to the io thread with the fewest.
#pragma once

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <mutex>
#include <vector>

#include "libs/websocket/io_thread.hpp"

namespace tern::websocket {

/// Runs on the first io thread; listen() before that, close() from any thread.
class acceptor {
 public:
  acceptor(std::shared_ptr<server_state> state, const std::vector<std::shared_ptr<io_thread_impl>>& threads);

  result<void> listen();
  uint16_t port() const noexcept { return port_; }
  /// Starts to accept; on the first io thread or before it runs.
  void start();
  /// From now on connecting fails. Thread-safe, idempotent.
  void close();
  /// Takes close() back. Thread-safe.
  void reopen();

 private:
  using acceptor_type =
      boost::asio::basic_socket_acceptor<boost::asio::ip::tcp, boost::asio::io_context::executor_type>;

  void open_again();
  void wait();
  void accept_some();
  void accepted(unique_fd fd, peer_address address);
  void back_off();
  io_thread_impl& least_loaded() const noexcept;

  const std::shared_ptr<server_state> state_;
  const std::vector<std::shared_ptr<io_thread_impl>>& threads_;
  acceptor_type socket_;
  boost::asio::steady_timer retry_;
  uint16_t port_ = 0;
  std::mutex close_mutex_;
  bool closed_ = false;  // guarded by close_mutex_
};

}  // namespace tern::websocket
