#include "services/session/move_format.hpp"

#include <tern/handover/v1/handover.pb.h>

#include <algorithm>

#include "services/session/actors/session_state.hpp"

namespace tern::session {
namespace {

constexpr uint32_t behind_bit = 1U << 31U;  // of OwnRoom.bits; the others are storage::v1::RoomBits
constexpr size_t rows_most = 4096;          // of a roster; a larger one is read anew

void set(common::v1::Conversation& out, const conversation_id& id) {
  out.set_hi(id.hi);
  out.set_lo(id.lo);
}

conversation_id from(const common::v1::Conversation& id) { return {id.hi(), id.lo()}; }

void write_delivery(const delivery::memory& from, handover::v1::SessionState& out) {
  out.set_backlog_known(from.known);
  for (const auto& one : from.waiting) {
    handover::v1::Waiting& row = *out.add_waiting();
    set(*row.mutable_conversation(), one.conversation);
    row.set_other(one.other.value);
    row.set_delivered(one.delivered);
    row.set_automatic(one.automatic);
  }
  for (const auto& one : from.dialogs) {
    handover::v1::Dialog& row = *out.add_dialogs();
    set(*row.mutable_conversation(), one.conversation);
    row.set_other(one.other.value);
    row.set_last(one.last);
  }
  for (const uint64_t id : from.acknowledged) out.add_acknowledged_notices(id);
}

void write_rooms(const move_out& from, handover::v1::SessionState& out) {
  out.set_rooms_known(from.rooms != nullptr);
  out.set_rooms_by_themselves(from.rooms_by_themselves);
  if (from.rooms == nullptr) return;
  for (const own_room& one : *from.rooms) {
    handover::v1::OwnRoom& row = *out.add_rooms();
    row.set_room(one.room.value);
    row.set_version(one.version);
    row.set_position(one.position);
    const bool behind = std::find(from.behind.begin(), from.behind.end(), one.room) != from.behind.end();
    row.set_bits(one.bits | (behind ? behind_bit : 0));
  }
}

}  // namespace

std::string write_state(const move_out& what, uint32_t format) {
  handover::v1::SessionState out;
  out.set_account(what.account.value);
  out.set_domain(what.domain);
  out.set_rate_tokens(what.rate);
  for (const uint64_t conn : what.terminals) out.add_shown()->set_conn(conn);
  if (format == 0) return out.SerializeAsString();
  write_delivery(what.delivery, out);
  write_rooms(what, out);
  if (what.roster != nullptr && what.roster->size() <= rows_most) {
    out.set_roster_known(true);
    for (const roster_book::row& one : *what.roster) {
      handover::v1::RosterRow& row = *out.add_roster();
      row.set_other(one.other.value);
      row.set_version(one.version);
      row.set_mine(one.mine);
      row.set_theirs(one.theirs);
    }
  }
  return out.SerializeAsString();
}

std::optional<move_in> read_state(uint32_t format, std::string_view body, account_id account) {
  handover::v1::SessionState in;
  if (format > move_format || !in.ParseFromArray(body.data(), static_cast<int>(body.size()))) return std::nullopt;
  if (in.account() != account.value) return std::nullopt;
  move_in out;
  out.domain = in.domain();
  out.rate = in.rate_tokens();
  for (const auto& one : in.shown()) out.terminals.push_back(one.conn());
  out.delivery.known = in.backlog_known();
  for (const auto& one : in.waiting()) {
    out.delivery.waiting.push_back(
        {from(one.conversation()), account_id{one.other()}, one.delivered(), one.automatic()});
  }
  for (const auto& one : in.dialogs()) {
    out.delivery.dialogs.push_back({from(one.conversation()), account_id{one.other()}, one.last()});
  }
  out.delivery.acknowledged.assign(in.acknowledged_notices().begin(), in.acknowledged_notices().end());
  out.rooms_known = in.rooms_known();
  out.rooms_by_themselves = in.rooms_by_themselves();
  for (const auto& one : in.rooms()) {
    if ((one.bits() & behind_bit) != 0) out.behind.push_back(room_id{one.room()});
    out.rooms.push_back({room_id{one.room()}, one.version(), one.position(), one.bits() & ~behind_bit, false, false});
  }
  std::sort(out.rooms.begin(), out.rooms.end(),
            [](const own_room& one, const own_room& other) { return one.room < other.room; });
  out.roster_known = in.roster_known();
  for (const auto& one : in.roster()) {
    out.roster.push_back({account_id{one.other()}, one.version(), one.mine(), one.theirs()});
  }
  return out;
}

}  // namespace tern::session
