#include "services/session/commands/business_password.hpp"

#include "services/session/commands/answers.hpp"
#include "services/session/commands/business.hpp"

namespace tern::session {
namespace {

constexpr size_t max_password_bytes = 512;

}  // namespace

void run_password_change(session_state& state, const origin& from, const wire::tim_req& req) {
  const std::string_view old_one = req.req_str.value_or("");
  const std::string_view new_one = req.req_str2.value_or("");
  if (old_one.empty() || new_one.empty() || new_one.size() > max_password_bytes)
    return state.refuse(from, errc::password_change);
  storage::v1::StorageRequest request;
  request.set_trace(from.trace);
  storage::v1::PasswordChange& change = *request.mutable_password_change();
  change.set_account(state.account().value);
  change.set_old_password(std::string(old_one));
  change.set_new_password(std::string(new_one));
  state.ask(slot_of(state.account()), std::move(request), patience::deadline,
            [from](session_state& again, storage_answer& got) {
              if (got.code == errc::no_pass) return again.refuse(from, errc::password_change);
              if (got.code != errc::ok) return again.refuse(from, got.code);
              again.log_out_others(from, errc::expired);
              accept(again, from, {.t = change_password});
            });
}

}  // namespace tern::session
