// What lies between the typed templates of network.hpp and the transports: items as protobuf base classes, lists and
// receivers without their types. Only libs/rpc uses it.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

namespace google::protobuf {
class MessageLite;
}

namespace tern::rpc {

struct peer;

namespace detail {

/// Items of one protobuf type, in order.
class item_list {
 public:
  virtual ~item_list() = default;
  virtual size_t size() const noexcept = 0;
  virtual void clear() = 0;
  virtual void reserve(size_t count) = 0;
  /// A new, empty item at the end.
  virtual google::protobuf::MessageLite& add() = 0;
  virtual google::protobuf::MessageLite& at(size_t index) = 0;
  /// Moves `item` (of the list's type) to the end.
  virtual void append(google::protobuf::MessageLite& item) = 0;
  /// Moves all items of `other` (of the same type) to the end.
  virtual void append_all(item_list& other) = 0;
};

/// The sending side of a stream; what sink<Item> promises.
class raw_sink {
 public:
  virtual ~raw_sink() = default;
  /// `item` may be moved from on success; untouched on failure.
  virtual bool send(google::protobuf::MessageLite& item) = 0;
  virtual bool send_all(item_list& items) = 0;
  virtual void close() = 0;
};

/// The handler of one end of a stream. Calls come one after the other.
class receiver {
 public:
  virtual ~receiver() = default;
  /// Client side only.
  virtual void up(std::shared_ptr<raw_sink> out) = 0;
  /// An empty list of what items() takes.
  virtual std::unique_ptr<item_list> make_list() const = 0;
  virtual void items(item_list& list) = 0;
  virtual void down() = 0;
};

using raw_accept = std::function<std::shared_ptr<receiver>(const peer&, std::shared_ptr<raw_sink>)>;

template <class Item>
class typed_list final : public item_list {
 public:
  typed_list() = default;
  explicit typed_list(std::vector<Item> items) : values(std::move(items)) {}

  size_t size() const noexcept override { return values.size(); }
  void clear() override { values.clear(); }
  void reserve(size_t count) override { values.reserve(count); }
  google::protobuf::MessageLite& add() override { return values.emplace_back(); }
  google::protobuf::MessageLite& at(size_t index) override { return values[index]; }
  void append(google::protobuf::MessageLite& item) override { values.push_back(std::move(static_cast<Item&>(item))); }
  void append_all(item_list& other) override {
    auto& more = static_cast<typed_list&>(other).values;
    if (values.empty()) {
      values.swap(more);
    } else {
      for (auto& item : more) values.push_back(std::move(item));
    }
    more.clear();
  }

  std::vector<Item> values;
};

}  // namespace detail
}  // namespace tern::rpc
