// One BIGSTRING, BIGBINARY or BIGBINARYSTREAM of a client, put together from the WebSocket messages it comes in.
// Pure: no I/O, no clock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "libs/wire/big_data.hpp"
#include "libs/wire/frame.hpp"

namespace tern::gateway {

/// Memory grows with what came: at most twice of it, and never above the announced length. Not thread-safe.
class big_data_assembler {
 public:
  /// What the bytes taken make of the frame.
  enum class step : uint8_t {
    more,        // not complete
    complete,    // to be taken with take_body()
    passed,      // complete, after it was given up
    overrun,     // they are more than were announced; nothing was taken
    unreadable,  // no separator, or a node that is empty or too long; to be given up
    too_large,   // more data than allowed; to be given up
  };

  /// `total`: the announced length of the whole frame, type byte and length included, as wire::big_length_in says.
  /// `most_data`: bytes allowed behind the separator.
  big_data_assembler(wire::frame_type type, wire::encoding enc, size_t total, size_t most_data);

  wire::frame_type type() const noexcept { return type_; }
  wire::encoding encoding() const noexcept { return enc_; }
  /// Heap held when `bytes` more have been taken; for asking before.
  size_t needed(size_t bytes) const noexcept;
  /// Heap held now.
  size_t held() const noexcept;
  /// The next bytes; of the first message those behind the length. Of a frame that was given up they are passed over.
  step take(std::string_view bytes);
  /// Gives the memory back; the rest of the frame is passed over.
  void give_up() noexcept;
  bool given_up() const noexcept { return given_up_; }
  /// Nothing more is to come.
  bool ended() const noexcept { return received_ == total_; }

  /// Whom a complete frame is for.
  const std::string& node() const noexcept { return node_; }
  /// A complete frame: node, separator and data; of BIGBINARYSTREAM the data alone.
  std::string take_body() { return std::move(body_); }

 private:
  step look_for_node();

  wire::frame_type type_;
  wire::encoding enc_;
  bool given_up_ = false;
  size_t total_;
  size_t received_ = wire::big_head_bytes;
  size_t most_data_;
  std::string node_;  // empty: the separator has not come yet
  std::string body_;
};

}  // namespace tern::gateway
