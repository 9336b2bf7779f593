#include "tests/verify/history.hpp"

#include <algorithm>
#include <set>
#include <tuple>
#include <unordered_map>
#include <unordered_set>

#include "tests/verify/index.hpp"

namespace tern::verify {
namespace {

std::string describe(const send_op& op) {
  return op.body + " from " + op.sender + " to " + op.recipient + op.room + " (mid " + std::to_string(op.mid) + ")";
}

}  // namespace

std::vector<violation> acknowledged_is_stored(const history& seen) {
  std::vector<violation> found;
  const auto finals = final_maps(seen);
  const auto recalled = recalled_bodies(seen);
  for (const auto& op : seen.sends) {
    if (op.result != outcome::ok || recalled.contains(op.body)) continue;
    const auto conversation = finals.find(conversation_of(op));
    if (conversation == finals.end()) {
      found.push_back({"acknowledged_is_stored", describe(op) + ": no history at all"});
      continue;
    }
    const auto stored = conversation->second.find(op.mid);
    if (stored == conversation->second.end() || stored->second != op.body) {
      found.push_back({"acknowledged_is_stored", describe(op) + ": not in the history under its mid"});
    }
  }
  return found;
}

std::vector<violation> acknowledged_is_delivered(const history& seen) {
  std::vector<violation> found;
  std::set<std::pair<std::string, std::string>> delivered;  // body, account
  for (const auto& op : seen.receives) {
    if (is_delivery(op)) delivered.emplace(op.body, op.account);
  }
  const auto recalled = recalled_bodies(seen);
  const membership members(seen);
  const auto by_body = sends_by_body(seen);
  const auto demand = [&](const send_op& op, const std::string& what) {
    if (recalled.contains(op.body)) return;
    for (const auto& account : op.room.empty() ? std::vector{op.recipient} : members.owed(op)) {
      if (account == op.sender || delivered.contains({op.body, account})) continue;
      found.push_back({"acknowledged_is_delivered", what + ", but never reached " + account});
    }
  };
  for (const auto& op : seen.sends) {
    if (op.result == outcome::ok) demand(op, describe(op) + ": acknowledged");
  }
  // A message whose sender never learnt its fate, but which is in the history, must have been delivered as well.
  for (const auto& [conversation, map] : final_maps(seen)) {
    for (const auto& [mid, body] : map) {
      const auto op = by_body.find(body);
      if (op == by_body.end() || op->second->result != outcome::unknown) continue;
      demand(*op->second, body + ": stored (mid " + std::to_string(mid) + ")");
    }
  }
  return found;
}

std::vector<violation> retry_is_one_message(const history& seen) {
  std::vector<violation> found;
  for (const auto& [pair, map] : final_maps(seen)) {
    std::unordered_map<std::string, int64_t> first;
    for (const auto& [mid, body] : map) {
      const auto [known, fresh] = first.emplace(body, mid);
      if (!fresh) {
        found.push_back({"retry_is_one_message", body + " is stored twice: mids " + std::to_string(known->second) +
                                                     " and " + std::to_string(mid)});
      }
    }
  }
  return found;
}

std::vector<violation> refused_is_not_stored(const history& seen) {
  std::vector<violation> found;
  std::unordered_set<std::string> stored;
  for (const auto& [pair, map] : final_maps(seen)) {
    for (const auto& [mid, body] : map) stored.insert(body);
  }
  for (const auto& op : seen.sends) {
    if (op.result == outcome::fail && stored.contains(op.body)) {
      found.push_back({"refused_is_not_stored", describe(op) + ": refused, yet in the history"});
    }
  }
  return found;
}

std::vector<violation> mids_are_dense(const history& seen) {
  std::vector<violation> found;
  // A recall leaves two gaps: the message's mid, and the mid of the row that tells of it, which nobody is shown.
  std::map<conversation_key, std::set<int64_t>> targets;
  for (const auto& op : seen.recalls) {
    if (op.entitled && op.result != outcome::fail) targets[conversation_of(op)].insert(op.mid);
  }
  for (const auto& page : seen.finals) {
    const auto& recalled = targets[conversation_of(page)];
    size_t unshown = 0;
    int64_t expected = 1;
    for (const auto& [mid, body] : page.messages) {
      for (; expected < mid && unshown <= recalled.size(); ++expected) unshown += recalled.contains(expected) ? 0 : 1;
      if (mid < expected || unshown > recalled.size()) {
        found.push_back({"mids_are_dense", page.reader + " with " + page.other + page.room + ": mid " +
                                               std::to_string(mid) + " where " + std::to_string(expected) +
                                               " was due; " + std::to_string(recalled.size()) + " recalls"});
        break;
      }
      ++expected;
    }
  }
  return found;
}

std::vector<violation> readers_agree(const history& seen) {
  std::vector<violation> found;
  std::map<std::pair<conversation_key, int64_t>, std::string> known;
  const auto claim = [&](const conversation_key& where, int64_t mid, const std::string& body,
                         const std::string& who) {
    const auto [entry, fresh] = known.emplace(std::pair{where, mid}, body);
    if (!fresh && entry->second != body) {
      found.push_back({"readers_agree", who + ": mid " + std::to_string(mid) + " of " + where.first + "/" +
                                            where.second + " is " + body + " here and " + entry->second +
                                            " elsewhere"});
    }
  };
  for (const auto& op : seen.receives) claim(conversation_of(op), op.mid, op.body, op.account);
  for (const auto& page : seen.finals) {
    for (const auto& [mid, body] : page.messages) claim(conversation_of(page), mid, body, page.reader);
  }
  for (const auto& op : seen.sends) {
    if (op.result == outcome::ok) claim(conversation_of(op), op.mid, op.body, op.sender);
  }
  return found;
}

std::vector<violation> sender_order_is_kept(const history& seen) {
  std::vector<violation> found;
  // Only first attempts say something of order: a retry may land behind what was sent after the first attempt.
  std::map<std::tuple<std::string, std::string, std::string>, std::vector<const send_op*>> lanes;
  for (const auto& op : seen.sends) {
    if (op.result == outcome::ok && op.attempts == 1)
      lanes[{op.sender, op.terminal, op.recipient + op.room}].push_back(&op);
  }
  for (auto& [lane, ops] : lanes) {
    std::stable_sort(ops.begin(), ops.end(),
                     [](const send_op* one, const send_op* other) { return one->invoked < other->invoked; });
    for (size_t i = 1; i < ops.size(); ++i) {
      if (ops[i]->mid <= ops[i - 1]->mid) {
        found.push_back({"sender_order_is_kept", describe(*ops[i]) + " was sent after " + describe(*ops[i - 1])});
      }
    }
  }
  return found;
}

std::vector<violation> connection_order_is_kept(const history& seen) {
  std::vector<violation> found;
  std::map<std::tuple<std::string, conversation_key>, int64_t> newest;
  for (const auto& op : seen.receives) {
    if (!is_delivery(op)) continue;
    auto& last = newest[{op.connection, conversation_of(op)}];
    if (op.mid < last) {
      found.push_back({"connection_order_is_kept", op.body + " (mid " + std::to_string(op.mid) + ") came after mid " +
                                                       std::to_string(last) + " on " + op.connection});
    }
    last = std::max(last, op.mid);
  }
  return found;
}

std::vector<violation> no_duplicate_on_a_connection(const history& seen) {
  std::vector<violation> found;
  std::set<std::tuple<std::string, conversation_key, int64_t, bool>> had;
  for (const auto& op : seen.receives) {
    if (op.how == via::pull) continue;
    // A receipt may be repeated to a client that repeated its message; a delivery never.
    if (op.how == via::receipt) continue;
    if (!had.emplace(op.connection, conversation_of(op), op.mid, true).second) {
      found.push_back({"no_duplicate_on_a_connection",
                       op.body + " (mid " + std::to_string(op.mid) + ") twice on " + op.connection});
    }
  }
  return found;
}

/// What comes again begins at the oldest message of a conversation that was not acknowledged.
class unacknowledged {
 public:
  explicit unacknowledged(const history& seen) {
    for (const auto& op : seen.receives) {
      if (!is_delivery(op) || op.acknowledged) continue;
      const auto at = oldest_.try_emplace({op.connection, conversation_of(op)}, op.mid).first;
      at->second = std::min(at->second, op.mid);
    }
  }
  bool before(const receive_op& op) const {
    const auto at = oldest_.find({op.connection, conversation_of(op)});
    return at != oldest_.end() && at->second < op.mid;
  }

