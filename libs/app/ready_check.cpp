#include "libs/app/ready_check.hpp"

#include "libs/app/http.hpp"
#include "libs/app/http_get.hpp"

namespace tern::app {
namespace {

std::string loopback_of(const std::string& host) {
  if (host.empty() || host == "0.0.0.0") return "127.0.0.1";
  if (host == "::" || host == "[::]") return "[::1]";
  return host.find(':') == std::string::npos ? host : "[" + host + "]";
}

}  // namespace

result<std::string> ask_ready(const std::string& address, std::chrono::milliseconds limit) {
  const auto where = split_address(address);
  if (!where) return where.error();
  const auto got = http_get(loopback_of(where->first) + ":" + std::to_string(where->second), "/readyz", limit);
  if (got.how == reach::refused) return error{errc::unavailable, "nobody listens at " + address};
  if (got.how != reach::answered) return error{errc::unavailable, got.why};
  if (got.answer.status == 200) return got.answer.body;
  return error{errc::unavailable, got.answer.body.empty() ? "not ready" : got.answer.body};
}

}  // namespace tern::app
