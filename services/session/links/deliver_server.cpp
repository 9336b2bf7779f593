#include "services/session/links/deliver_server.hpp"

#include <algorithm>
#include <deque>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "libs/actor/inline_run.hpp"
#include "libs/handover/mover.hpp"
#include "services/session/directory.hpp"
#include "services/session/links/parked_streams.hpp"

namespace tern::session {
namespace {

/// What of one shard (in one epoch) was refused on one stream. After a refusal the dispatcher sends all entries of
/// the account again, from the lowest it has. What was under way behind the refused one must not be taken before
/// that, even if the range has become ours again meanwhile: it would overtake. That the dispatcher has gone back is
/// seen by the numbers alone: they ascend until it does. No clock, for a stopped machine or a path that is cut makes
/// any time too short. If the refused entry was settled at another node, the next one is refused once and then comes
/// again. Actors refuse, too, when they end with entries on their way: their answers pass here. Used by any thread.
class refusals {
 public:
  bool takes(bool owned, account_id account, uint64_t entry, clock::time_point now) {
    const std::lock_guard held(mutex_);
    const auto at = refused_.find(account);
    if (owned && (at == refused_.end() || entry <= at->second.entry)) {
      if (at != refused_.end()) refused_.erase(at);
      taken_.insert_or_assign(entry, account);
      return true;
    }
    if (at == refused_.end()) {
      make_room(now);
      refused_.emplace(account, refusal{entry, now});
    } else {
      at->second = {entry, now};
    }
    return false;
  }

  /// Before the answer leaves: what comes afterwards is to be refused until the dispatcher has heard of it.
  void answered(const v1::DeliveryReply& reply, clock::time_point now) {
    const std::lock_guard held(mutex_);
    for (const uint64_t entry : reply.done()) taken_.erase(entry);
    for (const uint64_t entry : reply.wrong_owner()) {
      const auto at = taken_.find(entry);
      if (at == taken_.end()) continue;
      make_room(now);
      refused_.try_emplace(at->second, refusal{entry, now});
      taken_.erase(at);
    }
  }

 private:
  struct refusal {
    uint64_t entry = 0;  // the last refused
    clock::time_point when;
  };
  static constexpr size_t kept = 4096;           // above, those that are old are cleared away
  static constexpr std::chrono::minutes old{2};  // longer than any stream lives whose answers do not arrive

  void make_room(clock::time_point now) {
    if (refused_.size() < clear_at_) return;
    std::erase_if(refused_, [now](const auto& one) { return one.second.when + old <= now; });
    clear_at_ = std::max(kept, 2 * refused_.size());
  }

  std::mutex mutex_;
  std::unordered_map<account_id, refusal> refused_;
  std::unordered_map<uint64_t, account_id> taken_;  // by entry: not answered yet
  size_t clear_at_ = kept;
};

/// Where actors answer.
class answers final : public rpc::sink<v1::DeliveryReply> {
 public:
  answers(std::shared_ptr<rpc::sink<v1::DeliveryReply>> to, std::shared_ptr<refusals> noted, const clock& time)
      : to_(std::move(to)), noted_(std::move(noted)), time_(time) {}
  bool send(v1::DeliveryReply item) override {
    noted_->answered(item, time_.now());
    return to_->send(std::move(item));
  }
  bool send_all(std::vector<v1::DeliveryReply>& items) override {
    for (const v1::DeliveryReply& item : items) noted_->answered(item, time_.now());
    return to_->send_all(items);
  }
  void close() override { to_->close(); }

 private:
  const std::shared_ptr<rpc::sink<v1::DeliveryReply>> to_;
  const std::shared_ptr<refusals> noted_;
  const clock& time_;
};

/// Which epoch of each shard has sent entries here. A former owner of a shard may have been stopped for long; what it
/// had under way then comes behind what the next owner sent, and whoever answered it would not answer the other. Used
/// by all streams.
class shard_epochs {
 public:
  using taking = std::shared_lock<std::shared_mutex>;

  /// While this is held, no newer epoch begins.
  taking begin(const std::vector<v1::Delivery>& items) {
    taking held(mutex_);
    while (std::any_of(items.begin(), items.end(), [this](const v1::Delivery& item) { return newer(item); })) {
      held.unlock();
      {
        const std::unique_lock alone(mutex_);
        for (const v1::Delivery& item : items) {
          if (newer(item)) epochs_[item.shard()] = item.epoch();
        }
      }
      held.lock();
    }
    return held;
  }
  taking begin() { return taking(mutex_); }
  /// Between begin() and the end of what it returned.
  bool ended(const v1::Delivery& item) const {
    const auto at = epochs_.find(item.shard());
    return at != epochs_.end() && item.epoch() < at->second;
  }

 private:
  bool newer(const v1::Delivery& item) const {
    const auto at = epochs_.find(item.shard());
    return at == epochs_.end() || item.epoch() > at->second;
  }

  std::shared_mutex mutex_;
  std::map<std::string, uint64_t> epochs_;
};

constexpr std::chrono::seconds parked_for{1};
constexpr size_t parked_most = 16384;

/// The lock keeps the order of what waits and what comes; nothing is sent and no actor runs while it is held.
class deliver_handler final : public rpc::server_handler<rpc::deliver_stream>, public parking_stream {
 public:
  deliver_handler(const environment& env, std::shared_ptr<shard_epochs> epochs,
                  std::shared_ptr<rpc::sink<v1::DeliveryReply>> out)
      : env_(env), epochs_(std::move(epochs)), out_(std::move(out)) {}

