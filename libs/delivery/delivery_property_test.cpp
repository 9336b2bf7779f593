// Random histories of one account against a model of everything around it: log, outbox, cursors, gateways, clients.
// Checked: no message twice on a connection, mids of a conversation in order on a connection, none after its recall,
// and at the end every message that was not recalled acknowledged by some client. One of the conversations is a room:
// its log alone passes here, what is live comes from a simple hub of the model. A recall of what a member's stored
// position had passed is acknowledged, too. The account moves to other owners with what it remembers: then nothing at
// all may come twice or out of order, unless its terminals dawdle.
#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <set>

#include "libs/delivery/account_delivery.hpp"

namespace tern::delivery {
namespace {

using conversation_number = uint64_t;
conversation_id id_of(conversation_number number) { return {number + 1, 0}; }
constexpr conversation_number room_number = 5;
conversation_number number_of(const conversation_id& id) { return id.hi - 1; }

struct entry_key {
  conversation_number conversation = 0;
  uint64_t mid = 0;
  auto operator<=>(const entry_key&) const = default;
};

/// A frame with ack wanted.
struct frame {
  conversation_number conversation = 0;
  uint64_t ref = 0;  // mid, or the batch's last one
  bool batch = false;
  std::vector<uint64_t> mids;
  bool room() const { return conversation == room_number; }
};

/// A client connection and the gateway's side of it.
struct connection {
  terminal_slot slot = 0;
  bool bound = false;
  bool ended = false;
  std::deque<frame> link;     // on the way from the owner
  std::vector<frame> window;  // written, unacknowledged
  std::map<conversation_number, uint64_t> written;
  uint64_t room_at = 0;  // what the hub brings comes after this
  bool placed = false;   // something of the room came live before it was bound here: no lists of the room
  uint64_t listed = 0;   // lists of the room were acknowledged up to here
  std::map<conversation_number, uint64_t> newest;           // mid shown
  std::map<conversation_number, std::set<uint64_t>> shown;  // that the owner has a way to know of
  std::set<entry_key> recalled;                             // targets of recalls shown
};

class world final : public port {
 public:
  world(unsigned seed, bool crashes) : random_(seed), crashes_(crashes) {
    limits_.in_flight = 1 + random_() % 8;
    limits_.draining = 1 + random_() % 3;
    owner_ = std::make_unique<account_delivery>(*this, limits_);
  }

  void step() {
    switch (random_() % 22) {
      case 0 ... 3: write(); break;
      case 4 ... 6: dispatch(); break;
      case 7 ... 9: answer_one(random_() % 16 == 0); break;
      case 10 ... 12: transport(); break;
      case 13 ... 15: acknowledge(); break;
      case 16:
        if (connections_.size() < 40 && random_() % 3 == 0) log_on();
        break;
      case 17:
        if (random_() % 6 == 0) with_bound([this](connection& c) { end(c); });
        break;
      case 18:
        if (random_() % 4 == 0) with_bound([this](connection& c) { relink(c); });
        break;
      case 19:
        if (crashes_ && random_() % 12 == 0) {
          crash();
        } else if (random_() % 2 == 0) {
          move();
        }
        break;
      case 20:
        with_bound([this](connection& c) {
          if (random_() % 3 == 0) owner_->on_drain_request(c.slot);
        });
        break;
      default:
        if (awaited_ && random_() % 2 == 0) await();
        rebind_lost();
        if (random_() % 4 == 0) redispatch();
        if (random_() % 16 == 0 && all_bound()) owner_->forget_restored();
        timer();
        break;
    }
  }

  /// No more faults: everything must be acknowledged soon.
  void settle() {
    rebind_all();
    if (!live()) log_on();
    with_bound([this](connection& c) { owner_->on_drain_request(c.slot); });
    redispatch();
    for (int round = 0; round < 4000; ++round) {
      dispatch();
      while (answer_one(false)) {
      }
      transport_all();
      acknowledge_all();
      timer();
      if (missing().empty() && outbox_.empty() && cursors_.empty() && answers_.empty() && room_live_) break;
    }
    ASSERT_EQ(missing(), std::set<entry_key>{});
    EXPECT_TRUE(room_live_);
    EXPECT_TRUE(outbox_.empty());
    EXPECT_TRUE(cursors_.empty());
    EXPECT_TRUE(ended_drains_ > 0);
    EXPECT_EQ(owner_->unacked(), 0U);
    EXPECT_EQ(owner_->dirty(), 0U);
  }

