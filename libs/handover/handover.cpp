#include "libs/handover/handover.hpp"

#include <zlib.h>

namespace tern::handover {

uint32_t checksum(std::string_view body) {
  return static_cast<uint32_t>(::crc32_z(0, reinterpret_cast<const unsigned char*>(body.data()), body.size()));
}

}  // namespace tern::handover
