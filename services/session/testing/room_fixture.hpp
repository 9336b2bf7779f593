// A session node with rooms: everybody a room's rules tell apart, each with a terminal.
#pragma once

#include <algorithm>
#include <string>

#include "services/session/testing/requests.hpp"
#include "services/session/testing/session_fixture.hpp"
#include "services/session/testing/storage_groups.hpp"

namespace tern::session {

/// alice founded both rooms, manager and member are in them, outsider is not, tenant is of another domain. `open` is
/// an open room, `closed` a private one, `foreign` one of the other domain, `nowhere` none.
class room_fixture : public session_fixture {
 public:
  static constexpr account_id manager{0x5555'0000'0000'0001};
  static constexpr account_id member{0x5555'0000'0000'0002};
  static constexpr account_id outsider{0x5555'0000'0000'0003};
  static constexpr account_id tenant{0x5555'0000'0000'0004};
  static constexpr account_id nobody{0x5555'0000'0000'0005};
  static constexpr room_id open{0x6666'0000'0000'0001};
  static constexpr room_id closed{0x6666'0000'0000'0002};
  static constexpr room_id foreign_room{0x6666'0000'0000'0003};
  static constexpr room_id nowhere{0x6666'0000'0000'0004};
  static constexpr const char* other_domain = "elsewhere";

  room_fixture() : room_owner(storage) {
    env.groups = &room_owner;
    room_owner.listener = &rooms;
    room_owner.listener = &rooms;
    for (const account_id one : {manager, member, outsider}) storage.add_account(one);
    storage.add_account(tenant, other_domain);
    storage.add_room(open, alice, storage::v1::ROOM_OPEN);
    storage.add_room(closed, alice, storage::v1::ROOM_PRIVATE);
    storage.add_room(foreign_room, tenant, storage::v1::ROOM_OPEN, other_domain);
    for (const room_id room : {open, closed}) {
      storage.add_member(room, manager, storage::v1::ROOM_MEMBER | storage::v1::ROOM_MANAGER);
      storage.add_member(room, member);
    }
  }

  ~room_fixture() override {
    dir.end_if([](account_id) { return true; });
    run();
  }

  /// The terminal of an account; logged on the first time.
  uint64_t terminal_of(account_id who) {
    const auto known = conns_.find(who);
    if (known != conns_.end()) return known->second;
    const uint64_t conn = 100 + conns_.size();
    conns_[who] = conn;
    auto login = bind_of(conn, who, true);
    if (who == tenant) login.set_domain(other_domain);
    bind(std::move(login));
    frames(conn);
    return conn;
  }
  template <class Struct>
  void ask(account_id who, wire::frame_type type, const Struct& payload) {
    frame(terminal_of(who), who, type, payload);
    settle();
  }
  void business(account_id who, int32_t rtype, const std::string& node = {}, const std::string& node2 = {},
                const std::string& text = {}, int64_t number = 0) {
    wire::tim_req req;
    req.rtype = rtype;
    if (!node.empty()) req.node = node;
    if (!node2.empty()) req.node2 = node2;
    if (!text.empty()) req.req_str = text;
    if (number != 0) req.req_int = number;
    ask(who, wire::frame_type::business, req);
  }
  /// The one ACK the account's terminal got; nothing when there was none.
  std::optional<wire::tim_ack> answer(account_id who) {
    auto found = frames(terminal_of(who), wire::frame_type::ack);
    EXPECT_LE(found.size(), 1U);
    if (found.empty()) return std::nullopt;
    kept.push_back(std::move(found.front()));
    return ack_of(kept.back());
  }
  /// Its error code; 0 when there was no ACK or an ok one.
  int32_t code(account_id who) {
    const auto got = answer(who);
    return !got || got->ok || !got->error ? 0 : got->error->code.value_or(-1);
  }
  /// MESSAGEs of the account's terminal, decoded, in their order; those of rooms are for many terminals at once.
  std::vector<wire::tim_message> messages(account_id who) {
    const uint64_t conn = terminal_of(who);
    std::vector<wire::tim_message> out;
    const auto add = [&](const std::string& payload) {
      kept.emplace_back().set_payload(payload);
      out.push_back(message_of(kept.back()));
    };
    for (auto& item : gateway->items) {
      if (item.has_out() && item.out().conn() == conn && item.out().type() == 90) {
        add(item.out().payload());
        item.Clear();
      } else if (item.has_room_out()) {
        auto& conns = *item.mutable_room_out()->mutable_conns();
        const auto mine = std::find(conns.begin(), conns.end(), conn);
        if (mine == conns.end()) continue;
        conns.erase(mine);
        add(item.room_out().payload());
      }
    }
    return out;
  }
  /// The names of the one NODES answer; fails for another ntype.
  std::vector<std::string> nodes(account_id who, int32_t ntype) {
    const auto got = frames(terminal_of(who), wire::frame_type::nodes);
    if (got.empty()) return {};
    const auto decoded = wire::decode<wire::tim_nodes>(wire::encoding::thrift, got[0].payload(), memory);
    EXPECT_EQ(decoded->ntype, ntype);
    return {decoded->nodelist->begin(), decoded->nodelist->end()};
  }
  void forget_all() { gateway->take(); }

  storage_groups room_owner;

 private:
  std::map<account_id, uint64_t> conns_;
};

}  // namespace tern::session
