#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <optional>

#include "libs/crypto/hash.hpp"
#include "libs/crypto/identity.hpp"
#include "libs/testing/fake_clock.hpp"
#include "libs/testing/servers.hpp"
#include "services/storage/login/proof_cache.hpp"
#include "services/storage/login/redis_soft_store.hpp"
#include "services/storage/login/throttle.hpp"
#include "services/storage/testing/storage_node.hpp"

namespace tern::storage {
namespace {

using namespace std::chrono_literals;
using testing::fake_client;
using testing::node_options;
using testing::storage_node;

errc code_of(const v1::StorageReply& reply) { return static_cast<errc>(reply.code()); }

// ---- parts -------------------------------------------------------------------------------------------------------

TEST(proof_cache, proves_only_the_same_password_of_the_same_hash_and_only_for_a_while) {
  tern::testing::fake_clock time;
  proof_cache proofs(time, 60s, 2);
  proofs.put("name", "hash", "password");
  EXPECT_TRUE(proofs.proves("name", "hash", "password"));
  EXPECT_FALSE(proofs.proves("name", "hash", "passwort"));
  EXPECT_FALSE(proofs.proves("name", "new hash", "password"));
  EXPECT_FALSE(proofs.proves("other", "hash", "password"));
  time.advance(61s);
  EXPECT_FALSE(proofs.proves("name", "hash", "password"));
  for (const char* name : {"a", "b", "c"}) proofs.put(name, "hash", "password");
  EXPECT_FALSE(proofs.proves("a", "hash", "password"));  // the bound is two
}

TEST(throttle, refuses_for_growing_pauses_after_five_failures_and_forgets_them_after_a_success) {
  tern::testing::fake_clock time;
  throttle guard({}, time, nullptr);
  for (int i = 0; i < 4; ++i) {
    guard.failed("name", "");
    EXPECT_TRUE(guard.allows("name", "1.2.3.4"));
  }
  guard.failed("name", "");
  EXPECT_FALSE(guard.allows("name", "1.2.3.4"));
  EXPECT_TRUE(guard.allows("other", "1.2.3.4"));
  time.advance(1001ms);
  EXPECT_TRUE(guard.allows("name", ""));
  guard.failed("name", "");
  time.advance(1001ms);
  EXPECT_FALSE(guard.allows("name", ""));
  time.advance(1s);
  EXPECT_TRUE(guard.allows("name", ""));
  guard.succeeded("name");
  guard.failed("name", "");
  EXPECT_TRUE(guard.allows("name", ""));
}

TEST(throttle, counts_failures_of_an_address_over_all_names) {
  tern::testing::fake_clock time;
  throttle guard({.address_failures = 10}, time, nullptr);
  for (int i = 0; i < 10; ++i) guard.failed("name " + std::to_string(i), "1.2.3.4");
  EXPECT_FALSE(guard.allows("fresh", "1.2.3.4"));
  EXPECT_TRUE(guard.allows("fresh", "5.6.7.8"));
}

/// Redis as a map; can be away.
class map_soft_store final : public soft_store {
 public:
  result<void> set_ex(const std::string& key, const std::string& value, std::chrono::seconds) override {
    if (away) return errc::unavailable;
    values[key] = value;
    return {};
  }
  result<std::optional<std::string>> getdel(const std::string& key) override {
    if (away) return errc::unavailable;
    const auto at = values.find(key);
    if (at == values.end()) return std::optional<std::string>{};
    std::optional<std::string> found = at->second;
    values.erase(at);
    return found;
  }
  result<int64_t> incr_expire(const std::string& key, std::chrono::seconds) override {
    if (away) return errc::unavailable;
    return ++counts[key];
  }
  std::atomic<bool> away{false};
  std::map<std::string, std::string> values;
  std::map<std::string, int64_t> counts;
};

TEST(throttle, shares_its_counts_through_the_soft_store) {
  tern::testing::fake_clock time;
  auto shared = std::make_shared<map_soft_store>();
  throttle one({}, time, shared), other({}, time, shared);
  for (int i = 0; i < 4; ++i) one.failed("name", "");
  other.failed("name", "");
  EXPECT_FALSE(other.allows("name", ""));
  shared->away = true;
  EXPECT_TRUE(one.allows("name", ""));
  one.failed("name", "");
  EXPECT_FALSE(one.allows("name", ""));  // its own count goes on
}

// ---- the whole way -----------------------------------------------------------------------------------------------

class login_test : public ::testing::Test {
 protected:
  void start(std::shared_ptr<soft_store> soft = nullptr) {
    node_options how;
    how.soft = std::move(soft);
    how.logins.throttling.account_failures = 3;
    how.slots.port.request_timeout = 30s;  // a hash takes as long as the machine likes
    node_ = std::make_unique<storage_node>(std::move(how));
    client_ = fake_client::connect(node_->network(), "local:storage-0", link_);
    node_->publish(1);
  }
  void TearDown() override {
    link_.reset();
    node_.reset();
  }
  static std::string key_of(const std::string& name) { return crypto::name_key("identity", "d", name); }

