#include "services/gateway/commands/auth.hpp"

#include <tern/session/v1/session.pb.h>

#include "libs/crypto/identity.hpp"
#include "libs/crypto/token.hpp"
#include "services/gateway/client.hpp"

namespace tern::gateway::commands {

namespace {

/// What a TimAuth says about who logs on. errc::ok, or why it cannot be anybody.
errc read_login(core& shared, const wire::tim_auth& auth, session::v1::Login& login) {
  const wire::text domain = auth.domain.value_or("");
  const bool named = auth.name && !auth.name->empty();
  if (!crypto::valid_domain(domain)) return errc::permission_denied;
  if (auth.resource && auth.resource->size() > 64) return errc::bad_parameter;
  login.set_domain(std::string(domain));
  login.set_resource(std::string(auth.resource.value_or("")));
  login.set_termtyp(auth.termtyp.value_or(0));
  if (named) {
    if (!crypto::valid_name(*auth.name)) return errc::permission_denied;
    login.set_name_key(crypto::name_key(shared.config.identity_key, domain, *auth.name));
    login.set_slot_key(crypto::account_of(login.name_key()).value);
  }
  if (auth.token && !auth.token->empty()) {
    const auto token = crypto::parse_token(*auth.token);
    if (!token) return errc::bad_token;
    login.set_token(std::string(*auth.token));
    login.set_slot_key(token->account.value);
    return errc::ok;
  }
  if (!named || !auth.pwd || auth.pwd->empty()) return errc::permission_denied;
  login.set_password(std::string(*auth.pwd));
  return errc::ok;
}

}  // namespace

void auth(client& from, const wire::inbound_frame& frame) {
  const auto type = static_cast<uint8_t>(frame.type);
  core& shared = from.shared();
  if (from.state() == phase::authenticating) {
    from.another_auth();
    return;
  }
  wire::arena& memory = from.where().scratch();
  memory.clear();
  const auto decoded = wire::decode<wire::tim_auth>(frame.enc, frame.payload, memory);
  if (!decoded) {
    from.bad_frame(type, frame.enc, errc::bad_format);
    return;
  }
  session::v1::Login login;
  const errc problem = read_login(shared, *decoded, login);
  // The id of a name is its first probe but once in 2^64 names, so this tells one account from another well enough
  // here.
  const bool other = from.is_bound() && login.slot_key() != from.account().value;
  if (problem != errc::ok || other) {
    shared.metrics.command(type, frame.enc, outcome::refused);
    from.refuse(type, problem != errc::ok ? problem : errc::permission_denied, refusal::login);
    return;
  }
  shared.metrics.command(type, frame.enc, outcome::ok);
  if (from.is_bound()) {
    from.send_login_ack();
    return;
  }
  login.set_json(frame.enc == wire::encoding::json);
  login.set_address(from.remote_address());
  from.start_login(std::move(login), frame.enc);
}

}  // namespace tern::gateway::commands
