// result<T>: a value or an error, returned instead of throwing.
#pragma once

#include <string>
#include <utility>
#include <variant>

#include "libs/base/errc.hpp"

namespace tern {

/// What went wrong: the code decides, the detail is for logs and never for clients.
struct error {
  errc code = errc::internal;
  std::string detail;
};

/// A T or an error. Accessing the wrong side throws std::bad_variant_access (a bug).
template <class T>
class [[nodiscard]] result {
 public:
  result(T value) : state_(std::in_place_index<0>, std::move(value)) {}         // NOLINT(google-explicit-constructor)
  result(tern::error e) : state_(std::in_place_index<1>, std::move(e)) {}       // NOLINT(google-explicit-constructor)
  result(errc code) : state_(std::in_place_index<1>, tern::error{code, {}}) {}  // NOLINT(google-explicit-constructor)

  explicit operator bool() const noexcept { return state_.index() == 0; }
  T& value() & { return std::get<0>(state_); }
  const T& value() const& { return std::get<0>(state_); }
  T&& value() && { return std::get<0>(std::move(state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const tern::error& error() const { return std::get<1>(state_); }
  /// errc::ok when there is a value.
  errc code() const { return *this ? errc::ok : error().code; }

 private:
  std::variant<T, tern::error> state_;
};

template <>
class [[nodiscard]] result<void> {
 public:
  result() = default;
  result(tern::error e) : error_(std::move(e)), failed_(true) {}      // NOLINT(google-explicit-constructor)
  result(errc code) : error_{code, {}}, failed_(code != errc::ok) {}  // NOLINT(google-explicit-constructor)

  explicit operator bool() const noexcept { return !failed_; }
  const tern::error& error() const { return error_; }
  errc code() const { return failed_ ? error_.code : errc::ok; }

 private:
  tern::error error_{errc::ok, {}};
  bool failed_ = false;
};

}  // namespace tern
