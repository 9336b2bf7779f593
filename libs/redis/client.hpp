// A small blocking Redis client for soft state: tokens, counters. Light header: hiredis stays inside.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "libs/base/backoff.hpp"
#include "libs/base/clock.hpp"
#include "libs/base/result.hpp"
#include "libs/metrics/tally.hpp"

struct redisContext;
struct redisReply;

namespace tern::redis {

/// Where a server is: redis://[[user]:password@]host[:port][/database] or unix:PATH.
struct address {
  std::string host;  // empty: unix socket
  uint16_t port = 6379;
  std::string path;
  std::string user, password;
  int database = 0;
};
/// config when it is not understood.
result<address> parse_url(const std::string& url);

/// What all clients of this process have done with one operation.
struct operation_tally {
  const char* name;
  metrics::time_tally seconds;
  metrics::tally errors;
};
/// ping, set_ex, getdel, incr_expire.
std::array<operation_tally, 4>& operations();

struct client_options {
  std::chrono::milliseconds connect_timeout{300};
  std::chrono::milliseconds answer_timeout{300};
  backoff::duration first_pause{50};  // between attempts to connect
  backoff::duration longest_pause{2000};
};

/// One connection, made at the first use and again after a failure. Thread-safe, but calls wait for each other: meant
/// for a pool thread. Between two attempts to connect every call fails at once.
/// Errors of all calls: unavailable (not done), deadline (sent, but no answer: outcome unknown), database (refused by
/// the server, e.g. WRONGTYPE).
class client {
 public:
  explicit client(address where, const client_options& options = {}, const clock& time = system_clock());
  ~client();
  client(const client&) = delete;
  client& operator=(const client&) = delete;

  result<void> ping();
  result<void> set_ex(const std::string& key, const std::string& value, std::chrono::seconds life);
  /// Reads and deletes; nothing when the key is not there.
  result<std::optional<std::string>> getdel(const std::string& key);
  /// Adds one and returns the sum; the key lives for `life` from its first use.
  result<int64_t> incr_expire(const std::string& key, std::chrono::seconds life);

 private:
  struct free_reply {
    void operator()(redisReply* reply) const;
  };
  using reply = std::unique_ptr<redisReply, free_reply>;

  result<reply> run(operation_tally& as, const std::vector<std::string>& words);
  result<reply> exchange(const std::vector<std::string>& words);
  result<void> ensure();
  result<void> connect();
  result<void> introduce();
  bool alive() const;
  void close();

  const address where_;
  const client_options options_;
  const clock& time_;
  std::mutex mutex_;
  redisContext* handle_ = nullptr;
  backoff pause_;
  clock::time_point not_before_{};
};

}  // namespace tern::redis
