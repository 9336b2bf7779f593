// A file sent through something that carries messages both ways: data made up here, window, acknowledgements and
// checksums of both ends. What carries it (a virtual room, a plain relay) is given.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "libs/client/loop.hpp"
#include "tools/bench/file_window.hpp"

namespace tern::bench {

/// SHA-256 of bytes that come in pieces (FIPS 180-4).
class digest {
 public:
  digest();
  ~digest();
  digest(const digest&) = delete;
  digest& operator=(const digest&) = delete;
  void add(std::string_view bytes);
  /// In hexadecimal; ends it.
  std::string finish();

 private:
  struct state;
  std::unique_ptr<state> state_;
};

/// Both ends. Loop's thread only; the loop outlives it.
class file_transfer {
 public:
  using put_function = std::function<void(std::string_view)>;

  /// `put_piece` carries a message from the sender to the receiver, `put_word` one back; both may lose some.
  file_transfer(client::loop& loop, const file_plan& plan, put_function put_piece, put_function put_word);
  ~file_transfer();
  file_transfer(const file_transfer&) = delete;
  file_transfer& operator=(const file_transfer&) = delete;

  void start();
  /// A message came at an end. Messages of the other direction are ignored, as both ends may hear each other in one
  /// room.
  void at_receiver(std::string_view message);
  void at_sender(std::string_view message);

  bool complete() const noexcept { return sender_.complete() && receiver_.complete(); }
  const send_window& sender() const noexcept { return sender_; }
  const receive_window& receiver() const noexcept { return receiver_; }
  /// After complete(): whether what arrived is what was sent.
  bool same_digest();
  const std::string& sent_digest() const noexcept { return sent_digest_; }

 private:
  void pump();
  void tick();
  void fill_piece(const send_window::piece& which);

  client::loop& loop_;
  const file_plan plan_;
  put_function put_piece_, put_word_;
  send_window sender_;
  receive_window receiver_;
  std::string block_;    // random bytes the file is made of
  std::string message_;  // being put together
  uint64_t hashed_ = 0;  // of the file, at the sender's end
  digest sent_, received_;
  std::string sent_digest_, received_digest_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace tern::bench
