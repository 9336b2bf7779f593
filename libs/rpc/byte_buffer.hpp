// Between std::string and grpc::ByteBuffer without copies where gRPC allows it. Includes grpcpp: for its two users
// only.
#pragma once

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/slice.h>

#include <string>
#include <string_view>
#include <utility>

namespace tern::rpc::detail {

/// The buffer owns the string.
inline grpc::ByteBuffer to_byte_buffer(std::string bytes) {
  auto* owned = new std::string(std::move(bytes));
  const grpc::Slice slice(
      owned->data(), owned->size(), [](void* data) { delete static_cast<std::string*>(data); }, owned);
  return {&slice, 1};
}

/// A view of the bytes of a received buffer, copied only if they came in several slices.
class flat_bytes {
 public:
  explicit flat_bytes(const grpc::ByteBuffer& from) {
    if (from.TrySingleSlice(&slice_).ok()) return;
    static_cast<void>(from.DumpToSingleSlice(&slice_));
  }
  std::string_view view() const { return {reinterpret_cast<const char*>(slice_.begin()), slice_.size()}; }

 private:
  grpc::Slice slice_;
};

}  // namespace tern::rpc::detail
