#include "services/session/links/deliver_server.hpp"

#include <algorithm>
#include <deque>
#include <map>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "libs/actor/inline_run.hpp"
#include "libs/handover/mover.hpp"
#include "services/session/directory.hpp"
#include "services/session/links/parked_streams.hpp"

namespace tern::session {
namespace {

/// After a refusal the dispatcher sends all entries of the account again, from the refused one on. What was under way
/// behind it must not be taken before that, even if the map (or the lease) has changed meanwhile: it would overtake.
/// Forgotten after a second, for the case that the refused entry was settled at another node.
constexpr std::chrono::seconds refusal_lasts{1};
constexpr size_t refusals_kept = 4096;  // above, those that are over are cleared away

constexpr std::chrono::seconds parked_for{1};
constexpr size_t parked_most = 16384;

/// The lock keeps the order of what waits and what comes; nothing is sent and no actor runs while it is held.
class deliver_handler final : public rpc::server_handler<rpc::deliver_stream>, public parking_stream {
 public:
  deliver_handler(const environment& env, std::shared_ptr<rpc::sink<v1::DeliveryReply>> out)
      : env_(env), out_(std::move(out)) {}

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
  struct refusal {
    uint64_t entry = 0;  // the lowest refused
    clock::time_point until;
  };
  struct shard_state {
    source_ptr source;  // one object per shard and epoch, shared by all entries that wait
    std::unordered_map<account_id, refusal> refused;
    size_t clear_at = refusals_kept;
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
    shard_state& shard = shard_of(item);
    const source_ptr source = shard.source;
    const account_id account{item.account()};  // read before the move below
    if (takes(shard, owned_range(env_, map, slot_of(account)) != nullptr, account, item.entry())) {
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
      known.source = std::make_shared<delivery_source>(delivery_source{item.shard(), item.epoch(), out_});
      known.refused.clear();
    }
    return known;
  }

  /// Notes refusals, and forgets them when the dispatcher has gone back to the entry.
  bool takes(shard_state& shard, bool owned, account_id account, uint64_t entry) const {
    const auto at = shard.refused.find(account);
    if (owned && at == shard.refused.end()) return true;
    const auto now = env_.time.now();
    if (owned) {
      if (entry > at->second.entry && now < at->second.until) return false;
      shard.refused.erase(at);
      return true;
    }
    if (shard.refused.size() >= shard.clear_at) {
      std::erase_if(shard.refused, [now](const auto& one) { return one.second.until <= now; });
      shard.clear_at = std::max(refusals_kept, 2 * shard.refused.size());
    }
    const auto [noted, fresh] = shard.refused.try_emplace(account, refusal{entry, {}});
    const bool over = noted->second.until <= now;
    noted->second.entry = fresh || over ? entry : std::min(noted->second.entry, entry);
    noted->second.until = now + refusal_lasts;
    return false;
  }

  const environment& env_;
  const std::shared_ptr<rpc::sink<v1::DeliveryReply>> out_;
  std::mutex mutex_;
  std::map<std::string, shard_state> shards_;
  std::deque<parked> parked_;
  std::unordered_map<account_id, size_t> parked_accounts_;
};

}  // namespace

rpc::accept_function<rpc::deliver_stream> deliver_acceptor(const environment& env) {
  return [&env](const rpc::peer&, std::shared_ptr<rpc::sink<v1::DeliveryReply>> out)
             -> std::shared_ptr<rpc::server_handler<rpc::deliver_stream>> {
    auto handler = std::make_shared<deliver_handler>(env, std::move(out));
    if (env.parked != nullptr) env.parked->add(handler);
    return handler;
  };
}

}  // namespace tern::session
