#include "services/session/links/late_acks.hpp"

#include <utility>

namespace tern::session {

void late_notices(const environment& env, const v1::Acked& acked) {
  storage::v1::StorageRequest request;
  for (const v1::DeliveryRef& ref : acked.refs()) {
    if (ref.kind() == v1::DeliveryRef::NOTICE) request.mutable_notice_drop()->add_notice_ids(ref.mid());
  }
  if (!request.has_notice_drop()) return;
  request.mutable_notice_drop()->set_account(acked.account());
  env.storage->ask(slot_of(acked.account()), std::move(request), patience::until_answered, [](storage_answer&) {});
}

}  // namespace tern::session
