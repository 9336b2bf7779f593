#include "services/routing/meta_store.hpp"

#include "services/routing/meta_store_sql.hpp"

namespace tern::routing {
namespace {

class memory_meta_store final : public meta_store {
 public:
  result<void> open() override { return {}; }
  result<meta_state> load() override { return state_; }
  result<void> commit(const meta_state& now, const meta_state& next, uint64_t term) override {
    if (leader_.term != term || state_.version != now.version) return errc::stale_epoch;
    ++leader_.beat;
    state_ = next;
    return {};
  }
  result<intents> load_intents() override { return intents_; }
  result<void> store_intents(const intents& what, uint64_t term) override {
    if (leader_.term != term) return errc::stale_epoch;
    ++leader_.beat;
    intents_ = what;
    return {};
  }
  result<leader_row> leader() override { return leader_; }
  result<void> take_over(const leader_row& seen, const leader_row& self) override {
    if (leader_.term != seen.term || leader_.beat != seen.beat) return errc::stale_epoch;
    leader_ = self;
    leader_.term = seen.term + 1;
    leader_.beat = seen.beat + 1;
    return {};
  }
  result<void> renew(uint64_t term) override {
    if (leader_.term != term) return errc::stale_epoch;
    ++leader_.beat;
    return {};
  }
  result<void> resign(uint64_t term) override {
    if (leader_.term != term) return errc::stale_epoch;
    leader_ = {term, {}, 0, {}, leader_.beat + 1};
    return {};
  }

 private:
  leader_row leader_;
  meta_state state_;
  intents intents_;
};

}  // namespace

std::unique_ptr<meta_store> make_meta_store(const std::string& dsn) {
  if (dsn == "memory:") return std::make_unique<memory_meta_store>();
  return make_sql_meta_store(dsn);
}

result<bool> import_storage(meta_store& from, meta_store& into) {
  const auto there = into.load();
  if (!there) return there.error();
  if (there->version != 0) return false;
  const auto known = from.load();
  if (!known) return known.error();
  if (known->version == 0) return error{errc::config, "there is nothing in the meta database to import from"};
  const auto wanted = from.load_intents();
  if (!wanted) return wanted.error();
  meta_state next;
  next.version = known->version;
  next.storage = known->storage;
  for (const auto& each : known->shards) next.shards.push_back({each.name, {}, each.epoch});
  intents shards;
  shards.shards = wanted->shards;
  shards.shard_moves = wanted->shard_moves;
  shards.last_shard_move = wanted->last_shard_move;

  const auto seen = into.leader();
  if (!seen) return seen.error();
  if (auto led = into.take_over(*seen, {0, "import", 1, {}, 0}); !led) return led.error();
  const auto term = seen->term + 1;
  // The maps come last: as long as they are not there it is begun anew.
  if (auto stored = into.store_intents(shards, term); !stored) return stored.error();
  if (auto committed = into.commit(*there, next, term); !committed) return committed.error();
  if (auto given_back = into.resign(term); !given_back) return given_back.error();
  return true;
}

}  // namespace tern::routing