  v1::StorageReply create(const std::string& name, const std::string& password) {
    auto ask = testing::request(++call_);
    auto& create = *ask.mutable_account_create();
    create.set_name_key(key_of(name));
    create.set_account(crypto::account_of(key_of(name)).value);
    create.set_password(password);
    create.set_domain("d");
    return client_->ask(ask);
  }
  v1::StorageReply log_in(const std::string& name, const std::string& password) {
    auto ask = testing::request(++call_);
    ask.mutable_password_login()->set_name_key(key_of(name));
    ask.mutable_password_login()->set_password(password);
    ask.mutable_password_login()->set_address("1.2.3.4");
    return client_->ask(ask);
  }
  v1::StorageReply issue(const std::string& name, const std::string& password) {
    auto ask = testing::request(++call_);
    ask.mutable_token_issue()->set_name_key(key_of(name));
    ask.mutable_token_issue()->set_password(password);
    return client_->ask(ask);
  }
  v1::StorageReply use(const std::string& token, const std::string& name_key = {}) {
    auto ask = testing::request(++call_);
    ask.mutable_token_login()->set_token(token);
    ask.mutable_token_login()->set_name_key(name_key);
    return client_->ask(ask);
  }

  v1::StorageRequest change_request(uint64_t account, const std::string& from, const std::string& to) {
    auto ask = testing::request(++call_);
    auto& change = *ask.mutable_password_change();
    change.set_account(account);
    change.set_old_password(from);
    change.set_new_password(to);
    change.set_address("1.2.3.4");
    return ask;
  }
  v1::StorageReply change(uint64_t account, const std::string& from, const std::string& to) {
    return client_->ask(change_request(account, from, to));
  }

