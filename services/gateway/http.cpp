#include "services/gateway/http.hpp"

#include <algorithm>
#include <utility>

#include "services/gateway/commands/commands.hpp"
#include "services/gateway/lane.hpp"
#include "services/gateway/web/files.hpp"

namespace tern::gateway {

namespace {

constexpr const char* plain_text = "text/plain; charset=utf-8";

websocket::response text(int status, std::string body) { return {status, plain_text, std::move(body), {}}; }

websocket::response too_many() {
  websocket::response out = text(429, "too many connections and calls from this address\n");
  out.fields.emplace_back("retry-after", "1");
  return out;
}

bool handshake_allowed(core& shared, const websocket::request& request) {
  if (!shared.handshakes_of_address.limits() ||
      shared.handshakes_of_address.take(address_key(request.remote_address), shared.tick())) {
    return true;
  }
  shared.metrics.refused(refusal::handshake_rate);
  return false;
}

/// POST /tim2: one frame, REGISTER or TOKEN.
void account_call(lane& where, const websocket::request& request, websocket::reply_function reply) {
  core& shared = where.shared();
  const auto frame = wire::parse_frame(request.body);
  const auto handler = frame ? commands::http_handler_of(frame->type) : nullptr;
  if (handler == nullptr) {
    shared.metrics.refused(frame ? refusal::not_offered : refusal::malformed);
    reply(text(400, "the body must be one REGISTER or TOKEN frame\n"));
    return;
  }
  if (shared.is_disabled(frame->type)) {
    shared.metrics.command(static_cast<uint8_t>(frame->type), frame->enc, outcome::refused);
    shared.metrics.refused(refusal::disabled);
    reply(text(403, "switched off\n"));
    return;
  }
  if (request.body.size() > shared.config.max_frame_bytes) {
    reply(text(413, "too large\n"));
    return;
  }
  handler(where, {*frame, request.remote_address, std::string(request.field("origin")), std::move(reply)});
}

/// The answer to a browser that asks whether a page of another origin may POST.
websocket::response preflight(std::string_view origin) {
  websocket::response out = text(204, {});
  out.fields = {{"access-control-allow-origin", std::string(origin)},
                {"access-control-allow-methods", "POST"},
                {"access-control-allow-headers", "content-type"},
                {"access-control-max-age", "600"}};
  return out;
}

}  // namespace

bool origin_allowed(const core& shared, std::string_view origin) {
  const auto& list = shared.config.origins;
  return list.empty() || std::find(list.begin(), list.end(), origin) != list.end();
}

websocket::response check_upgrade(core& shared, const websocket::request& request) {
  if (request.path != "/tim") return text(404, "not found\n");
  if (!origin_allowed(shared, request.field("origin"))) {
    shared.metrics.refused(refusal::origin);
    return text(403, "origin not allowed\n");
  }
  if (shared.draining.load(std::memory_order_relaxed)) {
    shared.metrics.refused(refusal::draining);
    return text(503, "going away\n");
  }
  if (!handshake_allowed(shared, request)) return too_many();
  return {0, {}, {}, {}};
}

void handle_request(lane& where, const websocket::request& request, websocket::reply_function reply) {
  core& shared = where.shared();
  if (request.path == "/tim2") {
    const std::string_view origin = request.field("origin");
    // A browser sends Origin with every cross-site POST; tools that send none are not what the list is for.
    if (!origin.empty() && !origin_allowed(shared, origin)) {
      where.shared().metrics.refused(refusal::origin);
      reply(text(403, "origin not allowed\n"));
    } else if (request.method == "POST") {
      if (!handshake_allowed(where.shared(), request)) return reply(too_many());
      account_call(where, request, std::move(reply));
    } else if (request.method == "OPTIONS" && !origin.empty()) {
      reply(preflight(origin));
    } else {
      websocket::response out = text(405, "POST only\n");
      out.fields.emplace_back("allow", "POST");
      reply(std::move(out));
    }
    return;
  }
  if (!shared.config.web_page || (request.method != "GET" && request.method != "HEAD")) {
    reply(text(404, "not found\n"));
    return;
  }
  reply(web_page(request.path));
}

websocket::response web_page(std::string_view path) {
  for (const web::file& one : web::files()) {
    if (one.path != path) continue;
    websocket::response out;
    out.content_type = one.content_type;
    out.body = one.bytes;
    out.fields = {{"content-security-policy",
                   "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src "
                   "'self' ws: wss:; "
                   "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
                  {"x-content-type-options", "nosniff"},
                  {"referrer-policy", "no-referrer"},
                  {"cache-control", "no-cache"}};
    return out;
  }
  return text(404, "not found\n");
}

}  // namespace tern::gateway
