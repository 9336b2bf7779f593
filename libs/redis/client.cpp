#include "libs/redis/client.hpp"

#include <hiredis/hiredis.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>

namespace tern::redis {
namespace {

timeval to_timeval(std::chrono::milliseconds time) {
  return {time.count() / 1000, static_cast<suseconds_t>(time.count() % 1000 * 1000)};
}

/// hiredis 0.14 writes without MSG_NOSIGNAL: SIGPIPE of this thread is held back and swallowed meanwhile.
class no_sigpipe {
 public:
  no_sigpipe() {
    sigemptyset(&only_);
    sigaddset(&only_, SIGPIPE);
    sigset_t waiting;
    sigpending(&waiting);
    was_waiting_ = sigismember(&waiting, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &only_, &before_);
  }
  ~no_sigpipe() {
    const timespec at_once{};
    while (!was_waiting_ && sigtimedwait(&only_, nullptr, &at_once) > 0) {
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  no_sigpipe(const no_sigpipe&) = delete;
  no_sigpipe& operator=(const no_sigpipe&) = delete;

 private:
  sigset_t only_{}, before_{};
  bool was_waiting_ = false;
};

/// A server that is there but cannot work now, as against a command it refuses.
bool is_passing(std::string_view text) {
  for (const std::string_view start :
       {"LOADING", "BUSY", "MASTERDOWN", "READONLY", "OOM", "MISCONF", "CLUSTERDOWN", "TRYAGAIN", "NOREPLICAS"}) {
    if (text.starts_with(start)) return true;
  }
  return false;
}

result<uint16_t> parse_port(const std::string& text) {
  if (text.empty() || text.size() > 5 || text.find_first_not_of("0123456789") != std::string::npos ||
      std::stoul(text) == 0 || std::stoul(text) > 65535) {
    return error{errc::config, "redis: bad port or database: " + text};
  }
  return static_cast<uint16_t>(std::stoul(text));
}

result<void> parse_host(std::string rest, address& into) {
  if (const auto at = rest.find('/'); at != std::string::npos) {
    if (rest.substr(at) != "/" && rest.substr(at) != "/0") {
      auto database = parse_port(rest.substr(at + 1));
      if (!database) return database.error();
      into.database = *database;
    }
    rest.resize(at);
  }
  const auto colon = rest.rfind(':');
  const bool bracketed = !rest.empty() && rest.front() == '[';
  if (colon != std::string::npos && (!bracketed || rest[colon - 1] == ']')) {
    auto port = parse_port(rest.substr(colon + 1));
    if (!port) return port.error();
    into.port = *port;
    rest.resize(colon);
  }
  into.host = bracketed && rest.back() == ']' ? rest.substr(1, rest.size() - 2) : rest;
  return into.host.empty() ? result<void>{error{errc::config, "redis: no host"}} : result<void>{};
}

}  // namespace

result<address> parse_url(const std::string& url) {
  address found;
  if (url.starts_with("unix:")) {
    found.path = url.substr(5);
    if (found.path.starts_with("//")) found.path.erase(0, 2);
    if (found.path.empty()) return error{errc::config, "redis: no path in " + url};
    return found;
  }
  constexpr std::string_view scheme = "redis://";
  if (!url.starts_with(scheme)) return error{errc::config, "redis: neither redis://host:port nor unix:path"};
  std::string rest = url.substr(scheme.size());
  if (const auto at = rest.rfind('@'); at != std::string::npos) {
    const auto login = rest.substr(0, at);
    const auto colon = login.find(':');
    found.user = colon == std::string::npos ? "" : login.substr(0, colon);
    found.password = colon == std::string::npos ? login : login.substr(colon + 1);
    rest.erase(0, at + 1);
  }
  if (auto parsed = parse_host(rest, found); !parsed) return parsed.error();
  return found;
}

void client::free_reply::operator()(redisReply* reply) const { freeReplyObject(reply); }

client::client(address where, const client_options& options, const clock& time)
    : where_(std::move(where)), options_(options), time_(time), pause_(options.first_pause, options.longest_pause) {}

client::~client() { close(); }

void client::close() {
  if (handle_ != nullptr) redisFree(handle_);
  handle_ = nullptr;
}

/// An idle connection has nothing to read; if it has, that is its end.
bool client::alive() const {
  pollfd socket{handle_->fd, POLLIN, 0};
  return ::poll(&socket, 1, 0) == 0;
}

result<void> client::ensure() {
  if (handle_ != nullptr && !alive()) close();
  if (handle_ != nullptr) return {};
  if (time_.now() < not_before_) return error{errc::unavailable, "redis: waiting before the next attempt"};
  auto connected = connect();
  if (connected) {
    pause_.reset();
  } else {
    close();
    not_before_ = time_.now() + pause_.next();
  }
  return connected;
}

result<void> client::connect() {
  const auto timeout = to_timeval(options_.connect_timeout);
  handle_ = where_.host.empty() ? redisConnectUnixWithTimeout(where_.path.c_str(), timeout)
                                : redisConnectWithTimeout(where_.host.c_str(), where_.port, timeout);
  if (handle_ == nullptr || handle_->err != 0) {
    return error{errc::unavailable, std::string("redis: ") + (handle_ == nullptr ? "no memory" : handle_->errstr)};
  }
  redisSetTimeout(handle_, to_timeval(options_.answer_timeout));
  return introduce();
}

result<void> client::introduce() {
  std::vector<std::string> login{"AUTH"};
  if (!where_.user.empty()) login.push_back(where_.user);
  login.push_back(where_.password);
  std::vector<std::vector<std::string>> steps;
  if (!where_.password.empty()) steps.push_back(login);
  if (where_.database != 0) steps.push_back({"SELECT", std::to_string(where_.database)});
  for (const auto& step : steps) {
    if (auto done = exchange(step); !done) return error{errc::unavailable, done.error().detail};
  }
  return {};
}

result<client::reply> client::exchange(const std::vector<std::string>& words) {
  std::vector<const char*> texts;
  std::vector<size_t> sizes;
  for (const auto& word : words) {
    texts.push_back(word.data());
    sizes.push_back(word.size());
  }
  const no_sigpipe guard;
  reply answer(static_cast<redisReply*>(
      redisCommandArgv(handle_, static_cast<int>(words.size()), texts.data(), sizes.data())));
  if (!answer) {
    error failed{errc::deadline, "redis: " + words.front() + ": " + handle_->errstr};
    close();
    not_before_ = time_.now() + pause_.next();
    return failed;
  }
  if (answer->type != REDIS_REPLY_ERROR) return answer;
  const std::string text(answer->str, answer->len);
  return error{is_passing(text) ? errc::unavailable : errc::database, "redis: " + words.front() + ": " + text};
}

std::array<operation_tally, 4>& operations() {
  static std::array<operation_tally, 4> all{
      {{"ping", {}, {}}, {"set_ex", {}, {}}, {"getdel", {}, {}}, {"incr_expire", {}, {}}}};
  return all;
}

result<client::reply> client::run(operation_tally& as, const std::vector<std::string>& words) {
  const auto start = std::chrono::steady_clock::now();
  const std::lock_guard held(mutex_);
  auto there = ensure();
  auto answer = there ? exchange(words) : result<reply>{there.error()};
  as.seconds.observe_since(start);
  if (!answer) as.errors.add();
  return answer;
}

result<void> client::ping() {
  auto answer = run(operations()[0], {"PING"});
  return answer ? result<void>{} : result<void>{answer.error()};
}

result<void> client::set_ex(const std::string& key, const std::string& value, std::chrono::seconds life) {
  auto answer = run(operations()[1], {"SET", key, value, "EX", std::to_string(life.count())});
  return answer ? result<void>{} : result<void>{answer.error()};
}

result<std::optional<std::string>> client::getdel(const std::string& key) {
  auto answer = run(operations()[2], {"GETDEL", key});
  if (!answer) return answer.error();
  const auto& found = **answer;
  if (found.type != REDIS_REPLY_STRING) return std::optional<std::string>{};
  return std::optional(std::string(found.str, found.len));
}

result<int64_t> client::incr_expire(const std::string& key, std::chrono::seconds life) {
  // One script, so that no counter is ever left without its end.
  static const std::string script =
      "local n = redis.call('INCR', KEYS[1]) if n == 1 then redis.call('EXPIRE', KEYS[1], ARGV[1]) end return n";
  auto answer = run(operations()[3], {"EVAL", script, "1", key, std::to_string(life.count())});
  if (!answer) return answer.error();
  return static_cast<int64_t>((*answer)->integer);
}

}  // namespace tern::redis
