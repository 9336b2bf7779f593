// Thrift compact encoding of the described structs. Instantiated in thrift_codec.cpp for every struct.
#pragma once

#include <string>

#include "libs/wire/fields.hpp"
#include "libs/wire/thrift_in.hpp"

namespace tern::wire {

/// Decodes one struct that spans all of `bytes` into the default-constructed `out`. On false `why` names the fault.
template <class T>
bool thrift_decode(std::string_view bytes, const decode_limits& limits, T& out, const char*& why);

/// Appends the struct to `out`.
template <class T>
void thrift_encode(const T& value, std::string& out);

}  // namespace tern::wire
