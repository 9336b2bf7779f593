// One account of the workload with its terminals. Everything on the loop's thread.
#pragma once

#include <deque>
#include <map>
#include <random>
#include <set>

#include "tests/verify/workload.hpp"

namespace tern::verify {

/// One room of the workload. People by index.
struct workload_room {
  struct churner {
    size_t person = 0;
    bool inside = false;
    bool moving = false;
    client::loop::time_point next;
  };
  std::string name;
  std::string node;  // empty: not created yet
  bool closed = false;
  size_t founder = 0;
  std::vector<size_t> members;  // who stay, the founder first
  std::vector<churner> churners;
};

/// What all people of a workload share.
struct workload::shared {
  client::loop loop;
  history seen;
  bool writing = false;
  bool ending = false;
  std::mt19937_64 random;
  std::vector<workload_room> rooms;
  bool rooms_ready = false;
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
  /// Has heard that they are friends, or will be once asking back is done.
  bool knows(const person& other) const { return befriended_.contains(other.account_.node); }
  bool is_friend_of_all() const { return friends_done_ >= friends_.size(); }
  bool all_online() const;

  /// Sends one message to a friend, or now and then to a stranger, who must not get it.
  void write();
  /// Asks for the newest page of a friend's conversation.
  void pull();
  /// Retries what is overdue, reports stalls. Called often.
  void tick();
  size_t open_ops() const { return open_.size() + tasks_.size() + recalls_.size(); }
  /// One of its terminals goes off line for some seconds.
  void nap();

  // person_rooms.cpp
  enum class move : uint8_t { create = 8, apply = 9, pull_in = 12, kick = 13, leave = 16 };  // BUSINESS rtypes
  /// Queues a change of a room: `whom` is the account that comes or goes.
  void ask_room(move what, size_t room, size_t whom);
  void stay_in(size_t room) { rooms_.push_back(room); }

  void request_offline();
  bool drained() const;
  void read_histories();
  bool histories_read() const { return histories_wanted_.empty(); }
  void disconnect();

 private:
  class seat;
  struct open_op {
    size_t index = 0;  // into history.sends
    bool to_refuse = false;
    client::loop::time_point first, last;
  };
  struct room_task {
    move what = move::create;
    size_t room = 0, whom = 0;
    int attempts = 0;
    size_t index = 0;  // into history.members, once begun
    client::loop::time_point first, last;
  };
  struct recall_task {
    recall_op op;
    bool burn = false;
    client::loop::time_point due, last;
    size_t index = 0;  // into history.recalls, once begun
    bool begun = false;
  };

  static instant now() { return client::loop::time_point::clock::now().time_since_epoch().count(); }
  bool chance(int percent);
  void attempt(int64_t id, open_op& op);
  void refused(open_op& op);
  void write_to_room(seat& at, bool as_stranger);
  void send_op_now(seat& at, send_op op, bool to_refuse);
  void tick_rooms();
  void begin(room_task& task);
  void settle(bool done, const std::string& complaint);
  bool answered_room(const wire::tim_ack& ack);
  void admitted(std::string_view room_node);
  void may_recall(const send_op& sent, int percent);
  void may_burn(const receive_op& got);
  void may_try_to_recall(const receive_op& got);
  void tick_recalls();
  void send_recall(seat& at, const recall_task& task);
  void recall_seen(seat& at, const wire::tim_message& message);
  void recall_refused(int32_t code);
  void ask_page(bool room, const std::string& node, int64_t from, int64_t limit);
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
  int late_refusals_ = 0;  // answers to come at most
  int64_t connections_ = 0;
  std::map<std::string, int> has_history_;  // by node of a friend or room: messages known, so a pull answers
  std::vector<size_t> rooms_;               // where it stays
  std::deque<room_task> tasks_;             // the first one is under way
  client::loop::time_point next_task_;
  std::deque<recall_task> recalls_;  // the first one may be
  bool pulling_ = false;
  pull_op pull_;
  std::vector<std::pair<bool, std::string>> histories_wanted_;  // of a room?, node
  bool reading_ = false;
  final_history page_;
  std::map<int64_t, std::string> page_rows_;
  client::loop::time_point page_asked_;
};

}  // namespace tern::verify
