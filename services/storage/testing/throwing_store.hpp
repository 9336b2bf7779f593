// A store whose commits throw when the test says so: what a mistake in a library or of ours would do.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "services/storage/repositories/store.hpp"

namespace tern::storage::testing {

/// Called before and after each real commit; may throw.
using commit_hook = std::function<void(const write_batch&, bool after)>;

class throwing_writer final : public writer_store {
 public:
  throwing_writer(std::unique_ptr<writer_store> real, commit_hook hook)
      : real_(std::move(real)), hook_(std::move(hook)) {}

  result<void> acquire(uint64_t epoch) override { return real_->acquire(epoch); }
  result<std::vector<conversation_row>> load(std::span<const conversation_id> ids) override {
    return real_->load(ids);
  }
  result<std::vector<found_key>> find_keys(std::span<const message_key> keys) override {
    return real_->find_keys(keys);
  }
  result<std::vector<room_row>> load_rooms(std::span<const room_id> ids) override { return real_->load_rooms(ids); }
  result<std::vector<member_row>> load_members(std::span<const member_key> keys) override {
    return real_->load_members(keys);
  }
  result<std::vector<message_row>> load_messages(std::span<const message_place> places) override {
    return real_->load_messages(places);
  }
  result<std::vector<profile_row>> load_profiles(std::span<const account_id> ids) override {
    return real_->load_profiles(ids);
  }
  result<std::vector<outbox_entry>> scan_outbox(uint64_t after, size_t limit) override {
    return real_->scan_outbox(after, limit);
  }
  result<write_outcome> commit(const write_batch& batch) override {
    hook_(batch, false);
    auto done = real_->commit(batch);
    hook_(batch, true);
    return done;
  }
  bool tell_keys() const override { return real_->tell_keys(); }
  uint64_t statements() const override { return real_->statements(); }

 private:
  std::unique_ptr<writer_store> real_;
  commit_hook hook_;
};

class throwing_store final : public store {
 public:
  throwing_store(std::unique_ptr<store> real, commit_hook hook) : real_(std::move(real)), hook_(std::move(hook)) {}
  result<std::unique_ptr<writer_store>> open_writer() override {
    auto made = real_->open_writer();
    if (!made) return made.error();
    return std::unique_ptr<writer_store>(std::make_unique<throwing_writer>(std::move(*made), hook_));
  }
  result<std::unique_ptr<reader_store>> open_reader() override { return real_->open_reader(); }
  result<void> migrate() override { return real_->migrate(); }
  result<uint64_t> size_bytes() override { return real_->size_bytes(); }

 private:
  std::unique_ptr<store> real_;
  commit_hook hook_;
};

inline bool has_body(const write_batch& batch, std::string_view body) {
  for (const auto& row : batch.messages) {
    if (row.body == body) return true;
  }
  return false;
}

}  // namespace tern::storage::testing
