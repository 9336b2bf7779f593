#include "libs/sql/pg_params.hpp"

#include <algorithm>
#include <cstring>

namespace tern::sql {
namespace {

constexpr size_t first_room = 64 * 1024;

}  // namespace

void pg_params::clear() {
  at_ = buffer_.data();
  start_ = 0;
  ends_.clear();
  lengths_.clear();
  formats_.clear();
}

void pg_params::room(size_t size) {
  const size_t used = at_ == nullptr ? 0 : static_cast<size_t>(at_ - buffer_.data());
  if (used + size <= buffer_.size() && at_ != nullptr) return;
  buffer_.resize(std::max({first_room, 2 * buffer_.size(), used + size}));
  at_ = buffer_.data() + used;
}

void pg_params::start_array(uint32_t element, size_t size) {
  room(20);
  put(size == 0 ? 0 : 1, 4);  // dimensions: an empty array has none
  put(1, 4);                  // it may have NULLs
  put(element, 4);
  if (size == 0) return;
  put(size, 4);
  put(1, 4);  // lower bound
}

void pg_params::put_element(std::string_view data, bool empty_is_null) {
  room(4 + data.size());
  if (data.empty()) {
    put(empty_is_null ? 0xFFFFFFFFU : 0, 4);
    return;
  }
  put(data.size(), 4);
  std::memcpy(at_, data.data(), data.size());
  at_ += data.size();
}

pg_params& pg_params::int8(int64_t number) {
  room(8);
  put(static_cast<uint64_t>(number), 8);
  return finish();
}

pg_params& pg_params::bytes(std::string_view data) {
  room(data.size());
  if (!data.empty()) std::memcpy(at_, data.data(), data.size());
  at_ += data.size();
  return finish();
}

pg_params& pg_params::finish() {
  const auto end = static_cast<size_t>(at_ - buffer_.data());
  ends_.push_back(end);
  lengths_.push_back(static_cast<int>(end - start_));
  formats_.push_back(1);
  start_ = end;
  return *this;
}

const char* const* pg_params::values() {
  values_.clear();
  size_t begin = 0;
  for (const auto end : ends_) {
    values_.push_back(buffer_.data() + begin);
    begin = end;
  }
  return values_.data();
}

}  // namespace tern::sql
