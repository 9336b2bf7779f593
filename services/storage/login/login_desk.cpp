#include "services/storage/login/login_desk.hpp"

#include <algorithm>
#include <thread>
#include <utility>

#include "libs/base/ids.hpp"
#include "libs/crypto/hash.hpp"
#include "libs/crypto/identity.hpp"
#include "libs/crypto/password.hpp"
#include "libs/crypto/token.hpp"
#include "services/storage/convert.hpp"
#include "services/storage/erasure/erased_account.hpp"

namespace tern::storage {
namespace {

/// The answer of the shard's writer, handed to the next step instead of a stream. A write that was dropped without an
/// answer is answered with `lost`.
class next_step final : public reply_sink {
 public:
  next_step(std::function<void(v1::StorageReply)> then, v1::StorageReply lost)
      : then_(std::move(then)), lost_(std::move(lost)) {}
  ~next_step() override {
    if (then_) then_(std::move(lost_));
  }
  next_step(const next_step&) = delete;
  next_step& operator=(const next_step&) = delete;

  bool send(v1::StorageReply reply) override {
    if (const auto then = std::exchange(then_, nullptr)) then(std::move(reply));
    return true;
  }
  bool send_all(std::vector<v1::StorageReply>& replies) override {
    for (auto& reply : replies) send(std::move(reply));
    replies.clear();
    return true;
  }
  void close() override {}

