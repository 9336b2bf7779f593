// A small HTTP client for the operators' port of a process of ours.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "libs/base/result.hpp"

namespace tern::app {

struct http_answer {
  int status = 0;
  std::string body;
  std::chrono::steady_clock::time_point asked, answered;
};

/// How far one got with an address.
enum class reach : uint8_t { answered, no_such_host, refused, silent };

struct http_result {
  reach how = reach::silent;
  http_answer answer;
  std::string why;  // for people, unless it answered
};

/// GET `path` at `address` ("host:port", "[v6]:port"), within about `limit` in all. Answers up to 32 MiB. Blocking.
http_result http_get(const std::string& address, const std::string& path, std::chrono::milliseconds limit);

/// Whether somebody takes connections there: "host:port" or "unix:PATH". Blocking.
http_result try_connect(const std::string& address, std::chrono::milliseconds limit);

/// Every address of a name, as "a.b.c.d:port" or "[v6]:port"; the address itself when it is numeric. Empty: no such
/// name.
std::vector<std::string> resolve(const std::string& address);

}  // namespace tern::app
