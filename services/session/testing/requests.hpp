// Client structs for tests, short to write.
#pragma once

#include <string>

#include "libs/base/ids.hpp"
#include "libs/wire/structs.hpp"

namespace tern::session {

/// A text for `node`; the strings must outlive the struct.
inline wire::tim_message text_to(const std::string& node, std::string_view text, int64_t id = 0) {
  wire::tim_message out;
  out.ms_type = 2;
  out.od_type = 1;
  wire::tid to;
  to.node = node;
  out.to_tid = to;
  out.data_string = text;
  if (id != 0) out.id = id;
  return out;
}

inline wire::tim_req req_of(int32_t rtype, std::string_view node = {}) {
  wire::tim_req out;
  out.rtype = rtype;
  if (!node.empty()) out.node = node;
  return out;
}

}  // namespace tern::session
