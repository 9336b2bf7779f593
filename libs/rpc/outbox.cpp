#include "libs/rpc/outbox.hpp"

#include <google/protobuf/message_lite.h>

#include <utility>

namespace tern::rpc::detail {
namespace {

constexpr char item_tag = 0x0A;    // field 1, length-delimited
constexpr char credit_tag = 0x10;  // field 2, varint

void put_varint(std::string& to, uint64_t value) {
  while (value >= 0x80U) {
    to.push_back(static_cast<char>(value | 0x80U));
    value >>= 7U;
  }
  to.push_back(static_cast<char>(value));
}

bool get_varint(std::string_view& from, uint64_t& value) {
  value = 0;
  for (unsigned shift = 0; shift < 64 && !from.empty(); shift += 7) {
    const auto byte = static_cast<uint8_t>(from.front());
    from.remove_prefix(1);
    value |= static_cast<uint64_t>(byte & 0x7FU) << shift;
    if (byte < 0x80U) return true;
  }
  return false;
}

/// One field of an encoded message; `bytes` of a length-delimited one, `number` of a varint.
struct field {
  uint64_t tag = 0;
  uint64_t number = 0;
  std::string_view bytes;
};

bool next_field(std::string_view& rest, field& out) {
  if (!get_varint(rest, out.tag)) return false;
  size_t skip = 0;
  switch (out.tag & 7U) {
    case 0: return get_varint(rest, out.number);
    case 1: skip = 8; break;
    case 2:
      if (!get_varint(rest, out.number) || out.number > rest.size()) return false;
      skip = out.number;
      break;
    case 5: skip = 4; break;
    default: return false;
  }
  if (skip > rest.size()) return false;
  out.bytes = rest.substr(0, skip);
  rest.remove_prefix(skip);
  return true;
}

}  // namespace

bool outbox::push(const google::protobuf::MessageLite& item) {
  const size_t size = item.ByteSizeLong();
  if (size > limits_.item_bytes || items_ + 1 > limits_.items || bytes_ + size > limits_.bytes) return false;
  append(item, size);
  return true;
}

bool outbox::push_all(item_list& items) {
  const size_t count = items.size();
  if (items_ + count > limits_.items) return false;
  size_t total = 0;
  for (size_t i = 0; i < count; ++i) {
    const size_t size = items.at(i).ByteSizeLong();  // also caches the sizes that append() needs
    if (size > limits_.item_bytes) return false;
    total += size;
  }
  if (bytes_ + total > limits_.bytes) return false;
  for (size_t i = 0; i < count; ++i) append(items.at(i), static_cast<size_t>(items.at(i).GetCachedSize()));
  return true;
}

void outbox::append(const google::protobuf::MessageLite& item, size_t size) {
  if (chunks_.empty() || chunks_.back().items >= limits_.batch_items ||
      chunks_.back().bytes.size() + size > limits_.batch_bytes) {
    chunks_.emplace_back();
  }
  auto& last = chunks_.back();
  const size_t before = last.bytes.size();
  last.bytes.push_back(item_tag);
  put_varint(last.bytes, size);
  const size_t at = last.bytes.size();
  last.bytes.resize(at + size);
  item.SerializeWithCachedSizesToArray(reinterpret_cast<uint8_t*>(last.bytes.data() + at));
  ++last.items;
  ++items_;
  bytes_ += last.bytes.size() - before;
}

outbox::chunk outbox::take(uint64_t most) {
  auto& front = chunks_.front();
  if (front.items <= most) {
    chunk whole = std::move(front);
    chunks_.pop_front();
    return whole;
  }
  std::string_view rest = front.bytes;
  field ignored;
  for (uint64_t i = 0; i < most; ++i) next_field(rest, ignored);
  const size_t cut = front.bytes.size() - rest.size();
  chunk part{front.bytes.substr(0, cut), static_cast<uint32_t>(most)};
  front.bytes.erase(0, cut);
  front.items -= part.items;
  return part;
}

std::optional<std::string> outbox::next() {
  chunk out;
  if (credit_ > 0 && !chunks_.empty()) {
    out = take(credit_);
    credit_ -= out.items;
    items_ -= out.items;
    bytes_ -= out.bytes.size();
  } else if (owed_ == 0 || owed_ < limits_.window / 2) {
    return std::nullopt;
  }
  if (owed_ > 0) {
    out.bytes.push_back(credit_tag);
    put_varint(out.bytes, std::exchange(owed_, 0));
  }
  return std::move(out.bytes);
}

void outbox::clear() {
  chunks_.clear();
  items_ = 0;
  bytes_ = 0;
}

bool parse_batch(std::string_view encoded, item_list& items, uint64_t& credit) {
  size_t count = 0;
  field each;
  for (auto rest = encoded; !rest.empty();) {
    if (!next_field(rest, each)) return false;
    if (each.tag == static_cast<uint64_t>(item_tag)) ++count;
  }
  items.reserve(items.size() + count);
  for (auto rest = encoded; !rest.empty();) {
    if (!next_field(rest, each)) return false;
    if (each.tag == static_cast<uint64_t>(item_tag)) {
      const auto size = static_cast<int>(each.bytes.size());
      if (!items.add().ParseFromArray(each.bytes.data(), size)) return false;
    } else if (each.tag == static_cast<uint64_t>(credit_tag)) {
      credit += each.number;
    }
  }
  return true;
}

}  // namespace tern::rpc::detail
