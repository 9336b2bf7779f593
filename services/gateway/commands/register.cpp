#include "services/gateway/commands/register.hpp"

#include <utility>

#include "libs/crypto/identity.hpp"
#include "services/gateway/lane.hpp"

namespace tern::gateway::commands {

namespace {

constexpr size_t max_password_bytes = 512;  // hashing is not to be fed more

bool usable(const wire::tim_auth& auth) {
  return auth.name && crypto::valid_name(*auth.name) && auth.pwd && !auth.pwd->empty() &&
         auth.pwd->size() <= max_password_bytes && crypto::valid_domain(auth.domain.value_or(""));
}

}  // namespace

void start_account_call(lane& where, http_frame http, errc refused) {
  core& shared = where.shared();
  const auto type = static_cast<uint8_t>(http.frame.type);
  wire::arena& memory = where.scratch();
  memory.clear();
  const auto auth = wire::decode<wire::tim_auth>(http.frame.enc, http.frame.payload, memory);
  if (!auth) {
    shared.metrics.command(type, http.frame.enc, outcome::malformed);
    shared.metrics.refused(refusal::malformed);
    http.reply({400, "text/plain; charset=utf-8", "the body is not a TimAuth frame\n", {}});
    return;
  }
  pending_call call;
  call.type = http.frame.type;
  call.enc = http.frame.enc;
  call.origin = std::move(http.origin);
  call.reply = std::move(http.reply);
  if (!usable(*auth)) {
    shared.metrics.command(type, call.enc, outcome::refused);
    shared.metrics.refused(refusal::login);
    call.reply(call_response(call, refused, {}));
    return;
  }
  const std::string_view domain = auth->domain.value_or("");
  session::v1::AccountCall& request = call.request;
  request.set_kind(call.type == wire::frame_type::token ? session::v1::AccountCall::TOKEN
                                                        : session::v1::AccountCall::REGISTER);
  request.set_name_key(crypto::name_key(shared.config.identity_key, domain, *auth->name));
  request.set_slot_key(crypto::account_of(request.name_key()).value);
  request.set_password(std::string(*auth->pwd));
  request.set_domain(std::string(domain));
  request.set_address(std::string(http.address));
  shared.metrics.command(type, call.enc, outcome::ok);
  where.calls().start(std::move(call));
}

void register_account(lane& where, http_frame call) {
  start_account_call(where, std::move(call), errc::bad_parameter);
}

}  // namespace tern::gateway::commands