  // ---- port ----
  void deliver(terminal_set to, const message& what) override {
    const frame one{number_of(what.conversation), what.mid, false, {what.mid}};
    put(to, one);
  }
  void deliver_batch(terminal_set to, const conversation_id& conversation, uint64_t batch,
                     const std::vector<message>& rows) override {
    frame one{number_of(conversation), batch, true, {}};
    for (const message& row : rows) one.mids.push_back(row.mid);
    put(to, one);
  }
  void deliver_notice(terminal_set, uint64_t, const std::string&, bool) override {}
  void drained(terminal_set) override { ++ended_drains_; }
  void acknowledged(const message&) override {}
  void done(const entry_ref& entry) override {
    if (entry.source) outbox_.erase(*std::static_pointer_cast<entry_key>(entry.source));
  }
  void put_cursor(const conversation_id& conversation, account_id, cursor_change kind, uint64_t delivered) override {
    if (number_of(conversation) == room_number) {
      EXPECT_EQ(kind, cursor_change::advance);
      room_cursor_ = std::max(room_cursor_, delivered);
      return;
    }
    answers_.push_back([this, conversation, kind, delivered](bool fail) {
      if (!fail) store_cursor(number_of(conversation), kind, delivered);
      owner_->on_cursor(conversation, kind, !fail);
    });
  }
  void load_backlog() override {
    answers_.push_back([this](bool fail) {
      if (fail) return owner_->on_backlog_failed();
      backlog found;
      for (const auto& [number, delivered] : cursors_) {
        if (found.conversations.size() == 2) {
          found.more = true;
          break;
        }
        found.conversations.push_back({id_of(number), account_id{number + 100}, delivered});
      }
      owner_->on_backlog(std::move(found));
    });
  }
  void read(const conversation_id& conversation, uint64_t after, uint64_t token) override {
    answers_.push_back([this, conversation, after, token](bool fail) {
      if (fail) return owner_->on_page_failed(conversation, token);
      const conversation_number number = number_of(conversation);
      page found{{}, heads_[number], heads_[number]};
      for (uint64_t mid = after + 1; mid <= heads_[number]; ++mid) {
        if (own_.contains({number, mid}) || tombstones_.contains({number, mid})) continue;
        if (found.rows.size() == 3) {
          found.reached = mid - 1;
          break;
        }
        found.rows.push_back({conversation, account_id{number + 100}, mid, 0, "b", 0, 0, target_of(number, mid)});
      }
      owner_->on_page(conversation, token, std::move(found));
    });
  }
  bool predates(const message&) override { return random_() % 8 == 0; }
  terminal_set listeners(const conversation_id&, terminal_set all) override {
    for (const connection& c : connections_) all &= c.bound && c.placed ? ~only(c.slot) : ~terminal_set{0};
    return all;
  }
  uint64_t make_live(const conversation_id& room, uint64_t reached) override {
    EXPECT_EQ(number_of(room), room_number);
    const uint64_t head = heads_[room_number];
    const bool all = std::ranges::all_of(connections_, [](const connection& c) { return !c.bound || c.placed; });
    if (!all && reached < head && random_() % 2 == 0) return head;
    room_live_ = true;
    for (connection& c : connections_) {
      if (!c.bound) continue;
      c.room_at = std::max(c.room_at, c.placed ? c.listed : reached);
      catch_up(c);
    }
    return 0;
  }
  void drop_notices(const std::vector<uint64_t>&) override {}
  void later() override { timer_ = true; }

 private:
  void write() {
    const conversation_number number = random_() % 6;
    const uint64_t mid = ++heads_[number];
    if (mid > 1 && random_() % 6 == 0) {
      const uint64_t target = 1 + random_() % (mid - 1);
      if (!own_.contains({number, target}) && target_of(number, target) == 0 &&
          tombstones_.insert({number, target}).second) {
        recalls_[{number, mid}] = target;
        if (number == room_number && target <= room_cursor_) known_.insert({number, target});
      }
    }
    if (number == room_number) return write_to_room(mid);
    if (target_of(number, mid) == 0 && random_() % 4 == 0) {
      own_.insert({number, mid});
      return;
    }
    outbox_[{number, mid}] = false;
    written_.insert({number, mid});
  }
  uint64_t target_of(conversation_number number, uint64_t mid) const {
    const auto at = recalls_.find({number, mid});
    return at == recalls_.end() ? 0 : at->second;
  }
  /// What must have been acknowledged and was not.
  std::set<entry_key> missing() const {
    std::set<entry_key> found;
    for (const entry_key& one : written_) {
      const uint64_t target = target_of(one.conversation, one.mid);
      const bool wanted =
          target == 0 ? !tombstones_.contains(one) : !crashes_ && known_.contains({one.conversation, target});
      if (wanted && !acknowledged_.contains(one)) found.insert(one);
    }
    return found;
  }