  void on_items(std::vector<v1::Delivery>& items) override {
    const actor::inline_scope here(env_.actors, items.size() <= few_items);
    turn(&items);
  }

  void settle() override { turn(nullptr); }

  void on_down() override {
    const std::lock_guard held(mutex_);
    if (env_.parked != nullptr) env_.parked->waiting() -= parked_.size();
    parked_.clear();
    parked_accounts_.clear();
  }

 private:
  struct shard_state {
    source_ptr source;  // one object per shard and epoch, shared by all entries that wait
    std::shared_ptr<refusals> refused;
  };

  struct parked {
    v1::Delivery item;
    clock::time_point until;
  };
  /// What is taken and refused in one turn.
  struct outcome_of {
    std::vector<directory::addressed> mails;
    std::map<source_ptr, v1::DeliveryReply> refused;
  };

  void turn(std::vector<v1::Delivery>* items) {
    outcome_of done;
    {
      const std::lock_guard held(mutex_);
      const auto epochs_last = items == nullptr ? epochs_->begin() : epochs_->begin(*items);
      const std::shared_lock turn_lasts(env_.directory->turns());
      const auto map = env_.cluster->get();
      if (items == nullptr) {
        unpark(*map, done);
      } else {
        done.mails.reserve(items->size());
        for (v1::Delivery& item : *items) {
          if (!park(*map, item)) sort(*map, item, done);
        }
      }
      if (!done.mails.empty()) env_.directory->post(done.mails);
    }
    for (auto& [source, reply] : done.refused) {
      if (!out_->send(std::move(reply))) out_->close();
    }
  }

  void sort(const placement::snapshot& map, v1::Delivery& item, outcome_of& done) {
    if (epochs_->ended(item)) return;  // nobody waits for an answer; the shard's owner sends it
    shard_state& shard = shard_of(item);
    const source_ptr source = shard.source;
    const account_id account{item.account()};  // read before the move below
    const bool owned = owned_range(env_, map, slot_of(account)) != nullptr;
    if (shard.refused->takes(owned, account, item.entry(), env_.time.now())) {
      done.mails.emplace_back(account, delivery_event{source, std::move(item)});
      return;
    }
    env_.metrics.wrong_owner_total.add();
    v1::DeliveryReply& reply = done.refused[source];
    reply.set_shard(source->shard);
    reply.set_epoch(source->epoch);
    reply.add_wrong_owner(item.entry());
  }

  /// As of gateways: see attach_server.
  bool park(const placement::snapshot& map, v1::Delivery& item) {
    if (env_.moves == nullptr || env_.parked == nullptr || parked_.size() >= parked_most) return false;
    const account_id account{item.account()};
    const bool follows = !parked_.empty() && parked_accounts_.contains(account);
    const slot_type slot = slot_of(account);
    if (!follows && (!env_.moves->expects(slot) || owned_range(env_, map, slot) != nullptr)) return false;
    ++parked_accounts_[account];
    parked_.push_back({std::move(item), env_.time.now() + parked_for});
    ++env_.parked->waiting();
    return true;
  }

  void unpark(const placement::snapshot& map, outcome_of& done) {
    const auto now = env_.time.now();
    std::deque<parked> kept;
    for (parked& one : parked_) {
      const account_id account{one.item.account()};
      const slot_type slot = slot_of(account);
      if (now < one.until && owned_range(env_, map, slot) == nullptr && env_.moves->expects(slot)) {
        kept.push_back(std::move(one));
        continue;
      }
      if (--parked_accounts_[account] == 0) parked_accounts_.erase(account);
      --env_.parked->waiting();
      sort(map, one.item, done);
    }
    parked_.swap(kept);
  }

  shard_state& shard_of(const v1::Delivery& item) {
    shard_state& known = shards_[item.shard()];
    if (!known.source || known.source->epoch != item.epoch()) {
      known.refused = std::make_shared<refusals>();
      known.source = std::make_shared<delivery_source>(item.shard(), item.epoch(),
                                                       std::make_shared<answers>(out_, known.refused, env_.time));
    }
    return known;
  }

  const environment& env_;
  const std::shared_ptr<shard_epochs> epochs_;
  const std::shared_ptr<rpc::sink<v1::DeliveryReply>> out_;
  std::mutex mutex_;
  std::map<std::string, shard_state> shards_;
  std::deque<parked> parked_;
  std::unordered_map<account_id, size_t> parked_accounts_;
};

}  // namespace

rpc::accept_function<rpc::deliver_stream> deliver_acceptor(const environment& env) {
  return [&env, epochs = std::make_shared<shard_epochs>()](const rpc::peer&,
                                                           std::shared_ptr<rpc::sink<v1::DeliveryReply>> out)
             -> std::shared_ptr<rpc::server_handler<rpc::deliver_stream>> {
    auto handler = std::make_shared<deliver_handler>(env, epochs, std::move(out));
    if (env.parked != nullptr) env.parked->add(handler);
    return handler;
  };
}

}  // namespace tern::session
