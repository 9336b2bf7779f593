#include "tests/verify/index.hpp"

#include <algorithm>

namespace tern::verify {

conversation_key conversation_of(const std::string& one, const std::string& other, const std::string& room) {
  if (!room.empty()) return {"", room};
  return one < other ? conversation_key{one, other} : conversation_key{other, one};
}

std::map<conversation_key, std::map<int64_t, std::string>> final_maps(const history& seen) {
  std::map<conversation_key, std::map<int64_t, std::string>> all;
  for (const auto& page : seen.finals) {
    auto& map = all[conversation_of(page)];
    for (const auto& [mid, body] : page.messages) map.emplace(mid, body);
  }
  return all;
}

std::unordered_map<std::string, const send_op*> sends_by_body(const history& seen) {
  std::unordered_map<std::string, const send_op*> by_body;
  for (const auto& op : seen.sends) by_body.emplace(op.body, &op);
  return by_body;
}

std::unordered_set<std::string> recalled_bodies(const history& seen) {
  std::unordered_set<std::string> bodies;
  for (const auto& op : seen.recalls) {
    if (op.entitled && op.result != outcome::fail) bodies.insert(op.body);
  }
  return bodies;
}

membership::membership(const history& seen) {
  for (const auto& op : seen.members) {
    if (op.result == outcome::fail) continue;
    auto& stays = rooms_[op.room][op.account];
    const bool known = op.result == outcome::ok;
    if (op.joins) {
      stays.push_back({op.invoked, known ? op.completed : 0, 0, 0});
    } else if (!stays.empty()) {
      // An earlier stay whose end stayed unknown may have lasted until now.
      for (auto& each : stays) {
        if (each.asked_out == 0) each.asked_out = op.invoked;
        if (each.gone == 0 && known) each.gone = op.completed;
      }
    }
  }
}

std::vector<std::string> membership::owed(const std::string& room, instant since) const {
  std::vector<std::string> accounts;
  const auto found = rooms_.find(room);
  if (found == rooms_.end()) return accounts;
  for (const auto& [account, stays] : found->second) {
    const bool stays_on = std::any_of(stays.begin(), stays.end(), [&](const stay& each) {
      return each.certain != 0 && each.certain < since && each.asked_out == 0;
    });
    if (stays_on) accounts.push_back(account);
  }
  return accounts;
}

bool membership::may_get(const std::string& account, const send_op& op) const {
  const auto room = rooms_.find(op.room);
  if (room == rooms_.end()) return false;
  const auto found = room->second.find(account);
  if (found == room->second.end()) return false;
  return std::any_of(found->second.begin(), found->second.end(), [&](const stay& each) {
    const bool came_in_time = op.completed == 0 || each.possible <= op.completed;
    const bool went_later = each.gone == 0 || each.gone >= op.invoked;
    return came_in_time && went_later;
  });
}

}  // namespace tern::verify
