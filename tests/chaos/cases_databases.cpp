// What happens to PostgreSQL: ends, silence, promotions, full disks, lost answers. All to shard-1 alone.
#include <sched.h>
#include <sys/mount.h>

#include <cstring>
#include <fstream>
#include <thread>

#include "libs/sql/connection.hpp"
#include "tests/chaos/cases.hpp"

namespace tern::chaos {

using namespace std::chrono_literals;

namespace {

testing::postgres_server& database(field& at) { return *at.nodes.databases().at(1); }

std::string say(testing::postgres_server& server, const std::string& sql) {
  const auto printed = server.query(sql);
  return printed ? printed->substr(0, printed->find('\n')) : std::string();
}

void come_back(field& at) {
  const auto up = database(at).restart();
  at.expect(static_cast<bool>(up), "the database stays down" + (up ? "" : ": " + up.error().detail));
}

void stop_at_once(field& at) {
  database(at).stop_immediately();
  std::this_thread::sleep_for(2s);
  come_back(at);
}

void stand_still(field& at) {
  database(at).pause();
  std::this_thread::sleep_for(10s);
  database(at).resume();
}

/// All connections there are, and none for storage.
void take_all_slots(field& at) {
  constexpr auto length = 5s;
  const auto dsn = database(at).tcp_dsn() + " application_name=crowd";
  std::vector<std::unique_ptr<sql::connection>> taken;
  auto first = sql::open(dsn);
  at.expect(static_cast<bool>(first), "no connection at all");
  if (!first) return;
  const auto end = std::chrono::steady_clock::now() + length;
  bool full = false;
  while (std::chrono::steady_clock::now() < end) {
    for (auto more = sql::open(dsn); more; more = sql::open(dsn)) taken.push_back(std::move(*more));
    full = true;
    (void)(*first)->query("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'tern'");
    std::this_thread::sleep_for(20ms);
  }
  at.expect(full && taken.size() > 20, "the slots were not exhausted");
  at.note(std::to_string(taken.size()) + " connections taken");
}

/// Commits arrive, their answers do not.
void lose_answers(field& at) {
  auto& proxy = *at.proxies->at("database-1");
  for (int round = 0; round < 8; ++round) {
    proxy.silence({.to_server = false, .to_client = true});
    std::this_thread::sleep_for(300ms);
    proxy.reset_all();
    proxy.heal();
    std::this_thread::sleep_for(500ms);
  }
  at.note("unknown outcomes so far: " + std::to_string(static_cast<long>(at.metric_of_all(
                                            "storage", "tern_storage_retries_total", "reason=\"unknown_outcome\""))));
}

void cut_at_bytes(field& at) {
  auto& proxy = *at.proxies->at("database-1");
  const auto before = proxy.cut();
  proxy.set({.cut_within = 200'000});
  std::this_thread::sleep_for(8s);
  proxy.heal();
  at.note(std::to_string(proxy.cut() - before) + " connections cut");
}

/// Longer than a statement may take.
void lock_the_table(field& at) {
  auto made = sql::open(database(at).tcp_dsn() + " application_name=locker");
  at.expect(made && (*made)->begin() && (*made)->script("lock table message in access exclusive mode"), "no lock");
  if (!made) return;
  std::this_thread::sleep_for(8s);
  (*made)->rollback();
}

void read_only(field& at) {
  const auto set = [&](const std::string& what) {
    auto made = sql::open(database(at).tcp_dsn() + " options='-c default_transaction_read_only=off'");
    at.expect(made && (*made)->script("alter system " + what) && (*made)->script("select pg_reload_conf()"), what);
  };
  set("set default_transaction_read_only = on");
  std::this_thread::sleep_for(4s);
  set("reset default_transaction_read_only");
}

void make_standby(field& at) {
  testing::postgres_options how;
  how.port = at.standby_port;
  auto made = testing::postgres_server::standby_of(database(at), "standby", how);
  at.expect(static_cast<bool>(made), made ? "" : "no standby: " + made.error().detail);
  if (!made) return;
  *at.standby = std::move(*made);
  const bool set = database(at).query("alter system set synchronous_standby_names = 'standby'") &&
                   database(at).query("select pg_reload_conf()");
  for (int i = 0; i < 200 && say(database(at), "select sync_state from pg_stat_replication") != "sync"; ++i) {
    std::this_thread::sleep_for(50ms);
  }
  at.expect(set && say(database(at), "select sync_state from pg_stat_replication") == "sync",
            "no synchronous standby");
}

/// The primary dies, its standby is promoted, and the former primary is started as if nothing had been.
void promote(field& at) {
  database(at).kill_hard();
  std::this_thread::sleep_for(1s);
  at.expect(static_cast<bool>((*at.standby)->promote()), "no promotion");
  std::this_thread::sleep_for(3s);
  come_back(at);
  // What it was asked to commit would wait for its standby for ever, and be seen here.
  const auto rows = say(database(at), "select count(*) from message");
  const auto epoch = say(database(at), "select epoch || '.' || session from fence");
  std::this_thread::sleep_for(5s);
  at.expect(say(database(at), "select count(*) from message") == rows &&
                say(database(at), "select epoch || '.' || session from fence") == epoch &&
                say(database(at), "select count(*) from pg_stat_activity where wait_event = 'SyncRep'") == "0",
            "the former primary was written to");
  at.note("the former primary keeps " + rows + " messages, the new one has " +
          say(**at.standby, "select count(*) from message"));
}

/// Until nothing more fits.
void fill_the_disk(field& at) {
  const std::string file = at.disk + "/filler";
  uint64_t bytes = 0;
  {
    std::ofstream filler(file, std::ios::binary);
    for (const size_t piece : {size_t{1} << 20U, size_t{4096}}) {
      const std::string zeros(piece, '\0');
      while (filler.write(zeros.data(), static_cast<std::streamsize>(piece)).flush()) bytes += piece;
      filler.clear();
    }
  }
  at.note(std::to_string(bytes >> 20U) + " MB written until the disk was full");
  const auto end = std::chrono::steady_clock::now() + 8s;
  while (std::chrono::steady_clock::now() < end) {
    // What PostgreSQL frees is taken, too.
    std::ofstream more(file, std::ios::binary | std::ios::app);
    const std::string zeros(4096, '\0');
    while (more.write(zeros.data(), 4096).flush()) {
    }
    std::this_thread::sleep_for(100ms);
  }
  std::error_code ignored;
  std::filesystem::remove(file, ignored);
  std::this_thread::sleep_for(1s);
  const bool up = static_cast<bool>(database(at).query("select 1"));
  at.note(std::string("PostgreSQL ") + (up ? "went on by itself" : "had ended and was started"));
  if (!up) {
    database(at).kill_hard();
    come_back(at);
  }
}

}  // namespace

result<void> leave_for_private_mounts() {
  if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return error{errc::unavailable, std::string("no mounts of our own: ") + std::strerror(errno)};
  }
  return {};
}

std::vector<chaos_case> database_cases() {
  std::vector<chaos_case> all;
  const auto add = [&](const std::string& name, double most_s, std::function<void(field&)> strike) -> chaos_case& {
    chaos_case one;
    one.name = "PostgreSQL: " + name;
    one.links = wiring::databases;
    one.target = "0 dropped; delivery " + std::to_string(static_cast<int>(most_s)) + " s";
    one.strike = std::move(strike);
    one.wait_max_ms = most_s * 1000;
    return all.emplace_back(std::move(one));
  };
  // The fault's own length, and 5 s to be well again.
  add("immediate stop, restart", 8, stop_at_once);
  add("stopped 10 s, continued", 15, stand_still);
  add("no connections left, 5 s", 10, take_all_slots);
  add("answers to COMMIT lost", 5, lose_answers);
  add("cut at any byte", 5, cut_at_bytes);
  add("a lock held for 8 s", 13, lock_the_table);
  add("read-only for 4 s", 9, read_only);
  auto& promoted = add("standby promoted, old primary back", 7, promote);
  promoted.prepare = make_standby;
  promoted.spoils = true;
  auto& full = add("disk full for 8 s", 15, fill_the_disk);
  full.links = wiring::small_disk;
  full.spoils = true;
  return all;
}

}  // namespace tern::chaos
