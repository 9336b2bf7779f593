#include "tests/verify/model_chat.hpp"

#include <algorithm>
#include <random>

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

send_op& some_acknowledged(history& seen) {
  return *std::find_if(seen.sends.begin() + static_cast<std::ptrdiff_t>(seen.sends.size() / 2), seen.sends.end(),
                       [](const send_op& op) { return op.result == outcome::ok && op.attempts == 1; });
}

receive_op& some_delivery(history& seen) {
  return *std::find_if(seen.receives.begin() + static_cast<std::ptrdiff_t>(seen.receives.size() / 2),
                       seen.receives.end(),
                       [](const receive_op& op) { return delivered(op) && op.how == via::live && op.acknowledged; });
}

void erase_deliveries(history& seen, const std::string& body) {
  std::erase_if(seen.receives, [&](const receive_op& op) { return op.body == body && delivered(op); });
}

void change_finals(history& seen, const std::string& body, auto change) {
  for (auto& page : seen.finals) {
    const auto at = std::find_if(page.messages.begin(), page.messages.end(),
                                 [&](const auto& message) { return message.second == body; });
    if (at != page.messages.end()) change(page, at);
  }
}

/// Two neighbours of one lane, both acknowledged at the first attempt.
void swap_mids_of_a_lane(history& seen) {
  for (size_t i = 0; i < seen.sends.size(); ++i) {
    for (size_t j = i + 1; j < seen.sends.size(); ++j) {
      auto& one = seen.sends[i];
      auto& other = seen.sends[j];
      const bool lane = one.sender == other.sender && one.recipient == other.recipient;
      const bool both = one.result == outcome::ok && other.result == outcome::ok && one.attempts + other.attempts == 2;
      if (lane && both) {
        std::swap(one.invoked, other.invoked);
        return;
      }
    }
  }
}

void swap_deliveries(history& seen) {
  for (size_t i = 0; i < seen.receives.size(); ++i) {
    for (size_t j = i + 1; j < seen.receives.size(); ++j) {
      auto& one = seen.receives[i];
      auto& other = seen.receives[j];
      if (delivered(one) && delivered(other) && one.connection == other.connection && one.sender == other.sender &&
          one.recipient == other.recipient) {
        std::swap(one, other);
        return;
      }
    }
  }
}

void repeat_on_new_connection(history& seen, size_t count, bool acknowledged, bool offline) {
  std::vector<receive_op> again;
  for (const auto& op : seen.receives) {
    if (again.size() == count) break;
    if (delivered(op) && op.account == "user1" && op.connection_order == 0) again.push_back(op);
  }
  for (auto& op : seen.receives) {
    for (const auto& repeated : again) {
      if (op.body == repeated.body && op.connection == repeated.connection) op.acknowledged = acknowledged;
    }
  }
  for (auto& op : again) {
    op.connection = "user1#999";
    op.connection_order = 999;
    op.is_offline = offline;
    seen.receives.push_back(op);
  }
}

void add_many_unacknowledged(history& seen) {
  for (int i = 0; i < 70; ++i) {
    send_op op = some_acknowledged(seen);
    op.sender = "user8";
    op.recipient = "user9";
    op.body = "extra" + std::to_string(i);
    op.mid = i + 1;
    op.result = outcome::unknown;
    seen.sends.push_back(op);
    receive_op got;
    got.account = "user9";
    got.sender = "user8";
    got.recipient = "user9";
    got.mid = op.mid;
    got.body = op.body;
    got.connection = "user9#0";
    seen.receives.push_back(got);
    got.connection = "user9#1";
    got.is_offline = true;
    seen.receives.push_back(got);
  }
}

void plant(history& seen, planted_bug bug) {
  const auto victim = some_acknowledged(seen);
  switch (bug) {
    case planted_bug::none: return;
    case planted_bug::lose_stored:
      return change_finals(seen, victim.body, [](auto& page, auto at) { page.messages.erase(at); });
    case planted_bug::lose_delivery: return erase_deliveries(seen, victim.body);
    case planted_bug::lose_delivery_unknown:
      for (const auto& op : seen.sends) {
        if (op.result == outcome::unknown && op.mid != 0) return erase_deliveries(seen, op.body);
      }
      return;
    case planted_bug::store_retry_twice:
      return change_finals(seen, victim.body, [&](auto& page, auto) {
        page.messages.emplace_back(page.messages.back().first + 1, victim.body);
      });
    case planted_bug::store_refused: {
      const auto refused = std::find_if(seen.sends.begin(), seen.sends.end(),
                                        [](const send_op& op) { return op.result == outcome::fail; });
      auto& page = seen.finals.front();
      page.messages.emplace_back(page.messages.back().first + 1, refused->body);
      return;
    }
    case planted_bug::skip_mid:
      for (auto& message : seen.finals.front().messages) message.first += message.first > 1 ? 1 : 0;
      return;
    case planted_bug::readers_differ: some_delivery(seen).body = "text1"; return;
    case planted_bug::swap_sender_order: return swap_mids_of_a_lane(seen);
    case planted_bug::swap_delivery_order: return swap_deliveries(seen);
    case planted_bug::deliver_twice: {
      const auto again = some_delivery(seen);
      seen.receives.push_back(again);
      return;
    }
    case planted_bug::repeat_acknowledged: return repeat_on_new_connection(seen, 1, true, true);
    case planted_bug::repeat_without_offline: return repeat_on_new_connection(seen, 1, false, false);
    case planted_bug::repeat_too_many: return add_many_unacknowledged(seen);
    case planted_bug::wrong_recipient: some_delivery(seen).account = "user77"; return;
    case planted_bug::forge_sender: some_delivery(seen).sender = "user78"; return;
    case planted_bug::echo_as_delivery: {
      auto& op = some_delivery(seen);
      op.account = op.sender;
      return;
    }
    case planted_bug::stale_pull:
      seen.pulls.push_back({victim.recipient, victim.sender, victim.completed + 1, victim.mid - 1});
      return;
    case planted_bug::stall: seen.stalls.emplace_back("user1 waited 31 s for a receipt"); return;
  }
}

}  // namespace

history make_history(uint64_t seed, int messages, planted_bug bug) {
  model chat(seed);
  chat.run(messages);
  plant(chat.seen(), bug);
  return std::move(chat.seen());
}

}  // namespace tern::verify
