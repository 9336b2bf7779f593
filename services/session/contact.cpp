#include "services/session/contact.hpp"

#include <algorithm>
#include <utility>

namespace tern::session {

result<account_id> other_account(const session_state& state, std::optional<std::string_view> node) {
  if (!node || node->empty()) return errc::bad_parameter;
  const auto other = account_from_node(*node);
  if (!other) return errc::bad_account;
  if (*other == state.account()) return errc::permission_denied;
  return *other;
}

result<room_id> room_of(std::optional<std::string_view> node, errc unreadable) {
  if (!node || node->empty()) return errc::bad_parameter;
  const auto id = from_node(node_kind::room, *node);
  if (!id || *id == 0) return unreadable;
  return room_id{*id};
}

bool foreign(const session_state& state, const wire::tid& place) {
  return place.domain && *place.domain != state.domain();
}

void check_account(session_state& state, account_id other, std::function<void(session_state&, errc)> then) {
  // One look at a time per account: answers of readers may overtake each other, and what waits here keeps its order.
  auto& checks = state.contact_checks();
  auto known =
      std::find_if(checks.begin(), checks.end(), [&](const contact_check& one) { return one.other == other; });
  if (known != checks.end()) {
    known->waiting.push_back(std::move(then));
    return;
  }
  checks.push_back({other, {}});
  checks.back().waiting.push_back(std::move(then));
  storage::v1::StorageRequest request;
  request.mutable_account_get()->set_account(other.value);
  state.ask(
      slot_of(other), std::move(request), patience::deadline, [other](session_state& again, storage_answer& got) {
        errc found = got.code;
        if (found == errc::not_found || found == errc::no_such_object) found = errc::bad_account;
        if (found == errc::ok && got.reply.account().domain() != again.domain()) found = errc::bad_account;
        auto& open = again.contact_checks();
        const auto at =
            std::find_if(open.begin(), open.end(), [&](const contact_check& one) { return one.other == other; });
        if (at == open.end()) return;
        const auto waiting = std::move(at->waiting);
        open.erase(at);
        for (const auto& one : waiting) one(again, found);
      });
}

}  // namespace tern::session
