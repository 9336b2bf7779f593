// What both ends of a gRPC stream do alike: queue, credit, one write at a time, ordered calls of the handler.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "libs/rpc/call_tally.hpp"
#include "libs/rpc/erased.hpp"
#include "libs/rpc/outbox.hpp"
#include "libs/rpc/pacer.hpp"

namespace tern::rpc::detail {

/// The operations of a reactor, which the stream calls under its lock (they start something and return).
class wire {
 public:
  virtual ~wire() = default;
  virtual void start_write(std::string batch) = 0;
  virtual void start_read() = 0;
  /// No write will follow. Server: Finish. Client: half-close.
  virtual void finish() = 0;
  /// Cuts the call: what is under way fails soon.
  virtual void cancel() = 0;
};

/// Shared by the reactor, which feeds it, and the sinks. Reactions (on_…) come one after the other except on_written,
/// which may run beside on_message.
///
/// Writes: at once when the last one is an interval of the pacer ago, or when much waits; else with what else comes
/// until the end of the interval.
class grpc_stream final : public raw_sink, public paced, public std::enable_shared_from_this<grpc_stream> {
 public:
  /// `pace` outlives the stream; null: nothing waits.
  explicit grpc_stream(const outbox_limits& limits, std::shared_ptr<pacer> pace = nullptr)
      : out_(limits), pace_(std::move(pace)) {}

  bool send(google::protobuf::MessageLite& item) override;
  bool send_all(item_list& items) override;
  void close() override;

  /// Before open(): messages are counted there.
  void count(call_tally& at) { counts_ = &at; }
  /// The handler is known and the call stands: sends are taken and written. `credit`: what the peer lets us send.
  void open(std::shared_ptr<receiver> handler, wire& to, uint64_t credit);
  /// Client, once after open(): calls the handler's up() with this stream as the sink.
  void up();
  /// Once after open() (and up()): the first read.
  void read();
  void on_message(std::string_view batch);
  void on_read_end();
  void on_written(bool ok);
  /// The call is over; nothing of it runs. Calls down() if open() came before.
  void on_done();
  /// The pacer's: what has gathered is written.
  void go() override;

  /// Cuts the stream. With `mute` a call of the handler that runs in this thread is the last one.
  void cut();
  void mute() { muted_ = true; }
  /// Mutes it from outside: waits for a call of the handler that runs; none begins afterwards. True: the handler has
  /// not been told down().
  bool silence();
  bool called_by_this_thread() const { return caller_.load() == std::this_thread::get_id(); }
  /// Called (once, at most, with no lock held) when close() could not finish at once: after a while somebody must
  /// cut().
  void on_lingering(std::function<void()> call) { lingering_ = std::move(call); }

 private:
  class calling;
  void kick();
  /// True: what there is goes with the end of the interval.
  bool waits_for_more();
  void finish_once();

  std::mutex mutex_;
  outbox out_;
  const std::shared_ptr<pacer> pace_;
  pacer::time_point last_write_{};
  bool waits_ = false;  // the pacer will call
  call_tally* counts_ = nullptr;
  wire* wire_ = nullptr;  // from open() to on_done()
  std::shared_ptr<receiver> handler_;
  std::function<void()> lingering_;
  std::atomic<std::thread::id> caller_{};
  std::atomic<bool> muted_ = false;
  std::atomic<bool> told_down_ = false;
  bool writing_ = false;
  bool closing_ = false;    // send() is over; what is queued still goes
  bool finishing_ = false;  // the peer has ended or a write failed: nothing more goes
  bool finished_ = false;   // wire::finish was called
};

}  // namespace tern::rpc::detail
