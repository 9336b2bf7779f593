// Operators (ternctl) -> storage: steps of an account's erasure.
#pragma once

#include <tern/erasure/v1/erasure.pb.h>

namespace tern::rpc {

struct erasure_stream {
  using up = erasure::v1::ErasureRequest;
  using up_batch = erasure::v1::ErasureRequestBatch;
  using down = erasure::v1::ErasureReply;
  using down_batch = erasure::v1::ErasureReplyBatch;
  static constexpr const char* method = "/tern.erasure.v1.ErasureService/Work";
};

}  // namespace tern::rpc
