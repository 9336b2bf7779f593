// The queue of one direction of a gRPC stream: items are serialised when they come and leave in batches, as far as
// the peer's credit goes. No I/O.
//
// A batch message is { repeated Item items = 1; uint32 credit = 2; }: its encoding is that of its fields one after
// the other, so a batch is built by appending and never encoded as a whole.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "libs/rpc/erased.hpp"

namespace tern::rpc::detail {

struct outbox_limits {
  size_t items = 65536;
  size_t bytes = 64U << 20U;
  uint32_t window = 8192;  // what we let the peer have under way; half of it is granted anew at a time
  uint32_t batch_items = 512;
  size_t batch_bytes = 1U << 20U;  // a larger item makes a batch of its own
  size_t item_bytes = 15U << 20U;  // refused beyond: a message must stay below 16 MiB
};

/// Not thread-safe: the stream guards it.
class outbox {
 public:
  explicit outbox(const outbox_limits& limits) : limits_(limits) {}

  /// False: full, or the item is too large; nothing was queued.
  bool push(const google::protobuf::MessageLite& item);
  bool push_all(item_list& items);
  /// The peer takes so many more items.
  void grant(uint64_t items) { credit_ += items; }
  /// We have handled so many items of the peer; it will be told with one of the next batches.
  void consumed(uint64_t items) { owed_ += items; }
  /// The next message to write, if anything may be written now.
  std::optional<std::string> next();
  void clear();

  size_t items() const noexcept { return items_; }
  size_t bytes() const noexcept { return bytes_; }

 private:
  struct chunk {
    std::string bytes;
    uint32_t items = 0;
  };
  void append(const google::protobuf::MessageLite& item, size_t size);
  chunk take(uint64_t most);

  const outbox_limits limits_;
  std::deque<chunk> chunks_;
  size_t items_ = 0;
  size_t bytes_ = 0;
  uint64_t credit_ = 0;
  uint64_t owed_ = 0;
};

/// Appends the items of an encoded batch to `items` and adds its credit to `credit`. Unknown fields are skipped.
/// False: malformed.
bool parse_batch(std::string_view encoded, item_list& items, uint64_t& credit);

}  // namespace tern::rpc::detail
