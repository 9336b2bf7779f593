// The streams that come in from session nodes, as rooms hold on to them, and who asked.
#pragma once

#include <tern/group/v1/group.pb.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "libs/rpc/network.hpp"

namespace tern::group {

/// One stream to a room's owner. Interests belong to the stream they came over; a new stream of the same node is
/// another object.
template <class Reply>
struct incoming_stream {
  std::string node;
  uint64_t incarnation = 0;
  std::shared_ptr<rpc::sink<Reply>> out;
  std::atomic<bool> up{true};
};
struct session_stream : incoming_stream<v1::GroupReply> {};
using session_ptr = std::shared_ptr<session_stream>;

/// Counts itself in `where` from its making to its end, wherever it is moved to: a request that was taken and is not
/// answered yet, even one whose room's actor has died.
class ticket {
 public:
  ticket() = default;
  explicit ticket(std::atomic<int64_t>& where) : where_(&where) { ++*where_; }
  ticket(const ticket& other) : where_(other.where_) {
    if (where_ != nullptr) ++*where_;
  }
  ticket(ticket&& other) noexcept : where_(std::exchange(other.where_, nullptr)) {}
  ticket& operator=(ticket other) noexcept {
    std::swap(where_, other.where_);
    return *this;
  }
  ~ticket() {
    if (where_ != nullptr) --*where_;
  }

 private:
  std::atomic<int64_t>* where_ = nullptr;
};

/// Where an answer goes.
struct caller {
  session_ptr stream;
  uint64_t call = 0;
  ticket counted = {};
};

}  // namespace tern::group
