// A group node without links: real dispatch, real actors under the test coordinator, a fake storage, session nodes
// played by the test.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "libs/actor/wheel.hpp"
#include "libs/shards/testing/fake_storage.hpp"
#include "libs/testing/actor_fixture.hpp"
#include "services/group/actors/room_actor.hpp"
#include "services/group/actors/supervisor_actor.hpp"
#include "services/group/directory.hpp"
#include "services/group/links/exchange_server.hpp"
#include "services/group/live/directory.hpp"
#include "services/group/live/live_actor.hpp"
#include "services/group/live/range_ages.hpp"

namespace tern::group {

template <class Item>
class collecting_sink final : public rpc::sink<Item> {
 public:
  bool send(Item item) override {
    if (closed || full || items.size() >= capacity) return false;
    items.push_back(std::move(item));
    return true;
  }
  bool send_all(std::vector<Item>& all) override {
    if (closed || full || items.size() + all.size() > capacity) return false;
    for (Item& one : all) items.push_back(std::move(one));
    all.clear();
    return true;
  }
  void close() override { closed = true; }

  std::vector<Item> items;
  size_t capacity = SIZE_MAX;
  bool full = false;
  bool closed = false;
};

/// A session node as the test plays it.
struct session_node {
  std::shared_ptr<collecting_sink<v1::GroupReply>> out = std::make_shared<collecting_sink<v1::GroupReply>>();
  std::shared_ptr<rpc::server_handler<rpc::group_stream>> in;

