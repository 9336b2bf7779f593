#include "libs/app/http.hpp"

#include <charconv>

#include "libs/app/health.hpp"
#include "libs/metrics/metrics.hpp"
#include "libs/websocket/server.hpp"

namespace tern::app {
namespace {

websocket::response text_response(int status, std::string body) {
  websocket::response out;
  out.status = status;
  out.body = std::move(body);
  return out;
}

websocket::response report(const health_report& of) { return text_response(of.good ? 200 : 503, of.text); }

websocket::response answer(const websocket::request& what, metrics::registry& metrics, health_state& state,
                           const operations_pages& pages) {
  if (what.method != "GET" && what.method != "HEAD") {
    auto refusal = text_response(405, "only GET\n");
    refusal.fields.emplace_back("Allow", "GET, HEAD");
    return refusal;
  }
  if (what.path == "/metrics") {
    auto page = text_response(200, metrics.render());
    page.content_type = "text/plain; version=0.0.4; charset=utf-8";
    return page;
  }
  if (what.path == "/livez") return report(state.live());
  if (what.path == "/readyz") return report(state.ready());
  if (what.path == "/startupz") return report(state.startup());
  if (what.path == "/configz" && pages.configuration) {
    auto page = text_response(200, pages.configuration());
    page.content_type = "application/yaml; charset=utf-8";
    return page;
  }
  if (what.path == "/logz" && pages.log) return text_response(200, pages.log());
  return text_response(404, "here are /metrics, /livez, /readyz, /startupz, /statusz, /configz and /logz\n");
}

/// Later: it may have to wait for what is broken.
void answer_status(const operations_pages& pages, const websocket::reply_function& reply) {
  pages.status([reply](std::string text) {
    auto page = text.empty() ? text_response(503, "ending\n") : text_response(200, std::move(text));
    if (page.status == 200) page.content_type = "application/json";
    reply(std::move(page));
  });
}

}  // namespace

result<std::pair<std::string, uint16_t>> split_address(const std::string& address) {
  const auto colon = address.rfind(':');
  const error refusal{errc::config, "\"" + address + "\" is not host:port"};
  if (colon == std::string::npos || colon == 0) return refusal;
  std::string host = address.substr(0, colon);
  if (host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string::npos) {
    return refusal;
  }
  uint16_t port = 0;
  const char* const end = address.data() + address.size();
  const auto parsed = std::from_chars(address.data() + colon + 1, end, port);
  if (host.empty() || parsed.ec != std::errc{} || parsed.ptr != end) return refusal;
  return std::pair{host, port};
}

operations_server::operations_server(std::unique_ptr<websocket::server> server) : server_(std::move(server)) {}
operations_server::~operations_server() { server_->stop(); }
uint16_t operations_server::port() const noexcept { return server_->port(); }

result<std::unique_ptr<operations_server>> operations_server::start(const std::string& address,
                                                                    metrics::registry& metrics, health_state& state,
                                                                    operations_pages pages) {
  auto parts = split_address(address);
  if (!parts) return parts.error();
  websocket::server_options options;
  options.host = parts->first;
  options.port = parts->second;
  options.max_connections = 64;
  options.max_body_bytes = 0;
  auto server = websocket::make_server(
      options,
      [](websocket::io_thread&, const websocket::request&) {
        return websocket::upgrade_decision{nullptr, text_response(404, "no WebSocket here\n")};
      },
      [&metrics, &state, pages = std::move(pages)](websocket::io_thread&, const websocket::request& what,
                                                   websocket::reply_function reply) {
        if (what.method == "GET" && what.path == "/statusz" && pages.status) return answer_status(pages, reply);
        reply(answer(what, metrics, state, pages));
      });
  if (auto listening = server->listen(); !listening) return listening.error();
  server->start();
  return std::unique_ptr<operations_server>(new operations_server(std::move(server)));
}

}  // namespace tern::app
