// room_order against a model of storage and of session nodes: thousands of random histories with pipelined appends,
// lost answers, repeats, other owners, failing reads, members that go, nodes that come, go and lose their stream.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <deque>
#include <functional>
#include <map>
#include <random>
#include <set>

#include "services/group/logic/room_order.hpp"

namespace tern::group {
namespace {

struct row {
  std::string body;
  bool tombstone = false;
};

/// What a session node has seen.
struct listener {
  session_ptr stream = std::make_shared<session_stream>();
  bool subscribed = false;
  uint64_t last = 0;        // newest frame, or the head it was told
  std::set<uint64_t> gone;  // changes it heard of
};

class world final : public room_order::port {
 public:
  explicit world(unsigned seed) : random_(seed) {
    for (size_t i = 0; i < nodes_.size(); ++i) owners_[nodes_[i].stream] = i;
  }

  void run() {
    for (int step = 0; step < 400; ++step) one_step(true);
    for (int step = 0; step < 4000 && !quiet(); ++step) one_step(false);
    ASSERT_TRUE(quiet());
    for (const listener& one : nodes_) {
      if (one.subscribed) {
        EXPECT_EQ(one.last, log_.size());
      }
    }
    for (const auto& [call, times] : answers_) EXPECT_EQ(times, 1) << "call " << call;
    EXPECT_EQ(answers_.size(), calls_);
  }
  size_t receipts_first() const noexcept { return receipts_first_; }

 private:
  // ---- room_order::port ----
  void fan_out(v1::RoomFrame& what, const std::vector<session_ptr>& to) override {
    fanned_ = what.mid();
    if (in_page_) from_page_ = fanned_;
    fanned_to_ = to;
    for (const session_ptr& stream : to) {
      listener& node = node_of(stream);
      ASSERT_EQ(node.stream, stream) << "a stream that ended";
      ASSERT_TRUE(node.subscribed);
      ASSERT_EQ(what.mid(), node.last + 1) << "a hole, or a repeat";
      node.last = what.mid();
      const row& stored = log_.at(what.mid() - 1);
      ASSERT_EQ(what.body(), stored.body);
      for (const auto& [change, position] : told_) {
        // The change was stored before this message: who is gone must be known by now.
        if (position < what.mid() && change_starts_.at(change).contains(stream)) {
          ASSERT_TRUE(node.gone.contains(change)) << "mid " << what.mid() << " came before who is gone";
        }
      }
    }
  }
  void tell_gone(const storage::v1::RoomChanged& what, const std::vector<session_ptr>& to) override {
    for (const session_ptr& stream : to) node_of(stream).gone.insert(what.gone(0));
  }
  void send_answer(const caller& who, v1::Answer& what) override {
    ++answers_[who.call];
    listener& node = node_of(who.stream);
    if (node.stream != who.stream) return;
    const auto interest = interests_.find(who.call);
    if (interest == interests_.end()) {
      if (what.appended().mid() != 0 && node.subscribed) {
        EXPECT_LE(what.appended().mid(), node.last) << "answered before its frame";
        if (what.appended().mid() == fanned_ && !what.appended().duplicate() && from_page_ != fanned_) {
          EXPECT_EQ(fanned_to_.front(), who.stream) << "the receipt left behind others' frames";
          ++receipts_first_;
        }
      }
      return;
    }
    node.subscribed = interest->second && what.code() == 0;
    if (!node.subscribed) return;
    node.last = what.head();
    EXPECT_LE(what.head(), log_.size());
  }
  void load_head() override { reads_.push_back({true, 0}); }
  void read(uint64_t after, bool) override { reads_.push_back({false, after}); }
  void later(room_order::timer which, std::chrono::milliseconds) override { timers_.push_back(which); }

  // ---- the model ----
  struct operation {
    caller who;
    bool change = false;
    std::string key;
  };
  struct pending_read {
    bool head = false;
    uint64_t after = 0;
  };

  listener& node_of(const session_ptr& stream) { return nodes_.at(owners_.at(stream)); }
  bool chance(unsigned of) { return random_() % of == 0; }
  bool quiet() const {
    return to_storage_.empty() && answers_due_.empty() && reads_.empty() && pages_due_.empty() && timers_.empty();
  }

  caller new_caller(listener& node) { return {node.stream, ++calls_, {}}; }

  void one_step(bool busy) {
    switch (random_() % 11) {
      case 0:
      case 1:
        if (busy) append();
        return;
      case 2:
        if (busy && chance(3)) change();
        return;
      case 3:
        if (busy && chance(2)) toggle_interest();
        return;
      case 4:
        if (busy && chance(10)) lose_stream();
        if (busy && chance(15)) store("elsewhere" + std::to_string(log_.size()));
        return;
      case 5:
      case 6: return execute(busy);
      case 7: return answer();
      case 8: return execute_read(busy);
      case 9: return answer_read();
      default: return fire();
    }
  }

