#include "tests/verify/model_chat.hpp"

#include <algorithm>
#include <random>
#include <tuple>

#include "tests/verify/planting.hpp"

namespace tern::verify {
namespace {

constexpr instant second = 1'000'000'000;
constexpr int users = 6;
constexpr int members = 4;  // users 0 to 3 are in all rooms, 4 comes and goes, 5 is a stranger to them

/// A correct server and its clients, one step at a time.
class model {
 public:
  explicit model(uint64_t seed) : random_(seed) {
    for (int i = 0; i < users; ++i) connect(name_of(i));
    seen_.connections.push_back({name_of(0), name_of(0) + "/desk", name_of(0) + "/desk#0", tick(), 0});
    for (const auto* room : {"hall", "den"}) {
      for (int i = 0; i < members; ++i) member(room, name_of(i), true);
    }
  }

  void run(int messages) {
    for (int i = 0; i < messages; ++i) {
      if (chance(3)) come_or_go();
      send();
    }
    for (const auto& [where, stored] : stored_) {
      final_history page{where.first, where.second, {stored.begin(), stored.end()}, ""};
      if (where.first.empty()) page = {name_of(1), "", {stored.begin(), stored.end()}, where.second};
      seen_.finals.push_back(page);
      if (where.first.empty()) continue;
      std::swap(page.reader, page.other);
      seen_.finals.push_back(std::move(page));
    }
  }

  history& seen() { return seen_; }

 private:
  bool chance(int percent) { return std::uniform_int_distribution<int>(1, 100)(random_) <= percent; }
  int any(int most) { return std::uniform_int_distribution<int>(0, most)(random_); }
  instant tick() { return now_ += second; }
  static std::string name_of(int user) { return "user" + std::to_string(user); }
  std::string connection_of(const std::string& account) const {
    return account + "#" + std::to_string(connections_.at(account));
  }

  void connect(const std::string& account) {
    const auto known = connections_.find(account);
    if (known != connections_.end()) {
      for (auto& each : seen_.connections) {
        if (each.connection == connection_of(account)) each.ended = tick();
      }
    }
    ++connections_[account];
    seen_.connections.push_back({account, account + "/phone", connection_of(account), tick(), 0});
  }

  void member(const std::string& room, const std::string& account, bool joins) {
    member_op op{room, account, joins, tick(), 0, outcome::ok};
    op.completed = tick();
    seen_.members.push_back(op);
    auto& there = rooms_[room];
    joins ? (void)there.insert(account) : (void)there.erase(account);
  }

  void come_or_go() {
    const std::string room = chance(50) ? "hall" : "den";
    member(room, name_of(members), !rooms_[room].contains(name_of(members)));
  }

  void send() {
    send_op op;
    op.sender = name_of(any(users - 1));
    if (chance(35)) {
      op.room = chance(50) ? "hall" : "den";
    } else {
      do op.recipient = name_of(any(users - 1));
      while (op.recipient == op.sender);
    }
    op.id = ++ids_;
    op.body = "text" + std::to_string(ids_);
    op.terminal = op.sender + "/phone";
    op.invoked = tick();
    const bool allowed = op.room.empty() || rooms_[op.room].contains(op.sender);
    if (!allowed || chance(5)) {
      op.result = outcome::fail;
      op.completed = tick();
    } else if (chance(10)) {
      op.result = outcome::unknown;
      if (chance(50)) store(op);
    } else {
      op.attempts = chance(10) ? 2 : 1;
      store(op);
      op.result = outcome::ok;
      op.completed = tick();
      receive(op, op.sender, via::receipt, false);
      if (op.sender == name_of(0)) receive(op, op.sender, via::receipt, false, true);
      if (chance(20)) {
        seen_.pulls.push_back({op.sender, op.recipient, tick(), op.mid, op.room, {op.body}});
      }
    }
    seen_.sends.push_back(op);
    if (op.result == outcome::ok && chance(15)) recall(op);
  }

  void store(send_op& op) {
    const auto where = verify::conversation_of(op);
    op.mid = ++heads_[where];
    stored_[where].emplace(op.mid, op.body);
    for (const auto& account : readers(op)) {
      const bool acknowledged = !chance(10);
      receive(op, account, chance(20) ? via::batch : via::live, acknowledged);
      if (acknowledged) continue;
      connect(account);  // the connection broke before the acknowledgement: it comes again
      receive(op, account, via::batch, true);
    }
  }

