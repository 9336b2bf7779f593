// The clients of a run: accounts with terminals that log on, write, acknowledge, drop and come back, and write down
// what they saw.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "libs/base/ids.hpp"
#include "libs/wire/codec.hpp"
#include "libs/wire/frame.hpp"
#include "tests/sim/gateway_process.hpp"
#include "tests/verify/history.hpp"

namespace tern::sim {

class person;

/// One room of a run: who founded it stays, others stay too, or come and go.
struct room {
  struct guest {
    person* who = nullptr;
    bool stays = false;
    bool inside = false;
    bool moving = false;  // a change of it is wanted or under way
    duration next{0};     // not before
  };
  std::string name;
  std::string node;  // empty: not created yet
  bool open = true;  // whoever wants may join; else the founder pulls in
  person* founder = nullptr;
  std::vector<guest> guests;
};

/// What all clients of a run share.
struct crowd {
  world* in = nullptr;
  verify::history* seen = nullptr;
  /// A gateway that takes connections now; null: none.
  std::function<gateway_process*()> gateway;
  /// Was something down or cut between the two?
  std::function<bool(duration from, duration to)> faulty;
  std::vector<std::unique_ptr<person>> people;
  std::vector<room> rooms;
  bool writing = true;   // new messages
  bool restless = true;  // connections drop, acknowledgements come late
  duration retry_after = std::chrono::milliseconds{2500};
  duration stall_after = std::chrono::seconds{60};
};

/// One terminal: one connection after the other.
class terminal final : public socket_user {
 public:
  terminal(person& of, size_t number);

  void connect();
  bool online() const noexcept { return online_; }
  bool drained() const noexcept { return drained_; }
  void send(wire::frame_type type, std::string_view payload);
  void ask_offline();
  /// Goes without a goodbye and comes back after a while.
  void drop(duration away);
  /// For good: what it saw is settled.
  void leave();
  std::string label() const;
  const std::string& connection() const noexcept { return name_; }

  /// A notice that something was taken back is part of the history, too.
  verify::recall_notice notice_of(const wire::tim_message& message) const;

  void on_message(std::string_view bytes) override;
  void on_closed() override;

 private:
  void log_on();
  void acknowledge(int32_t sync_id, std::vector<size_t> receives);
  void take(wire::frame_type type, std::string_view payload, std::vector<size_t>& receives);
  void received(const wire::tim_message& message, bool batch, std::vector<size_t>& receives);
  void settle();
  void watch_login(uint64_t connection);

  person& person_;
  const size_t number_;
  std::shared_ptr<socket> socket_;
  uint64_t order_ = 0;
  duration opened_{};  // when the present connection was
  std::string name_;
  size_t connection_ = 0;
  bool online_ = false, drained_ = false, leaving_ = false;
  duration back_ = std::chrono::milliseconds{50};
  std::map<size_t, duration> acknowledged_;  // index of a receive: when its acknowledgement left
};

class person {
 public:
  person(crowd& all, std::string name, account_id id, size_t terminals);

  const std::string name;
  const account_id id;
  const std::string node;

  crowd& all() noexcept { return all_; }
  void begin();
  /// Again and again until the run is over: writes now and then, repeats what is overdue.
  void tick();
  void receipt(const wire::tim_message& message, int64_t mid);
  void refused(const wire::tim_ack& ack);
  void page(const wire::tim_message_list& list);
  std::vector<std::unique_ptr<terminal>>& terminals() noexcept { return terminals_; }
  size_t open() const noexcept { return open_.size() + changes_.size() + recalls_.size(); }
  /// What it waits for, as text.
  std::vector<std::string> waits_for() const;
  bool drained() const;
  bool writes_to(const room& where) const;

  // people_rooms.cpp
  enum class move : uint8_t { create = 8, apply = 9, pull_in = 12, kick = 13, leave = 16 };  // BUSINESS rtypes
  /// False: not the answer to a change.
  bool answered_change(const wire::tim_ack& ack);
  void admitted(std::string_view room_node);
  void recall_seen(const wire::tim_message& message, const verify::recall_notice& notice);
  void recall_refused(int32_t code);

  uint64_t next_order() noexcept { return ++orders_; }

 private:
  struct open_op {
    size_t index = 0;
    duration first{0}, last{0};
    bool stalled = false;
  };
  struct change {
    move what = move::create;
    size_t room = 0;
    person* whom = nullptr;
    int attempts = 0;
    size_t index = 0;  // into history.members, once begun
    duration first{0}, last{0};
  };
  struct recall {
    verify::recall_op op;
    duration due{0}, first{0}, last{0};
    bool begun = false;
    size_t index = 0;  // into history.recalls, once begun
  };
  void write();
  void send_new(verify::send_op op);
  void pull();
  void attempt(int64_t key, open_op& op);
  terminal* any();
  bool churns() const;

  // people_rooms.cpp
  std::vector<room*> rooms_of();
  room::guest* guest_of(size_t index, const person* who);
  void want_changes();
  void tick_changes();
  void begin(change& what);
  void settle(bool done, const std::string& complaint);
  void may_recall(const verify::send_op& sent);
  void tick_recalls();
  void end_recall(verify::outcome result);

  crowd& all_;
  std::vector<std::unique_ptr<terminal>> terminals_;
  std::map<int64_t, open_op> open_;
  int64_t last_id_ = 0;
  uint64_t orders_ = 0;
  verify::pull_op pull_;
  bool pulling_ = false;
  std::set<std::string> given_up_;
  std::deque<change> changes_;  // the first one is under way
  std::deque<recall> recalls_;  // the first one may be
};

}  // namespace tern::sim
