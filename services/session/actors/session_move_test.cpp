// Two session nodes without real links but for the hand-over's own: ranges move from one to the other, step by step.
#include <gtest/gtest.h>

#include "libs/rpc/local_network.hpp"
#include "services/session/links/parked_streams.hpp"
#include "services/session/move_format.hpp"
#include "services/session/moves.hpp"
#include "services/session/testing/session_fixture.hpp"

namespace tern::session {
namespace {

using std::chrono::milliseconds;
using storage::v1::StorageRequest;

/// Counts what is asked by kind.
class counting_storage final : public storage_port {
 public:
  explicit counting_storage(shards::fake_storage& of) : of_(of) {}
  void ask(slot_type slot, StorageRequest request, patience how, storage_callback then) override {
    ++asked[request.op_case()];
    of_.ask(slot, std::move(request), how, std::move(then));
  }
  std::map<StorageRequest::OpCase, int> asked;

 private:
  shards::fake_storage& of_;
};

class node final : public session_fixture {
 public:
  node(rpc::network& network, const std::string& name, shards::fake_storage* of)
      : counted(of == nullptr ? storage : *of),
        moves(
            env, [this](const placement::move_result& one) { results.push_back(one); }, [] {}),
        mover(network, {"session", name, 1}, name, time, moves,
              {.kind = placement::range_kind::sessions, .format = move_format}) {
    env.node = name;
    env.storage = &counted;
    env.moves = &mover;
    env.parked = &parked;
    // The fixture's links were made without these.
    attach = connect_gateway(1);
    dispatcher = deliver_acceptor(env)({"storage", "storage-0", 1}, replies);
    mover.serve();
  }
  void TestBody() override {}
  void see(const std::string& owner, uint64_t epoch) {
    publish(owner, epoch);
    mover.apply(*cluster.get());
    dir.end_if([&](account_id) { return owner != env.node; });
    parked.settle();
  }
  session_state* state(account_id account) {
    const caf::actor who = dir.find(account);
    return who ? &state_of<session_state>(who) : nullptr;
  }

  counting_storage counted;
  std::vector<placement::move_result> results;
  parked_streams parked;
  range_moves moves;
  handover::links<rpc::session_handover_stream> mover;
};

class session_move_test : public ::testing::Test {
 protected:
  session_move_test() {
    a.see("a", 1);
    b.see("a", 1);
  }
  ~session_move_test() override {
    a.mover.stop();
    b.mover.stop();
  }

  void run() {
    do {
      a.run();
      b.run();
    } while (a.sched.has_job() || b.sched.has_job());
  }
  /// Until nothing moves: the dispatcher sends to who owns by the newest map, again what was refused.
  void settle() {
    for (;;) {
      run();
      const size_t answered = a.storage.answer();
      run();
      std::vector<v1::Delivery> fresh;
      for (const auto& [entry, delivery] : a.storage.outbox) {
        if (sent.insert(entry).second) fresh.push_back(delivery);
      }
      const bool any = !fresh.empty();
      if (any) (moved ? b : a).dispatcher->on_items(fresh);
      run();
      for (node* one : {&a, &b}) {
        for (const auto& reply : one->replies->take()) {
          for (const uint64_t entry : reply.done()) a.storage.outbox.erase(entry);
          for (const uint64_t entry : reply.wrong_owner()) {
            refused.push_back(entry);
            if (moved) sent.erase(entry);
          }
        }
      }
      if (answered == 0 && !any && refused_seen == refused.size()) return;
      refused_seen = refused.size();
    }
  }
  placement::move_order order_of(uint64_t number) {
    return {number, placement::range_kind::sessions, 0, slot_count - 1, 1, "b", "b"};
  }
  void say(node& at, std::string_view text, uint64_t seq) {
    const std::string to = to_node(node::bob);
    wire::tim_message message;
    message.ms_type = 2;
    message.od_type = 1;
    message.to_tid.emplace().node = to;
    message.data_string = text;
    at.frame(1, node::alice, wire::frame_type::message, message, seq);
  }
  /// alice (1) and bob (2) are on line at a.
  void both() {
    a.bind(a.bind_of(1, node::alice, true));
    a.bind(a.bind_of(2, node::bob, true));
    settle();
    a.gateway->take();
  }
  /// The gateway binds to b.
  void come_over(uint64_t conn, account_id account, uint64_t next_seq, const std::vector<v1::DeliveryRef>& unacked,
                 const std::vector<v1::DeliveryRef>& written) {
    v1::Bind bind = b.bind_of(conn, account, false);
    bind.set_next_seq(next_seq);
    for (const auto& one : unacked) *bind.add_unacked() = one;
    for (const auto& one : written) *bind.add_written() = one;
    v1::GatewayItem item;
    *item.mutable_bind() = bind;
    b.send(std::move(item));
  }
  void commit() {
    moved = true;
    b.see("b", 2);
    run();
    a.see("b", 2);
    run();
  }

