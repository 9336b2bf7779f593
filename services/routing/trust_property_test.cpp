// What docs/flows/placement.md argues, tried at random: a node with its lease_trust, three replicas with their
// elections and membership tables, one leader row. Replicas are killed, restarted, stopped and paused, lose the
// database, and the node is cut off from any of them; what is sent meanwhile arrives later, as with TCP. The ranges
// of the node must never be given away while it trusts its lease.
#include <gtest/gtest.h>

#include <array>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <random>

#include "libs/placement/lease_trust.hpp"
#include "libs/placement/membership_table.hpp"
#include "libs/testing/fake_clock.hpp"
#include "services/routing/leader.hpp"
#include "services/routing/meta_store.hpp"

namespace tern::routing {
namespace {

using std::chrono::milliseconds;
using time_point = clock::time_point;
constexpr size_t replicas = 3;

class world {
 public:
  explicit world(unsigned seed) : random_(seed) {
    for (size_t i = 0; i < replicas; ++i) start(i);
  }

  /// False: the ranges were given away while the node thought that they were its own.
  bool pass(milliseconds by) {
    time_.advance(by);
    for (size_t i = 0; i < replicas; ++i) {
      if (all_[i].alive && !all_[i].paused) act(all_[i]);
    }
    for (size_t i = 0; i < replicas; ++i) deliver(i);
    node_acts();
    if (given_ && trust_.valid(time_.now())) sound_ = false;
    return sound_;
  }
  void misfortune() {
    const size_t i = below(replicas);
    auto& one = all_[i];
    switch (below(12)) {
      case 0:
        if (one.alive) kill(i);
        break;
      case 1:
        if (one.alive && !one.paused) resign(i);
        break;
      case 2: one.paused = true; break;
      case 3: one.database = false; break;
      case 4: one.cut = true; break;
      case 5:
        for (auto& each : all_) each.cut = true;
        break;
      case 6:
        for (auto& each : all_) each.database = false;
        break;
      default:
        one.paused = one.cut = false;
        one.database = true;
        if (!one.alive) start(i);
    }
  }
  bool given() const { return given_; }
  bool valid() const { return trust_.valid(time_.now()); }
  size_t below(size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(random_); }

 private:
  struct replica {
    bool alive = false;
    bool paused = false;
    bool cut = false;  // from the node
    bool database = true;
    leader_row self;
    std::unique_ptr<election> votes;
    std::unique_ptr<placement::membership_table> table;  // while it leads
    uint64_t term = 0;
    std::deque<std::pair<time_point, std::function<void()>>> to_node, to_replica;
    // The node's stream to it, as the node and as the replica see it; 0: none.
    uint64_t stream = 0, known = 0;
    bool leased = false;
    std::map<uint64_t, time_point> sent;
    time_point try_again{}, last_beat{};
  };

