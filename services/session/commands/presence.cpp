#include "services/session/commands/presence.hpp"

#include <algorithm>
#include <utility>

#include "libs/wire/codec.hpp"
#include "services/session/presence/presence_outbox.hpp"

namespace tern::session {
namespace {

constexpr size_t most_targets = 500;
/// A list that is too long has to be read to be answered as such.
constexpr wire::decode_limits limits{.container_items = 8 * most_targets};

/// Whom a presence names.
struct targets {
  bool named = false;               // anybody at all
  std::optional<account_id> alone;  // toTid: must be reachable
  std::vector<account_id> listed;   // toList: who is not reachable is left out
};

result<targets> targets_of(const session_state& state, const wire::tim_presence& what) {
  targets out;
  if (what.to_list && what.to_list->size() > most_targets) return errc::bad_parameter;
  if (what.to_tid && !what.to_tid->node.empty()) {
    out.named = true;
    out.alone = account_from_node(what.to_tid->node);
    if (!out.alone) return errc::bad_account;
    if (what.to_tid->domain && *what.to_tid->domain != state.domain()) return errc::permission_denied;
  }
  if (what.to_list && !what.to_list->empty()) {
    out.named = true;
    for (const std::string_view node : *what.to_list) {
      if (const auto one = account_from_node(node)) out.listed.push_back(*one);
    }
  }
  return out;
}

/// As sent, from who is logged on here. Whom else it goes to is nobody's business.
std::string shown_form(session_state& state, const origin& from, wire::tim_presence& what) {
  const terminal* sender = state.find(from);
  const std::string node = to_node(state.account());
  wire::tid self;
  self.node = node;
  if (!state.domain().empty()) self.domain = state.domain();
  if (!sender->resource.empty()) self.resource = sender->resource;
  self.termtyp = static_cast<int8_t>(sender->termtyp);
  what.from_tid = self;
  what.to_list.reset();
  return wire::encode(wire::encoding::thrift, what);
}

void send(session_state& state, const origin& from, std::vector<account_id> to, std::string payload) {
  std::sort(to.begin(), to.end());
  to.erase(std::unique(to.begin(), to.end()), to.end());
  const auto own = std::find(to.begin(), to.end(), state.account());
  if (own != to.end()) {
    to.erase(own);
    state.tell_own_terminals(payload, from.connection);
  }
  state.env().presence->add({state.account(), state.domain(), std::move(payload), std::move(to)});
  state.finish(from);  // last: the terminal's next command may run inside
}

/// Friends only; oneself counts as one.
void send_to_friends(session_state& state, const origin& from, targets to, std::string payload) {
  const roster_book& book = state.roster();
  const auto reached = [&](account_id one) { return one == state.account() || book.reaches(one); };
  if (to.alone && !reached(*to.alone)) return state.refuse(from, errc::permission_denied);
  std::vector<account_id> all;
  if (!to.named) all = book.friends();
  if (to.alone) all.push_back(*to.alone);
  std::copy_if(to.listed.begin(), to.listed.end(), std::back_inserter(all), reached);
  send(state, from, std::move(all), std::move(payload));
}

void run(session_state& state, const origin& from, std::string_view payload, bool everybody) {
  wire::arena memory;
  auto decoded = wire::decode<wire::tim_presence>(wire::encoding::thrift, payload, memory, limits);
  if (!decoded) return state.refuse(from, errc::bad_format);
  auto to = targets_of(state, *decoded);
  if (!to) return state.refuse(from, to.code());
  const bool rosters = state.env().relay == nullptr;
  if (!to->named && !(everybody && rosters)) return state.refuse(from, errc::bad_parameter);
  state.env().metrics.presence.count(to->named ? presence_kind::direct : presence_kind::broadcast);
  std::string shown = shown_form(state, from, *decoded);
  if (!rosters) {
    std::vector<account_id> all = std::move(to->listed);
    if (to->alone) all.push_back(*to->alone);
    return send(state, from, std::move(all), std::move(shown));
  }
  state.with_roster([from, to = *std::move(to), shown = std::move(shown)](session_state& again, errc code) mutable {
    if (code != errc::ok) return again.refuse(from, code);
    if (again.find(from) == nullptr) return;  // it replays the frame over its new link, or is gone
    send_to_friends(again, from, std::move(to), std::move(shown));
  });
}

}  // namespace

void run_presence(session_state& state, const origin& from, std::string payload) { run(state, from, payload, false); }

void run_broadpresence(session_state& state, const origin& from, std::string payload) {
  run(state, from, payload, true);
}

}  // namespace tern::session