 private:
  std::map<std::pair<std::string, conversation_key>, int64_t> oldest_;
};

std::vector<violation> repeats_stay_in_the_window(const history& seen, const limits& allowed) {
  std::vector<violation> found;
  const unacknowledged open(seen);
  std::map<std::tuple<std::string, std::string, conversation_key, int64_t>, std::vector<const receive_op*>>
      by_message;
  for (const auto& op : seen.receives) {
    if (!is_delivery(op)) continue;
    by_message[{op.account, op.terminal, conversation_of(op), op.mid}].push_back(&op);
  }
  std::map<std::pair<std::string, std::string>, size_t> repeats;  // earlier connection, later one
  for (const auto& [message, ops] : by_message) {
    for (size_t i = 1; i < ops.size(); ++i) {
      if (ops[i]->connection == ops[i - 1]->connection) continue;  // another check's business
      if (ops[i - 1]->acknowledged && !open.before(*ops[i - 1])) {
        found.push_back({"repeats_stay_in_the_window", ops[i]->body + " came again on " + ops[i]->connection +
                                                           " though acknowledged on " + ops[i - 1]->connection});
      } else if (!ops[i]->is_offline) {
        found.push_back({"repeats_stay_in_the_window",
                         ops[i]->body + " came again on " + ops[i]->connection + " without isOffline"});
      }
      ++repeats[{ops[i - 1]->connection, ops[i]->connection}];
    }
  }
  for (const auto& [connections, count] : repeats) {
    if (count > allowed.window) {
      found.push_back({"repeats_stay_in_the_window", std::to_string(count) + " messages of " + connections.first +
                                                         " came again on " + connections.second});
    }
  }
  return found;
}

std::vector<violation> nobody_else_gets_it(const history& seen) {
  std::vector<violation> found;
  const auto by_body = sends_by_body(seen);
  const membership members(seen);
  for (const auto& op : seen.receives) {
    const auto sent = by_body.find(op.body);
    if (sent == by_body.end()) {
      found.push_back({"nobody_else_gets_it", op.account + " received " + op.body + ", which nobody sent"});
      continue;
    }
    const auto& original = *sent->second;
    if (op.room != original.room) {
      found.push_back({"nobody_else_gets_it", describe(original) + " arrived in " + op.room});
    } else if (!op.room.empty() && op.account != original.sender && !members.may_get(op.account, original)) {
      found.push_back({"nobody_else_gets_it", op.account + ", no member, received " + describe(original)});
    } else if (op.room.empty() && op.account != original.recipient && op.account != original.sender) {
      found.push_back({"nobody_else_gets_it", op.account + " received " + describe(original)});
    } else if (op.sender != original.sender) {
      found.push_back({"nobody_else_gets_it", describe(original) + " arrived as from " + op.sender});
    } else if (is_delivery(op) && op.room.empty() && op.account != op.recipient) {
      found.push_back({"nobody_else_gets_it", describe(original) + " was delivered to its own sender"});
    }
  }
  return found;
}

std::vector<violation> receipt_is_readable(const history& seen) {
  std::vector<violation> found;
  const auto recalled = recalled_bodies(seen);
  std::map<conversation_key, std::vector<const send_op*>> done;
  for (const auto& op : seen.sends) {
    if (op.result == outcome::ok && !recalled.contains(op.body)) done[conversation_of(op)].push_back(&op);
  }
  for (const auto& pull : seen.pulls) {
    for (const auto* op : done[conversation_of(pull)]) {
      if (op->completed != 0 && op->completed < pull.invoked && op->mid > pull.newest_mid) {
        found.push_back({"receipt_is_readable", describe(*op) + " was acknowledged before " + pull.reader +
                                                    " pulled, whose newest was mid " +
                                                    std::to_string(pull.newest_mid)});
      }
    }
  }
  return found;
}

std::vector<violation> progress_is_made(const history& seen) {
  std::vector<violation> found;
  for (const auto& stall : seen.stalls) found.push_back({"progress_is_made", stall});
  return found;
}

std::vector<violation> check(const history& seen, const limits& allowed) {
  std::vector<violation> all;
  const auto take = [&all](std::vector<violation> some) {
    all.insert(all.end(), std::make_move_iterator(some.begin()), std::make_move_iterator(some.end()));
  };
  take(acknowledged_is_stored(seen));
  take(acknowledged_is_delivered(seen));
  take(retry_is_one_message(seen));
  take(refused_is_not_stored(seen));
  take(mids_are_dense(seen));
  take(readers_agree(seen));
  take(sender_order_is_kept(seen));
  take(connection_order_is_kept(seen));
  take(no_duplicate_on_a_connection(seen));
  take(repeats_stay_in_the_window(seen, allowed));
  take(nobody_else_gets_it(seen));
  take(receipt_is_readable(seen));
  take(recalled_stays_recalled(seen));
  take(recall_is_the_authors(seen));
  take(recall_is_told(seen));
  take(receipt_on_every_terminal(seen, allowed));
  take(progress_is_made(seen));
  return all;
}

}  // namespace tern::verify
