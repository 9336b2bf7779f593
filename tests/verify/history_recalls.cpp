// The checks of recalls, and of receipts on all terminals.
#include <algorithm>
#include <set>

#include "tests/verify/history.hpp"
#include "tests/verify/index.hpp"

namespace tern::verify {
namespace {

std::string describe(const recall_op& op) {
  return op.body + " (mid " + std::to_string(op.mid) + " of " + op.other + op.room + "), taken back by " + op.actor;
}

/// So long a message that was on its way when it was taken back may still arrive.
constexpr instant on_its_way = 1'000'000'000;

/// Between two owners of an account its terminals are bound again one after the other: what was sent then need not
/// have reached all of them; nor what waited behind a full window when the fault came.
bool in_a_fault(const history& seen, const send_op& op, const limits& allowed) {
  return std::any_of(seen.faults.begin(), seen.faults.end(), [&](const auto& fault) {
    return op.invoked <= fault.second + allowed.grace && op.completed + allowed.grace >= fault.first;
  });
}

/// The acknowledged recalls by who may, by the body they took back.
std::unordered_map<std::string, const recall_op*> taken(const history& seen) {
  std::unordered_map<std::string, const recall_op*> by_body;
  for (const auto& op : seen.recalls) {
    if (op.entitled && op.result == outcome::ok) by_body.emplace(op.body, &op);
  }
  return by_body;
}

/// First notice of each terminal and message.
std::map<std::tuple<std::string, conversation_key, int64_t>, instant> first_notices(const history& seen) {
  std::map<std::tuple<std::string, conversation_key, int64_t>, instant> first;
  for (const auto& notice : seen.notices) {
    auto [at, fresh] = first.emplace(std::tuple{notice.terminal, conversation_of(notice), notice.mid}, notice.at);
    if (!fresh) at->second = std::min(at->second, notice.at);
  }
  return first;
}

}  // namespace

std::vector<violation> recalled_stays_recalled(const history& seen) {
  std::vector<violation> found;
  const auto recalls = taken(seen);
  const auto notices = first_notices(seen);
  std::unordered_map<std::string, instant> began;
  for (const auto& op : seen.connections) began[op.connection] = op.opened != 0 ? op.opened : op.began;
  for (const auto& op : seen.receives) {
    const auto recall = recalls.find(op.body);
    if (recall == recalls.end() || !is_delivery(op)) continue;
    const auto told = notices.find({op.terminal, conversation_of(op), op.mid});
    const auto connected = began.find(op.connection);
    if (told != notices.end() && told->second < op.at) {
      found.push_back({"recalled_stays_recalled",
                       describe(*recall->second) + " reached " + op.connection + " after it had been told"});
    } else if (connected != began.end() && connected->second > recall->second->completed + on_its_way) {
      found.push_back({"recalled_stays_recalled",
                       describe(*recall->second) + " reached " + op.connection + ", which began afterwards"});
    }
  }
  for (const auto& page : seen.finals) {
    for (const auto& [mid, body] : page.messages) {
      const auto recall = recalls.find(body);
      if (recall != recalls.end()) {
        found.push_back({"recalled_stays_recalled", describe(*recall->second) + " is in the history"});
      }
    }
  }
  for (const auto& pull : seen.pulls) {
    for (const auto& body : pull.bodies) {
      const auto recall = recalls.find(body);
      if (recall != recalls.end() && recall->second->completed < pull.invoked) {
        found.push_back({"recalled_stays_recalled", describe(*recall->second) + " was pulled afterwards"});
      }
    }
  }
  return found;
}

std::vector<violation> recall_is_the_authors(const history& seen) {
  std::vector<violation> found;
  std::set<std::pair<conversation_key, int64_t>> rightful;
  for (const auto& op : seen.recalls) {
    if (op.entitled && op.result != outcome::fail) rightful.emplace(conversation_of(op), op.mid);
    if (!op.entitled && op.result == outcome::ok) {
      found.push_back({"recall_is_the_authors", describe(op) + ", who may not"});
    }
  }
  for (const auto& notice : seen.notices) {
    if (!rightful.contains({conversation_of(notice), notice.mid})) {
      found.push_back({"recall_is_the_authors", notice.account + " was told that mid " + std::to_string(notice.mid) +
                                                    " of " + notice.other + notice.room +
                                                    " was taken back; nobody who may did that"});
    }
  }
  return found;
}

std::vector<violation> recall_is_told(const history& seen) {
  std::vector<violation> found;
  std::set<std::tuple<std::string, conversation_key, int64_t>> told;
  for (const auto& notice : seen.notices) told.emplace(notice.account, conversation_of(notice), notice.mid);
  std::set<std::pair<std::string, std::string>> had;  // body, account: for certain, so its position is behind it
  for (const auto& op : seen.receives) {
    if (is_delivery(op) && op.acknowledged) had.emplace(op.body, op.account);
  }
  const membership members(seen);
  for (const auto& op : seen.recalls) {
    if (!op.entitled || op.result != outcome::ok) continue;
    auto owed = op.room.empty() ? std::vector{op.other} : members.owed(op.room, op.invoked);
    std::erase_if(owed, [&](const std::string& account) { return !had.contains({op.body, account}); });
    owed.push_back(op.actor);
    for (const auto& account : owed) {
      if (!told.contains({account, conversation_of(op), op.mid})) {
        found.push_back({"recall_is_told", describe(op) + ": " + account + " was never told"});
      }
    }
  }
  return found;
}

std::vector<violation> receipt_on_every_terminal(const history& seen, const limits& allowed) {
  std::vector<violation> found;
  std::set<std::pair<std::string, std::string>> had;  // connection, body
  for (const auto& op : seen.receives) {
    if (op.account == op.sender) had.emplace(op.connection, op.body);
  }
  std::map<std::string, std::vector<const connection_op*>> connections;
  for (const auto& op : seen.connections) connections[op.account].push_back(&op);
  for (const auto& op : seen.sends) {
    if (op.result != outcome::ok || op.attempts != 1 || in_a_fault(seen, op, allowed)) continue;
    for (const auto* connection : connections[op.sender]) {
      const bool lasted = connection->ended == 0 || connection->ended > op.completed + allowed.grace;
      if (connection->began < op.invoked && lasted && !had.contains({connection->connection, op.body})) {
        found.push_back({"receipt_on_every_terminal", op.body + " (mid " + std::to_string(op.mid) + " of " +
                                                          op.recipient + op.room + ") was not shown to " +
                                                          connection->connection});
      }
    }
  }
  return found;
}

}  // namespace tern::verify