 private:
  std::function<void(v1::StorageReply)> then_;
  v1::StorageReply lost_;
};

struct found_account {
  std::optional<account_row> row;  // the name's account
  account_id free;                 // the id it would get; 0: all probes are taken by others
};

result<found_account> find_account(reader_store& store, const std::string& name_key) {
  for (unsigned probe = 0; probe < crypto::account_probes; ++probe) {
    const auto id = crypto::account_of(name_key, probe);
    auto row = store.account(id);
    if (!row) return row.error();
    if (!*row) return found_account{std::nullopt, id};
    // The name of an erased account stays taken, and no password fits.
    if (crypto::equal_constant_time((*row)->name_key, name_key) || is_erased(**row))
      return found_account{std::move(*row), {}};
  }
  return found_account{};
}

/// Tells one stored hash from another without giving it away.
std::string fingerprint_of(const std::string& password_hash) {
  return base58_encode(crypto::sha256("tern fingerprint" + password_hash).substr(0, 16));
}

std::string token_key(const std::string& hash) { return "tern:token:" + base58_encode(hash); }

/// name key and password of the two operations that check a password.
std::pair<const std::string*, const std::string*> credentials(const v1::StorageRequest& message) {
  if (message.has_token_issue()) return {&message.token_issue().name_key(), &message.token_issue().password()};
  return {&message.password_login().name_key(), &message.password_login().password()};
}

const std::string& address_of(const v1::StorageRequest& message) {
  return message.has_token_issue() ? message.token_issue().address() : message.password_login().address();
}

size_t hash_threads(size_t configured) {
  return configured != 0 ? configured : std::max<size_t>(1, std::thread::hardware_concurrency());
}

}  // namespace

login_desk::login_desk(login_options how, const clock& time, std::shared_ptr<soft_store> shared)
    : how_(how),
      time_(time),
      shared_(std::move(shared)),
      proofs_(time, how.proof_life, how.proofs_most),
      changes_(time, how.proof_life, how.proofs_most),
      throttle_(how.throttling, time, shared_),
      nobody_hash_(crypto::hash_password("nobody has this password", how.cost)),
      hashing_(hash_threads(how.threads), how.queue_most) {}

login_desk::~login_desk() = default;

void login_desk::start(const job_ptr& job) {
  switch (job->message.op_case()) {
    case v1::StorageRequest::kAccountCreate:
      look(job, [this, job](reader_store& store) { return create_look(store, job); });
      break;
    case v1::StorageRequest::kTokenLogin: use_token(job); break;
    case v1::StorageRequest::kPasswordChange: change(job); break;
    default: look(job, [this, job](reader_store& store) { return password_look(store, job); });
  }
}

// ---- the three kinds of step -------------------------------------------------------------------------------------

void login_desk::look(const job_ptr& job, std::function<errc(reader_store&)> run) {
  read_job read{time_.now(), job->deadline, std::move(run),
                [job](errc code) { job->answer(reply_to(job->message, code)); }};
  if (!job->read(std::move(read))) job->answer(reply_to(job->message, errc::overload));
}

void login_desk::hash(const job_ptr& job, std::function<void()> work) {
  auto timely = [this, job, work = std::move(work)] {
    // Nobody waits for it any more: the hash would only delay others.
    if (job->deadline <= time_.now()) {
      job->answer(reply_to(job->message, errc::overload));
    } else {
      work();
    }
  };
  if (!hashing_.submit(std::move(timely))) job->answer(reply_to(job->message, errc::overload));
}

void login_desk::write(const job_ptr& job, write_request item, std::function<void(v1::StorageReply)> then) {
  item.message = job->message;
  item.arrived = job->arrived;
  item.deadline = job->deadline;
  const auto step = std::make_shared<next_step>(std::move(then), reply_to(job->message, errc::deadline));
  item.from = step;
  if (!job->write(std::move(item))) step->send(reply_to(job->message, errc::unavailable));
}

// ---- AccountCreate -----------------------------------------------------------------------------------------------

errc login_desk::create_look(reader_store& store, const job_ptr& job) {
  const auto& ask = job->message.account_create();
  if (ask.name_key().size() != crypto::sha256_size || ask.password().empty()) {
    job->answer(reply_to(job->message, errc::bad_parameter));
    return errc::ok;
  }
  auto found = find_account(store, ask.name_key());
  if (!found) return found.code();
  if (found->row) {
    // Our own hash, salted at random: the account was made by an attempt whose outcome was not known.
    const bool ours = !job->password_hash.empty() && found->row->password_hash == job->password_hash;
    auto reply = reply_to(job->message, ours ? errc::ok : errc::exists);
    if (ours) reply.mutable_account_created()->set_account(found->row->id.value);
    job->answer(std::move(reply));
  } else if (!found->free || job->probe_attempts > crypto::account_probes) {
    job->answer(reply_to(job->message, errc::undefined));
  } else if (!job->password_hash.empty()) {
    create_write(job, found->free);
  } else {
    hash(job, [this, job, id = found->free] {
      job->password_hash = crypto::hash_password(job->message.account_create().password(), how_.cost);
      if (job->password_hash.empty()) {
        job->answer(reply_to(job->message, errc::overload));
      } else {
        create_write(job, id);
      }
    });
  }
  return errc::ok;
}

void login_desk::create_write(const job_ptr& job, account_id id) {
  const auto& ask = job->message.account_create();
  write_request item;
  item.account = account_row{id, ask.name_key(), ask.domain(), job->password_hash, time_.wall_ns()};
  write(job, std::move(item), [this, job](v1::StorageReply reply) { create_done(job, std::move(reply)); });
}

void login_desk::create_done(const job_ptr& job, v1::StorageReply reply) {
  if (reply.code() != static_cast<int32_t>(errc::exists)) {
    // Who registers mostly logs on at once: that need not cost a second hash.
    const auto& ask = job->message.account_create();
    if (reply.code() == 0) proofs_.put(ask.name_key(), job->password_hash, ask.password());
    job->answer(std::move(reply));
    return;
  }
  ++job->probe_attempts;
  look(job, [this, job](reader_store& store) { return create_look(store, job); });
}

// ---- PasswordLogin, TokenIssue -----------------------------------------------------------------------------------

errc login_desk::password_look(reader_store& store, const job_ptr& job) {
  const auto [name_key, password] = credentials(job->message);
  if (name_key->size() != crypto::sha256_size) {
    job->answer(reply_to(job->message, errc::no_pass));
    return errc::ok;
  }
  if (!throttle_.allows(*name_key, address_of(job->message))) {
    job->answer(reply_to(job->message, errc::rate_limited));
    return errc::ok;
  }
  auto found = find_account(store, *name_key);
  if (!found) return found.code();
  if (found->row && proofs_.proves(*name_key, found->row->password_hash, *password)) {
    password_right(job, *found->row);
    return errc::ok;
  }
  hash(job, [this, job, account = std::move(found->row)] {
    const auto& shown = *credentials(job->message).second;
    const bool there = account && !is_erased(*account);
    const bool right = crypto::verify_password(there ? account->password_hash : nobody_hash_, shown);
    password_checked(job, account, right && there);
  });
  return errc::ok;
}

void login_desk::password_checked(const job_ptr& job, const std::optional<account_row>& account, bool right) {
  const auto [name_key, password] = credentials(job->message);
  if (!right) {
    throttle_.failed(*name_key, address_of(job->message));
    job->answer(reply_to(job->message, errc::no_pass));
    return;
  }
  throttle_.succeeded(*name_key);
  proofs_.put(*name_key, account->password_hash, *password);
  // A hash takes long enough for the password to be changed meanwhile. A token says itself what it was given for.
  if (job->message.has_token_issue()) {
    password_right(job, *account);
  } else {
    if_unchanged(job, *account, [this, job, row = *account] { password_right(job, row); });
  }
}

void login_desk::if_unchanged(const job_ptr& job, const account_row& account, std::function<void()> then) {
  look(job, [job, id = account.id, hash = account.password_hash, then = std::move(then)](reader_store& store) {
    auto row = store.account(id);
    if (!row) return row.code();
    if (*row && (*row)->password_hash == hash) {
      then();
    } else {
      job->answer(reply_to(job->message, errc::no_pass));
    }
    return errc::ok;
  });
}

void login_desk::password_right(const job_ptr& job, const account_row& account) {
  if (job->message.has_token_issue()) {
    issue_token(job, account);
    return;
  }
  auto reply = reply_to(job->message);
  reply.mutable_logged_in()->set_account(account.id.value);
  reply.mutable_logged_in()->set_domain(account.domain);
  job->answer(std::move(reply));
}

void login_desk::issue_token(const job_ptr& job, const account_row& account) {
  const auto text = crypto::make_token(account.id);
  const auto parsed = crypto::parse_token(text);
  if (shared_) {
    const auto life = std::max(std::chrono::seconds{1}, std::chrono::ceil<std::chrono::seconds>(how_.token_life));
    const auto value = std::to_string(account.id.value) + " " + fingerprint_of(account.password_hash);
    if (shared_->set_ex(token_key(parsed->hash), value, life)) {
      auto reply = reply_to(job->message);
      reply.mutable_token_issued()->set_token(text);
      job->answer(std::move(reply));
      return;
    }
  }
  write_request item;
  const int64_t life_ns = std::chrono::nanoseconds{how_.token_life}.count();
  item.token = token_row{parsed->hash, account.id, time_.wall_ns() + life_ns};
  item.token_text = text;
  // A row that was added after the password was changed would outlive the change: such a token is not given out.
  write(job, std::move(item), [this, job, account](v1::StorageReply reply) {
    if (reply.code() != 0) {
      job->answer(std::move(reply));
    } else {
      if_unchanged(job, account, [job, reply = std::move(reply)] { job->answer(reply); });
    }
  });
}

// ---- TokenLogin --------------------------------------------------------------------------------------------------

void login_desk::use_token(const job_ptr& job) {
  const auto parsed = crypto::parse_token(job->message.token_login().token());
  if (!parsed) {
    job->answer(reply_to(job->message, errc::bad_token));
    return;
  }
  // On a reader thread, because the soft store blocks.
  look(job, [this, job, parsed = *parsed](reader_store&) {
    if (shared_) {
      auto kept = shared_->getdel(token_key(parsed.hash));
      const auto owner = std::to_string(parsed.account.value) + " ";
      if (kept && *kept && (*kept)->starts_with(owner)) {
        token_used(job, parsed.account, (*kept)->substr(owner.size()));
        return errc::ok;
      }
    }
    write_request item;
    item.token = token_row{parsed.hash, parsed.account, 0};
    write(job, std::move(item), [this, job, account = parsed.account](v1::StorageReply reply) {
      if (reply.code() == 0) {
        token_used(job, account, {});
      } else {
        job->answer(std::move(reply));
      }
    });
    return errc::ok;
  });
}

/// `fingerprint`: of the password the token was given for; empty: its row was there, so it is the present one.
void login_desk::token_used(const job_ptr& job, account_id account, const std::string& fingerprint) {
  look(job, [job, account, fingerprint](reader_store& store) {
    auto row = store.account(account);
    if (!row) return row.code();
    const auto& wanted = job->message.token_login().name_key();
    const bool ended = *row && !fingerprint.empty() && fingerprint != fingerprint_of((*row)->password_hash);
    if (!*row || ended || (!wanted.empty() && !crypto::equal_constant_time((*row)->name_key, wanted))) {
      job->answer(reply_to(job->message, errc::bad_token));
      return errc::ok;
    }
    auto reply = reply_to(job->message);
    reply.mutable_logged_in()->set_account(account.value);
    reply.mutable_logged_in()->set_domain((*row)->domain);
    job->answer(std::move(reply));
    return errc::ok;
  });
}

}  // namespace tern::storage
