#include "services/session/links/deliver_server.hpp"

#include <algorithm>
#include <map>
#include <unordered_map>
#include <utility>
#include <vector>

#include "libs/actor/inline_run.hpp"
#include "services/session/directory.hpp"

namespace tern::session {
namespace {

/// After a refusal the dispatcher sends all entries of the account again, from the refused one on. What was under way
/// behind it must not be taken before that, even if the map (or the lease) has changed meanwhile: it would overtake.
/// Forgotten after a second, for the case that the refused entry was settled at another node.
constexpr std::chrono::seconds refusal_lasts{1};
constexpr size_t refusals_kept = 4096;  // above, those that are over are cleared away

class deliver_handler final : public rpc::server_handler<rpc::deliver_stream> {
 public:
  deliver_handler(const environment& env, std::shared_ptr<rpc::sink<v1::DeliveryReply>> out)
      : env_(env), out_(std::move(out)) {}

  void on_items(std::vector<v1::Delivery>& items) override {
    const auto map = env_.cluster->get();
    std::vector<directory::addressed> mails;
    mails.reserve(items.size());
    std::map<source_ptr, v1::DeliveryReply> refused;
    for (v1::Delivery& item : items) {
      shard_state& shard = shard_of(item);
      const source_ptr& source = shard.source;
      const account_id account{item.account()};  // read before the move below
      if (takes(shard, owned_range(env_, *map, slot_of(account)) != nullptr, account, item.entry())) {
        mails.emplace_back(account, delivery_event{source, std::move(item)});
        continue;
      }
      env_.metrics.wrong_owner_total.add();
      v1::DeliveryReply& reply = refused[source];
      reply.set_shard(source->shard);
      reply.set_epoch(source->epoch);
      reply.add_wrong_owner(item.entry());
    }
    {
      const actor::inline_scope here(env_.actors, mails.size() <= few_items);
      if (!mails.empty()) env_.directory->post(mails);
    }
    for (auto& [source, reply] : refused) {
      if (!out_->send(std::move(reply))) out_->close();
    }
  }

  void on_down() override {}

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
  std::map<std::string, shard_state> shards_;
};

}  // namespace

rpc::accept_function<rpc::deliver_stream> deliver_acceptor(const environment& env) {
  return [&env](const rpc::peer&, std::shared_ptr<rpc::sink<v1::DeliveryReply>> out)
             -> std::shared_ptr<rpc::server_handler<rpc::deliver_stream>> {
    return std::make_shared<deliver_handler>(env, std::move(out));
  };
}

}  // namespace tern::session