  // ---- the room ----

  void write_to_room(uint64_t mid) {
    written_.insert({room_number, mid});
    if (!room_live_) return owner_->on_room_wake(id_of(room_number));
    for (connection& c : connections_) {
      if (c.bound) put_room(c, mid);
    }
  }
  void put_room(connection& c, uint64_t mid) {
    if (!tombstones_.contains({room_number, mid})) c.link.push_back({room_number, mid, false, {mid}});
  }
  /// Lost or not yet there: read from the log by the hub.
  void catch_up(connection& c) {
    for (uint64_t mid = c.room_at + 1; mid <= heads_[room_number]; ++mid) put_room(c, mid);
  }
  void enter_room(connection& c, bool fresh, bool again) {
    const uint64_t head = heads_[room_number];
    const uint64_t written = c.written.contains(room_number) ? c.written[room_number] : 0;
    c.placed = written != 0;
    if (c.placed) c.room_at = std::max({c.room_at, written, c.listed});
    if (awaited_) return;  // all together
    if (again) {
      c.room_at = std::max(c.room_at, written);
      if (room_live_) catch_up(c);
      return;
    }
    const bool first =
        std::count_if(connections_.begin(), connections_.end(), [](const connection& one) { return one.bound; }) == 1;
    if (first) {
      const bool listed =
          std::any_of(c.window.begin(), c.window.end(), [](const frame& one) { return one.room() && one.batch; });
      room_live_ = !listed && (room_cursor_ == head || written != 0);
      if (!room_live_) return owner_->on_room_behind(id_of(room_number), room_cursor_, !fresh);
    }
    if (!room_live_) return;
    c.room_at = std::max({c.room_at, written, room_cursor_});
    catch_up(c);
  }
  void room_acknowledged(connection& c) {
    uint64_t mid = c.written[room_number];
    for (const frame& one : c.window) {
      if (one.room() && !one.batch) mid = std::min(mid, one.ref - 1);
    }
    room_cursor_ = std::max(room_cursor_, mid);
  }

  void dispatch() {
    if (awaited_) return;
    for (auto& [key, sent] : outbox_) {
      if (std::exchange(sent, true)) continue;
      pending_.push_back(key);
    }
    while (!pending_.empty()) {
      const entry_key key = pending_.front();
      pending_.pop_front();
      if (!outbox_.contains(key)) continue;
      const std::string body = tombstones_.contains(key) ? "" : "b";
      auto what = std::make_shared<message>(message{id_of(key.conversation), account_id{key.conversation + 100},
                                                    key.mid, 0, body, 0, 0, target_of(key.conversation, key.mid)});
      owner_->on_message({std::make_shared<entry_key>(key), key.mid}, std::move(what));
    }
  }
  void redispatch() {
    for (auto& [key, sent] : outbox_) sent = false;
  }

  bool answer_one(bool fail) {
    if (answers_.empty()) return false;
    const auto answer = std::move(answers_.front());
    answers_.pop_front();
    answer(fail);
    return true;
  }
  void timer() {
    if (std::exchange(timer_, false)) owner_->on_timer();
  }

  void store_cursor(conversation_number number, cursor_change kind, uint64_t delivered) {
    const auto at = cursors_.find(number);
    if (kind == cursor_change::clear) {
      cursors_.erase(number);
    } else if (kind == cursor_change::advance) {
      if (at != cursors_.end()) at->second = delivered;
    } else {
      cursors_[number] = at == cursors_.end() ? delivered : std::min(at->second, delivered);
    }
  }

  // ---- terminals ----

