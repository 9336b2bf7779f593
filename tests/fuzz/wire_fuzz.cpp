// Fuzz target of libs/wire: the first byte picks the surface (a frame as the gateway takes it, big data, or one
// struct in one encoding), the rest is the input. Checks what must hold for any input: no crash, views inside bounds
// (ASan), what decodes encodes again to something that decodes to the same value, in both encodings. Built by clang
// with libFuzzer (tools/fuzz/fuzz.sh) and by the build's compiler with driver.cpp (a test).
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "libs/wire/big_data.hpp"
#include "libs/wire/codec.hpp"
#include "libs/wire/frame.hpp"
#include "libs/wire/message.hpp"

namespace {

using namespace tern::wire;

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "violated: %s\n", what);
  std::abort();
}

template <class T>
void fuzz_struct(encoding enc, std::string_view bytes) {
  arena memory;
  const auto decoded = decode<T>(enc, bytes, memory);
  if (!decoded) return;
  for (const encoding other : {encoding::thrift, encoding::json}) {
    const std::string again = encode(other, *decoded);
    arena second;
    // JSON may need more of its own limits (tokens) than the Thrift text did, so our own limits apply to neither.
    decode_limits limits = trusted_limits;
    limits.check_utf8 = true;
    const auto back = decode<T>(other, again, second, limits);
    require(static_cast<bool>(back), "what was encoded decodes");
    require(*back == *decoded, "decoding gives the encoded value");
    require(encode(other, *back) == again, "encoding is stable");
  }
}

void fuzz_frame(std::string_view bytes) {
  const auto frame = parse_frame(bytes);
  if (!frame) return;
  (void)parse_sync_id(frame->payload);
  std::string thrift;
  if (!transcode(direction::from_client, frame->type, frame->enc, encoding::thrift, frame->payload, thrift)) return;
  if (is_big(frame->type) || frame->type == frame_type::ack) return;
  std::string again;
  require(static_cast<bool>(transcode(direction::from_client, frame->type, encoding::thrift, encoding::thrift, thrift,
                                      again, trusted_limits)),
          "canonical bytes decode");
  require(again == thrift, "canonical bytes stay");
  // Every type that both sides send is now as the cluster would send it on.
  std::string json;
  (void)transcode(frame->type, encoding::thrift, encoding::json, thrift, json);
  std::string composed;
  if (frame->type == frame_type::message) {
    require(static_cast<bool>(compose_message(thrift, 1, 2, true, composed)), "a stored message is composed");
  }
}

void fuzz_big(std::string_view bytes) {
  (void)big_length(bytes, 1 << 20U);
  const auto big = parse_big(bytes);
  if (!big) return;
  std::string again;
  require(static_cast<bool>(write_big_request(*big, again)), "big data is written");
  const auto back = parse_big(again);
  require(back && back->node == big->node && back->data == big->data, "big data survives");
}

void fuzz_any_struct(unsigned which, encoding enc, std::string_view bytes) {
  switch (which) {
    case 0: return fuzz_struct<tim_message>(enc, bytes);
    case 1: return fuzz_struct<tim_ack>(enc, bytes);
    case 2: return fuzz_struct<tim_req>(enc, bytes);
    case 3: return fuzz_struct<tid>(enc, bytes);
    case 4: return fuzz_struct<tim_auth>(enc, bytes);
    case 5: return fuzz_struct<tim_error>(enc, bytes);
    case 6: return fuzz_struct<tim_message_list>(enc, bytes);
    case 7: return fuzz_struct<tim_presence>(enc, bytes);
    case 8: return fuzz_struct<tim_stream>(enc, bytes);
    case 9: return fuzz_struct<tim_user_bean>(enc, bytes);
    case 10: return fuzz_struct<tim_room_bean>(enc, bytes);
    default: return fuzz_struct<tim_nodes>(enc, bytes);
  }
}

}  // namespace

/// Byte 0: 'f' a frame, 'b' big data, 'A'+n struct n in Thrift, 'P'+n struct n in JSON; anything else a frame from
/// there.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const unsigned pick = data[0];
  if (pick == 'b') {
    fuzz_big(bytes);
  } else if (pick >= 'A' && pick < 'A' + 12) {
    fuzz_any_struct(pick - 'A', encoding::thrift, bytes);
  } else if (pick >= 'P' && pick < 'P' + 12) {
    fuzz_any_struct(pick - 'P', encoding::json, bytes);
  } else {
    fuzz_frame(pick == 'f' ? bytes : std::string_view(reinterpret_cast<const char*>(data), size));
  }
  return 0;
}
