#include "services/session/login.hpp"

#include <utility>

#include "services/session/directory.hpp"
#include "services/session/relay/relay_accounts.hpp"

namespace tern::session {
namespace {

void send(const gateway_ptr& to, v1::SessionItem item) {
  if (!to->out->send(std::move(item)) && to->up) to->out->close();
}

void refuse_login(const gateway_ptr& to, uint64_t conn, errc code, uint64_t epoch) {
  v1::SessionItem item;
  v1::LoginResult& result = *item.mutable_login_result();
  result.set_conn(conn);
  result.set_code(static_cast<int32_t>(code));
  result.set_epoch(epoch);
  send(to, std::move(item));
}

uint64_t epoch_of(const placement::range* range) { return range == nullptr ? 0 : range->epoch; }

/// The password or token was right: to the account's owner.
void logged_in(const environment& env, const gateway_ptr& from, const v1::Login& login,
               const storage::v1::LoggedIn& who) {
  const int64_t login_ns = env.time.wall_ns();
  std::shared_lock turn_lasts(env.directory->turns());
  const auto map = env.cluster->get();
  const account_id account{who.account()};
  if (owned_range(env, *map, slot_of(account)) == nullptr) {
    v1::SessionItem item;
    v1::LoginResult& result = *item.mutable_login_result();
    result.set_conn(login.conn());
    result.set_account(who.account());
    result.set_domain(who.domain());
    result.set_redirect(true);
    result.set_login_ns(login_ns);
    result.set_epoch(epoch_of(map->sessions.find(slot_of(account))));
    turn_lasts.unlock();
    return send(from, std::move(item));
  }
  v1::Bind bind;
  bind.set_conn(login.conn());
  bind.set_account(who.account());
  bind.set_domain(who.domain());
  bind.set_resource(login.resource());
  bind.set_termtyp(login.termtyp());
  bind.set_json(login.json());
  bind.set_login_ns(login_ns);
  bind.set_next_seq(1);
  bind.set_fresh(true);
  env.directory->post(account, bind_event{from, std::move(bind)});
}

storage::v1::StorageRequest request_of(const v1::Login& login) {
  storage::v1::StorageRequest request;
  if (!login.token().empty()) {
    storage::v1::TokenLogin& what = *request.mutable_token_login();
    what.set_token(login.token());
    what.set_name_key(login.name_key());
    what.set_address(login.address());
  } else {
    storage::v1::PasswordLogin& what = *request.mutable_password_login();
    what.set_name_key(login.name_key());
    what.set_password(login.password());
    what.set_address(login.address());
  }
  return request;
}

void answer_call(const gateway_ptr& to, uint64_t call, errc code, std::string text) {
  v1::SessionItem item;
  v1::AccountResult& result = *item.mutable_account_result();
  result.set_call(call);
  result.set_code(static_cast<int32_t>(code));
  result.set_text(std::move(text));
  send(to, std::move(item));
}

storage::v1::StorageRequest request_of(const v1::AccountCall& call) {
  storage::v1::StorageRequest request;
  if (call.kind() == v1::AccountCall::REGISTER) {
    storage::v1::AccountCreate& what = *request.mutable_account_create();
    what.set_account(call.slot_key());
    what.set_name_key(call.name_key());
    what.set_password(call.password());
    what.set_domain(call.domain());
  } else {
    storage::v1::TokenIssue& what = *request.mutable_token_issue();
    what.set_name_key(call.name_key());
    what.set_password(call.password());
    what.set_domain(call.domain());
    what.set_address(call.address());
  }
  return request;
}

}  // namespace

void start_login(const environment& env, gateway_ptr from, v1::Login login) {
  const auto map = env.cluster->get();
  const slot_type slot = slot_of(login.slot_key());
  const uint64_t epoch = epoch_of(map->sessions.find(slot));
  if (owned_range(env, *map, slot) == nullptr) {
    env.metrics.wrong_owner_total.add();
    return refuse_login(from, login.conn(), errc::wrong_owner, epoch);
  }
  if (login.token().empty() && login.name_key().empty())
    return refuse_login(from, login.conn(), errc::no_pass, epoch);
  if (env.relay != nullptr) {
    const auto who = env.relay->log_in(login);
    return who ? logged_in(env, from, login, *who) : refuse_login(from, login.conn(), who.code(), epoch);
  }
  auto request = request_of(login);
  login.clear_password();
  env.storage->ask(slot, std::move(request), patience::deadline,
                   [&env, from = std::move(from), login = std::move(login), epoch](storage_answer& got) {
                     if (got.code != errc::ok) return refuse_login(from, login.conn(), got.code, epoch);
                     logged_in(env, from, login, got.reply.logged_in());
                   });
}

void start_account_call(const environment& env, gateway_ptr from, v1::AccountCall call) {
  const auto map = env.cluster->get();
  const slot_type slot = slot_of(call.slot_key());
  if (owned_range(env, *map, slot) == nullptr) {
    env.metrics.wrong_owner_total.add();
    return answer_call(from, call.call(), errc::wrong_owner, {});
  }
  if (env.relay != nullptr) return answer_call(from, call.call(), errc::ok, env.relay->call(call));
  env.storage->ask(slot, request_of(call), patience::deadline,
                   [from = std::move(from), number = call.call(), kind = call.kind()](storage_answer& got) {
                     if (got.code != errc::ok) return answer_call(from, number, got.code, {});
                     if (kind == v1::AccountCall::TOKEN)
                       return answer_call(from, number, errc::ok, got.reply.token_issued().token());
                     answer_call(from, number, errc::ok, to_node(account_id{got.reply.account_created().account()}));
                   });
}

}  // namespace tern::session
