// JSON encoding of the described structs. Instantiated in json_codec.cpp for every struct.
#pragma once

#include <string>

#include "libs/wire/codec.hpp"
#include "libs/wire/fields.hpp"

namespace tern::wire {

/// Decodes one JSON object into the default-constructed `out`. Names match without regard to ASCII case, null means
/// absent, unknown names are passed over. On false `why` names the fault.
template <class T>
bool json_decode(std::string_view bytes, arena& memory, const decode_limits& limits, T& out, const char*& why);

/// Appends the struct as one JSON object without white space, members in the order of the field ids.
template <class T>
void json_encode(const T& value, std::string& out);

}  // namespace tern::wire
