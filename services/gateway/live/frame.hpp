// One frame of a virtual room on its way to its viewers, in every form they asked for.
#pragma once

#include <tern/group/v1/group.pb.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "libs/wire/codec.hpp"

namespace tern::gateway::live {

/// How a viewer gets frames: STREAM in one of the two encodings, or BIGBINARYSTREAM. `none`: it has to do with the
/// room without watching it.
enum class form : uint8_t { thrift = 0, json = 1, binary = 2, none = 3 };
inline constexpr size_t forms = 3;
inline constexpr form form_of(wire::encoding enc) noexcept {
  return enc == wire::encoding::json ? form::json : form::thrift;
}

/// A whole WebSocket message, shared by everybody it goes to.
using message_ptr = std::shared_ptr<const std::string>;

/// Immutable.
struct made_frame {
  std::array<message_ptr, forms> messages;  // null: nobody wanted that form
  int64_t received_ns = 0;                  // wall clock at the pusher's gateway
};
using made_frame_ptr = std::shared_ptr<const made_frame>;

/// Encodes the frame once per form in `wanted`.
made_frame_ptr make_frame(const group::v1::LiveFrame& frame, const std::array<bool, forms>& wanted);

}  // namespace tern::gateway::live
