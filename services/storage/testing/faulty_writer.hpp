// A writer_store that fails before, in and after commits at random.
#pragma once

#include <memory>
#include <random>
#include <span>
#include <utility>
#include <vector>

#include "services/storage/repositories/store.hpp"

namespace tern::storage::testing {

enum class fault : uint8_t { none, before, after_commit, lost_before_commit, refused };

/// Passes on to a real writer, unless the dice say otherwise. After a failure the connection is gone.
class faulty_writer final : public writer_store {
 public:
  faulty_writer(std::unique_ptr<writer_store> real, std::mt19937_64& dice, const double& rate)
      : real_(std::move(real)), dice_(dice), rate_(rate) {}

  result<void> acquire(uint64_t epoch) override { return real_->acquire(epoch); }
  result<std::vector<conversation_row>> load(std::span<const conversation_id> ids) override {
    if (broken()) return errc::unavailable;
    return real_->load(ids);
  }
  result<std::vector<found_key>> find_keys(std::span<const message_key> keys) override {
    if (broken()) return errc::deadline;
    return real_->find_keys(keys);
  }
  result<std::vector<room_row>> load_rooms(std::span<const room_id> keys) override {
    if (broken()) return errc::unavailable;
    return real_->load_rooms(keys);
  }
  result<std::vector<member_row>> load_members(std::span<const member_key> keys) override {
    if (broken()) return errc::unavailable;
    return real_->load_members(keys);
  }
  result<std::vector<message_row>> load_messages(std::span<const message_place> keys) override {
    if (broken()) return errc::unavailable;
    return real_->load_messages(keys);
  }
  result<std::vector<profile_row>> load_profiles(std::span<const account_id> keys) override {
    if (broken()) return errc::unavailable;
    return real_->load_profiles(keys);
  }
  result<std::vector<outbox_entry>> scan_outbox(uint64_t after, size_t limit) override {
    if (broken()) return errc::unavailable;
    return real_->scan_outbox(after, limit);
  }
  result<write_outcome> commit(const write_batch& batch) override {
    if (dead_) return errc::unavailable;
    switch (roll()) {
      case fault::none: return real_->commit(batch);
      case fault::before: dead_ = true; return errc::unavailable;
      case fault::lost_before_commit: dead_ = true; return errc::deadline;
      case fault::after_commit: {
        dead_ = true;
        auto done = real_->commit(batch);
        if (!done) return done.error();
        return errc::deadline;
      }
      case fault::refused: return errc::internal;
    }
    return errc::internal;
  }
  std::unique_ptr<writer_store> beside() override {
    auto other = real_->beside();
    if (!other) return nullptr;
    auto made = std::make_unique<faulty_writer>(std::move(other), dice_, rate_);
    made->own_ = std::make_unique<std::mt19937_64>(dice_());  // it is rolled on another thread
    return made;
  }
  bool tell_keys() const override { return real_->tell_keys(); }
  uint64_t statements() const override { return real_->statements(); }
  uint64_t term() const override { return term_; }
  void set_term(uint64_t term) { term_ = term; }
  /// The connection is gone from here.
  void die() { dead_ = true; }

 private:
  fault roll() {
    auto& dice = own_ ? *own_ : dice_;
    if (std::uniform_real_distribution<>(0, 1)(dice) >= rate_) return fault::none;
    return static_cast<fault>(std::uniform_int_distribution<>(1, 4)(dice));
  }
  bool broken() {
    if (!dead_ && std::uniform_real_distribution<>(0, 1)(dice_) < rate_ / 4) dead_ = true;
    return dead_;
  }
  std::unique_ptr<writer_store> real_;
  std::mt19937_64& dice_;
  std::unique_ptr<std::mt19937_64> own_;
  const double& rate_;  // changes while the writer lives
  bool dead_ = false;
  uint64_t term_ = 0;
};

}  // namespace tern::storage::testing