  std::unique_ptr<storage_node> node_;
  std::unique_ptr<rpc::link> link_;
  std::shared_ptr<fake_client> client_;
  uint64_t call_ = 0;
};

TEST_F(login_test, an_account_is_made_once_and_its_password_opens_it) {
  start();
  const auto made = create("ann", "secret");
  EXPECT_EQ(made.account_created().account(), crypto::account_of(key_of("ann")).value);
  EXPECT_EQ(code_of(create("ann", "other")), errc::exists);
  const auto in = log_in("ann", "secret");
  EXPECT_EQ(in.logged_in().account(), made.account_created().account());
  EXPECT_EQ(in.logged_in().domain(), "d");
  EXPECT_EQ(code_of(log_in("ann", "wrong")), errc::no_pass);
  EXPECT_EQ(code_of(log_in("nobody", "wrong")), errc::no_pass);
  EXPECT_EQ(code_of(create("ben", "")), errc::bad_parameter);
  auto ask = testing::request(++call_);
  ask.mutable_account_get()->set_account(made.account_created().account());
  EXPECT_EQ(client_->ask(ask).account().domain(), "d");
}

TEST_F(login_test, two_creations_of_one_name_at_once_make_one_account) {
  start();
  for (uint64_t call = 1; call <= 8; ++call) {
    auto ask = testing::request(call);
    ask.mutable_account_create()->set_name_key(key_of("ann"));
    ask.mutable_account_create()->set_password("p");
    client_->send(ask);
  }
  ASSERT_TRUE(client_->wait_for_all());
  size_t made = 0;
  for (const auto& [call, reply] : client_->answers()) {
    if (code_of(reply) == errc::ok) ++made;
    if (code_of(reply) != errc::ok) {
      EXPECT_EQ(code_of(reply), errc::exists);
    }
  }
  EXPECT_EQ(made, 1U);
}

TEST_F(login_test, repeated_wrong_passwords_are_refused_before_they_are_looked_at) {
  start();
  create("ann", "secret");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(code_of(log_in("ann", "wrong")), errc::no_pass);
  EXPECT_EQ(code_of(log_in("ann", "secret")), errc::rate_limited);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(code_of(log_in("nobody", "wrong")), errc::no_pass);
  EXPECT_EQ(code_of(log_in("nobody", "wrong")), errc::rate_limited);  // the same for a name that does not exist
}

TEST_F(login_test, a_token_from_the_table_works_once) {
  start();
  const auto account = create("ann", "secret").account_created().account();
  const auto token = issue("ann", "secret").token_issued().token();
  ASSERT_FALSE(token.empty());
  EXPECT_EQ(use(token).logged_in().account(), account);
  EXPECT_EQ(code_of(use(token)), errc::bad_token);
  EXPECT_EQ(code_of(use("nonsense")), errc::bad_token);
  EXPECT_EQ(code_of(issue("ann", "wrong")), errc::no_pass);
  const auto named = issue("ann", "secret").token_issued().token();
  EXPECT_EQ(code_of(use(named, key_of("ben"))), errc::bad_token);
  const auto again = issue("ann", "secret").token_issued().token();
  EXPECT_EQ(code_of(use(again, key_of("ann"))), errc::ok);
}

TEST_F(login_test, tokens_live_in_the_soft_store_and_in_the_table_while_that_is_away) {
  auto soft = std::make_shared<map_soft_store>();
  start(soft);
  create("ann", "secret");
  const auto kept = issue("ann", "secret").token_issued().token();
  EXPECT_EQ(soft->values.size(), 1U);
  EXPECT_EQ(code_of(use(kept)), errc::ok);
  EXPECT_EQ(code_of(use(kept)), errc::bad_token);
  soft->away = true;
  const auto stored = issue("ann", "secret").token_issued().token();
  soft->away = false;
  EXPECT_EQ(code_of(use(stored)), errc::ok);
  EXPECT_EQ(code_of(use(stored)), errc::bad_token);
}

TEST_F(login_test, tokens_survive_the_loss_of_a_real_redis_server) {
  auto server = tern::testing::redis_server::start();
  ASSERT_TRUE(server) << server.error().detail;
  auto soft = make_redis_soft_store((*server)->url());
  ASSERT_TRUE(soft);
  start(*soft);
  create("ann", "secret");
  const auto kept = issue("ann", "secret").token_issued().token();
  EXPECT_EQ(code_of(use(kept)), errc::ok);
  EXPECT_EQ(code_of(use(kept)), errc::bad_token);
  (*server)->kill_hard();
  const auto stored = issue("ann", "secret").token_issued().token();
  EXPECT_EQ(code_of(use(stored)), errc::ok);
  EXPECT_EQ(code_of(use(stored)), errc::bad_token);
  EXPECT_EQ(code_of(log_in("ann", "secret")), errc::ok);
}

TEST_F(login_test, a_changed_password_is_the_only_one_from_then_on) {
  start();
  const auto account = create("ann", "old").account_created().account();
  EXPECT_EQ(code_of(log_in("ann", "old")), errc::ok);  // a proof of it is kept
  EXPECT_EQ(code_of(change(account, "old", "new")), errc::ok);
  EXPECT_EQ(code_of(log_in("ann", "old")), errc::no_pass);
  EXPECT_EQ(log_in("ann", "new").logged_in().account(), account);
  EXPECT_EQ(code_of(change(account, "old", "newer")), errc::password_change);
  EXPECT_EQ(code_of(log_in("ann", "new")), errc::ok);
}

TEST_F(login_test, a_change_that_makes_no_sense_is_refused) {
  start();
  const auto account = create("ann", "old").account_created().account();
  EXPECT_EQ(code_of(change(account, "old", "")), errc::password_change);
  EXPECT_EQ(code_of(change(account, "old", std::string(513, 'x'))), errc::password_change);
  EXPECT_EQ(code_of(change(account + 1, "old", "new")), errc::password_change);
  EXPECT_EQ(code_of(change(account, "old", std::string(512, 'x'))), errc::ok);
}

TEST_F(login_test, guessing_at_the_old_password_is_throttled_together_with_logins) {
  start();
  const auto account = create("ann", "old").account_created().account();
  EXPECT_EQ(code_of(log_in("ann", "wrong")), errc::no_pass);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(code_of(change(account, "wrong", "new")), errc::password_change);
  EXPECT_EQ(code_of(change(account, "old", "new")), errc::rate_limited);
  EXPECT_EQ(code_of(log_in("ann", "old")), errc::rate_limited);
}

TEST_F(login_test, a_change_asked_for_again_after_its_answer_was_lost_is_answered_alike) {
  start();
  const auto account = create("ann", "old").account_created().account();
  EXPECT_EQ(code_of(change(account, "old", "new")), errc::ok);
  EXPECT_EQ(code_of(change(account, "old", "new")), errc::ok);
  EXPECT_EQ(code_of(change(account, "new", "third")), errc::ok);
  EXPECT_EQ(code_of(change(account, "old", "new")), errc::password_change);  // no longer the last change
}

TEST_F(login_test, of_changes_at_once_from_one_password_one_wins) {
  start();
  const auto account = create("ann", "old").account_created().account();
  for (const char* to : {"a", "b", "c"}) client_->send(change_request(account, "old", to));
  ASSERT_TRUE(client_->wait_for_all());
  size_t done = 0;
  for (uint64_t call = call_ - 2; call <= call_; ++call) {
    const auto code = code_of(client_->answer(call));
    EXPECT_TRUE(code == errc::ok || code == errc::password_change);
    if (code == errc::ok) ++done;
  }
  EXPECT_EQ(done, 1U);
}

TEST_F(login_test, a_change_ends_the_tokens_in_the_table_and_those_in_the_soft_store) {
  auto soft = std::make_shared<map_soft_store>();
  start(soft);
  const auto account = create("ann", "old").account_created().account();
  const auto kept = issue("ann", "old").token_issued().token();
  soft->away = true;
  const auto stored = issue("ann", "old").token_issued().token();
  // Whether Redis is there during the change makes no difference.
  EXPECT_EQ(code_of(change(account, "old", "new")), errc::ok);
  soft->away = false;
  EXPECT_EQ(code_of(use(kept)), errc::bad_token);
  EXPECT_EQ(code_of(use(stored)), errc::bad_token);
  EXPECT_EQ(code_of(use(issue("ann", "new").token_issued().token())), errc::ok);
}

/// Another node of the same database has its own proofs and its own view of Redis.
TEST_F(login_test, the_old_password_and_its_tokens_end_on_a_node_that_did_not_make_the_change) {
  auto soft = std::make_shared<map_soft_store>();
  const std::string path = ::testing::TempDir() + "two_nodes_" + std::to_string(::getpid()) + ".db";
  const auto begin = [&](uint64_t epoch) {
    node_options how;
    how.dsn = "sqlite:" + path;
    how.soft = soft;
    how.slots.port.request_timeout = 30s;
    auto node = std::make_unique<storage_node>(std::move(how));
    node->publish(epoch);
    return node;
  };
  node_ = begin(1);
  client_ = fake_client::connect(node_->network(), "local:storage-0", link_);
  const auto account = create("ann", "old").account_created().account();
  EXPECT_EQ(code_of(log_in("ann", "old")), errc::ok);
  const auto kept = issue("ann", "old").token_issued().token();
  {
    auto other = begin(2);
    std::unique_ptr<rpc::link> link;
    auto client = fake_client::connect(other->network(), "local:storage-0", link);
    client->set_epoch(2);
    EXPECT_EQ(code_of(client->ask(change_request(account, "old", "new"))), errc::ok);
    link.reset();
  }
  // The first node still serves reads and logins of its epoch: nothing has told it yet.
  EXPECT_EQ(code_of(log_in("ann", "old")), errc::no_pass);
  EXPECT_EQ(code_of(use(kept)), errc::bad_token);
  EXPECT_EQ(code_of(log_in("ann", "new")), errc::ok);
  link_.reset();
  node_.reset();
  for (const char* end : {"", "-wal", "-shm"}) std::remove((path + end).c_str());
}

}  // namespace
}  // namespace tern::storage
