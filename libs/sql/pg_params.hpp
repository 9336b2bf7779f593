// Parameters of one prepared statement in PostgreSQL's binary formats (src/backend/utils/adt: array_recv, int8recv
// …).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tern::sql {

/// Values are appended to one buffer; clear() keeps its memory. The statement must cast each parameter to the type
/// that the member function names, because nothing else tells the server.
class pg_params {
 public:
  void clear();
  pg_params& int8(int64_t number);  // ::bigint
  pg_params& int8(uint64_t number) { return int8(static_cast<int64_t>(number)); }
  pg_params& bytes(std::string_view data);  // ::bytea or ::text

  /// Arrays: `get(row)` gives the element. ::smallint[], ::int[], ::bigint[].
  template <class Rows, class Get>
  pg_params& int2s(const Rows& rows, Get get) {
    start_array(oid_int2, rows.size());
    for (const auto& item : rows) put_element(static_cast<uint64_t>(get(item)), 2);
    return finish();
  }
  template <class Rows, class Get>
  pg_params& int4s(const Rows& rows, Get get) {
    start_array(oid_int4, rows.size());
    for (const auto& item : rows) put_element(static_cast<uint64_t>(get(item)), 4);
    return finish();
  }
  template <class Rows, class Get>
  pg_params& int8s(const Rows& rows, Get get) {
    start_array(oid_int8, rows.size());
    for (const auto& item : rows) put_element(static_cast<uint64_t>(get(item)), 8);
    return finish();
  }
  /// ::bytea[]; `get` gives a string_view. Empty ones become NULL if asked.
  template <class Rows, class Get>
  pg_params& byteas(const Rows& rows, Get get, bool empty_is_null = false) {
    start_array(oid_bytea, rows.size());
    for (const auto& item : rows) put_element(std::string_view(get(item)), empty_is_null);
    return finish();
  }
  /// ::text[].
  template <class Rows, class Get>
  pg_params& texts(const Rows& rows, Get get) {
    start_array(oid_text, rows.size());
    for (const auto& item : rows) put_element(std::string_view(get(item)), false);
    return finish();
  }

  int count() const { return static_cast<int>(ends_.size()); }
  /// For libpq; valid until the next change.
  const char* const* values();
  const int* lengths() const { return lengths_.data(); }
  const int* formats() const { return formats_.data(); }

 private:
  static constexpr uint32_t oid_bytea = 17, oid_int8 = 20, oid_int2 = 21, oid_int4 = 23, oid_text = 25;

  void put(uint64_t number, size_t width) {
    for (size_t i = width; i > 0; --i) *at_++ = static_cast<char>(number >> (8 * (i - 1)));
  }
  /// At least `size` bytes can be written at at_ afterwards.
  void room(size_t size);
  void start_array(uint32_t element, size_t size);
  void put_element(uint64_t number, size_t width) {
    room(12);
    put(width, 4);
    put(number, width);
  }
  void put_element(std::string_view data, bool empty_is_null);
  pg_params& finish();

  std::string buffer_;
  char* at_ = nullptr;        // end of what is written
  size_t start_ = 0;          // of the parameter being written
  std::vector<size_t> ends_;  // of each parameter in buffer_
  std::vector<int> lengths_;
  std::vector<int> formats_;  // all binary
  std::vector<const char*> values_;
};

}  // namespace tern::sql
