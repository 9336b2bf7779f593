// A stream to one node: a request, and the answer to it.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "libs/rpc/network.hpp"

namespace tern::erasing {

/// Stream kind S to `address`, kept up until it is destroyed. One request at a time; not thread-safe; waits.
template <class S>
class node_link {
 public:
  using up = typename S::up;
  using down = typename S::down;
  node_link(rpc::network& over, const rpc::peer& self, const std::string& address)
      : inbox_(std::make_shared<inbox>()), link_(over.connect<S>(self, address, inbox_)) {}

  /// The first item that `answers` says is the answer. unavailable: no stream, or it broke; deadline: no answer.
  result<down> ask(const up& item, const std::function<bool(const down&)>& answers, std::chrono::milliseconds limit) {
    return inbox_->ask(item, answers, std::chrono::steady_clock::now() + limit);
  }

 private:
  class inbox final : public rpc::client_handler<S> {
   public:
    void on_up(std::shared_ptr<rpc::sink<up>> out) override {
      const std::lock_guard hold{lock_};
      out_ = std::move(out);
      wake_.notify_all();
    }
    void on_items(std::vector<down>& items) override {
      const std::lock_guard hold{lock_};
      for (auto& each : items) items_.push_back(std::move(each));
      wake_.notify_all();
    }
    void on_down() override {
      const std::lock_guard hold{lock_};
      out_.reset();
      ++falls_;
      wake_.notify_all();
    }

    result<down> ask(const up& item, const std::function<bool(const down&)>& answers,
                     std::chrono::steady_clock::time_point until) {
      std::unique_lock hold{lock_};
      wake_.wait_until(hold, until, [&] { return out_ != nullptr; });
      if (!out_) return errc::unavailable;
      items_.clear();
      const auto falls = falls_;
      const auto out = out_;
      hold.unlock();
      if (!out->send(item)) return errc::unavailable;
      hold.lock();
      for (;;) {
        for (; !items_.empty(); items_.pop_front()) {
          if (answers(items_.front())) return std::move(items_.front());
        }
        if (falls_ != falls) return errc::unavailable;
        if (wake_.wait_until(hold, until) == std::cv_status::timeout && items_.empty()) return errc::deadline;
      }
    }

   private:
    std::mutex lock_;
    std::condition_variable wake_;
    std::shared_ptr<rpc::sink<up>> out_;
    std::deque<down> items_;
    uint64_t falls_ = 0;
  };

  std::shared_ptr<inbox> inbox_;
  std::unique_ptr<rpc::link> link_;
};

}  // namespace tern::erasing
