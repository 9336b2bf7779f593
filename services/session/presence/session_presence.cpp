// Presence in a session actor: the roster it needs, what arrives for its terminals, and telling that they are gone.
#include "services/session/presence/session_presence.hpp"

#include <algorithm>
#include <utility>

#include "libs/wire/codec.hpp"
#include "services/session/actors/session_state.hpp"
#include "services/session/links/peer_client.hpp"
#include "services/session/links/peer_server.hpp"
#include "services/session/presence/presence_outbox.hpp"

namespace tern::session {
namespace {

roster_book::row row_of(const storage::v1::RosterRow& row) {
  return {account_id{row.other()}, row.version(), row.mine(), row.theirs()};
}

/// PRESENCE{offline: true} of an account, or of one of its terminals.
std::string off_line_form(account_id account, const std::string& domain, const terminal* gone) {
  const std::string node = to_node(account);
  wire::tim_presence out;
  out.offline = true;
  wire::tid self;
  self.node = node;
  if (!domain.empty()) self.domain = domain;
  if (gone != nullptr) {
    if (!gone->resource.empty()) self.resource = gone->resource;
    self.termtyp = static_cast<int8_t>(gone->termtyp);
  }
  out.from_tid = self;
  return wire::encode(wire::encoding::thrift, out);
}

}  // namespace

presence_state& session_state::presence() {
  if (!presence_) presence_ = std::make_unique<presence_state>();
  return *presence_;
}

const roster_book& session_state::roster() { return presence().book; }

void session_state::with_roster(std::function<void(session_state&, errc)> then) {
  presence_state& mine = presence();
  if (mine.book.loaded()) return then(*this, errc::ok);
  mine.waiting.push_back(std::move(then));
  if (mine.waiting.size() > 1) return;
  storage::v1::StorageRequest request;
  request.mutable_roster_list()->set_account(account_.value);
  ask(slot_of(account_), std::move(request), patience::deadline, [](session_state& state, storage_answer& got) {
    presence_state& again = state.presence();
    if (got.code == errc::ok) {
      std::vector<roster_book::row> rows;
      for (const auto& row : got.reply.roster().rows()) rows.push_back(row_of(row));
      again.book.load(std::move(rows));
    }
    const auto waiting = std::exchange(again.waiting, {});
    for (const auto& one : waiting) one(state, got.code);
  });
}

void session_state::note_relation(const roster_book::row& change) {
  // Nothing is kept for an account that asked for nothing: the roster read later has the change.
  if (presence_ && (presence_->book.loaded() || !presence_->waiting.empty())) presence_->book.note(change);
}

void session_state::tell_own_terminals(const std::string& payload, const connection_key& but_not) {
  size_t told = 0;
  for (const auto& one : terminals_) {
    if (!one || one->connection() == but_not) continue;
    out_frame(*one, wire::frame_type::presence).set_payload(payload);
    ++told;
  }
  env_->metrics.presence.delivered_total.add(static_cast<double>(told));
}

void session_state::on(peer_event& what) {
  const v1::PeerItem& item = *what.item;
  if (delivery_.terminals() == 0 || item.domain() != domain_) return env_->metrics.presence.missed_total.add();
  if (item.type() == static_cast<uint32_t>(wire::frame_type::presence)) return tell_own_terminals(item.payload(), {});
  if (item.live()) return tell_live(*what.item);
  for (const auto& one : terminals_) {
    if (!one) continue;
    v1::Out& frame = out_frame(*one, wire::frame_type::message);
    frame.set_payload(item.payload());
    frame.set_trace(item.trace());
    frame.set_accepted_ns(item.accepted_ns());
    frame.mutable_ref()->set_kind(v1::DeliveryRef::RECEIPT);  // acknowledged, and never sent again
  }
  env_->metrics.count(kind::message, outcome::online);
  if (item.accepted_ns() == 0) return;
  count_delivered(delivery_kind::message, account_id{item.sender()}, item.accepted_ns());
}

void session_state::tell_live(v1::PeerItem& item) {
  if (presence_ && presence_->book.blocks(account_id{item.sender()})) {
    return env_->metrics.live.count(live_drop::blocked, 1);
  }
  const auto type = static_cast<wire::frame_type>(item.type());
  const auto told = static_cast<size_t>(
      std::count_if(terminals_.begin(), terminals_.end(), [](const auto& one) { return one != nullptr; }));
  size_t left = told;
  for (const auto& one : terminals_) {
    if (!one) continue;
    v1::Out& frame = out_frame(*one, type);
    if (--left == 0 && item.accounts_size() == 1) {
      frame.set_payload(std::move(*item.mutable_payload()));  // may be large
    } else {
      frame.set_payload(item.payload());
    }
    frame.set_trace(item.trace());
    frame.set_accepted_ns(item.accepted_ns());
    frame.set_live(true);
  }
  const live_kind kind = type == wire::frame_type::bigstring   ? live_kind::bigstring
                         : type == wire::frame_type::bigbinary ? live_kind::bigbinary
                                                               : live_kind::stream;
  env_->metrics.live.count_delivered(kind, told);
  if (told != 0 && item.accepted_ns() != 0) {
    count_delivered(delivery_kind::moment, account_id{item.sender()}, item.accepted_ns());
  }
}

void session_state::terminal_gone(const terminal& gone) {
  if (env_->config.presence_offline_block) return;
  if (delivery_.terminals() != 0) {
    env_->metrics.presence.count(presence_kind::own_terminals);
    tell_own_terminals(off_line_form(account_, domain_, &gone), gone.connection());
    return;
  }
  if (env_->relay != nullptr) return;  // without rosters nobody is known who would want to hear it
  presence().notice_at = env_->time.now() + env_->config.offline_notice_delay;
  call_later(env_->config.offline_notice_delay, [](session_state& state) { state.presence_timer(); });
}

void session_state::presence_timer() {
  const bool owed =
      presence_ && presence_->notice_at != clock::time_point{} && presence_->notice_at <= env_->time.now();
  if (!owed) return;
  presence_->notice_at = {};
  if (delivery_.terminals() != 0) return;
  with_roster([](session_state& state, errc code) {
    if (state.delivery_.terminals() != 0) return;
    if (code == errc::ok) {
      state.env_->metrics.presence.count(presence_kind::offline_notice);
      state.env_->presence->add({state.account_, state.domain_, off_line_form(state.account_, state.domain_, nullptr),
                                 state.roster().friends()});
    }
    state.presence_.reset();  // read anew when somebody is back
  });
}

void session_state::relay(account_id to, v1::PeerItem item) {
  item.add_accounts(to.value);
  const auto map = env_->cluster->get();
  const placement::range* range = map->sessions.find(slot_of(to));
  if (range == nullptr || range->owner.empty()) return env_->metrics.presence.missed_total.add();
  for (auto& [node, items] : peer_out_) {
    if (node == range->owner) return items.push_back(std::move(item));
  }
  peer_out_.emplace_back(range->owner, std::vector<v1::PeerItem>{}).second.push_back(std::move(item));
}

void session_state::flush_peers() {
  for (auto& [node, items] : peer_out_) {
    if (node == env_->node) {
      deliver_here(*env_, items);
    } else {
      env_->peers->send(node, items);
    }
  }
  peer_out_.clear();
}

}  // namespace tern::session
