#include "services/storage/repositories/bench/engine_load.hpp"

#include <chrono>
#include <thread>
#include <utility>

#include "services/storage/convert.hpp"

namespace tern::storage::bench {
namespace {

class deaf_sink final : public reply_sink {
 public:
  bool send(v1::StorageReply) override { return true; }
  bool send_all(std::vector<v1::StorageReply>& items) override {
    items.clear();
    return true;
  }
  void close() override {}
};

}  // namespace

result<std::unique_ptr<engine_load>> engine_load::open(const std::string& dsn, size_t requests, size_t conversations,
                                                       size_t body, load_manner as) {
  std::unique_ptr<engine_load> made(new engine_load(as.two ? 2 * requests : requests, conversations, body));
  auto opened = open_store(dsn);
  if (!opened) return opened.error();
  made->store_ = std::move(*opened);
  made->nobody_ = std::make_shared<deaf_sink>();
  writer_options how;
  how.shard = "bench";
  how.epoch = 1;
  how.batch_requests = requests;
  how.done_rows = 2 * requests;
  how.split_requests = as.two ? requests : 0;
  how.look_for_keys = as.look ? std::chrono::hours(24) : std::chrono::hours(0);
  made->engine_ = std::make_unique<writer_engine>(
      how, system_clock(), [shard = made->store_.get()]() -> result<std::unique_ptr<writer_store>> {
        auto writer = shard->open_writer();
        if (!writer) return writer.error();
        if (auto held = (*writer)->acquire(1); !held) return held.error();
        return std::move(*writer);
      });
  if (auto ready = made->engine_->ensure_open(); !ready) return ready.error();
  return made;
}

write_request engine_load::next() {
  const uint64_t pair = ++count_ * 7919 % conversations_;
  const uint64_t spread = (pair + 1) * 0x9E3779B97F4A7C15U;
  write_request item;
  item.message.set_call(count_);
  item.message.set_shard("bench");
  item.message.set_epoch(1);
  auto& ask = *item.message.mutable_append();
  to_proto({spread, ~spread}, *ask.mutable_conversation());
  ask.set_sender(spread ^ 1U);
  ask.set_recipient(spread ^ 2U);
  std::string key(9, 'i');
  for (size_t b = 0; b < 8; ++b) key[b + 1] = static_cast<char>(count_ >> (8 * b));
  ask.set_key(std::move(key));
  ask.set_body(body_);
  ask.set_open(true);
  ask.set_accepted_ns(1);
  item.from = nobody_;
  item.arrived = system_clock().now();
  item.deadline = item.arrived + std::chrono::minutes(5);
  return item;
}

result<size_t> engine_load::commit() {
  std::vector<write_request> items;
  items.reserve(requests_);
  for (size_t i = 0; i < requests_; ++i) items.push_back(next());
  engine_->add(std::move(items));
  auto done = engine_->run();
  // On a busy machine an answer may take too long: the engine finds out what became of it.
  for (int again = 0; done.what == round::outcome::retry && again < 20; ++again) {
    std::this_thread::sleep_for(std::chrono::milliseconds(250));
    done = engine_->run();
  }
  if (done.what != round::outcome::served) return error{done.failure, done.detail};
  std::vector<uint64_t> confirmed;
  confirmed.reserve(done.deliveries.size());
  for (const auto& one : done.deliveries) confirmed.push_back(one.entry());
  engine_->add_done(confirmed);
  send_answers(done.answers);
  messages_ += done.messages;
  return done.messages;
}

}  // namespace tern::storage::bench
