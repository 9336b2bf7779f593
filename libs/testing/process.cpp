#include "libs/testing/process.hpp"

#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <thread>
#include <utility>

#include "libs/testing/temp_dir.hpp"

namespace tern::testing {
namespace {

using namespace std::chrono_literals;

/// Everything the child needs, gathered before fork(): between fork and exec only system calls are allowed.
struct prepared {
  std::vector<char*> arguments;
  std::vector<std::string> environment_text;
  std::vector<char*> environment;
  std::vector<gid_t> groups;
  uid_t user = 0;
  gid_t group = 0;
  bool change_user = false;
};

result<void> resolve_user(const std::string& name, prepared& out) {
  if (name.empty() || ::geteuid() != 0) return {};
  const passwd* entry = ::getpwnam(name.c_str());
  if (entry == nullptr) return error{errc::not_found, "no such user: " + name};
  out.change_user = true;
  out.user = entry->pw_uid;
  out.group = entry->pw_gid;
  int count = 64;
  out.groups.resize(static_cast<size_t>(count));
  if (::getgrouplist(name.c_str(), out.group, out.groups.data(), &count) < 0) count = 1, out.groups[0] = out.group;
  out.groups.resize(static_cast<size_t>(count));
  return {};
}

void resolve_environment(const std::vector<std::string>& added, prepared& out) {
  for (char** entry = environ; *entry != nullptr; ++entry) out.environment_text.emplace_back(*entry);
  for (const auto& entry : added) {
    const std::string head = entry.substr(0, entry.find('=') + 1);
    std::erase_if(out.environment_text, [&](const std::string& old) { return old.rfind(head, 0) == 0; });
    out.environment_text.push_back(entry);
  }
  for (auto& entry : out.environment_text) out.environment.push_back(entry.data());
  out.environment.push_back(nullptr);
}

/// In the child. Reports errno through `report` (closed by a successful exec) and never returns.
[[noreturn]] void become(const prepared& what, const process_options& how, int report, pid_t parent) {
  const auto fail = [&] {
    const int number = errno;
    [[maybe_unused]] const auto written = ::write(report, &number, sizeof number);
    ::_exit(127);
  };
  ::setpgid(0, 0);  // a terminal's ^C reaches us only
  if (!how.output.empty()) {
    const int fd = ::open(how.output.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0) fail();
    ::dup2(fd, STDOUT_FILENO);
    ::dup2(fd, STDERR_FILENO);
  }
  const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (null >= 0) ::dup2(null, STDIN_FILENO);
  if (what.change_user) {
    if (::setgroups(what.groups.size(), what.groups.data()) != 0) fail();
    if (::setgid(what.group) != 0 || ::setuid(what.user) != 0) fail();
  }
  if (!how.directory.empty() && ::chdir(how.directory.c_str()) != 0) fail();
  if (how.dies_with_us) {  // after setuid, which clears it
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(127);
  }
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  ::execvpe(what.arguments[0], what.arguments.data(), what.environment.data());
  fail();
  ::_exit(127);
}

std::string tail_of(const std::string& file, size_t most) {
  std::ifstream in(file);
  std::string text{std::istreambuf_iterator<char>(in), {}};
  return text.size() > most ? text.substr(text.size() - most) : text;
}

}  // namespace

process::~process() {
  if (pid_ > 0 && exit_code_ < 0) {
    ::kill(pid_, SIGKILL);
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
  }
}

process::process(process&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), exit_code_(std::exchange(other.exit_code_, -1)) {}

process& process::operator=(process&& other) noexcept {
  if (this != &other) {
    const process old{std::move(*this)};  // kills what we had
    pid_ = std::exchange(other.pid_, -1);
    exit_code_ = std::exchange(other.exit_code_, -1);
  }
  return *this;
}

result<process> process::start(const std::vector<std::string>& arguments, const process_options& how) {
  prepared what;
  for (const auto& argument : arguments) what.arguments.push_back(const_cast<char*>(argument.c_str()));
  what.arguments.push_back(nullptr);
  if (auto known = resolve_user(how.user, what); !known) return known.error();
  resolve_environment(how.environment, what);
  int report[2];
  if (::pipe2(report, O_CLOEXEC) != 0) return error{errc::unavailable, std::strerror(errno)};
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0) become(what, how, report[1], parent);
  ::close(report[1]);
  int number = 0;
  const auto got = pid < 0 ? 0 : ::read(report[0], &number, sizeof number);
  ::close(report[0]);
  if (pid < 0) return error{errc::unavailable, "fork failed"};
  process child{pid};
  if (got > 0) return error{errc::unavailable, "cannot start " + arguments[0] + ": " + std::strerror(number)};
  return child;
}

void process::take_status(int status) {
  exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

bool process::running() {
  if (pid_ <= 0 || exit_code_ >= 0) return false;
  int status = 0;
  if (::waitpid(pid_, &status, WNOHANG) == pid_) {
    take_status(status);
    return false;
  }
  return true;
}

void process::signal(int number) const {
  if (pid_ > 0 && exit_code_ < 0) ::kill(pid_, number);
}

bool process::wait(std::chrono::milliseconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (running()) {
    if (std::chrono::steady_clock::now() >= end) return false;
    std::this_thread::sleep_for(2ms);
  }
  return true;
}

int process::stop(std::chrono::milliseconds limit, int number) {
  signal(number);
  if (!wait(limit)) {
    signal(SIGKILL);
    wait(10s);
  }
  return exit_code_;
}

pid_t process::detach() noexcept {
  exit_code_ = -1;
  return std::exchange(pid_, -1);
}

namespace {

bool can_listen(uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  const bool free = ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  ::close(fd);
  return free;
}

}  // namespace

result<std::string> run_program(const std::vector<std::string>& arguments, const process_options& how,
                                std::chrono::milliseconds limit) {
  const temp_dir scratch{"tern-run"};
  process_options quiet = how;
  quiet.output = scratch.file("output");
  auto child = process::start(arguments, quiet);
  if (!child) return child.error();
  if (!child->wait(limit)) return error{errc::deadline, arguments[0] + " did not end in time"};
  auto output = tail_of(quiet.output, 65536);
  if (child->exit_code() != 0) {
    return error{errc::internal, arguments[0] + " ended with " + std::to_string(child->exit_code()) + ": " + output};
  }
  return output;
}

uint16_t free_port() {
  // Below the ports the kernel gives to outgoing connections; the locks are kept until this process ends, so that
  // tests that run side by side never choose the same one.
  constexpr uint16_t first = 12000, count = 20000;
  const std::filesystem::path locks = std::filesystem::temp_directory_path() / "tern-test-ports";
  std::error_code ignored;
  std::filesystem::create_directories(locks, ignored);
  std::random_device random;
  for (int tries = 0; tries < 1000; ++tries) {
    const auto port = static_cast<uint16_t>(first + random() % count);
    const int lock = ::open((locks / std::to_string(port)).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (lock < 0) continue;
    if (::flock(lock, LOCK_EX | LOCK_NB) == 0 && can_listen(port)) return port;  // the lock stays open
    ::close(lock);
  }
  return 0;
}

}  // namespace tern::testing
