// Slows down password guessing, per account and per address.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "libs/base/clock.hpp"
#include "services/storage/logic/lru.hpp"
#include "services/storage/login/soft_store.hpp"

namespace tern::storage {

struct throttle_options {
  int64_t account_failures = 5;    // so many failures in a window are free
  int64_t address_failures = 100;  // more: many users share an address
  std::chrono::seconds window{300};
  std::chrono::seconds longest{30};  // the pause doubles from 1 s up to this
  size_t remembered = 100'000;
};

/// Thread-safe. Failures are counted in the soft store, for all nodes together, or here when there is none or it is
/// away. The pause that follows from the count is kept here.
class throttle {
 public:
  throttle(throttle_options how, const clock& time, std::shared_ptr<soft_store> shared);

  /// False: a pause is running; the attempt must be refused without looking at the password.
  bool allows(const std::string& name_key, const std::string& address);
  void failed(const std::string& name_key, const std::string& address);
  /// The account's pause and local count end; the address's do not.
  void succeeded(const std::string& name_key);

 private:
  struct record {
    int64_t failures = 0;
    clock::time_point window_ends;
    clock::time_point pause_ends;
  };
  bool paused(const std::string& key);
  void count(const std::string& key, int64_t free);

  const throttle_options how_;
  const clock& time_;
  const std::shared_ptr<soft_store> shared_;
  std::mutex mutex_;
  lru_map<std::string, record> records_;
};

}  // namespace tern::storage
