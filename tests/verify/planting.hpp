// How planted bugs find their victims.
#pragma once

#include <algorithm>
#include <vector>

#include "tests/verify/index.hpp"
#include "tests/verify/model_chat.hpp"

namespace tern::verify {

/// The first that fits from the middle on, else from the start; nullptr when none does.
template <class Op, class Fits>
Op* some(std::vector<Op>& ops, Fits fits) {
  const auto middle = ops.begin() + static_cast<std::ptrdiff_t>(ops.size() / 2);
  auto found = std::find_if(middle, ops.end(), fits);
  if (found == ops.end()) found = std::find_if(ops.begin(), middle, fits);
  return found == ops.end() ? nullptr : &*found;
}

/// Changes each final history that has the body.
template <class Change>
bool change_finals(history& seen, const std::string& body, Change change) {
  bool changed = false;
  for (auto& page : seen.finals) {
    const auto at = std::find_if(page.messages.begin(), page.messages.end(),
                                 [&](const auto& message) { return message.second == body; });
    if (at == page.messages.end()) continue;
    change(page, at);
    changed = true;
  }
  return changed;
}

/// The planted bugs of rooms, recalls and terminals; see plant().
bool plant_in_rooms(history& seen, planted_bug bug);
bool plant_in_recalls(history& seen, planted_bug bug);

}  // namespace tern::verify