  void log_on() {
    terminal_slot slot = 0;
    while (std::any_of(connections_.begin(), connections_.end(),
                       [slot](const connection& c) { return c.bound && c.slot == slot; })) {
      ++slot;
    }
    if (slot >= 4) return;
    connection& fresh = connections_.emplace_back();
    fresh.slot = slot;
    fresh.bound = true;
    owner_->attach(slot);
    enter_room(fresh, true, false);
  }
  void end(connection& c) {
    c.ended = true;
    if (c.bound && room_live_) room_acknowledged(c);  // as gateways do before they say that a terminal is gone
    if (std::exchange(c.bound, false)) owner_->detach(c.slot);
    if (live()) return;
    room_live_ = false;
    owner_->on_room_gone(id_of(room_number));
  }
  /// The link breaks: what was on it is lost, the gateway binds again.
  void relink(connection& c) {
    c.link.clear();
    bind(c, false);
  }
  void bind(connection& c, bool moved) {
    restored what;
    for (const frame& one : c.window) {
      (one.batch ? what.batches : what.messages).push_back({id_of(one.conversation), one.ref});
    }
    for (const auto& [number, mid] : c.written) {
      if (number != room_number) what.written.push_back({id_of(number), mid});
    }
    if (c.listed != 0) what.written.push_back({id_of(room_number), c.listed});
    room_cursor_ = std::max(room_cursor_, c.listed);
    std::erase_if(what.messages, [](const position& one) { return number_of(one.conversation) == room_number; });
    const bool again = std::exchange(c.bound, true);
    // What nobody knows of any more may come again.
    for (auto& [number, mids] : c.shown) {
      if (moved && !crashes_) break;
      std::erase_if(mids, [&, number = number](uint64_t mid) {
        return mid > std::max(c.written[number], number == room_number ? c.listed : 0);
      });
    }
    if (!moved || crashes_) c.newest = c.written;
    for (const frame& one : c.window) {
      c.shown[one.conversation].insert(one.mids.begin(), one.mids.end());
      c.newest[one.conversation] = std::max(c.newest[one.conversation], one.ref);
    }
    owner_->reattach(c.slot, std::move(what));
    enter_room(c, false, again);
  }
  /// A planned move: the next owner has what this one remembers, and takes nothing before all terminals are there.
  void move() {
    if (!answers_.empty() || !owner_->still() || awaited_) return;
    ++moves_;
    const memory kept = owner_->remember();
    room_was_live_ = room_live_;
    room_automatic_ = kept.room_automatic;
    crash();
    owner_->restore(kept);
    awaited_ = true;
    if (!crashes_) await();
  }
  /// The terminals come, some of them never.
  void await() {
    for (connection& c : connections_) {
      if (c.bound || c.ended) continue;
      if (random_() % 16 == 0) {
        c.ended = true;
      } else {
        take_slot(c);
        bind(c, true);
      }
    }
    arrived();
  }
  /// The next owner knows how the account stood in the room, so nobody there is brought what he has.
  void arrived() {
    if (!std::exchange(awaited_, false)) return;
    if (live() && room_was_live_) {
      room_live_ = true;
      for (connection& c : connections_) {
        if (!c.bound) continue;
        c.room_at = std::max({c.room_at, c.written[room_number], room_cursor_});
        catch_up(c);
      }
    } else if (live()) {
      owner_->on_room_behind(id_of(room_number), room_cursor_, room_automatic_);
    }
    owner_->settled();
  }
  void crash() {
    room_live_ = false;
    awaited_ = false;
    owner_ = std::make_unique<account_delivery>(*this, limits_);
    answers_.clear();
    timer_ = false;
    pending_.clear();
    redispatch();
    for (connection& c : connections_) {
      c.link.clear();
      c.bound = false;
    }
  }
  /// Terminals of a crashed owner come to the new one one by one; some never do.
  void rebind_lost() {
    for (connection& c : connections_) {
      if (c.bound || c.ended || random_() % 2 == 0) continue;
      if (random_() % 8 == 0) {
        c.ended = true;
      } else {
        take_slot(c);
        bind(c, awaited_);
      }
      return;
    }
  }
  void rebind_all() {
    for (connection& c : connections_) {
      if (c.bound || c.ended) continue;
      take_slot(c);
      bind(c, awaited_);
    }
    arrived();
  }
  void take_slot(connection& c) {
    c.slot = 0;
    while (std::any_of(connections_.begin(), connections_.end(), [&](const connection& other) {
      return &other != &c && other.bound && other.slot == c.slot;
    })) {
      ++c.slot;
    }
  }
  bool live() const {
    return std::any_of(connections_.begin(), connections_.end(), [](const connection& c) { return c.bound; });
  }
  bool all_bound() const {
    return std::all_of(connections_.begin(), connections_.end(),
                       [](const connection& c) { return c.bound || c.ended; });
  }
  void with_bound(const std::function<void(connection&)>& what) {
    std::vector<connection*> bound;
    for (connection& c : connections_) {
      if (c.bound) bound.push_back(&c);
    }
    if (!bound.empty()) what(*bound[random_() % bound.size()]);
  }

