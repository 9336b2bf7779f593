#include "services/session/relay/relay_accounts.hpp"

#include "libs/crypto/identity.hpp"
#include "libs/crypto/token.hpp"

namespace tern::session {

result<storage::v1::LoggedIn> relay_accounts::log_in(const v1::Login& login) {
  storage::v1::LoggedIn out;
  if (login.token().empty()) {
    out.set_account(crypto::account_of(login.name_key()).value);
    out.set_domain(login.domain());
    return out;
  }
  const auto parsed = crypto::parse_token(login.token());
  if (!parsed) return errc::bad_token;
  if (!login.name_key().empty() && crypto::account_of(login.name_key()) != parsed->account) return errc::bad_token;
  const std::lock_guard held(mutex_);
  const auto now = time_.now();
  const auto known = tokens_.find(login.token());
  if (known == tokens_.end() || known->second.until <= now) return errc::bad_token;
  out.set_account(parsed->account.value);
  out.set_domain(known->second.domain);
  tokens_.erase(known);
  return out;
}

std::string relay_accounts::call(const v1::AccountCall& call) {
  const account_id account = crypto::account_of(call.name_key());
  if (call.kind() == v1::AccountCall::REGISTER) return to_node(account);
  std::string text = crypto::make_token(account);
  const std::lock_guard held(mutex_);
  const auto now = time_.now();
  drop_old(now);
  tokens_[text] = {call.domain(), now + life_};
  order_.emplace_back(now + life_, text);
  return text;
}

void relay_accounts::drop_old(clock::time_point now) {
  while (!order_.empty() && (order_.front().first <= now || order_.size() >= most_)) {
    tokens_.erase(order_.front().second);
    order_.pop_front();
  }
}

size_t relay_accounts::tokens() const {
  const std::lock_guard held(mutex_);
  return tokens_.size();
}

}  // namespace tern::session
