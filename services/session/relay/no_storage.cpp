#include "services/session/relay/no_storage.hpp"

#include <utility>

namespace tern::session {

void no_storage::ask(slot_type, storage::v1::StorageRequest request, patience, storage_callback then) {
  using storage::v1::StorageRequest;
  storage_answer got;
  got.request = std::move(request);
  switch (got.request.op_case()) {
    case StorageRequest::kBacklog: got.reply.mutable_backlog(); break;
    case StorageRequest::kAccountRooms: got.reply.mutable_account_rooms(); break;
    case StorageRequest::kCursorPut:
    case StorageRequest::kNoticeDrop: break;
    default: got.code = errc::bad_interface; break;
  }
  then(got);
}

}  // namespace tern::session