  void put(terminal_set to, const frame& one) {
    for (connection& c : connections_) {
      if (c.bound && (to & only(c.slot)) != 0) c.link.push_back(one);
    }
  }
  void transport() {
    with_bound([this](connection& c) { arrive(c); });
  }
  void transport_all() {
    for (connection& c : connections_) {
      while (c.bound && !c.link.empty()) arrive(c);
    }
  }
  void arrive(connection& c) {
    if (c.link.empty()) return;
    frame one = std::move(c.link.front());
    c.link.pop_front();
    if (!one.batch) {
      uint64_t& newest = c.written[one.conversation];
      if (one.room() && one.ref <= newest) return;  // dropped by the gateway
      newest = std::max(newest, one.ref);
    }
    for (const uint64_t mid : one.mids) {
      const bool first = c.shown[one.conversation].insert(mid).second;
      const uint64_t target = target_of(one.conversation, mid);
      if (target != 0) c.recalled.insert({one.conversation, target});
      EXPECT_FALSE(c.recalled.contains({one.conversation, mid})) << "shown after its recall";
      // Positions of a room are stored late: what a former owner's terminals had may come again as a list.
      EXPECT_TRUE(first || (crashes_ && one.room()))
          << "conversation " << one.conversation << " mid " << mid << (one.batch ? " batch" : " live");
      uint64_t& newest = c.newest[one.conversation];
      // What an owner that died had not brought may come after what waited in the log (never the reverse).
      if (!crashes_ || (one.batch && !one.room())) {
        EXPECT_GT(mid, newest) << "conversation " << one.conversation << (one.batch ? " batch" : " live");
      }
      newest = std::max(newest, mid);
    }
    c.window.push_back(std::move(one));
  }
  void acknowledge() {
    with_bound([this](connection& c) {
      if (!c.window.empty()) acknowledge(c, random_() % c.window.size());
    });
  }
  void acknowledge_all() {
    for (connection& c : connections_) {
      while (c.bound && !c.window.empty()) acknowledge(c, 0);
    }
  }
  void acknowledge(connection& c, size_t index) {
    const frame one = std::move(c.window[index]);
    c.window.erase(c.window.begin() + static_cast<std::ptrdiff_t>(index));
    for (const uint64_t mid : one.mids) acknowledged_.insert({one.conversation, mid});
    uint64_t& known = one.room() ? c.listed : c.written[one.conversation];
    if (one.batch) known = std::max(known, one.ref);
    const position where{id_of(one.conversation), one.ref};
    if (random_() % 10 == 0 && !settling()) return relink(c);  // the acknowledgement is lost with the link
    if (one.room() && !one.batch) return room_acknowledged(c);
    if (one.batch) {
      owner_->on_batch_ack(c.slot, where);
    } else {
      owner_->on_message_ack(c.slot, where);
    }
  }
  bool settling() const { return settling_; }

 public:
  void start_settling() { settling_ = true; }
  size_t moves() const { return moves_; }

 private:
  std::mt19937 random_;
  const bool crashes_;
  delivery_limits limits_;
  std::unique_ptr<account_delivery> owner_;
  std::map<conversation_number, uint64_t> heads_;
  std::set<entry_key> own_;
  std::map<entry_key, bool> outbox_;  // not done; true: sent on the present stream
  std::deque<entry_key> pending_;
  std::map<conversation_number, uint64_t> cursors_;  // dirty conversations
  std::deque<std::function<void(bool)>> answers_;
  std::deque<connection> connections_;
  std::set<entry_key> acknowledged_;
  std::set<entry_key> written_;
  std::set<entry_key> known_;  // recalled when the stored position had passed them
  std::set<entry_key> tombstones_;
  std::map<entry_key, uint64_t> recalls_;  // with their targets
  uint64_t room_cursor_ = 0;
  bool room_live_ = false;
  size_t ended_drains_ = 0;
  bool awaited_ = false;  // after a move terminals are still to come
  size_t moves_ = 0;
  bool room_was_live_ = false;
  bool room_automatic_ = false;
  bool timer_ = false;
  bool settling_ = false;
};

TEST(delivery_property_test, whatever_happens_every_message_arrives_in_order_and_once_per_connection) {
  size_t moves = 0;
  for (unsigned seed = 1; seed <= 20'000; ++seed) {
    SCOPED_TRACE(seed);
    world all(seed, seed % 2 == 0);
    for (int i = 0; i < 600; ++i) all.step();
    all.start_settling();
    all.settle();
    moves += all.moves();
    if (::testing::Test::HasFailure()) return;
  }
  EXPECT_GT(moves, 20'000U);
}

}  // namespace
}  // namespace tern::delivery