  void append() {
    operation what{new_caller(nodes_[random_() % nodes_.size()]), false, "k" + std::to_string(random_() % 60)};
    to_storage_.push_back(std::move(what));
  }
  void change() {
    to_storage_.push_back({new_caller(nodes_[random_() % nodes_.size()]), true, {}});
    order_.change_sent();
  }
  void toggle_interest() {
    listener& node = nodes_[random_() % nodes_.size()];
    const bool on = !chance(3);
    caller who = new_caller(node);
    interests_[who.call] = on;
    streams_[who.call] = node.stream;
    if (!on) {
      node.subscribed = false;
      for (auto& [change, streams] : change_starts_) streams.erase(node.stream);
    }
    order_.interest(std::move(who), on);
  }
  void lose_stream() {
    listener& node = nodes_[random_() % nodes_.size()];
    node.subscribed = false;
    order_.left(node.stream);
    for (const auto& [call, on] : interests_) {
      if (streams_[call] == node.stream) answers_.try_emplace(call, 1);  // answered into the void
    }
    node.stream = std::make_shared<session_stream>();
    owners_[node.stream] = static_cast<size_t>(&node - nodes_.data());
  }
  uint64_t store(const std::string& key) {
    log_.push_back({"body of " + key, chance(8)});
    if (log_.back().tombstone) log_.back().body.clear();
    return log_.size();
  }

  /// Storage takes the next request; its answer may be lost.
  void execute(bool busy) {
    if (to_storage_.empty()) return;
    operation what = std::move(to_storage_.front());
    to_storage_.pop_front();
    completion done;
    done.change = what.change;
    if (what.change) {
      const uint64_t id = what.who.call;
      done.answer.mutable_changed()->add_gone(id);
      positions_[id] = log_.size();
      // A node that subscribes later reads who is a member by itself.
      for (const listener& one : nodes_) {
        if (one.subscribed) change_starts_[id].insert(one.stream);
      }
      change_starts_[id];
    } else {
      const auto known = keys_.find(what.key);
      const bool duplicate = known != keys_.end();
      if (!duplicate) keys_[what.key] = store(what.key);
      done.answer.mutable_appended()->set_mid(keys_[what.key]);
      done.answer.mutable_appended()->set_duplicate(duplicate);
      done.frame.set_mid(keys_[what.key]);
      done.frame.set_body(duplicate ? "another body" : log_.back().body);
    }
    if (busy && !what.change && chance(6)) {
      done.answer.Clear();
      done.frame.Clear();
      done.answer.set_code(static_cast<int32_t>(errc::deadline));
    }
    done.who = std::move(what.who);
    answers_due_.push_back(std::move(done));
  }

  void answer() {
    if (answers_due_.empty()) return;
    completion done = std::move(answers_due_.front());
    answers_due_.pop_front();
    if (done.change) {
      // From here on the room knows; a frame of a later mid must follow.
      const uint64_t id = done.who.call;
      told_[id] = positions_[id];
      std::erase_if(change_starts_[id], [this](const session_ptr& one) {
        return node_of(one).stream != one || !node_of(one).subscribed;
      });
    }
    order_.finished(std::move(done));
  }

  void execute_read(bool busy) {
    if (reads_.empty()) return;
    const pending_read what = reads_.front();
    reads_.pop_front();
    const errc code = busy && chance(5) ? errc::database : errc::ok;
    if (what.head) {
      pages_due_.emplace_back([this, code, head = log_.size()] { order_.on_head(code, head); });
      return;
    }
    storage::v1::Page page;
    page.set_head(log_.size());
    page.set_reached(std::min<uint64_t>(log_.size(), what.after + 4));
    for (uint64_t mid = what.after + 1; mid <= page.reached(); ++mid) {
      if (log_[mid - 1].tombstone) continue;
      auto& one = *page.add_rows();
      one.set_mid(mid);
      one.set_body(log_[mid - 1].body);
    }
    pages_due_.emplace_back([this, code, page]() mutable {
      in_page_ = true;
      order_.on_page(code, page);
      in_page_ = false;
    });
  }
  void answer_read() {
    if (pages_due_.empty()) return;
    const auto deliver = std::move(pages_due_.front());
    pages_due_.pop_front();
    deliver();
  }

  void fire() {
    if (timers_.empty()) return;
    const auto which = timers_.front();
    timers_.pop_front();
    order_.on_timer(which);
  }

  std::mt19937 random_;
  room_order order_{*this};
  std::array<listener, 3> nodes_;
  std::vector<row> log_;
  std::map<std::string, uint64_t> keys_;
  std::deque<operation> to_storage_;
  std::deque<completion> answers_due_;
  std::deque<pending_read> reads_;
  std::deque<std::function<void()>> pages_due_;
  std::deque<room_order::timer> timers_;
  std::map<session_ptr, size_t> owners_;
  std::map<uint64_t, session_ptr> streams_;  // interests' by call
  std::map<uint64_t, bool> interests_;       // by call
  std::map<uint64_t, int> answers_;          // by call
  uint64_t fanned_ = 0;                      // the newest mid, and to whom
  std::vector<session_ptr> fanned_to_;
  bool in_page_ = false;
  uint64_t from_page_ = 0;  // fanned while a page was read: nobody's message in particular
  size_t receipts_first_ = 0;
  std::map<uint64_t, uint64_t> positions_, told_;
  std::map<uint64_t, std::set<session_ptr>> change_starts_;
  uint64_t calls_ = 0;
};

TEST(room_order_property, no_hole_no_repeat_no_late_farewell_and_one_answer_each) {
  size_t receipts_first = 0;
  for (unsigned seed = 1; seed <= 3000; ++seed) {
    SCOPED_TRACE(seed);
    world one(seed);
    one.run();
    if (::testing::Test::HasFailure()) return;
    receipts_first += one.receipts_first();
  }
  EXPECT_GT(receipts_first, 3000U) << "nearly nothing was looked at";
}

}  // namespace
}  // namespace tern::group
