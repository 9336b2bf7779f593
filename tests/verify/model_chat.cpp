#include "tests/verify/model_chat.hpp"

#include <algorithm>
#include <random>
#include <tuple>

namespace tern::verify {
namespace {

/// A correct server and its clients, one step at a time.
class model {
 public:
  explicit model(uint64_t seed) : random_(seed) {}

  void run(int messages) {
    for (int i = 0; i < messages; ++i) send();
    for (const auto& [pair, stored] : stored_) {
      final_history page{pair.first, pair.second, stored};
      seen_.finals.push_back(page);
      std::swap(page.reader, page.other);
      seen_.finals.push_back(std::move(page));
    }
  }

  history& seen() { return seen_; }

 private:
  using pair_key = std::pair<std::string, std::string>;

  bool chance(int percent) { return std::uniform_int_distribution<int>(1, 100)(random_) <= percent; }

  void send() {
    const int from = std::uniform_int_distribution<int>(0, 4)(random_);
    const int to = (from + std::uniform_int_distribution<int>(1, 4)(random_)) % 5;
    send_op op;
    op.sender = "user" + std::to_string(from);
    op.recipient = "user" + std::to_string(to);
    op.id = ++ids_;
    op.body = "text" + std::to_string(ids_);
    op.terminal = op.sender + "/phone";
    op.invoked = ++now_;
    if (chance(5)) {
      op.result = outcome::fail;
      op.completed = ++now_;
    } else if (chance(10)) {
      op.result = outcome::unknown;
      if (chance(50)) store(op);
    } else {
      op.attempts = chance(10) ? 2 : 1;
      store(op);
      op.result = outcome::ok;
      op.completed = ++now_;
      receive(op, op.sender, via::receipt, false);
      if (chance(20)) seen_.pulls.push_back({op.sender, op.recipient, ++now_, op.mid});
    }
    seen_.sends.push_back(op);
  }

  void store(send_op& op) {
    auto& conversation = stored_[std::minmax(op.sender, op.recipient)];
    op.mid = static_cast<int64_t>(conversation.size()) + 1;
    conversation.emplace_back(op.mid, op.body);
    const bool acknowledged = !chance(10);
    receive(op, op.recipient, chance(20) ? via::batch : via::live, acknowledged);
    if (!acknowledged) {
      ++connections_[op.recipient];  // the connection broke before the acknowledgement: it comes again
      receive(op, op.recipient, via::batch, true);
    }
  }

  void receive(const send_op& op, const std::string& account, via how, bool acknowledged) {
    receive_op got;
    got.account = account;
    got.connection_order = connections_[account];
    got.connection = account + "#" + std::to_string(got.connection_order);
    got.sender = op.sender;
    got.recipient = op.recipient;
    got.mid = op.mid;
    got.body = op.body;
    got.how = how;
    got.is_offline = how == via::batch;
    got.acknowledged = acknowledged;
    got.at = ++now_;
    seen_.receives.push_back(std::move(got));
  }

  std::mt19937_64 random_;
  history seen_;
  std::map<pair_key, std::vector<std::pair<int64_t, std::string>>> stored_;
  std::map<std::string, int64_t> connections_;
  int64_t ids_ = 0;
  instant now_ = 0;
};

bool delivered(const receive_op& op) { return op.how == via::live || op.how == via::batch; }

/// The first that fits from the middle on, else from the start; nullptr when none does.
template <class Op, class Fits>
Op* some(std::vector<Op>& ops, Fits fits) {
  const auto middle = ops.begin() + static_cast<std::ptrdiff_t>(ops.size() / 2);
  auto found = std::find_if(middle, ops.end(), fits);
  if (found == ops.end()) found = std::find_if(ops.begin(), middle, fits);
  return found == ops.end() ? nullptr : &*found;
}

send_op* some_acknowledged(history& seen) {
  return some(seen.sends, [](const send_op& op) { return op.result == outcome::ok && op.attempts == 1; });
}

receive_op* some_delivery(history& seen) {
  return some(seen.receives,
              [](const receive_op& op) { return op.how == via::live && op.acknowledged && op.mid > 1; });
}

bool erase_deliveries(history& seen, const std::string& body) {
  return std::erase_if(seen.receives, [&](const receive_op& op) { return op.body == body && delivered(op); }) > 0;
}

/// Changes each final history that has the body.
bool change_finals(history& seen, const std::string& body, auto change) {
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

/// Two of one lane, both acknowledged at the first attempt, change their places in time.
bool swap_two_of_a_lane(history& seen) {
  std::map<std::tuple<std::string, std::string, std::string>, send_op*> lanes;
  for (auto& op : seen.sends) {
    if (op.result != outcome::ok || op.attempts != 1) continue;
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
    if (!delivered(op)) continue;
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
      const auto* refused = some(seen.sends, [](const send_op& op) { return op.result == outcome::fail; });
      if (refused == nullptr || seen.finals.empty()) return false;
      append(seen.finals.front(), refused->body);
      return true;
    }
    case planted_bug::skip_mid: {
      auto* page = some(seen.finals, [](const final_history& one) { return one.messages.size() > 1; });
      if (page == nullptr) return false;
      for (auto& message : page->messages) message.first += message.first > 1 ? 1 : 0;
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
      seen.pulls.push_back({victim->recipient, victim->sender, victim->completed + 1, victim->mid - 1});
      return true;
    }
    case planted_bug::stall: seen.stalls.emplace_back("planted: waited 31 s for a receipt"); return true;
    default: return plant_in_store(seen, bug) || plant_in_delivery(seen, bug);
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
                                        {planted_bug::stall, "progress_is_made"}};
  return all;
}

history make_history(uint64_t seed, int messages, planted_bug bug) {
  model chat(seed);
  chat.run(messages);
  plant(chat.seen(), bug);
  return std::move(chat.seen());
}

}  // namespace tern::verify
