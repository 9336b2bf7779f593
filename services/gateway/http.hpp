// Plain HTTP beside the WebSocket port: the web page at /, REGISTER and TOKEN at POST /tim2, and which upgrades are
// let in.
#pragma once

#include <string_view>

#include "libs/websocket/server.hpp"

namespace tern::gateway {

struct core;
class lane;

/// True when an Origin may connect: the allow-list is empty or holds it exactly.
bool origin_allowed(const core& shared, std::string_view origin);

/// Refusal of an upgrade request: status 404 for another path, 403 for a foreign origin, 503 while draining, 429 for
/// too many of one address; status 0 when it is let in.
websocket::response check_upgrade(core& shared, const websocket::request& request);

/// Answers one plain request: at once, or for /tim2 when the session service has answered. On the lane's io thread.
void handle_request(lane& where, const websocket::request& request, websocket::reply_function reply);

/// The embedded web page's file for a path ("/", "/app.js", "/style.css"), or a 404.
websocket::response web_page(std::string_view path);

}  // namespace tern::gateway
