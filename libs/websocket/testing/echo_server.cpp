#include "libs/websocket/testing/echo_server.hpp"

#include <algorithm>
#include <future>
#include <stdexcept>
#include <thread>

namespace tern::websocket::testing {
namespace {

/// Echo; text commands: "close CODE", "abort", "flood BYTES", "pause", "limit BYTES", and "made N TEXT": N times
/// three messages made beforehand, at once, later and at once, then "end"; "held N TEXT": N numbered messages, the
/// next one only when nothing is queued.
class echo_handler final : public connection_handler {
 public:
  explicit echo_handler(journal& events) : events_(events) {}

  void on_open(connection&) override { events_.add("open"); }

  void on_message(connection& self, std::string_view bytes, bool binary) override {
    events_.add((binary ? "binary:" : "text:") + std::string(bytes.substr(0, 64)));
    if (!binary && command(self, std::string(bytes))) return;
    self.send(bytes.substr(0, bytes.size() / 2), bytes.substr(bytes.size() / 2));
  }

  void on_batch_end(connection&) override { events_.add("batch"); }

  void on_drained(connection& self) override {
    if (held_ == 0) return;
    events_.add("drained");
    send_held(self);
  }

  void on_close(connection& self, close_reason reason) override {
    events_.add("close:" + std::string(to_string(reason)));
    self.send("after", "close");  // must have no effect
    self.close(1000, {}, close_reason::error);
    self.abort(close_reason::error);
  }

 private:
  bool command(connection& self, const std::string& text) {
    const auto number = [&] { return std::stoul(text.substr(text.find(' ') + 1)); };
    if (text.starts_with("close ")) {
      self.close(static_cast<uint16_t>(number()), "bye", close_reason::drain);
    } else if (text == "abort") {
      self.abort(close_reason::auth);
    } else if (text.starts_with("flood ")) {
      const std::string block(16384, 'x');
      for (size_t sent = 0, all = number(); sent < all; sent += block.size()) self.send({}, block);
    } else if (text.starts_with("made ")) {
      send_made(self, number(), text.substr(text.rfind(' ') + 1));
    } else if (text.starts_with("held ")) {
      held_ += number();
      text_ = text.substr(text.rfind(' ') + 1);
      send_held(self);
    } else if (text == "pause") {
      self.pause_reading(true);
    } else if (text.starts_with("limit ")) {
      self.set_max_message_bytes(number());
    } else {
      return false;
    }
    return true;
  }

  static void send_made(connection& self, size_t times, const std::string& text) {
    std::string message;
    append_message(message, "made-", text);
    for (size_t i = 0; i < times; ++i) {
      self.send_made(message, true);  // written at once, or behind what a full socket has left
      self.send_made(message, false);
      self.send_made(message, true);  // must not overtake the one that waits
    }
    self.send({}, "end");
  }

  void send_held(connection& self) {
    while (sent_ < held_ && self.queued_bytes() == 0) {
      std::string message;
      append_message(message, std::to_string(++sent_) + "-", text_);
      self.send_made(message, true);
    }
  }

  journal& events_;
  size_t held_ = 0, sent_ = 0;
  std::string text_;
};

void answer(const request& what, const reply_function& reply) {
  if (what.path == "/forget") return;
  response made;
  made.body = std::string(what.method) + " " + std::string(what.path) + "?" + std::string(what.query) + " " +
              std::to_string(what.body.size()) + " " + what.remote_address;
  if (what.path == "/big") made.body.assign(4'000'000, 'b');
  if (what.path == "/split") made.fields.emplace_back("X-Bad", "a\r\nInjected: yes");
  if (what.path == "/later") {
    std::thread([reply, made] { reply(made); }).detach();
    return;
  }
  reply(made);
  reply(made);  // a second answer is ignored
}

}  // namespace

void journal::add(std::string what) {
  const std::lock_guard lock(mutex_);
  entries_.push_back(std::move(what));
  changed_.notify_all();
}

bool journal::wait_for(const std::string& what, size_t times) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::seconds(5), [&] {
    return static_cast<size_t>(std::count(entries_.begin(), entries_.end(), what)) >= times;
  });
}

std::vector<std::string> journal::all() const {
  const std::lock_guard lock(mutex_);
  return entries_;
}

size_t journal::count(const std::string& what) const {
  const std::lock_guard lock(mutex_);
  return static_cast<size_t>(std::count(entries_.begin(), entries_.end(), what));
}

echo_server::echo_server(server_options options) {
  one = make_server(
      std::move(options),
      [this](io_thread&, const request& what) {
        upgrade_decision decision;
        if (what.path == "/refuse") {
          decision.refusal.status = 403;
        } else {
          decision.handler = std::make_unique<echo_handler>(events);
        }
        return decision;
      },
      [](io_thread&, const request& what, const reply_function& reply) { answer(what, reply); });
  if (const auto listening = one->listen(); !listening) throw std::runtime_error(listening.error().detail);
  one->start();
}

echo_server::~echo_server() { one->stop(); }

void echo_server::run(const std::function<void(io_thread&)>& work) {
  std::promise<void> done;
  auto& thread = *one->threads().front();
  thread.post([&] {
    work(thread);
    done.set_value();
  });
  done.get_future().wait();
}

bool echo_server::wait_stats(const std::function<bool(const server_stats&)>& holds) const {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  while (!holds(one->stats())) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::yield();
  }
  return true;
}

}  // namespace tern::websocket::testing
