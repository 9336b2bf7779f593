// A group node with its mover, and the other node of a move played by the test.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "services/group/links/parking.hpp"
#include "services/group/moves.hpp"
#include "services/group/testing/live_fixture.hpp"

namespace tern::group {

/// Its streams are the test's.
class probe_mover final : public handover::mover {
 public:
  probe_mover(const clock& time, handover::service_port& service)
      : mover({"group", "group-0", 1}, time, service, {placement::range_kind::groups, state_format, {}}) {}

  // ---- as the target of this node's moves ----
  void reply(handover::v1::HandoverReply what) {
    std::vector<handover::v1::HandoverReply> all{std::move(what)};
    on_replies("group-1", all);
  }
  void cut() { on_link_down("group-1"); }
  // ---- as the source of moves to it ----
  void items(std::vector<handover::v1::HandoverItem> all) {
    if (stream_ == 0) stream_ = accept(from);
    on_items(stream_, all);
  }
  void cut_source() { on_stream_down(std::exchange(stream_, 0)); }

  std::shared_ptr<collecting_sink<handover::v1::HandoverItem>> to =
      std::make_shared<collecting_sink<handover::v1::HandoverItem>>();
  std::shared_ptr<collecting_sink<handover::v1::HandoverReply>> from =
      std::make_shared<collecting_sink<handover::v1::HandoverReply>>();

 private:
  std::unique_ptr<rpc::link> open(const std::string& target, const std::string&) override {
    on_up(target, to);
    return nullptr;
  }
  uint64_t stream_ = 0;
};

class move_fixture : public live::live_fixture {
 public:
  using states = std::vector<handover::v1::State>;

  move_fixture() : port(env, outlets()), mover(time, port) {
    env.moves = &mover;
    env.parking = &lot;
    mover.apply(*cluster.get());
  }
  ~move_fixture() override {
    dir.end_if([](room_id) { return true; });
    vrooms.end_if([](room_id) { return true; });
    settle();
    env.moves = nullptr;
  }

  // ---- this node is the source ----

  void order(uint64_t move = 7) {
    placement::move_order what;
    what.move = move;
    what.kind = placement::range_kind::groups;
    what.first = 0;
    what.last = slot_count - 1;
    what.epoch = map_epoch;
    what.target = "group-1";
    what.address = "there";
    mover.order(what);
  }
  void accept(uint64_t move = 7, errc code = errc::ok, uint32_t format = state_format) {
    handover::v1::HandoverReply reply;
    reply.set_move(move);
    reply.mutable_prepared()->set_code(static_cast<int32_t>(code));
    reply.mutable_prepared()->set_format(format);
    mover.reply(reply);
    run();
  }
  void taken(uint64_t move = 7) {
    handover::v1::HandoverReply reply;
    reply.set_move(move);
    reply.mutable_taken();
    mover.reply(reply);
    run();
  }
  void claim(uint64_t epoch, uint64_t move = 7) {
    handover::v1::HandoverReply reply;
    reply.set_move(move);
    reply.mutable_claimed()->set_epoch(epoch);
    mover.reply(reply);
    run();
  }
  /// What went to the other node: "prepare", "state 4", "complete 1", "valid", "invalid", "cancel".
  lines sent() {
    lines out;
    for (const auto& each : std::exchange(mover.to->items, {})) {
      if (each.has_prepare()) out.emplace_back("prepare");
      if (each.has_state()) {
        handed.push_back(each.state());
        out.emplace_back("state");
      }
      if (each.has_complete()) out.push_back("complete " + std::to_string(each.complete().count()));
      if (each.has_verdict()) out.emplace_back(each.verdict().valid() ? "valid" : "invalid");
      if (each.has_cancel()) out.emplace_back("cancel");
    }
    return out;
  }
  handover::v1::RoomState body_of(const handover::v1::State& each) {
    handover::v1::RoomState out;
    out.ParseFromString(each.body());
    return out;
  }
  void tick(std::chrono::milliseconds by) {
    time.advance(by);
    mover.tick();
    run();
  }
  void new_map(const std::string& whose, uint64_t epoch) {
    publish(whose, epoch);
    mover.apply(*cluster.get());
    lot.turn();
    run();
  }

  // ---- this node is the target ----

  static handover::v1::State state_of_room(room_id id, uint64_t head) {
    handover::v1::RoomState body;
    body.set_room(id.value);
    body.set_head(head);
    return state_of_body(id, body);
  }
  static handover::v1::State state_of_body(room_id id, const handover::v1::RoomState& body) {
    handover::v1::State out;
    out.set_key(id.value);
    out.set_format(state_format);
    out.set_body(body.SerializeAsString());
    out.set_checksum(handover::checksum(out.body()));
    return out;
  }
  void incoming(const states& all, uint64_t move = 9) {
    std::vector<handover::v1::HandoverItem> items(1);
    auto& prepare = *items.back().mutable_prepare();
    prepare.set_last(slot_count - 1);
    prepare.set_epoch(map_epoch);
    prepare.set_format(state_format);
    prepare.set_count(all.size());
    for (const auto& each : all) *items.emplace_back().mutable_state() = each;
    items.emplace_back().mutable_complete()->set_count(all.size());
    for (auto& each : items) each.set_move(move);
    mover.items(std::move(items));
  }
  void verdict(bool valid, uint64_t move = 9) {
    std::vector<handover::v1::HandoverItem> items(1);
    items.back().set_move(move);
    items.back().mutable_verdict()->set_valid(valid);
    mover.items(std::move(items));
    run();
  }
  double moved(const std::string& result) {
    return counted("tern_group_rooms_moved_total{result=\"" + result + "\"}");
  }

  states handed;
  std::vector<placement::move_result> results;
  bool willing = true;
  group::parking lot;
  room_moves port;
  probe_mover mover;

 private:
  room_moves::outlets outlets() {
    return {[this](const placement::move_result& each) { results.push_back(each); }, [this] { return willing; },
            [] {}};
  }
};

}  // namespace tern::group
