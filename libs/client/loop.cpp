#include "libs/client/loop.hpp"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

namespace tern::client {
namespace {

using namespace std::chrono_literals;

/// A sleeping thread needs about so long to run again.
constexpr std::chrono::nanoseconds waking_up = 150us;

}  // namespace

loop::loop() : epoll_(epoll_create1(EPOLL_CLOEXEC)), wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (epoll_ < 0 || wake_ < 0) throw std::system_error(errno, std::generic_category(), "epoll");
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = nullptr;
  epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &event);
}

loop::~loop() {
  close(wake_);
  close(epoll_);
}

void loop::add(int fd, io_target& target) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.ptr = &target;
  if (epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) {
    throw std::system_error(errno, std::generic_category(), "epoll_ctl");
  }
}

void loop::remove(int fd) noexcept { epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr); }

void loop::at(time_point when, std::function<void()> work) { timers_.push({when, next_order_++, std::move(work)}); }

void loop::after(std::chrono::nanoseconds delay, std::function<void()> work) {
  at(std::chrono::steady_clock::now() + delay, std::move(work));
}

void loop::post(std::function<void()> work) {
  {
    const std::lock_guard lock(mutex_);
    posted_.push_back(std::move(work));
  }
  const uint64_t one = 1;
  if (write(wake_, &one, sizeof one) < 0) return;  // the counter is full: the loop is awake anyway
}

void loop::stop() {
  post([this] { stopped_ = true; });
}

void loop::be_punctual() {
  punctual_ = true;
  prctl(PR_SET_TIMERSLACK, 1UL);
}

void loop::run() {
  stopped_ = false;
  while (!stopped_) round(std::chrono::milliseconds(1000));
}

bool loop::run_until(const std::function<bool()>& done, std::chrono::milliseconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!done()) {
    if (std::chrono::steady_clock::now() >= end) return false;
    round(std::chrono::milliseconds(20));
  }
  return true;
}

void loop::round(std::chrono::milliseconds most) {
  std::chrono::nanoseconds wait = most;
  now_ = std::chrono::steady_clock::now();
  if (!timers_.empty()) {
    const std::chrono::nanoseconds due = timers_.top().when - now_ - (punctual_ ? waking_up : 0ns);
    wait = std::clamp<std::chrono::nanoseconds>(due, 0ns, most);
  }
  if (!round_end_.empty()) wait = 0ns;
  std::array<epoll_event, 512> events;
  const timespec timeout{static_cast<time_t>(wait.count() / 1'000'000'000),
                         static_cast<long>(wait.count() % 1'000'000'000)};
  const int count = epoll_pwait2(epoll_, events.data(), static_cast<int>(events.size()), &timeout, nullptr);
  now_ = std::chrono::steady_clock::now();
  for (int i = 0; i < count; ++i) {
    if (events[static_cast<size_t>(i)].data.ptr == nullptr) {
      uint64_t ignored = 0;
      if (read(wake_, &ignored, sizeof ignored) < 0) continue;
    } else {
      static_cast<io_target*>(events[static_cast<size_t>(i)].data.ptr)
          ->on_ready(events[static_cast<size_t>(i)].events);
    }
  }
  run_posted();
  run_timers();
  while (!round_end_.empty()) {
    auto work = std::move(round_end_);
    round_end_.clear();
    for (auto& each : work) each();
  }
}

void loop::run_timers() {
  while (!timers_.empty() && timers_.top().when <= now_) {
    auto work = timers_.top().work;
    timers_.pop();
    work();
  }
}

void loop::run_posted() {
  std::vector<std::function<void()>> work;
  {
    const std::lock_guard lock(mutex_);
    work.swap(posted_);
  }
  for (auto& each : work) each();
}

}  // namespace tern::client
