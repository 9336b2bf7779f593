// One account of the workload with its terminals. Everything on the loop's thread.
#pragma once

#include <deque>
#include <map>
#include <random>
#include <set>

#include "tests/verify/workload.hpp"

namespace tern::verify {

/// What all people of a workload share.
struct workload::shared {
  client::loop loop;
  history seen;
  bool writing = false;
  bool ending = false;
  std::mt19937_64 random;
  std::map<std::string, std::string> names;  // node -> name, for readable reports
};

class workload::person {
 public:
  person(workload& owner, size_t index);
  ~person();

  const client::account& who() const { return account_; }
  client::account& who() { return account_; }
  void set_friends(std::vector<person*> friends) { friends_ = std::move(friends); }
  void connect(size_t terminals);

  void ask_friend(const person& other);
  bool is_friend_of_all() const { return friends_done_ >= friends_.size(); }
  bool all_online() const;

  /// Sends one message to a friend, or now and then to a stranger, who must not get it.
  void write();
  /// Asks for the newest page of a friend's conversation.
  void pull();
  /// Retries what is overdue, reports stalls. Called often.
  void tick();
  size_t open_ops() const { return open_.size(); }

  void request_offline();
  bool drained() const;
  void read_histories();
  bool histories_read() const { return histories_wanted_.empty(); }
  void disconnect();

 private:
  class seat;
  struct open_op {
    size_t index = 0;  // into history.sends
    std::string to_node;
    client::loop::time_point first, last;
  };

  void attempt(int64_t id, open_op& op);
  seat* any_seat();
  void received(seat& at, const wire::tim_message& message, bool batch);
  void receipt(seat& at, const wire::tim_message& message, bool batch);
  void answered(seat& at, const wire::tim_ack& ack);
  void history_page(const wire::tim_message_list& list);
  void next_history();
  void lost(seat& at);

  workload& owner_;
  shared& shared_;
  size_t index_;
  client::account account_;
  std::vector<person*> friends_;
  size_t friends_done_ = 0;
  std::set<std::string> befriended_;
  std::vector<std::unique_ptr<seat>> seats_;
  std::map<int64_t, open_op> open_;
  int64_t next_id_;
  int64_t connections_ = 0;
  std::map<std::string, bool> has_history_;  // by friend node: something is stored, so a pull answers
  bool pulling_ = false;
  pull_op pull_;
  std::vector<person*> histories_wanted_;
  bool reading_ = false;
  final_history page_;
  client::loop::time_point page_asked_;
};

}  // namespace tern::verify
