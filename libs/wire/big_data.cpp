#include "libs/wire/big_data.hpp"

#include <limits>

namespace tern::wire {
namespace {

constexpr size_t shortest_frame = big_head_bytes + 2;  // one byte of node and the separator

size_t announced(std::string_view payload) noexcept {
  uint32_t length = 0;
  for (size_t i = 0; i < big_head_bytes - 1; ++i) length = length << 8U | static_cast<uint8_t>(payload[i]);
  return length;
}

}  // namespace

result<size_t> big_length_in(std::string_view payload, size_t max_bytes) noexcept {
  if (payload.size() < big_head_bytes - 1) return errc::big_data;
  const size_t length = announced(payload);
  // A negative int32 shows as more than its maximum.
  if (length > std::numeric_limits<int32_t>::max() || length < shortest_frame || length > max_bytes) {
    return errc::big_data;
  }
  return length;
}

result<std::optional<size_t>> big_length(std::string_view start, size_t max_bytes) noexcept {
  if (start.size() < big_head_bytes) return std::optional<size_t>{};
  const auto length = big_length_in(start.substr(1), max_bytes);
  if (!length) return length.code();
  return std::optional{*length};
}

result<big_data> split_big(frame_type type, std::string_view body) noexcept {
  for (size_t i = 0; i < body.size() && i <= big_node_bytes; ++i) {
    if (!is_big_separator(type, body[i])) continue;
    if (i == 0) return errc::big_data;
    return big_data{type, body.substr(0, i), body.substr(i + 1)};
  }
  return errc::big_data;
}

result<big_data> parse_big(std::string_view frame) noexcept {
  const auto head = parse_frame(frame);
  if (!head || !is_big(head->type)) return errc::big_data;
  if (frame.size() < shortest_frame || announced(frame.substr(1)) != frame.size()) return errc::big_data;
  return split_big(head->type, frame.substr(big_head_bytes));
}

void write_big(const big_data& big, std::string& out) {
  out.reserve(out.size() + 2 + big.node.size() + big.data.size());
  out.push_back(static_cast<char>(big.type));
  out.append(big.node);
  out.push_back(big_separator(big.type));
  out.append(big.data);
}

result<void> write_big_request(const big_data& big, std::string& out) {
  const size_t length = big_head_bytes + 1 + big.node.size() + big.data.size();
  if (length > std::numeric_limits<int32_t>::max()) return errc::big_data;
  out.reserve(out.size() + length);
  out.push_back(static_cast<char>(big.type));
  for (unsigned i = 0; i < 4; ++i) out.push_back(static_cast<char>(length >> (24U - 8U * i)));
  out.append(big.node);
  out.push_back(big_separator(big.type));
  out.append(big.data);
  return {};
}

}  // namespace tern::wire