  std::vector<std::string> readers(const send_op& op) {
    if (op.room.empty()) return {op.recipient};
    std::vector<std::string> accounts(rooms_[op.room].begin(), rooms_[op.room].end());
    std::erase(accounts, op.sender);
    return accounts;
  }

  void recall(const send_op& sent) {
    recall_op op;
    op.actor = sent.sender;
    op.room = sent.room;
    op.other = sent.recipient;
    op.body = sent.body;
    op.mid = sent.mid;
    op.invoked = tick();
    if (!sent.room.empty() && chance(25)) {
      op.actor = sent.sender == name_of(2) ? name_of(1) : name_of(2);
      op.entitled = false;
      op.result = outcome::fail;
    } else {
      if (sent.room.empty() && chance(30)) std::swap(op.actor, op.other);  // burnt by the recipient
      const auto where = verify::conversation_of(sent);
      stored_[where].erase(sent.mid);
      ++heads_[where];  // the row that tells of it
      op.result = outcome::ok;
      auto accounts = readers(sent);
      accounts.push_back(sent.sender);
      for (const auto& account : accounts) tell(account, sent);
    }
    op.completed = tick();
    seen_.recalls.push_back(op);
    if (op.result == outcome::ok && chance(30)) connect(op.actor);
  }

  void tell(const std::string& account, const send_op& sent) {
    const auto& other = account == sent.sender ? sent.recipient : sent.sender;
    seen_.notices.push_back({account, account + "/phone", connection_of(account), sent.room,
                             sent.room.empty() ? other : "", sent.mid, tick()});
  }

  void receive(const send_op& op, const std::string& account, via how, bool acknowledged, bool desk = false) {
    receive_op got;
    got.account = account;
    got.connection_order = connections_[account];
    got.terminal = account + (desk ? "/desk" : "/phone");
    got.connection = desk ? account + "/desk#0" : connection_of(account);
    got.sender = op.sender;
    got.recipient = op.recipient;
    got.room = op.room;
    got.mid = op.mid;
    got.body = op.body;
    got.how = how;
    got.is_offline = how == via::batch;
    got.acknowledged = acknowledged;
    got.at = tick();
    seen_.receives.push_back(std::move(got));
  }

