#include "tests/model/handover_model.hpp"

#include <algorithm>
#include <sstream>

#include "tests/model/handover_steps.hpp"

namespace tern::model {
namespace {

constexpr const char* promises[] = {
    "",
    "a message is shown twice on one connection",
    "messages are shown out of order on one connection",
    "the gateway takes a frame of an older epoch",
    "storage accepts a stale write",
    "a client's message is stored twice",
    "a client's messages are stored out of order",
    "a deposed leader changes the maps",
    "a receipt for a message that is not stored",
};

constexpr char letter(uint8_t node) { return node == 0 ? 'A' : 'B'; }

}  // namespace

/// A owns the range and serves the terminal; B is there; replica 0 leads.
handover_state handover_model::initial() const {
  state at{};
  at.left = limits_;
  at.meta = {1, 0, 1, 1};
  at.leaders[0] = {leader_step::idle, 1, 1, 0, 1, 0};
  for (auto& node : at.nodes) {
    node.alive = 1;
    node.incarnation = 1;
    node.map_epoch = 1;
    node.map_incarnation = 1;
  }
  at.nodes[0].actor = actor_step::live;
  at.nodes[0].epoch = 1;
  at.nodes[0].bound = 1;
  at.nodes[0].bound_epoch = 1;
  at.gateway.map_epoch = 1;
  at.gateway.step = bind_step::bound;
  at.gateway.epoch = 1;
  at.storage.fence = 1;
  at.storage.map_epoch = 1;
  return at;
}

void handover_model::all_steps(const state& from, const visitor& visit) const {
  steps all{from, visit, bug_};
  for (uint8_t n = 0; n < node_count; ++n) {
    all.actor(n);
    all.intake(n);
    all.writes(n);
    for (uint8_t k = 0; k < move_count; ++k) {
      all.source(n, k);
      all.target(n, k);
    }
  }
  all.edge();
  all.dispatch();
  all.maps();
  all.routing();
  all.environment();
}

const char* handover_model::violation(const state& at) const {
  if (at.broken != nothing_broken) return promises[at.broken];
  for (uint8_t m = 1; m <= at.storage.head; ++m) {
    const unsigned bit = 1U << (m - 1U);
    const bool logged = at.storage.dirty != 0 && m > at.storage.delivered;
    if (((at.client.acknowledged | at.storage.pending) & bit) == 0 && !logged) return "a stored message is lost";
  }
  for (uint8_t n = 0; n < node_count; ++n) {
    const auto& node = at.nodes[n];
    if (node.actor == actor_step::none) continue;
    if (node.epoch > at.meta.epoch || (node.epoch == at.meta.epoch && at.meta.owner != n)) {
      return "a node acts in an epoch that is not its own";
    }
  }
  return nullptr;
}

bool handover_model::good(const state& at) const {
  const uint8_t owner = at.meta.owner;
  const auto& node = at.nodes[owner];
  if (node.alive == 0 || node.actor != actor_step::live || node.epoch != at.meta.epoch) return false;
  if (at.nodes[1 - owner].actor != actor_step::none) return false;
  const auto& gateway = at.gateway;
  if (gateway.step != bind_step::bound || gateway.node != owner || gateway.epoch != node.epoch) return false;
  if (at.storage.head != limits_.messages || at.storage.pending != 0 || at.storage.dirty != 0) return false;
  if (gateway.unacknowledged != 0 || gateway.frames_confirmed != limits_.frames) return false;
  if (at.client.acknowledged != (1U << limits_.messages) - 1U) return false;
  return std::none_of(at.leaders.begin(), at.leaders.end(),
                      [&](const leader_part& each) { return each.step == leader_step::ordered; });
}

std::string handover_model::describe(const action& what) const {
  const std::string name = what.name;
  const bool of_part = name.find(": ") != std::string::npos;
  std::string text;
  if (!of_part) text = std::string("node ") + letter(what.who) + ": ";
  text += name;
  if (name.starts_with("routing: ")) {
    text.insert(7, " " + std::to_string(what.who));
    if (name.find("commits") != std::string::npos || name.find("gives") != std::string::npos ||
        name.find("takes") != std::string::npos) {
      text += std::string(", to ") + letter(what.what);
    }
    return text;
  }
  const bool names_node = of_part && (name.starts_with("gateway: ") || name.starts_with("storage: "));
  if (names_node && (name.ends_with(" by") || name.ends_with(" from") || name.ends_with(" to") ||
                     name.ends_with(" of") || name.ends_with(" says") || name.ends_with(" owner"))) {
    text += std::string(" ") + letter(what.who);
  }
  if (what.what != 0) text += " (" + std::to_string(what.what) + ")";
  return text;
}

std::string handover_model::describe(const state& what) const {
  constexpr const char* actors[] = {"none", "live", "frozen", "claiming"};
  std::ostringstream out;
  const auto& meta = what.meta;
  out << "map epoch " << int{meta.epoch} << " owner " << letter(meta.owner) << " term " << int{meta.term};
  for (uint8_t n = 0; n < node_count; ++n) {
    const auto& node = what.nodes[n];
    out << "; " << letter(n) << (node.alive != 0 ? "" : " dead") << " sees " << int{node.map_epoch} << " actor "
        << actors[static_cast<size_t>(node.actor)];
    if (node.actor != actor_step::none) {
      out << " epoch " << int{node.epoch} << (node.dirty != 0 ? " marked" : "") << " position " << int{node.position};
    }
  }
  const auto& gateway = what.gateway;
  out << "; gateway sees " << int{gateway.map_epoch};
  if (gateway.step != bind_step::none) {
    out << (gateway.step == bind_step::bound ? " bound to " : " binding to ") << letter(gateway.node);
  }
  out << "; log " << int{what.storage.head} << " outbox bits " << int{what.storage.pending}
      << (what.storage.dirty != 0 ? " marked from " : " settled to ") << int{what.storage.delivered}
      << " acknowledged bits " << int{what.client.acknowledged} << " shown bits " << int{what.client.shown};
  return out.str();
}

report explore(const budget& limits, mutation bug, uint64_t most_states) {
  const handover_model model(limits, bug);
  return checker<handover_model>(model, most_states).run();
}

}  // namespace tern::model
