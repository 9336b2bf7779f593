#include "services/storage/login/throttle.hpp"

#include <algorithm>
#include <utility>

#include "libs/crypto/hash.hpp"

namespace tern::storage {
namespace {

/// Printable, of fixed length, and nobody learns names or addresses from the soft store.
std::string key_of(char kind, const std::string& what) {
  constexpr const char* digits = "0123456789abcdef";
  std::string key = "tern:fail:";
  key += kind;
  key += ':';
  for (const char c : crypto::sha256(what).substr(0, 16)) {
    key += digits[(static_cast<unsigned char>(c) >> 4U) & 15U];
    key += digits[static_cast<unsigned char>(c) & 15U];
  }
  return key;
}

}  // namespace

throttle::throttle(throttle_options how, const clock& time, std::shared_ptr<soft_store> shared)
    : how_(how), time_(time), shared_(std::move(shared)), records_(how.remembered) {}

bool throttle::allows(const std::string& name_key, const std::string& address) {
  const auto account = key_of('a', name_key);
  const auto from = key_of('i', address);
  const std::lock_guard guard(mutex_);
  return !paused(account) && (address.empty() || !paused(from));
}

bool throttle::paused(const std::string& key) {
  const auto* known = records_.find(key);
  return known != nullptr && known->pause_ends > time_.now();
}

void throttle::failed(const std::string& name_key, const std::string& address) {
  count(key_of('a', name_key), how_.account_failures);
  if (!address.empty()) count(key_of('i', address), how_.address_failures);
}

void throttle::count(const std::string& key, int64_t free) {
  int64_t everywhere = 0;
  if (shared_) {
    if (auto sum = shared_->incr_expire(key, how_.window)) everywhere = *sum;
  }
  const auto now = time_.now();
  const std::lock_guard guard(mutex_);
  record next;
  if (const auto* known = records_.find(key); known != nullptr && known->window_ends > now) next = *known;
  if (next.failures == 0) next.window_ends = now + how_.window;
  next.failures = std::max(next.failures + 1, everywhere);
  if (next.failures >= free) {
    const auto doublings = std::min<int64_t>(next.failures - free, 20);
    next.pause_ends =
        now + std::min<std::chrono::seconds>(std::chrono::seconds{int64_t{1} << doublings}, how_.longest);
  }
  records_.put(key, next);
}

void throttle::succeeded(const std::string& name_key) {
  const auto key = key_of('a', name_key);
  const std::lock_guard guard(mutex_);
  records_.erase(key);
}

}  // namespace tern::storage
