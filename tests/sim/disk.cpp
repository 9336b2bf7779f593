#include "tests/sim/disk.hpp"

#include <algorithm>

#include "libs/crypto/identity.hpp"
#include "libs/wire/codec.hpp"
#include "tests/sim/process.hpp"

namespace tern::sim {

namespace {

using storage::write_batch;
using storage::write_outcome;

/// The connection of a shard's writer: it breaks now and then, before, in or after a commit, and then says nothing
/// more. With a planted bug the database has no index of keys, or the outbox of former lives is not read.
class sim_writer final : public storage::writer_store {
 public:
  sim_writer(std::unique_ptr<storage::writer_store> real, dice& random, const double& failures, planted bug,
             std::function<void()> stored)
      : real_(std::move(real)), random_(random), failures_(failures), bug_(bug), stored_(std::move(stored)) {}

  result<void> acquire(uint64_t epoch) override { return real_->acquire(epoch); }
  result<std::vector<storage::conversation_row>> load(std::span<const conversation_id> ids) override {
    if (broken()) return errc::unavailable;
    return real_->load(ids);
  }
  result<std::vector<storage::found_key>> find_keys(std::span<const storage::message_key> keys) override {
    if (broken()) return errc::deadline;
    if (bug_ == planted::storage_forgets_keys) return std::vector<storage::found_key>{};
    return real_->find_keys(keys);
  }
  result<std::vector<storage::room_row>> load_rooms(std::span<const room_id> ids) override {
    if (broken()) return errc::unavailable;
    return real_->load_rooms(ids);
  }
  result<std::vector<storage::member_row>> load_members(std::span<const storage::member_key> keys) override {
    if (broken()) return errc::unavailable;
    return real_->load_members(keys);
  }
  result<std::vector<storage::message_row>> load_messages(std::span<const storage::message_place> places) override {
    if (broken()) return errc::unavailable;
    return real_->load_messages(places);
  }
  result<std::vector<storage::profile_row>> load_profiles(std::span<const account_id> ids) override {
    if (broken()) return errc::unavailable;
    return real_->load_profiles(ids);
  }
  result<std::vector<storage::outbox_entry>> scan_outbox(uint64_t after, size_t limit) override {
    if (broken()) return errc::unavailable;
    if (bug_ == planted::storage_forgets_outbox) return std::vector<storage::outbox_entry>{};
    return real_->scan_outbox(after, limit);
  }
  result<write_outcome> commit(const write_batch& batch) override {
    if (dead_) return errc::unavailable;
    dead_ = random_.chance(failures_);
    const auto how = dead_ ? random_.below(3) : 3;
    if (how == 0) return errc::unavailable;
    if (how == 1) return errc::deadline;
    auto done = bug_ == planted::storage_forgets_keys ? commit_without_keys(batch) : real_->commit(batch);
    if (done) stored_();
    if (how == 2 && done) return errc::deadline;  // committed, but nobody hears of it
    return done;
  }
  uint64_t statements() const override { return real_->statements(); }

 private:
  bool broken() {
    dead_ = dead_ || random_.chance(failures_ / 4);
    return dead_;
  }
  /// Each row gets a key of its own.
  result<write_outcome> commit_without_keys(write_batch batch) {
    for (auto& row : batch.messages) row.key += std::to_string(row.mid);
    return real_->commit(batch);
  }

  const std::unique_ptr<storage::writer_store> real_;
  dice& random_;
  const double& failures_;
  const planted bug_;
  const std::function<void()> stored_;
  bool dead_ = false;
};

}  // namespace

void disks::add(const std::string& shard) { stores_[shard] = *storage::open_store("memory:"); }

std::vector<std::string> disks::names() const {
  std::vector<std::string> out;
  for (const auto& [name, store] : stores_) out.push_back(name);
  return out;
}

result<std::unique_ptr<storage::writer_store>> disks::writer(const std::string& shard, uint64_t epoch,
                                                             const host& by) {
  auto made = stores_.at(shard)->open_writer();
  if (!made) return made;
  auto acquired = (*made)->acquire(epoch);
  if (!acquired) return acquired.error();
  referee_.acquired(shard, epoch);
  return std::unique_ptr<storage::writer_store>(std::make_unique<sim_writer>(
      *std::move(made), dice_, failures, bug_, [this, shard, epoch, &by] { referee_.stored(by, shard, epoch); }));
}

std::unique_ptr<storage::reader_store> disks::reader(const std::string& shard) {
  return *stores_.at(shard)->open_reader();
}

void disks::befriend(const std::vector<std::pair<std::string, account_id>>& all, const std::string& identity_key,
                     const std::function<std::string(slot_type)>& shard_of) {
  std::map<std::string, storage::write_batch> batches;
  for (const auto& [name, id] : all) {
    const auto key = crypto::name_key(identity_key, "", name);
    accounts[key] = id;
    batches[shard_of(slot_of(id))].accounts.push_back({id, key, "", "none", 1});
    for (const auto& [other_name, other] : all) {
      if (other == id) continue;
      batches[shard_of(slot_of(id))].roster.push_back(
          {id, other, 1, storage::relation_friend, storage::relation_friend});
      if (!(id < other)) continue;
      const auto pair = crypto::pair_conversation(identity_key, id, other);
      batches[shard_of(slot_of(pair))].conversations.push_back(
          {pair, id, other, 0, storage::relation_friend, storage::relation_friend, 1});
    }
  }
  for (auto& [shard, batch] : batches) {
    auto made = *stores_.at(shard)->open_writer();
    const bool written = made->acquire(1) && made->commit(batch);
    if (!written) referee_.fails("accounts cannot be written to " + shard);
  }
}

std::vector<std::pair<int64_t, std::string>> disks::history(const std::string& shard, conversation_id which) {
  std::vector<std::pair<int64_t, std::string>> out;
  storage::history_query query;
  query.conversation = which;
  query.newest_first = false;
  query.listed_only = true;
  query.limit = 100'000;
  query.max_bytes = 1U << 30U;
  const auto page = reader(shard)->history(query);
  if (!page) return out;
  wire::arena memory;
  for (const auto& row : page->rows) {
    if (row.tombstone || row.target != 0) continue;
    const auto message = wire::decode<wire::tim_message>(wire::encoding::thrift, row.body, memory);
    out.emplace_back(static_cast<int64_t>(row.mid),
                     message ? std::string(message->data_string.value_or("")) : "(unreadable)");
  }
  return out;
}

std::vector<std::string> disks::outbox(const std::string& shard) {
  std::vector<std::string> out;
  auto made = *stores_.at(shard)->open_writer();
  const auto rows = made->scan_outbox(0, 100'000);
  if (!rows) return out;
  wire::arena memory;
  for (const auto& each : *rows) {
    std::string text = "entry " + std::to_string(each.row.entry) + " for " + to_node(each.row.recipient);
    if (each.message) {
      const auto message = wire::decode<wire::tim_message>(wire::encoding::thrift, each.message->body, memory);
      text += " mid " + std::to_string(each.message->mid);
      if (message) text.append(" ").append(message->data_string.value_or(""));
    }
    out.push_back(std::move(text));
  }
  return out;
}

}  // namespace tern::sim
