#include "services/storage/grpc/storage_service.hpp"

#include <atomic>
#include <utility>
#include <vector>

#include "services/storage/cursor_fence.hpp"

namespace tern::storage {
namespace {

/// A stream that has been ended from this side: what still comes on it is asked again on the next one, and must not
/// be done before what was lost.
class ended_sink final : public reply_sink {
 public:
  explicit ended_sink(std::shared_ptr<reply_sink> to) : to_(std::move(to)) {}
  bool send(v1::StorageReply item) override { return to_->send(std::move(item)); }
  bool send_all(std::vector<v1::StorageReply>& items) override { return to_->send_all(items); }
  void close() override {
    ended_ = true;
    to_->close();
  }
  bool ended() const noexcept { return ended_; }

 private:
  const std::shared_ptr<reply_sink> to_;
  std::atomic<bool> ended_{false};
};

class exchange_handler final : public rpc::server_handler<rpc::storage_stream> {
 public:
  exchange_handler(std::shared_ptr<const shard_slots> shards, std::shared_ptr<storage_metrics> metrics,
                   const placement::view& cluster, const clock& time, rpc::peer from,
                   const std::shared_ptr<reply_sink>& out)
      : shards_(std::move(shards)),
        metrics_(std::move(metrics)),
        cluster_(cluster),
        time_(time),
        from_(std::move(from)),
        out_(std::make_shared<ended_sink>(out)) {}

  void on_items(std::vector<v1::StorageRequest>& items) override {
    if (out_->ended()) return;
    std::vector<answer> refused;
    refuse_foreign_cursors(items, refused);
    for (size_t first = 0; first < items.size();) {
      size_t end = first + 1;
      while (end < items.size() && items[end].shard() == items[first].shard()) ++end;
      admit(items, first, end, refused);
      first = end;
    }
    if (refused.empty()) return;
    metrics_->operations.observe(refused, time_.now());
    send_answers(refused);
  }

  /// What a writer has is still executed: the other side asks again on its next stream.
  void on_down() override {
    const auto all = shards_->all();
    for (const auto& [name, shard] : *all) shard->port->forget(out_);
  }

 private:
  void refuse_foreign_cursors(std::vector<v1::StorageRequest>& items, std::vector<answer>& refused) const {
    placement::snapshot_ptr map;
    std::erase_if(items, [&](v1::StorageRequest& item) {
      if (!item.has_cursor_put()) return false;
      if (!map) map = cluster_.get();
      if (may_put_cursor(*map, from_, item.cursor_put())) return false;
      refused.push_back(refuse(item, out_, errc::unavailable, time_.now()));
      return true;
    });
  }

  void admit(std::vector<v1::StorageRequest>& items, size_t first, size_t end, std::vector<answer>& refused) {
    const auto shard = shards_->find(items[first].shard());
    if (!shard) {
      for (size_t i = first; i < end; ++i) refused.push_back(refuse(items[i], out_, errc::wrong_owner, time_.now()));
      return;
    }
    std::vector<v1::StorageRequest> run(std::make_move_iterator(items.begin() + static_cast<std::ptrdiff_t>(first)),
                                        std::make_move_iterator(items.begin() + static_cast<std::ptrdiff_t>(end)));
    shard->port->admit(std::move(run), out_, refused);
  }

  const std::shared_ptr<const shard_slots> shards_;
  const std::shared_ptr<storage_metrics> metrics_;
  const placement::view& cluster_;
  const clock& time_;
  const rpc::peer from_;
  const std::shared_ptr<ended_sink> out_;
};

}  // namespace

rpc::accept_function<rpc::storage_stream> make_storage_acceptor(std::shared_ptr<const shard_slots> shards,
                                                                std::shared_ptr<storage_metrics> metrics,
                                                                const placement::view& cluster, const clock& time) {
  return [shards = std::move(shards), metrics = std::move(metrics), &cluster, &time](
             const rpc::peer& from,
             std::shared_ptr<reply_sink> out) -> std::shared_ptr<rpc::server_handler<rpc::storage_stream>> {
    return std::make_shared<exchange_handler>(shards, metrics, cluster, time, from, std::move(out));
  };
}

}  // namespace tern::storage
