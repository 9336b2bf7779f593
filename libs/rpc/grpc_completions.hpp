// The one thread on which everything of a gRPC network happens, and its completion queue. Includes grpcpp: for the
// two halves of the network only.
#pragma once

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

namespace tern::rpc::detail {

class completions;

/// Held by whatever starts operations on the queue, for as long as it may. gRPC ends the process when one is started
/// after the queue's shutdown, so that waits for all of these.
class queue_use {
 public:
  explicit queue_use(completions& of);
  ~queue_use();
  queue_use(const queue_use&) = delete;
  queue_use& operator=(const queue_use&) = delete;

 private:
  completions& of_;
};

/// The tag of an operation. gRPC gives each back once.
class completion {
 public:
  virtual ~completion() = default;
  virtual void done(bool ok) = 0;
};

/// A member function as a tag; lives in the object it calls, which lives until the call.
template <class Owner>
class call_back final : public completion {
 public:
  call_back(Owner& owner, void (Owner::*what)(bool)) : owner_(owner), what_(what) {}
  void done(bool ok) override { (owner_.*what_)(ok); }

 private:
  Owner& owner_;
  void (Owner::*what_)(bool);
};

/// gRPC's own callback threads are two at least, and hand the polling to each other at every event: a futex call, a
/// wake-up and a contended lock each, half of what a small batch costs. With one thread and a queue of our own there
/// is nobody to hand it to. Handlers do not block and give work away when there is much, so one is enough.
class completions {
 public:
  completions() : queue_(builder_.AddCompletionQueue()), thread_([this] { run(); }) {}
  ~completions() { stop(); }
  completions(const completions&) = delete;
  completions& operator=(const completions&) = delete;

  /// The server that shares the queue is to be built with it.
  grpc::ServerBuilder& builder() { return builder_; }
  grpc::ServerCompletionQueue& queue() { return *queue_; }
  bool in_thread() const { return id_.load() == std::this_thread::get_id(); }
  /// When all links and the server have been stopped: waits for calls that are not over yet (a write that a stopped
  /// peer does not take is given back when keepalive ends its connection), takes back the last tags and ends the
  /// thread. Idempotent.
  void stop() {
    if (!thread_.joinable()) return;
    {
      std::unique_lock held(mutex_);
      unused_.wait(held, [this] { return users_ == 0; });
    }
    queue_->Shutdown();
    thread_.join();
  }

 private:
  friend class queue_use;
  void run() {
    id_ = std::this_thread::get_id();
    void* tag = nullptr;
    bool ok = false;
    while (queue_->Next(&tag, &ok)) static_cast<completion*>(tag)->done(ok);
  }

  grpc::ServerBuilder builder_;
  std::unique_ptr<grpc::ServerCompletionQueue> queue_;
  std::atomic<std::thread::id> id_{};
  std::mutex mutex_;
  std::condition_variable unused_;
  int users_ = 0;  // guarded by mutex_
  std::thread thread_;
};

inline queue_use::queue_use(completions& of) : of_(of) {
  const std::lock_guard held(of_.mutex_);
  ++of_.users_;
}

inline queue_use::~queue_use() {
  const std::lock_guard held(of_.mutex_);
  if (--of_.users_ == 0) of_.unused_.notify_all();
}

}  // namespace tern::rpc::detail
