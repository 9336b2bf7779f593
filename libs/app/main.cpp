#include "libs/app/main.hpp"

#include <absl/synchronization/mutex.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <mutex>
#include <thread>

#include "libs/app/command_line.hpp"
#include "libs/app/common_options.hpp"
#include "libs/app/ready_check.hpp"
#include "libs/app/version.hpp"
#include "libs/config/schema.hpp"
#include "libs/log/log.hpp"

namespace tern::app {
namespace {

using namespace std::chrono_literals;

constexpr int cannot_start = 1;
constexpr int refused = 2;
constexpr int ended_at_once = 130;
/// How long stopping may take after the drain before the process gives up waiting for itself.
constexpr auto stop_limit = 15s;
/// Each step of --health.
constexpr auto health_limit = 2s;

const log::logger logger{"app"};

std::atomic<bool> failed{false};

void end_at_once(int) { ::_exit(ended_at_once); }

sigset_t end_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  return set;
}

/// Process-wide settings that must come before any thread.
void prepare_process() {
  // gRPC's bundled lock checker reports false cycles and costs time.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  ::signal(SIGPIPE, SIG_IGN);
  const sigset_t set = end_signals();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
  }
}

/// From now on the first signal of the two ends the process.
void let_signals_kill() {
  struct sigaction how {};
  how.sa_handler = end_at_once;
  ::sigaction(SIGTERM, &how, nullptr);
  ::sigaction(SIGINT, &how, nullptr);
  const sigset_t set = end_signals();
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

/// Ends the process when it cannot end itself in time.
class watchdog {
 public:
  explicit watchdog(std::chrono::milliseconds limit) : thread_([this, limit] { watch(limit); }) {}
  ~watchdog() {
    {
      const std::lock_guard hold{lock_};
      done_ = true;
    }
    wake_.notify_all();
    thread_.join();
  }

 private:
  void watch(std::chrono::milliseconds limit) {
    std::unique_lock hold{lock_};
    if (wake_.wait_for(hold, limit, [this] { return done_; })) return;
    logger.error("did not stop in time");
    log::shutdown();
    ::_exit(cannot_start);
  }

  std::mutex lock_;
  std::condition_variable wake_;
  bool done_ = false;
  std::thread thread_;
};

log::level level_of(const std::string& name) {
  if (name == "debug") return log::level::debug;
  if (name == "warn") return log::level::warn;
  return name == "error" ? log::level::error : log::level::info;
}

void declare_all(config::schema& into, const program& what, common_options& common, const std::string& part) {
  const bool all = part == "all";
  if (all || part == "common") declare(into, common, what.links);
  for (const auto& entry : what.services) {
    if ((all || part == "services") && entry.declare) entry.declare(into);
  }
  if ((all || part == "program") && what.declare) what.declare(into);
  for (const auto& [key, value] : what.defaults) {
    if (all || into.declares(key)) into.set_default(key, value);
  }
}

/// Everything a start needs, read and checked.
class configuration {
 public:
  explicit configuration(const program& what) : what_(what) { declare_all(schema_, what, common_, "all"); }

  /// All errors; empty when the program may start.
  std::vector<std::string> read(const command_line& line, bool dry) {
    std::vector<std::string> errors;
    for (const auto& file : line.files) read_file(file, errors);
    schema_.read_environment(environ);
    for (const auto& assignment : line.assignments) schema_.read_assignment(assignment);
    if (errors.empty() && what_.prepare) {
      if (auto ready = what_.prepare(schema_, dry); !ready) errors.push_back(ready.error().detail);
    }
    append(errors, schema_.errors());
    if (!errors.empty()) return errors;  // what is checked together is checked when each for itself is right
    append(errors, complaints(common_, what_.links));
    for (const auto& entry : what_.services) {
      if (entry.wanted && !entry.wanted()) continue;
      if (entry.check) append(errors, entry.check());
    }
    return errors;
  }

  config::schema& schema() { return schema_; }
  const common_options& common() const { return common_; }

 private:
  static void append(std::vector<std::string>& to, const std::vector<std::string>& more) {
    to.insert(to.end(), more.begin(), more.end());
  }

  void read_file(const std::string& path, std::vector<std::string>& errors) {
    std::ifstream in(path, std::ios::binary);
    std::string text{std::istreambuf_iterator<char>(in), {}};
    if (!in.is_open() || in.bad()) {
      errors.push_back("cannot read --config " + path);
      return;
    }
    schema_.read_yaml(text, path);
  }

  const program& what_;
  common_options common_;
  config::schema schema_;
};

/// From a checked configuration to the end of the process.
class run {
 public:
  run(const program& what, const common_options& common, report_sources sources)
      : what_(what), common_(common), sources_(std::move(sources)) {}

  int execute() {
    auto options = to_host_options(common_, what_.links, what_.services.front().name);
    options.report = sources_;
    options.fatal = [](const std::string& why) {
      if (failed.exchange(true)) return;
      logger.error("cannot go on", {{"why", why}});
      ::kill(::getpid(), SIGTERM);
    };
    auto made = host::make(std::move(options));
    if (!made) return cannot(made.error());
    auto& host = **made;
    if (auto up = host.start(what_.services); !up) return cannot(up.error());
    logger.info("started", {{"program", what_.name},
                            {"version", version()},
                            {"commit", commit()},
                            {"metrics_port", host.metrics_port()},
                            {"rpc_address", host.address()}});
    if (what_.started) what_.started(host);
    const int signal = wait();
    const watchdog limit(common_.drain_timeout + stop_limit);
    let_signals_kill();
    logger.info("draining", {{"signal", signal}, {"limit_ms", common_.drain_timeout.count()}});
    host.drain(common_.drain_timeout);
    host.stop();
    made->reset();
    logger.info("ended");
    return failed ? cannot_start : 0;
  }

 private:
  int cannot(const error& why) const {
    logger.error("cannot start", {{"program", what_.name}, {"why", why.detail}, {"code", to_string(why.code)}});
    return cannot_start;
  }

  static int wait() {
    const sigset_t set = end_signals();
    int number = 0;
    while (::sigwait(&set, &number) != 0) {
    }
    return number;
  }

  const program& what_;
  const common_options& common_;
  const report_sources sources_;
};

/// What the process tells of its options. Read by others when all are set, and never changed again.
report_sources sources_of(const config::schema& schema) {
  report_sources out;
  out.configuration = [text = schema.dump()] { return text; };
  if (const auto identity = schema.secret_of("identity.key"))
    out.fingerprints["identity.key"] = fingerprint(*identity);
  for (const char* key : {"session.storage"}) {
    if (const auto value = schema.value_of(key)) out.options[key] = *value;
  }
  out.client_certificate = schema.value_of("gateway.tls.certificate_file").value_or("");
  out.client_key = schema.value_of("gateway.tls.key_file").value_or("");
  return out;
}

std::string version_line(const program& what) {
  return what.name + " " + std::string(version()) + " (commit " + std::string(commit()) + ", " +
         std::string(build_type()) + ")\n";
}

int print(const std::string& text) { return std::fputs(text.c_str(), stdout) < 0 ? cannot_start : 0; }

int refuse(const program& what, const std::vector<std::string>& errors) {
  for (const auto& error : errors) std::fprintf(stderr, "%s: %s\n", what.name.c_str(), error.c_str());
  return refused;
}

/// What a program changes of what its services declare.
std::string program_reference(const program& what) {
  std::string out;
  if (!what.flags.empty()) out += "\n| flag | option | meaning |\n| --- | --- | --- |\n";
  for (const auto& alias : what.flags) {
    out += "| `--" + alias.flag + " " + alias.value + "` | `" + alias.key + "` | " + alias.help + " |\n";
  }
  if (!what.defaults.empty()) out += "\n| key | default here |\n| --- | --- |\n";
  for (const auto& [key, value] : what.defaults) out += "| `" + key + "` | `" + value + "` |\n";
  return out;
}

int print_reference(const program& what, const std::string& part) {
  config::schema some;
  common_options common;
  declare_all(some, what, common, part);
  return print(some.reference() + (part == "program" ? program_reference(what) : ""));
}

int start(const program& what, const command_line& line) {
  configuration settings(what);
  const bool dry = line.what == action::print_config;
  const auto errors = settings.read(line, dry);
  if (dry) print(settings.schema().dump());
  if (!errors.empty()) return refuse(what, errors);
  if (dry) return 0;
  const auto& common = settings.common();
  const auto node = to_host_options(common, what.links, what.services.front().name).node;
  log::init({level_of(common.log_level), common.log_format == "json", node.empty() ? what.name : node});
  for (const auto& warning : settings.schema().warnings()) logger.warn(warning);
  const int code = run(what, common, sources_of(settings.schema())).execute();
  log::shutdown();
  return code;
}

/// With the options of the process that is asked: only where it shows its metrics matters, so errors in others do
/// not.
int ask_health(const program& what, const command_line& line) {
  configuration settings(what);
  settings.read(line, true);
  const auto ready = ask_ready(settings.common().metrics_address, health_limit);
  if (ready) return print(*ready);
  std::fprintf(stderr, "%s: %s\n", what.name.c_str(), ready.error().detail.c_str());
  return cannot_start;
}

int run_checked(int argc, char** argv, const program& what) {
  const std::vector<std::string> arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
  const auto line = parse_command_line(arguments, what);
  if (!line) return refuse(what, {line.error().detail});
  switch (line->what) {
    case action::help: {
      configuration settings(what);
      return print(help_text(what, settings.schema()));
    }
    case action::version: return print(version_line(what));
    case action::reference: return print_reference(what, line->reference_part);
    case action::health: return ask_health(what, *line);
    case action::run:
    case action::print_config: break;
  }
  return start(what, *line);
}

}  // namespace

int run_main(int argc, char** argv, const program& what) {
  prepare_process();
  try {
    return run_checked(argc, argv, what);
  } catch (const std::exception& e) {
    log::shutdown();
    std::fprintf(stderr, "%s: %s\n", what.name.c_str(), e.what());
    return cannot_start;
  }
}

}  // namespace tern::app
