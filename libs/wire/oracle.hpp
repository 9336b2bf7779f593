// libthrift's generated code as the oracle of tests and benchmarks: bytes to a generated struct and back.
#pragma once

#include <thrift/protocol/TCompactProtocol.h>
#include <thrift/transport/TBufferTransports.h>

#include <memory>
#include <string>
#include <string_view>

#include "libs/wire/structs.hpp"
#include "tim/tim_types.h"

namespace tern::wire {

/// The generated struct of each of ours.
template <class T>
struct oracle_of;
template <>
struct oracle_of<tim_error> {
  using type = ::tim::TimError;
};
template <>
struct oracle_of<tim_ack> {
  using type = ::tim::TimAck;
};
template <>
struct oracle_of<tim_req> {
  using type = ::tim::TimReq;
};
template <>
struct oracle_of<tid> {
  using type = ::tim::Tid;
};
template <>
struct oracle_of<tim_auth> {
  using type = ::tim::TimAuth;
};
template <>
struct oracle_of<tim_message> {
  using type = ::tim::TimMessage;
};
template <>
struct oracle_of<tim_message_list> {
  using type = ::tim::TimMessageList;
};
template <>
struct oracle_of<tim_presence> {
  using type = ::tim::TimPresence;
};
template <>
struct oracle_of<tim_stream> {
  using type = ::tim::TimStream;
};
template <>
struct oracle_of<tim_user_bean> {
  using type = ::tim::TimUserBean;
};
template <>
struct oracle_of<tim_room_bean> {
  using type = ::tim::TimRoomBean;
};
template <>
struct oracle_of<tim_nodes> {
  using type = ::tim::TimNodes;
};

/// libthrift counts what a transport has read over its whole life against a limit; this one starts anew each time.
class reusable_memory : public apache::thrift::transport::TMemoryBuffer {
 public:
  void start_message() { resetConsumedMessageSize(); }
};

/// A protocol over a buffer that is reused.
class oracle {
  using memory = reusable_memory;

 public:
  /// Throws libthrift's exceptions.
  template <class Generated>
  void decode(std::string_view bytes, Generated& out) {
    // OBSERVE reads the caller's memory; libthrift only lacks the const.
    buffer_->resetBuffer(const_cast<uint8_t*>(reinterpret_cast<const uint8_t*>(bytes.data())),
                         static_cast<uint32_t>(bytes.size()), memory::OBSERVE);
    buffer_->start_message();
    out.read(&reader_);
  }

  template <class Generated>
  std::string encode(const Generated& value) {
    encode_only(value);
    return written_->getBufferAsString();
  }

  template <class Generated>
  void encode_only(const Generated& value) {
    written_->resetBuffer();
    value.write(&writer_);
  }

 private:
  std::shared_ptr<memory> buffer_ = std::make_shared<memory>();
  std::shared_ptr<memory> written_ = std::make_shared<memory>();
  apache::thrift::protocol::TCompactProtocolT<memory> reader_{buffer_};
  apache::thrift::protocol::TCompactProtocolT<memory> writer_{written_};
};

}  // namespace tern::wire