  void start(size_t i) {
    auto& one = all_[i];
    one.alive = true;
    one.paused = false;
    one.self = {0, std::string(1, static_cast<char>('a' + i)), ++numbers_, "", 0};
    one.votes = std::make_unique<election>(time_, leader_options{}, one.self);
    one.known = 0;
  }
  void kill(size_t i) {
    auto& one = all_[i];
    one.alive = false;
    one.table.reset();
    one.to_replica.clear();
    if (one.stream != 0) to_node(one, [this, &one, stream = one.stream] { broke(one, stream); });
  }
  void resign(size_t i) {
    auto& one = all_[i];
    const bool led = one.table != nullptr;
    stand_down(one);
    if (led) static_cast<void>(store_->resign(one.term));
    kill(i);
  }
  void act(replica& one) {
    if (one.table && !one.votes->leads()) stand_down(one);
    const auto what = one.votes->next();
    if (what != election::step::none) {
      if (!one.database) {
        one.votes->failed();
      } else if (what == election::step::look) {
        one.votes->looked(*store_->leader());
      } else if (what == election::step::take_over) {
        if (store_->take_over(one.votes->seen(), one.self)) {
          one.term = one.votes->seen().term + 1;
          one.votes->took_over(one.term, time_.now());
          one.table = std::make_unique<placement::membership_table>(time_, options());
          if (!given_) one.table->expect(self(), {}, true);
        } else {
          one.votes->refused();
        }
      } else if (store_->renew(one.term)) {
        one.votes->renewed(one.term, time_.now());
      } else {
        one.votes->refused();
        stand_down(one);
      }
    }
    if (!one.table) return;
    one.table->tick();
    const auto* member = one.table->find("node");
    const bool fenced = !one.database || store_->leader()->term != one.term;
    if (given_ || fenced || member == nullptr || member->info.alive) return;
    given_ = true;
    if (trust_.valid(time_.now())) sound_ = false;
  }
  void stand_down(replica& one) {
    one.table.reset();
    if (one.known != 0) say_not_leader(one, one.known);
    one.known = 0;
  }
  void say_not_leader(replica& one, uint64_t stream) {
    to_node(one, [this, &one, stream] {
      if (one.stream != stream) return;
      trust_.not_leader(stream, time_.now());
      close(one);
    });
  }
  void hello(replica& one, uint64_t stream) {
    if (one.table && !one.votes->leads()) stand_down(one);
    if (!one.table) {
      say_not_leader(one, stream);
      return;
    }
    one.known = stream;
    one.table->join({self(), {}, true});
    given_ = false;
  }
  void heartbeat(replica& one, uint64_t stream, uint64_t beat) {
    if (one.table && !one.votes->leads()) stand_down(one);
    if (!one.table || one.known != stream) return;
    if (!one.table->renew("node", 1)) hello(one, stream);
    to_node(one, [this, &one, stream, beat] {
      if (one.stream != stream || !one.sent.contains(beat)) return;
      trust_.leased(stream, one.sent[beat]);
      one.leased = true;
      one.sent.erase(one.sent.begin(), one.sent.upper_bound(beat));
    });
  }
  void broke(replica& one, uint64_t stream) {
    if (one.stream != stream) return;
    trust_.broke(stream, time_.now());
    close(one);
  }
  void close(replica& one) {
    one.stream = 0;
    one.leased = false;
    one.sent.clear();
    one.try_again = time_.now() + milliseconds(200);
  }
  void abandon(replica& one) {
    trust_.abandoned(one.stream, time_.now());
    to_replica(one, [&one, stream = one.stream] {
      if (one.table && one.known == stream) one.table->disconnected("node", 1);
    });
    close(one);
  }
  void node_acts() {
    const auto now = time_.now();
    bool leased = false;
    for (auto& one : all_) leased = leased || one.leased;
    for (size_t i = 0; i < replicas; ++i) {
      auto& one = all_[i];
      if (one.stream == 0 && !leased && now >= one.try_again && one.alive && !one.paused && !one.cut) {
        one.stream = ++numbers_;
        trust_.up(one.stream, i, now);
        to_replica(one, [this, &one, stream = one.stream] { hello(one, stream); });
        beat(one);
      } else if (one.stream != 0) {
        const bool silent = !one.sent.empty() && now - one.sent.begin()->second >= std::chrono::seconds(3);
        if (silent || (leased && !one.leased)) {
          abandon(one);
        } else if (now - one.last_beat >= std::chrono::seconds(2)) {
          beat(one);
        }
      }
    }
  }
  void beat(replica& one) {
    one.last_beat = time_.now();
    one.sent[++numbers_] = time_.now();
    to_replica(one, [this, &one, stream = one.stream, beat = numbers_] { heartbeat(one, stream, beat); });
  }
  void to_node(replica& one, std::function<void()> what) { one.to_node.emplace_back(soon(), std::move(what)); }
  void to_replica(replica& one, std::function<void()> what) { one.to_replica.emplace_back(soon(), std::move(what)); }
  time_point soon() { return time_.now() + milliseconds(below(10) == 0 ? below(800) : below(50)); }
  void deliver(size_t i) {
    auto& one = all_[i];
    if (one.cut) return;
    while (one.alive && !one.paused && !one.to_replica.empty() && one.to_replica.front().first <= time_.now()) {
      const auto what = std::move(one.to_replica.front().second);
      one.to_replica.pop_front();
      what();
    }
    while (!one.to_node.empty() && one.to_node.front().first <= time_.now()) {
      const auto what = std::move(one.to_node.front().second);
      one.to_node.pop_front();
      what();
    }
  }
  static placement::node self() { return {"node", "session", "address", 1, true}; }
  static placement::table_options options() {
    placement::table_options made;
    made.grace = std::chrono::seconds(10);
    return made;
  }

  testing::fake_clock time_;
  std::mt19937 random_;
  std::unique_ptr<meta_store> store_ = make_meta_store("memory:");
  std::array<replica, replicas> all_;
  placement::lease_trust trust_{replicas};
  uint64_t numbers_ = 0;
  bool given_ = false;
  bool sound_ = true;
};

TEST(trust_property, no_range_is_given_away_while_its_owner_trusts_its_lease) {
  size_t given = 0, valid = 0, steps = 0;
  for (unsigned seed = 1; seed <= 400; ++seed) {
    world it(seed);
    for (int step = 0; step < 3000; ++step) {
      if (it.below(40) == 0) it.misfortune();
      const bool before = it.given();
      ASSERT_TRUE(it.pass(milliseconds(50))) << "seed " << seed << " step " << step;
      given += !before && it.given() ? 1 : 0;
      valid += it.valid() ? 1 : 0;
      ++steps;
    }
  }
  EXPECT_GT(given, 400U) << "the test tries what it says";
  EXPECT_GT(valid * 100, steps * 30);
}

}  // namespace
}  // namespace tern::routing