  /// What came since the last call, in short: "6:hello" a frame, "6>2" a recall of 2, "6-" a tombstone, "gone a",
  /// "#7 ok" an answer, "#7 ok 6" with a mid or head.
  std::vector<std::string> take() {
    std::vector<std::string> all;
    for (const v1::GroupReply& one : std::exchange(out->items, {})) all.push_back(shown(one));
    return all;
  }
  static std::string shown(const v1::GroupReply& one) {
    if (one.has_frame()) {
      const v1::RoomFrame& frame = one.frame();
      if (frame.live()) return "live:" + frame.body();
      const std::string mid = std::to_string(frame.mid());
      if (frame.target() != 0) return mid + ">" + std::to_string(frame.target());
      return frame.body().empty() ? mid + "-" : mid + ":" + frame.body();
    }
    if (one.has_gone()) {
      std::string text = "gone";
      for (const uint64_t account : one.gone().accounts()) text += " " + std::to_string(account);
      return text;
    }
    const v1::Answer& answer = one.answer();
    std::string text = "#" + std::to_string(answer.call()) + " ";
    text += to_string(static_cast<errc>(answer.code()));
    if (answer.has_appended()) text += " " + std::to_string(answer.appended().mid());
    if (answer.head() != 0) text += " " + std::to_string(answer.head());
    return text;
  }
};

class group_fixture : public testing::actor_fixture {
 public:
  using lines = std::vector<std::string>;
  static constexpr room_id room{0x4444'0000'0000'0001};
  static constexpr room_id other_room{0x5555'0000'0000'0002};
  static constexpr account_id founder{11};
  static constexpr account_id alice{12};

  group_fixture()
      : metrics(registry),
        timers(time),
        dir([this](room_id id, uint64_t epoch) { return actors.spawn(room_behavior, &env, id, epoch); }),
        vrooms([this](room_id id, uint64_t epoch) { return actors.spawn(live::vroom_behavior, &env, id, epoch); }),
        env{options, time, metrics, "group-0"} {
    publish("group-0", 1);
    env.cluster = &cluster;
    env.lease_valid = [this] { return lease; };
    env.storage = &storage;
    env.directory = &dir;
    env.vrooms = &vrooms;
    env.range_ages = &ages;
    env.pushes = &pushes;
    env.wheel = &timers;
    first = connect("session-0");
    second = connect("session-1");
    storage.add_room(room, founder);
    storage.add_member(room, alice);
    storage.add_room(other_room, founder);
  }
  ~group_fixture() override {
    dir.end_if([](room_id) { return true; });
    vrooms.end_if([](room_id) { return true; });
    settle();
  }

  session_node connect(const std::string& name) {
    session_node node;
    node.in = exchange_acceptor(env, [this](const session_ptr& stream) { dir.broadcast(stream_gone_event{stream}); })(
        {"session", name, 1}, node.out);
    return node;
  }
  void disconnect(session_node& node) {
    node.out->closed = true;
    node.in->on_down();
    run();
  }

  void publish(const std::string& owner, uint64_t epoch) {
    auto map = std::make_shared<placement::snapshot>();
    map->version = ++map_version;
    map->groups = placement::range_map{{{0, slot_count - 1, owner, epoch}}};
    map_epoch = epoch;
    cluster.publish(map);
    ages.on_map(map->groups, "group-0", time.now());
  }

  // ---- what a session node sends: asked without waiting; settle() lets storage answer ----

  v1::GroupRequest request(uint64_t call, room_id to = room) const {
    v1::GroupRequest out;
    out.set_call(call);
    out.set_room(to.value);
    out.set_epoch(map_epoch);
    return out;
  }
  void send(session_node& from, v1::GroupRequest what) {
    std::vector<v1::GroupRequest> items;
    items.push_back(std::move(what));
    from.in->on_items(items);
    run();
  }
  v1::GroupRequest append_of(uint64_t call, const std::string& text, const std::string& key = {},
                             account_id sender = alice) const {
    auto out = request(call);
    auto& append = *out.mutable_append();
    append.set_sender(sender.value);
    append.set_key(key.empty() ? text : key);
    append.set_body(text);
    return out;
  }
  void append(session_node& from, uint64_t call, const std::string& text, const std::string& key = {}) {
    send(from, append_of(call, text, key));
  }
  v1::GroupRequest live_of(uint64_t call, const std::string& text) const {
    auto out = request(call);
    out.mutable_live()->set_sender(alice.value);
    out.mutable_live()->set_body(text);
    out.mutable_live()->set_accepted_ns(55);
    return out;
  }
  void interest(session_node& from, uint64_t call, bool on = true, room_id to = room) {
    auto what = request(call, to);
    what.mutable_interest()->set_on(on);
    send(from, std::move(what));
  }
  void kick(session_node& from, uint64_t call, account_id whom) {
    auto what = request(call);
    auto& change = *what.mutable_change();
    change.set_actor(founder.value);
    change.set_target(whom.value);
    change.set_change(storage::v1::RoomChange::KICK);
    send(from, std::move(what));
  }
  void recall(session_node& from, uint64_t call, uint64_t mid) {
    auto what = request(call);
    what.mutable_recall()->set_actor(alice.value);
    what.mutable_recall()->set_mid(mid);
    what.mutable_recall()->set_body("recalled");
    send(from, std::move(what));
  }
  /// Somebody else stores a message.
  void stored_elsewhere(const std::string& text) {
    storage::v1::StorageRequest what;
    what.mutable_room_append()->set_room(room.value);
    what.mutable_room_append()->set_sender(founder.value);
    what.mutable_room_append()->set_key(text);
    what.mutable_room_append()->set_body(text);
    storage::v1::StorageReply reply;
    ASSERT_EQ(storage.execute(what, reply), errc::ok);
  }

  void settle() {
    do {
      run();
    } while (storage.answer() != 0);
  }
  void pass(std::chrono::milliseconds by) {
    time.advance(by);
    timers.turn();
    settle();
  }
  /// Interested and nothing left to read.
  void subscribe(session_node& node) {
    interest(node, 1);
    settle();
    node.take();
  }

  group_config options;
  metrics::registry registry;
  group_metrics metrics;
  placement::view cluster;
  uint64_t map_version = 0;
  uint64_t map_epoch = 0;
  bool lease = true;
  shards::fake_storage storage;
  actor::wheel timers;
  directory dir;
  live::directory vrooms;
  live::range_ages ages;
  live::push_queue pushes{options.vroom_queue_bytes, options.vroom_node_queue_bytes};
  environment env;
  session_node first, second;
};

}  // namespace tern::group
