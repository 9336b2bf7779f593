#include "services/session/commands/pair_turns.hpp"

#include <algorithm>

namespace tern::session {
namespace {

pair_turn* find(session_state& state, account_id other) {
  auto& turns = state.pair_turns();
  const auto at = std::find_if(turns.begin(), turns.end(), [&](const pair_turn& one) { return one.other == other; });
  return at == turns.end() ? nullptr : &*at;
}

}  // namespace

bool turn_taken(session_state& state, account_id other) {
  return !state.pair_turns().empty() && find(state, other) != nullptr;
}

void in_turn(session_state& state, account_id other, std::function<void(session_state&)> step) {
  if (pair_turn* turn = find(state, other)) {
    turn->waiting.push_back(std::move(step));
  } else {
    step(state);
  }
}

void hold_turn(session_state& state, account_id other) {
  pair_turn* turn = find(state, other);
  if (turn == nullptr) turn = &state.pair_turns().emplace_back(pair_turn{other, false, {}});
  turn->held = true;
}

void release_turn(session_state& state, account_id other) {
  if (pair_turn* turn = find(state, other)) turn->held = false;
  // The turn stays in the list while its steps run: what they let in comes after them. A step may hold it again.
  for (pair_turn* turn = find(state, other); turn != nullptr && !turn->held; turn = find(state, other)) {
    if (turn->waiting.empty()) {
      state.pair_turns().erase(state.pair_turns().begin() + (turn - state.pair_turns().data()));
      return;
    }
    const auto step = std::move(turn->waiting.front());
    turn->waiting.pop_front();
    step(state);
  }
}

}  // namespace tern::session
