// Accounts and logins: everything of the storage API that needs a password hash, a token or a throttle.
#pragma once

#include <tern/storage/v1/storage.pb.h>

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "libs/base/clock.hpp"
#include "libs/crypto/password.hpp"
#include "services/storage/bounded_pool.hpp"
#include "services/storage/logic/write_request.hpp"
#include "services/storage/login/proof_cache.hpp"
#include "services/storage/login/soft_store.hpp"
#include "services/storage/login/throttle.hpp"
#include "services/storage/reader_pool.hpp"

namespace tern::storage {

struct login_options {
  size_t threads = 0;  // argon2; 0: one per core
  size_t queue_most = 256;
  std::chrono::milliseconds token_life{60'000};
  std::chrono::milliseconds proof_life{60'000};
  size_t proofs_most = 100'000;
  crypto::password_cost cost;  // of new hashes
  throttle_options throttling;
};

/// One login request on its way. Shared by the steps, which run one after the other on different threads.
struct login_job {
  v1::StorageRequest message;
  clock::time_point arrived;
  clock::time_point deadline;
  std::function<void(v1::StorageReply)> answer;  // called exactly once
  std::function<bool(write_request)> write;      // to the shard's writer; false: not served now
  std::function<bool(read_job)> read;            // to the shard's readers; false: no room

  unsigned probe_attempts = 0;  // AccountCreate: ids that turned out to be taken meanwhile
  std::string password_hash;    // AccountCreate: made once
};

/// Thread-safe. Steps: look up (reader thread) → hash (argon2 thread) → write (shard writer) → answer. An unknown
/// name costs the same hash as a wrong password and gets the same answer.
///
/// What a password proved ends with it, on whatever node and whether Redis was there or not, because it is bound to
/// the stored hash: proofs and tokens in Redis carry a fingerprint of it, which is compared with the account's row
/// when they are used; token rows go in the transaction that changes the hash.
class login_desk {
 public:
  login_desk(login_options how, const clock& time, std::shared_ptr<soft_store> shared);
  ~login_desk();

  /// Takes AccountCreate, TokenIssue, TokenLogin, PasswordLogin or PasswordChange.
  void start(const std::shared_ptr<login_job>& job);
  size_t hashes_waiting() const { return hashing_.waiting(); }
  void stop() { hashing_.stop(); }

 private:
  using job_ptr = std::shared_ptr<login_job>;
  void look(const job_ptr& job, std::function<errc(reader_store&)> run);
  void hash(const job_ptr& job, std::function<void()> work);
  void write(const job_ptr& job, write_request item, std::function<void(v1::StorageReply)> then);

  errc create_look(reader_store& store, const job_ptr& job);
  void create_write(const job_ptr& job, account_id id);
  void create_done(const job_ptr& job, v1::StorageReply reply);
  errc password_look(reader_store& store, const job_ptr& job);
  void password_checked(const job_ptr& job, const std::optional<account_row>& account, bool right);
  void password_right(const job_ptr& job, const account_row& account);
  void issue_token(const job_ptr& job, const account_row& account);
  void use_token(const job_ptr& job);
  void token_used(const job_ptr& job, account_id account, const std::string& fingerprint);
  void if_unchanged(const job_ptr& job, const account_row& account, std::function<void()> then);

  void change(const job_ptr& job);
  void change_begin(const job_ptr& job);
  void change_ended(account_id account);
  errc change_look(reader_store& store, const job_ptr& job);
  void change_hash(const job_ptr& job, const account_row& account);

  const login_options how_;
  const clock& time_;
  const std::shared_ptr<soft_store> shared_;
  proof_cache proofs_;
  proof_cache changes_;  // by account, old and new password: a change asked for again after its answer was lost
  throttle throttle_;
  std::string nobody_hash_;  // verified when the name is unknown
  std::mutex changing_mutex_;
  std::map<account_id, std::deque<job_ptr>>
      changing_;  // accounts with a change on its way, and who waits for its end
  bounded_pool hashing_;
};

}  // namespace tern::storage