  std::unique_ptr<rpc::network> network = rpc::make_local_network();
  node a{*network, "a", nullptr};
  node b{*network, "b", &a.storage};
  std::set<uint64_t> sent;
  std::vector<uint64_t> refused;
  size_t refused_seen = 0;
  bool moved = false;
};

TEST_F(session_move_test, a_session_goes_on_at_its_next_owner_without_a_look_at_storage) {
  both();
  say(a, "one", 1);
  settle();
  auto first = a.frames(2, wire::frame_type::message);
  ASSERT_EQ(first.size(), 1U);
  a.ack(2, node::bob, first[0].ref());
  settle();
  say(a, "two", 2);
  settle();
  auto second = a.frames(2, wire::frame_type::message);
  ASSERT_EQ(second.size(), 1U);
  EXPECT_EQ(a.storage.outbox.size(), 1U);  // written, not acknowledged

  a.mover.order(order_of(1));
  run();
  ASSERT_EQ(a.results.size(), 1U);
  EXPECT_EQ(a.results[0].code, errc::ok);
  EXPECT_EQ(a.results[0].moved, 2U);
  commit();
  settle();
  come_over(2, node::bob, 1, {second[0].ref()}, {second[0].ref()});
  come_over(1, node::alice, 3, {}, {});
  settle();
  say(b, "three", 3);
  settle();
  const auto third = b.frames(2, wire::frame_type::message);
  ASSERT_EQ(third.size(), 1U);  // and not the second again
  EXPECT_EQ(b.message_of(third[0]).mid, 3);
  b.ack(2, node::bob, second[0].ref());
  b.ack(2, node::bob, third[0].ref());
  settle();
  EXPECT_TRUE(a.storage.outbox.empty());
  EXPECT_EQ(b.counted.asked[StorageRequest::kBacklog], 0);
  EXPECT_EQ(b.counted.asked[StorageRequest::kAccountRooms], 0);
  EXPECT_EQ(b.counted.asked[StorageRequest::kCursorPut], 0);
}

TEST_F(session_move_test, a_session_with_an_append_under_way_is_not_still_before_the_answer) {
  both();
  say(a, "one", 1);
  run();
  a.mover.order(order_of(1));
  run();
  EXPECT_TRUE(a.results.empty());
  a.storage.answer();
  run();
  ASSERT_EQ(a.results.size(), 1U);
  EXPECT_EQ(a.results[0].moved, 2U);
  EXPECT_EQ(a.frames(1, wire::frame_type::message).size(), 1U);  // the receipt came first
}

TEST_F(session_move_test, what_waits_goes_on_when_nothing_comes_of_the_move) {
  both();
  say(a, "one", 1);
  run();
  a.mover.order(order_of(1));  // alice is not still
  run();
  say(a, "two", 2);
  run();
  a.time.advance(milliseconds(100));
  a.mover.tick();  // too late for alice, who goes on; bob has handed over
  settle();
  EXPECT_EQ(a.results.size(), 1U);
  EXPECT_EQ(a.results[0].moved, 1U);
  EXPECT_EQ(a.frames(1, wire::frame_type::message).size(), 2U);  // both receipts
  EXPECT_TRUE(a.frames(2, wire::frame_type::message).empty());   // bob stands still
  a.gateway->take();
  a.time.advance(milliseconds(1000));
  a.mover.tick();  // no map came
  run();
  bool told = false;
  for (const auto& item : a.gateway->items) told = told || (item.has_bind_result() && item.bind_result().conn() == 2);
  EXPECT_TRUE(told);
  // The gateway binds bob to a again, and the dispatcher sends again what was refused, in order.
  ASSERT_EQ(a.dir.find(node::bob), caf::actor{});
  v1::Bind bind = a.bind_of(2, node::bob, false);
  bind.set_login_ns(1);  // before they were stored
  a.bind(bind);
  sent.clear();
  settle();
  EXPECT_EQ(a.frames(2, wire::frame_type::message).size(), 2U);
}

TEST_F(session_move_test, deliveries_that_waited_are_refused_in_order_after_those_on_their_way) {
  both();
  say(a, "one", 1);
  settle();
  EXPECT_EQ(a.frames(2, wire::frame_type::message).size(), 1U);
  a.mover.order(order_of(1));
  run();
  ASSERT_EQ(a.results.size(), 1U);
  // Two more from elsewhere, for bob who stands still.
  for (const char* text : {"two", "three"}) {
    StorageRequest request;
    storage::v1::StorageReply reply;
    auto& append = *request.mutable_append();
    append.mutable_conversation()->set_hi(node::talk().hi);
    append.mutable_conversation()->set_lo(node::talk().lo);
    append.set_sender(node::alice.value);
    append.set_recipient(node::bob.value);
    append.set_key(text);
    ASSERT_EQ(a.storage.execute(request, reply), errc::ok);
  }
  settle();
  EXPECT_TRUE(refused.empty());
  EXPECT_TRUE(a.frames(2, wire::frame_type::message).empty());
  commit();
  run();
  for (const auto& reply : a.replies->take()) {
    for (const uint64_t entry : reply.wrong_owner()) refused.push_back(entry);
  }
  ASSERT_EQ(refused.size(), 3U);
  EXPECT_TRUE(std::is_sorted(refused.begin(), refused.end()));
}

TEST_F(session_move_test, binds_and_frames_that_come_before_the_map_wait_for_it) {
  both();
  a.mover.order(order_of(1));
  run();
  come_over(1, node::alice, 1, {}, {});
  say(b, "one", 1);
  run();
  EXPECT_TRUE(b.gateway->items.empty());
  EXPECT_EQ(b.parked.waiting(), 2U);
  commit();
  settle();
  EXPECT_EQ(b.parked.waiting(), 0U);
  EXPECT_EQ(b.frames(1, wire::frame_type::message).size(), 1U);
}

TEST_F(session_move_test, binds_that_wait_too_long_are_refused) {
  both();
  a.mover.order(order_of(1));
  run();
  come_over(1, node::alice, 1, {}, {});
  b.time.advance(milliseconds(1000));
  b.parked.settle();
  ASSERT_EQ(b.gateway->items.size(), 1U);
  EXPECT_EQ(b.gateway->items[0].bind_result().code(), static_cast<int32_t>(errc::wrong_owner));
}

TEST_F(session_move_test, without_a_verdict_the_account_is_rebuilt_from_storage) {
  both();
  say(a, "one", 1);
  settle();
  a.mover.order(order_of(1));
  run();
  a.mover.stop();  // the source dies
  moved = true;
  b.see("b", 2);
  come_over(2, node::bob, 1, {}, {});
  settle();
  sent.clear();
  b.pass(milliseconds(1200));
  settle();
  EXPECT_GT(b.counted.asked[StorageRequest::kBacklog], 0);
  EXPECT_EQ(b.frames(2, wire::frame_type::message).size(), 1U);
}

TEST_F(session_move_test, deliveries_wait_for_all_terminals_of_the_account) {
  both();
  a.bind(a.bind_of(3, node::bob, true));
  settle();
  a.mover.order(order_of(1));
  run();
  commit();
  come_over(1, node::alice, 1, {}, {});
  come_over(2, node::bob, 1, {}, {});
  settle();
  say(b, "one", 1);
  settle();
  EXPECT_TRUE(b.frames(2, wire::frame_type::message).empty());
  come_over(3, node::bob, 1, {}, {});
  settle();
  EXPECT_EQ(b.frames(2, wire::frame_type::message).size(), 1U);
  EXPECT_EQ(b.frames(3, wire::frame_type::message).size(), 1U);
}

TEST_F(session_move_test, a_terminal_that_does_not_come_holds_the_others_up_for_a_moment_only) {
  both();
  a.bind(a.bind_of(3, node::bob, true));
  settle();
  a.mover.order(order_of(1));
  run();
  commit();
  come_over(1, node::alice, 1, {}, {});
  come_over(2, node::bob, 1, {}, {});
  settle();
  say(b, "one", 1);
  settle();
  b.time.advance(milliseconds(400));
  b.timers.turn();
  settle();
  EXPECT_EQ(b.frames(2, wire::frame_type::message).size(), 1U);
}

TEST_F(session_move_test, the_acknowledgement_of_a_notice_that_comes_late_drops_it_all_the_same) {
  both();
  a.storage.notices[{node::bob.value, 5}] = "notice";
  a.mover.order(order_of(1));
  run();
  v1::DeliveryRef ref;
  ref.set_kind(v1::DeliveryRef::NOTICE);
  ref.set_mid(5);
  a.ack(2, node::bob, ref);  // it stands still
  settle();
  EXPECT_TRUE(a.storage.notices.empty());
  commit();
  a.storage.notices[{node::bob.value, 6}] = "notice";
  ref.set_mid(6);
  a.ack(2, node::bob, ref);  // it is not here any more
  settle();
  EXPECT_TRUE(a.storage.notices.empty());
}

TEST_F(session_move_test, after_the_claim_the_former_owner_takes_nothing_although_its_map_is_old) {
  both();
  a.mover.order(order_of(1));
  run();
  b.see("b", 2);
  run();
  a.gateway->take();
  say(a, "one", 1);
  run();
  ASSERT_EQ(a.gateway->items.size(), 1U);
  EXPECT_EQ(a.gateway->items[0].bind_result().code(), static_cast<int32_t>(errc::wrong_owner));
}

TEST_F(session_move_test, a_state_reads_back_as_it_was_written) {
  const std::string domain = "d";
  move_out out{node::alice, domain};
  out.delivery.known = true;
  out.delivery.waiting.push_back({node::talk(), node::bob, 7, true});
  out.delivery.dialogs.push_back({node::talk(), node::bob, 9});
  out.delivery.acknowledged = {4};
  const std::vector<own_room> rooms{{room_id{1}, 2, 3, 1, false, false}, {room_id{2}, 2, 3, 1, false, false}};
  out.rooms = &rooms;
  out.behind = {room_id{2}};
  out.rate = 1500;
  out.terminals = {11, 12};
  const auto in = read_state(1, write_state(out, 1), node::alice);
  ASSERT_TRUE(in);
  EXPECT_EQ(in->domain, "d");
  ASSERT_EQ(in->delivery.waiting.size(), 1U);
  EXPECT_EQ(in->delivery.waiting[0].delivered, 7U);
  EXPECT_TRUE(in->delivery.waiting[0].automatic);
  EXPECT_EQ(in->delivery.dialogs[0].last, 9U);
  ASSERT_EQ(in->rooms.size(), 2U);
  EXPECT_EQ(in->rooms[1].bits, 1U);
  EXPECT_EQ(in->behind, std::vector<room_id>{room_id{2}});
  EXPECT_EQ(in->terminals, (std::vector<uint64_t>{11, 12}));
  EXPECT_FALSE(in->roster_known);
  // The previous version knows the terminals only; another account's, a newer version's and a damaged one are
  // refused.
  const auto old = read_state(0, write_state(out, 0), node::alice);
  ASSERT_TRUE(old);
  EXPECT_FALSE(old->delivery.known || old->rooms_known);
  EXPECT_EQ(old->terminals.size(), 2U);
  EXPECT_FALSE(read_state(1, write_state(out, 1), node::bob));
  EXPECT_FALSE(read_state(2, write_state(out, 1), node::alice));
  EXPECT_FALSE(read_state(1, "\xff\xff", node::alice));
}

}  // namespace
}  // namespace tern::session
