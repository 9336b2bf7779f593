// What the referee reads in the items of streams.
#include <algorithm>
#include <functional>

#include "libs/rpc/streams.hpp"
#include "tests/sim/process.hpp"
#include "tests/sim/referee.hpp"

namespace tern::sim {

using google::protobuf::MessageLite;

namespace {

constexpr uint8_t type_message = 90;

std::string text(uint64_t number) { return std::to_string(number); }

size_t hash_of(uint8_t type, std::string_view payload) { return std::hash<std::string_view>{}(payload)*31 + type; }

/// Frames with something to say: acknowledgements and the like look all the same.
bool counts(const session::v1::Out& out) { return out.has_ref() || out.type() == type_message; }

}  // namespace

void referee::sent(const host& from, const host& to, uint64_t other, const std::string& method, bool up,
                   const MessageLite& item) {
  if (method == rpc::attach_stream::method) {
    up ? gateway_says(from, to, other, item) : session_says(from, to, item);
  } else if (method == rpc::group_stream::method) {
    if (!up) return group_says(from, to, other, item);
    const auto& request = static_cast<const group::v1::GroupRequest&>(item);
    questions_[{from.incarnation(), other, request.call()}] = {
        request.room(), request.has_interest(), request.interest().on(), request.has_change() || request.has_create(),
        world_.now()};
  }
}

void referee::arrived(const host& from, uint64_t other, const host& to, const std::string& method, bool up,
                      const MessageLite& item) {
  if (!up && method == rpc::attach_stream::method) session_is_heard(from, other, to, item);
}

referee::connection* referee::find(const host& gateway, uint64_t conn) {
  const auto at = connections_.find({gateway.incarnation(), conn});
  return at == connections_.end() ? nullptr : &at->second;
}

const host* referee::bound_to(const host& gateway, uint64_t conn) const {
  const auto at = connections_.find({gateway.incarnation(), conn});
  return at == connections_.end() || !at->second.bound ? nullptr : at->second.owner;
}

void referee::gateway_says(const host& from, const host& to, uint64_t other, const MessageLite& item) {
  const auto& said = static_cast<const session::v1::GatewayItem&>(item);
  const auto begin = [&](uint64_t conn, uint64_t epoch) -> connection& {
    ++looks_;
    auto& one = connections_[{from.incarnation(), conn}];
    one.owner = &to;
    one.owner_incarnation = other;
    one.epoch = epoch;
    one.bound = false;
    return one;
  };
  if (said.has_login()) begin(said.login().conn(), 0);
  if (!said.has_bind()) return;
  const auto& bind = said.bind();
  begin(bind.conn(), bind.epoch()).account = account_id{bind.account()};
  auto& newest = bind_epochs_[{from.incarnation(), slot_of(account_id{bind.account()})}];
  if (bind.epoch() < newest) {
    world_.violation(from.name + " binds in epoch " + text(bind.epoch()) + " after " + text(newest));
  }
  newest = std::max(newest, bind.epoch());
}

/// Whoever accepts a terminal acts as the owner of its account.
void referee::session_says(const host& from, const host& to, const MessageLite& item) {
  const auto& said = static_cast<const session::v1::SessionItem&>(item);
  if (said.has_login_result()) {
    const auto& result = said.login_result();
    if (result.code() != 0 || result.redirect()) return;
    acts(kind::session, slot_of(account_id{result.account()}), from, world_.now());
  } else if (said.has_bind_result() && said.bind_result().code() == 0) {
    const auto* one = find(to, said.bind_result().conn());
    if (one != nullptr && one->account) acts(kind::session, slot_of(one->account), from, world_.now());
  }
}

void referee::session_is_heard(const host& from, uint64_t other, const host& to, const MessageLite& item) {
  const auto& said = static_cast<const session::v1::SessionItem&>(item);
  const auto owned = [&](uint64_t conn) -> connection* {
    auto* one = find(to, conn);
    return one != nullptr && one->owner == &from && one->owner_incarnation == other ? one : nullptr;
  };
  if (said.has_login_result()) {
    const auto& result = said.login_result();
    auto* one = owned(result.conn());
    if (one == nullptr || result.code() != 0 || result.redirect()) return;
    one->account = account_id{result.account()};
    one->epoch = std::max(one->epoch, result.epoch());
    one->bound = true;
  } else if (said.has_bind_result()) {
    const auto& result = said.bind_result();
    auto* one = owned(result.conn());
    if (one == nullptr) return;
    one->bound = result.code() == 0 ? result.epoch() == 0 || result.epoch() >= one->epoch || one->bound : false;
  } else if (said.has_out() && counts(said.out())) {
    auto* one = find(to, said.out().conn());
    if (one == nullptr) return;
    const bool good = owned(said.out().conn()) != nullptr && one->bound;
    (good ? one->taken : one->refused).insert(hash_of(static_cast<uint8_t>(said.out().type()), said.out().payload()));
  }
}

void referee::written(const host& gateway, uint64_t conn, uint8_t type, std::string_view payload) {
  ++looks_;
  const auto* one = find(gateway, conn);
  if (one == nullptr) return;
  const size_t what = hash_of(type, payload);
  if (one->refused.contains(what) && !one->taken.contains(what)) {
    world_.violation(gateway.name + " has written a frame to connection " + text(conn) +
                     " that was not sent by the owner it is bound to");
  }
}

void referee::group_says(const host& from, const host& to, uint64_t other, const MessageLite& item) {
  const auto& said = static_cast<const group::v1::GroupReply&>(item);
  if (said.has_frame() && !said.frame().live()) {
    ++looks_;
    const auto next = next_mids_.find({from.incarnation(), other, said.frame().room()});
    if (next == next_mids_.end()) return;
    if (said.frame().mid() != next->second) {
      world_.violation(from.name + " sends mid " + text(said.frame().mid()) + " of a room to " + to.name + " where " +
                       text(next->second) + " is due");
    }
    next->second = said.frame().mid() + 1;
  } else if (said.has_answer()) {
    const auto asked = questions_.find({other, from.incarnation(), said.answer().call()});
    if (asked == questions_.end()) return;
    const question what = asked->second;
    questions_.erase(asked);
    if (said.answer().code() != 0) return;
    // How a change ended is told however late: storage has decided, and a repeat would be answered otherwise.
    acts(kind::group, slot_of(room_id{what.room}), from, what.changes ? what.at : world_.now());
    const std::tuple key{from.incarnation(), other, what.room};
    if (what.interest && what.on) next_mids_[key] = said.answer().head() + 1;
    if (what.interest && !what.on) next_mids_.erase(key);
  }
}

}  // namespace tern::sim
