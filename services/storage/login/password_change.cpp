// login_desk: PasswordChange.
#include <utility>

#include "services/storage/convert.hpp"
#include "services/storage/login/login_desk.hpp"

namespace tern::storage {
namespace {

constexpr size_t password_bytes_most = 512;
constexpr size_t waiting_most = 4;  // changes of one account

std::string both(const v1::PasswordChange& ask) {
  return ask.old_password() + std::string(1, '\0') + ask.new_password();
}

}  // namespace

/// One change of an account at a time: the next one is checked against the hash the former one wrote.
void login_desk::change(const job_ptr& job) {
  const account_id account{job->message.password_change().account()};
  bool full = false;
  {
    const std::lock_guard guard(changing_mutex_);
    const auto [at, first] = changing_.try_emplace(account);
    full = !first && at->second.size() >= waiting_most;
    if (!first && !full) {
      at->second.push_back(job);
      return;
    }
  }
  if (full) {
    job->answer(reply_to(job->message, errc::overload));
    return;
  }
  change_begin(job);
}

void login_desk::change_begin(const job_ptr& job) {
  job->answer = [this, account = account_id{job->message.password_change().account()},
                 answer = std::move(job->answer)](v1::StorageReply reply) {
    answer(std::move(reply));
    change_ended(account);
  };
  look(job, [this, job](reader_store& store) { return change_look(store, job); });
}

void login_desk::change_ended(account_id account) {
  job_ptr next;
  {
    const std::lock_guard guard(changing_mutex_);
    const auto at = changing_.find(account);
    if (at->second.empty()) {
      changing_.erase(at);
      return;
    }
    next = std::move(at->second.front());
    at->second.pop_front();
  }
  change_begin(next);
}

errc login_desk::change_look(reader_store& store, const job_ptr& job) {
  const auto& ask = job->message.password_change();
  auto row = store.account(account_id{ask.account()});
  if (!row) return row.code();
  errc code = errc::ok;
  if (!*row || ask.new_password().empty() || ask.new_password().size() > password_bytes_most) {
    code = errc::password_change;
  } else if (!throttle_.allows((*row)->name_key, ask.address())) {
    code = errc::rate_limited;
  } else if (!changes_.proves(std::to_string(ask.account()), (*row)->password_hash, both(ask))) {
    hash(job, [this, job, account = std::move(**row)] { change_hash(job, account); });
    return errc::ok;
  }
  job->answer(reply_to(job->message, code));
  return errc::ok;
}

void login_desk::change_hash(const job_ptr& job, const account_row& account) {
  const auto& ask = job->message.password_change();
  if (!crypto::verify_password(account.password_hash, ask.old_password())) {
    throttle_.failed(account.name_key, ask.address());
    job->answer(reply_to(job->message, errc::password_change));
    return;
  }
  throttle_.succeeded(account.name_key);
  auto made = crypto::hash_password(ask.new_password(), how_.cost);
  if (made.empty()) {
    job->answer(reply_to(job->message, errc::overload));
    return;
  }
  write_request item;
  item.password = password_row{account.id, made};
  write(job, std::move(item), [this, job, account, made](v1::StorageReply reply) {
    const auto& done = job->message.password_change();
    if (reply.code() == 0) {
      proofs_.put(account.name_key, made, done.new_password());  // in place of the old one's
      changes_.put(std::to_string(done.account()), made, both(done));
    }
    job->answer(std::move(reply));
  });
}

}  // namespace tern::storage
