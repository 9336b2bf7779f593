// The storage of no-data mode: everything is empty, nothing is kept.
#pragma once

#include "services/session/links/storage.hpp"

namespace tern::session {

/// Thread-safe. Lists are empty and cursors go nowhere; whatever would have to be remembered is errc::bad_interface.
/// Answers come before ask() returns.
class no_storage final : public storage_port {
 public:
  void ask(slot_type slot, storage::v1::StorageRequest request, patience how, storage_callback then) override;
};

}  // namespace tern::session
