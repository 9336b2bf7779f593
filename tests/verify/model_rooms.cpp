// Planted bugs of rooms, recalls and terminals.
#include "tests/verify/planting.hpp"

namespace tern::verify {
namespace {

send_op* some_room_message(history& seen) {
  const auto recalled = recalled_bodies(seen);
  const membership members(seen);
  return some(seen.sends, [&](const send_op& op) {
    return op.result == outcome::ok && !op.room.empty() && !recalled.contains(op.body) && members.owed(op).size() > 1;
  });
}

receive_op* some_room_delivery(history& seen) {
  return some(seen.receives, [](const receive_op& op) {
    return op.how == via::live && op.acknowledged && !op.room.empty() && op.account != op.sender;
  });
}

/// The message as the account would have got it, had the server sent it there.
void deliver(history& seen, const send_op& sent, const std::string& account, const std::string& connection) {
  receive_op got;
  got.account = account;
  got.terminal = account + "/planted";
  got.connection = connection;
  got.connection_order = 1'000'000;
  got.sender = sent.sender;
  got.recipient = sent.recipient;
  got.room = sent.room;
  got.mid = sent.mid;
  got.body = sent.body;
  got.is_offline = true;
  got.at = sent.completed + 1;
  seen.receives.push_back(std::move(got));
}

/// One member never gets it.
bool lose_for_one(history& seen, const send_op& victim) {
  const auto owed = membership(seen).owed(victim);
  const auto member = std::find_if(owed.begin(), owed.end(), [&](const auto& each) { return each != victim.sender; });
  if (member == owed.end()) return false;
  return std::erase_if(seen.receives, [&](const receive_op& op) {
           return op.body == victim.body && op.account == *member && is_delivery(op);
         }) > 0;
}

bool swap_on_a_connection(history& seen) {
  std::map<std::pair<std::string, std::string>, receive_op*> first;
  for (auto& op : seen.receives) {
    if (!is_delivery(op) || op.room.empty()) continue;
    const auto [earlier, fresh] = first.emplace(std::pair{op.connection, op.room}, &op);
    if (fresh || earlier->second->mid == op.mid) continue;
    std::swap(*earlier->second, op);
    return true;
  }
  return false;
}

/// A message sent after somebody went, and before that one came back, reaches it; or one acknowledged before it came.
bool deliver_to_former_or_future(history& seen, bool former) {
  const membership members(seen);
  for (const auto& op : seen.members) {
    if (op.joins == former || op.result != outcome::ok) continue;
    for (const auto& sent : seen.sends) {
      if (sent.room != op.room || sent.result != outcome::ok || sent.sender == op.account) continue;
      const bool outside = former ? sent.invoked > op.completed : sent.completed < op.invoked;
      if (!outside || members.may_get(op.account, sent)) continue;
      deliver(seen, sent, op.account, op.account + "#planted");
      return true;
    }
  }
  return false;
}

recall_op* some_recall(history& seen, bool told_readers) {
  return some(seen.recalls, [&](const recall_op& op) {
    if (!op.entitled || op.result != outcome::ok) return false;
    return !told_readers || std::any_of(seen.receives.begin(), seen.receives.end(), [&](const receive_op& got) {
      return got.body == op.body && is_delivery(got) && got.acknowledged;
    });
  });
}

/// Somebody who had the message, and must be told of its recall.
std::string some_reader(const history& seen, const recall_op& recall) {
  const auto owed =
      recall.room.empty() ? std::vector{recall.other} : membership(seen).owed(recall.room, recall.invoked);
  for (const auto& got : seen.receives) {
    if (got.body == recall.body && is_delivery(got) && got.acknowledged && got.account != recall.actor &&
        std::find(owed.begin(), owed.end(), got.account) != owed.end()) {
      return got.account;
    }
  }
  return {};
}

bool untell_reader(history& seen) {
  for (const auto& recall : seen.recalls) {
    if (!recall.entitled || recall.result != outcome::ok) continue;
    const auto reader = some_reader(seen, recall);
    if (reader.empty()) continue;
    return std::erase_if(seen.notices, [&](const recall_notice& notice) {
             return notice.account == reader && notice.mid == recall.mid &&
                    conversation_of(notice) == conversation_of(recall);
           }) > 0;
  }
  return false;
}

bool lose_echo(history& seen) {
  const limits allowed;
  for (const auto& op : seen.sends) {
    const bool faulty = std::any_of(seen.faults.begin(), seen.faults.end(), [&](const auto& fault) {
      return op.invoked <= fault.second + allowed.grace && op.completed + allowed.grace >= fault.first;
    });
    if (op.result != outcome::ok || op.attempts != 1 || faulty) continue;
    for (const auto& connection : seen.connections) {
      const bool lasted = connection.ended == 0 || connection.ended > op.completed + allowed.grace;
      if (connection.account != op.sender || connection.began >= op.invoked || !lasted) continue;
      return std::erase_if(seen.receives, [&](const receive_op& got) {
               return got.body == op.body && got.connection == connection.connection;
             }) > 0;
    }
  }
  return false;
}

/// The recalled message shows up again where the bug says.
bool bring_back(history& seen, planted_bug bug) {
  const auto* recall = some_recall(seen, true);
  if (recall == nullptr) return false;
  const auto sent = sends_by_body(seen);
  const auto original = sent.find(recall->body);
  if (original == sent.end()) return false;
  const auto reader = some(seen.receives, [&](const receive_op& op) {
                        return op.body == recall->body && is_delivery(op) && op.acknowledged;
                      })->account;
  if (bug == planted_bug::recall_then_connect) {
    const auto late = reader + "#planted";
    seen.connections.push_back({reader, reader + "/planted", late, recall->completed + 2'000'000'000, 0});
    deliver(seen, *original->second, reader, late);
    return true;
  }
  if (bug == planted_bug::recall_then_pull) {
    pull_op pull{recall->actor, recall->other, recall->completed + 1, recall->mid, recall->room, {recall->body}};
    seen.pulls.push_back(pull);
    return true;
  }
  auto again = *some(seen.receives, [&](const receive_op& op) {
    return op.body == recall->body && op.account == reader && is_delivery(op);
  });
  recall_notice told{reader, again.terminal, again.connection, recall->room, {}, recall->mid, again.at + 1};
  if (recall->room.empty()) told.other = reader == recall->actor ? recall->other : recall->actor;
  seen.notices.push_back(told);
  again.at += 2;
  seen.receives.push_back(again);
  return true;
}

}  // namespace

bool plant_in_rooms(history& seen, planted_bug bug) {
  if (bug == planted_bug::room_swap_order) return swap_on_a_connection(seen);
  if (bug == planted_bug::room_after_removal) return deliver_to_former_or_future(seen, true);
  if (bug == planted_bug::room_before_joining) return deliver_to_former_or_future(seen, false);
  auto* message = some_room_message(seen);
  auto* delivery = some_room_delivery(seen);
  if (message == nullptr || delivery == nullptr) return false;
  switch (bug) {
    case planted_bug::room_lose_stored:
      return change_finals(seen, message->body, [](auto& page, auto at) { page.messages.erase(at); });
    case planted_bug::room_lose_delivery: return lose_for_one(seen, *message);
    case planted_bug::room_lose_delivery_unknown:
      message->result = outcome::unknown;
      return lose_for_one(seen, *message);
    case planted_bug::room_store_refused: {
      const auto* refused = some(seen.sends, [](const send_op& op) { return op.result == outcome::fail; });
      auto* page = some(seen.finals, [](const final_history& one) { return !one.room.empty(); });
      if (refused == nullptr || page == nullptr) return false;
      page->messages.emplace_back(page->messages.empty() ? 1 : page->messages.back().first + 1, refused->body);
      return true;
    }
    case planted_bug::room_skip_mid: {
      auto* page =
          some(seen.finals, [](const final_history& one) { return !one.room.empty() && !one.messages.empty(); });
      if (page == nullptr) return false;
      page->messages.back().first += 1000;
      return true;
    }
    case planted_bug::room_readers_differ:
      delivery->body = seen.sends.front().body == delivery->body ? seen.sends.back().body : seen.sends.front().body;
      return true;
    case planted_bug::room_deliver_twice: {
      const auto again = *delivery;
      seen.receives.push_back(again);
      return true;
    }
    case planted_bug::room_repeat_acknowledged: {
      auto again = *delivery;
      again.connection += "/planted";
      again.is_offline = true;
      seen.receives.push_back(std::move(again));
      return true;
    }
    case planted_bug::room_to_stranger: deliver(seen, *message, "nobody", "nobody#0"); return true;
    case planted_bug::room_in_another: delivery->room += "-planted"; return true;
    case planted_bug::room_stale_pull:
      seen.pulls.push_back({message->sender, "", message->completed + 1, message->mid - 1, message->room, {}});
      return true;
    default: return false;
  }
}

bool plant_in_recalls(history& seen, planted_bug bug) {
  switch (bug) {
    case planted_bug::recall_then_body:
    case planted_bug::recall_then_connect:
    case planted_bug::recall_then_pull: return bring_back(seen, bug);
    case planted_bug::recall_in_history: {
      const auto* recall = some_recall(seen, false);
      if (recall == nullptr) return false;
      for (auto& page : seen.finals) {
        if (conversation_of(page) != conversation_of(*recall)) continue;
        page.messages.emplace_back(recall->mid, recall->body);
        return true;
      }
      return false;
    }
    case planted_bug::recall_by_another: {
      auto* refused = some(seen.recalls, [](const recall_op& op) { return !op.entitled; });
      if (refused == nullptr) return false;
      refused->result = outcome::ok;
      return true;
    }
    case planted_bug::recall_by_nobody: {
      const auto* message = some_room_message(seen);
      if (message == nullptr) return false;
      seen.notices.push_back({message->sender, "planted", "planted", message->room, "", message->mid, 1});
      return true;
    }
    case planted_bug::recall_untold_author: {
      const auto* recall = some_recall(seen, false);
      return recall != nullptr && std::erase_if(seen.notices, [&](const recall_notice& notice) {
                                    return notice.account == recall->actor && notice.mid == recall->mid &&
                                           conversation_of(notice) == conversation_of(*recall);
                                  }) > 0;
    }
    case planted_bug::recall_untold_reader: return untell_reader(seen);
    case planted_bug::lose_echo: return lose_echo(seen);
    default: return false;
  }
}

}  // namespace tern::verify