  std::mt19937_64 random_;
  history seen_;
  std::map<conversation_key, std::map<int64_t, std::string>> stored_;
  std::map<conversation_key, int64_t> heads_;
  std::map<std::string, std::set<std::string>> rooms_;
  std::map<std::string, int64_t> connections_;
  int64_t ids_ = 0;
  instant now_ = 0;
};

send_op* some_acknowledged(history& seen) {
  const auto recalled = recalled_bodies(seen);
  return some(seen.sends, [&](const send_op& op) {
    return op.result == outcome::ok && op.attempts == 1 && op.room.empty() && !recalled.contains(op.body);
  });
}

receive_op* some_delivery(history& seen) {
  return some(seen.receives, [](const receive_op& op) {
    return op.how == via::live && op.acknowledged && op.mid > 1 && op.room.empty();
  });
}

bool erase_deliveries(history& seen, const std::string& body) {
  return std::erase_if(seen.receives, [&](const receive_op& op) { return op.body == body && is_delivery(op); }) > 0;
}

/// Two of one lane, both acknowledged at the first attempt, change their places in time.
bool swap_two_of_a_lane(history& seen) {
  std::map<std::tuple<std::string, std::string, std::string>, send_op*> lanes;
  for (auto& op : seen.sends) {
    if (op.result != outcome::ok || op.attempts != 1 || !op.room.empty()) continue;
    const auto [earlier, fresh] = lanes.emplace(std::tuple{op.sender, op.terminal, op.recipient}, &op);
    if (fresh) continue;
    std::swap(earlier->second->invoked, op.invoked);
    return true;
  }
  return false;
}

bool swap_two_deliveries(history& seen) {
  std::map<std::tuple<std::string, std::string, std::string>, receive_op*> first;
  for (auto& op : seen.receives) {
    if (!is_delivery(op) || !op.room.empty()) continue;
    const auto [earlier, fresh] = first.emplace(std::tuple{op.connection, op.sender, op.recipient}, &op);
    if (fresh || earlier->second->mid == op.mid) continue;
    std::swap(*earlier->second, op);
    return true;
  }
  return false;
}

bool repeat_on_new_connection(history& seen, bool acknowledged, bool offline) {
  auto* first = some_delivery(seen);
  if (first == nullptr) return false;
  first->acknowledged = acknowledged;
  auto again = *first;
  again.connection += "/planted";
  again.connection_order += 1000;
  again.is_offline = offline;
  seen.receives.push_back(std::move(again));
  return true;
}

/// 70 messages of unknown outcome come twice, none of them acknowledged.
bool repeat_too_many(history& seen) {
  for (int i = 0; i < 70; ++i) {
    send_op op;
    op.sender = "planted-sender";
    op.recipient = "planted-recipient";
    op.body = "planted" + std::to_string(i);
    op.mid = i + 1;
    seen.sends.push_back(op);
    receive_op got;
    got.account = op.recipient;
    got.sender = op.sender;
    got.recipient = op.recipient;
    got.mid = op.mid;
    got.body = op.body;
    got.connection = "planted#0";
    seen.receives.push_back(got);
    got.connection = "planted#1";
    got.is_offline = true;
    seen.receives.push_back(got);
  }
  return true;
}

bool plant_in_store(history& seen, planted_bug bug) {
  const auto* victim = some_acknowledged(seen);
  if (victim == nullptr) return false;
  const auto append = [](final_history& page, const std::string& body) {
    page.messages.emplace_back(page.messages.empty() ? 1 : page.messages.back().first + 1, body);
  };
  switch (bug) {
    case planted_bug::lose_stored:
      return change_finals(seen, victim->body, [](auto& page, auto at) { page.messages.erase(at); });
    case planted_bug::store_retry_twice:
      return change_finals(seen, victim->body, [&](auto& page, auto) { append(page, victim->body); });
    case planted_bug::store_refused: {
      const auto* refused =
          some(seen.sends, [](const send_op& op) { return op.result == outcome::fail && op.room.empty(); });
      if (refused == nullptr || seen.finals.empty()) return false;
      append(seen.finals.front(), refused->body);
      return true;
    }
    case planted_bug::skip_mid: {
      auto* page =
          some(seen.finals, [](const final_history& one) { return one.room.empty() && one.messages.size() > 1; });
      if (page == nullptr) return false;
      for (auto& message : page->messages) message.first += message.first > 1 ? 1000 : 0;
      return true;
    }
    default: return false;
  }
}

bool plant_in_delivery(history& seen, planted_bug bug) {
  auto* victim = some_delivery(seen);
  if (victim == nullptr) return false;
  switch (bug) {
    case planted_bug::readers_differ:
      victim->body = seen.sends.front().body == victim->body ? seen.sends.back().body : seen.sends.front().body;
      return true;
    case planted_bug::deliver_twice: {
      const auto again = *victim;
      seen.receives.push_back(again);
      return true;
    }
    case planted_bug::wrong_recipient: victim->account = "nobody"; return true;
    case planted_bug::forge_sender: victim->sender = "somebody"; return true;
    case planted_bug::echo_as_delivery: victim->account = victim->sender; return true;
    default: return false;
  }
}

}  // namespace

bool plant(history& seen, planted_bug bug) {
  switch (bug) {
    case planted_bug::none: return true;
    case planted_bug::lose_delivery: {
      const auto* victim = some_acknowledged(seen);
      return victim != nullptr && erase_deliveries(seen, victim->body);
    }
    case planted_bug::lose_delivery_unknown: {
      auto* victim = some_acknowledged(seen);  // as if its receipt had not come
      if (victim == nullptr) return false;
      victim->result = outcome::unknown;
      return erase_deliveries(seen, victim->body);
    }
    case planted_bug::swap_sender_order: return swap_two_of_a_lane(seen);
    case planted_bug::swap_delivery_order: return swap_two_deliveries(seen);
    case planted_bug::repeat_acknowledged: return repeat_on_new_connection(seen, true, true);
    case planted_bug::repeat_without_offline: return repeat_on_new_connection(seen, false, false);
    case planted_bug::repeat_too_many: return repeat_too_many(seen);
    case planted_bug::stale_pull: {
      const auto* victim = some_acknowledged(seen);
      if (victim == nullptr) return false;
      seen.pulls.push_back({victim->recipient, victim->sender, victim->completed + 1, victim->mid - 1, "", {}});
      return true;
    }
    case planted_bug::stall: seen.stalls.emplace_back("planted: waited 31 s for a receipt"); return true;
    default:
      return plant_in_store(seen, bug) || plant_in_delivery(seen, bug) || plant_in_rooms(seen, bug) ||
             plant_in_recalls(seen, bug);
  }
}

const std::vector<planted>& all_planted_bugs() {
  static const std::vector<planted> all{{planted_bug::lose_stored, "acknowledged_is_stored"},
                                        {planted_bug::lose_delivery, "acknowledged_is_delivered"},
                                        {planted_bug::lose_delivery_unknown, "acknowledged_is_delivered"},
                                        {planted_bug::store_retry_twice, "retry_is_one_message"},
                                        {planted_bug::store_refused, "refused_is_not_stored"},
                                        {planted_bug::skip_mid, "mids_are_dense"},
                                        {planted_bug::readers_differ, "readers_agree"},
                                        {planted_bug::swap_sender_order, "sender_order_is_kept"},
                                        {planted_bug::swap_delivery_order, "connection_order_is_kept"},
                                        {planted_bug::deliver_twice, "no_duplicate_on_a_connection"},
                                        {planted_bug::repeat_acknowledged, "repeats_stay_in_the_window"},
                                        {planted_bug::repeat_without_offline, "repeats_stay_in_the_window"},
                                        {planted_bug::repeat_too_many, "repeats_stay_in_the_window"},
                                        {planted_bug::wrong_recipient, "nobody_else_gets_it"},
                                        {planted_bug::forge_sender, "nobody_else_gets_it"},
                                        {planted_bug::echo_as_delivery, "nobody_else_gets_it"},
                                        {planted_bug::stale_pull, "receipt_is_readable"},
                                        {planted_bug::stall, "progress_is_made"},
                                        {planted_bug::room_lose_stored, "acknowledged_is_stored"},
                                        {planted_bug::room_lose_delivery, "acknowledged_is_delivered"},
                                        {planted_bug::room_lose_delivery_unknown, "acknowledged_is_delivered"},
                                        {planted_bug::room_store_refused, "refused_is_not_stored"},
                                        {planted_bug::room_skip_mid, "mids_are_dense"},
                                        {planted_bug::room_readers_differ, "readers_agree"},
                                        {planted_bug::room_swap_order, "connection_order_is_kept"},
                                        {planted_bug::room_deliver_twice, "no_duplicate_on_a_connection"},
                                        {planted_bug::room_repeat_acknowledged, "repeats_stay_in_the_window"},
                                        {planted_bug::room_to_stranger, "nobody_else_gets_it"},
                                        {planted_bug::room_after_removal, "nobody_else_gets_it"},
                                        {planted_bug::room_before_joining, "nobody_else_gets_it"},
                                        {planted_bug::room_in_another, "nobody_else_gets_it"},
                                        {planted_bug::room_stale_pull, "receipt_is_readable"},
                                        {planted_bug::recall_then_body, "recalled_stays_recalled"},
                                        {planted_bug::recall_then_connect, "recalled_stays_recalled"},
                                        {planted_bug::recall_in_history, "recalled_stays_recalled"},
                                        {planted_bug::recall_then_pull, "recalled_stays_recalled"},
                                        {planted_bug::recall_by_another, "recall_is_the_authors"},
                                        {planted_bug::recall_by_nobody, "recall_is_the_authors"},
                                        {planted_bug::recall_untold_author, "recall_is_told"},
                                        {planted_bug::recall_untold_reader, "recall_is_told"},
                                        {planted_bug::lose_echo, "receipt_on_every_terminal"}};
  return all;
}

history make_history(uint64_t seed, int messages, planted_bug bug) {
  model chat(seed);
  chat.run(messages);
  plant(chat.seen(), bug);
  return std::move(chat.seen());
}

}  // namespace tern::verify
