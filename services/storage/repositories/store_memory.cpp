// Everything in this process's memory; the same answers as the databases give.
#include "services/storage/repositories/backends.hpp"
#include "services/storage/repositories/memory_tables.hpp"

namespace tern::storage {
namespace {

class memory_writer final : public writer_store {
 public:
  explicit memory_writer(std::shared_ptr<memory_tables> tables) : tables_(std::move(tables)) {}

  result<void> acquire(uint64_t epoch) override {
    const auto held = begin();
    auto session = tables_->acquire(epoch);
    if (!session) return session.error();
    epoch_ = epoch;
    session_ = *session;
    return {};
  }
  result<std::vector<conversation_row>> load(std::span<const conversation_id> ids) override {
    const auto held = begin();
    return tables_->load(ids);
  }
  result<std::vector<found_key>> find_keys(std::span<const message_key> keys) override {
    const auto held = begin();
    return tables_->find_keys(keys);
  }
  result<std::vector<room_row>> load_rooms(std::span<const room_id> ids) override {
    const auto held = begin();
    return tables_->load_rooms(ids);
  }
  result<std::vector<member_row>> load_members(std::span<const member_key> keys) override {
    const auto held = begin();
    return tables_->load_members(keys);
  }
  result<std::vector<message_row>> load_messages(std::span<const message_place> places) override {
    const auto held = begin();
    return tables_->load_messages(places);
  }
  result<std::vector<profile_row>> load_profiles(std::span<const account_id> ids) override {
    const auto held = begin();
    return tables_->profiles(ids);
  }
  result<std::vector<outbox_entry>> scan_outbox(uint64_t after, size_t limit) override {
    const auto held = begin();
    return tables_->scan_outbox(after, limit);
  }
  result<write_outcome> commit(const write_batch& batch) override {
    const auto held = begin();
    if (!tables_->owns(epoch_, session_)) return beside_ ? errc::unavailable : errc::stale_epoch;
    return tables_->write(batch);
  }
  std::unique_ptr<writer_store> beside() override {
    auto made = std::make_unique<memory_writer>(tables_);
    made->epoch_ = epoch_;
    made->session_ = session_;
    made->beside_ = true;
    return made;
  }
  bool tell_keys() const override { return true; }
  uint64_t statements() const override { return statements_; }

 private:
  std::unique_lock<std::mutex> begin() {
    ++statements_;
    return std::unique_lock(tables_->mutex);
  }
  std::shared_ptr<memory_tables> tables_;
  uint64_t epoch_ = 0, session_ = 0, statements_ = 0;
  bool beside_ = false;
};

class memory_reader final : public reader_store {
 public:
  explicit memory_reader(std::shared_ptr<memory_tables> tables) : tables_(std::move(tables)) {}

  result<std::optional<account_row>> account(account_id id) override {
    const auto held = begin();
    return tables_->account(id);
  }
  result<std::vector<roster_row>> roster(account_id id) override {
    const auto held = begin();
    return tables_->roster(id);
  }
  result<backlog> waiting(account_id id, uint32_t limit) override {
    const auto held = begin();
    return tables_->waiting(id, limit);
  }
  result<history_page> history(const history_query& query) override {
    const auto held = begin();
    return tables_->history(query);
  }
  result<std::vector<account_room_row>> rooms_of(account_id id) override {
    const auto held = begin();
    return tables_->rooms_of(id);
  }
  result<std::optional<std::pair<room_row, uint64_t>>> room(room_id id) override {
    const auto held = begin();
    return tables_->room(id);
  }
  result<std::optional<member_row>> member(room_id room, account_id account) override {
    const auto held = begin();
    const member_key key{room, account};
    const auto rows = tables_->load_members({&key, 1});
    return rows.empty() ? std::optional<member_row>{} : std::optional(rows.front());
  }
  result<std::vector<member_row>> members(room_id room, uint32_t bits, uint32_t limit) override {
    const auto held = begin();
    return tables_->members(room, bits, limit);
  }
  result<std::vector<profile_row>> profiles(std::span<const account_id> ids) override {
    const auto held = begin();
    return tables_->profiles(ids);
  }
  uint64_t statements() const override { return statements_; }

 private:
  std::unique_lock<std::mutex> begin() {
    ++statements_;
    return std::unique_lock(tables_->mutex);
  }
  std::shared_ptr<memory_tables> tables_;
  uint64_t statements_ = 0;
};

class memory_store final : public store {
 public:
  result<std::unique_ptr<writer_store>> open_writer() override {
    return std::unique_ptr<writer_store>(std::make_unique<memory_writer>(tables_));
  }
  result<std::unique_ptr<reader_store>> open_reader() override {
    return std::unique_ptr<reader_store>(std::make_unique<memory_reader>(tables_));
  }
  result<void> migrate() override { return {}; }
  result<uint64_t> size_bytes() override {
    const std::unique_lock held(tables_->mutex);
    return tables_->bytes();
  }

 private:
  std::shared_ptr<memory_tables> tables_ = std::make_shared<memory_tables>();
};

}  // namespace

result<std::unique_ptr<store>> open_memory_store() {
  return std::unique_ptr<store>(std::make_unique<memory_store>());
}

}  // namespace tern::storage
