// What the clients of a test saw, and the checks of the promise over it (docs/promise.md). Pure: no I/O, no clock.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace tern::verify {

/// Monotonic nanoseconds of the test's own clock.
using instant = int64_t;

enum class outcome : uint8_t {
  unknown,  // no answer, or an error that leaves it open (5103, 5104 after a fault, connection gone)
  ok,       // the receipt came
  fail,     // refused for good: must never be stored
};

/// One sending of one text. Retries are further attempts of the same op.
struct send_op {
  std::string sender;     // account nodes
  std::string recipient;  // empty: to the room
  int64_t id = 0;         // the client's key, unique per sender
  std::string body;       // unique in the whole history
  std::string terminal;   // which of the sender's terminals
  instant invoked = 0;    // first attempt
  instant completed = 0;  // when the outcome was known; 0 = never
  int attempts = 1;
  outcome result = outcome::unknown;
  int64_t mid = 0;   // of the receipt
  std::string room;  // its node; empty: to a single recipient
};

enum class via : uint8_t { live, batch, receipt, pull };

/// One message that reached a client.
struct receive_op {
  std::string account;  // who received it
  std::string
      terminal;  // of the account; its connections follow each other, those of two terminals live side by side
  std::string connection;        // unique per connection of the run
  int64_t connection_order = 0;  // grows with each new connection of the account
  std::string sender;
  std::string recipient;
  int64_t mid = 0;
  std::string body;
  via how = via::live;
  bool is_offline = false;
  bool acknowledged = false;  // the client sent its acknowledgement and the connection outlived it by the grace
  instant at = 0;
  std::string room;
};

/// A complete history page of one conversation read after the run, by one of the pair or a member of the room.
struct final_history {
  std::string reader;
  std::string other;
  std::vector<std::pair<int64_t, std::string>> messages;  // mid, body; oldest first
  std::string room;
};

/// The newest page of a conversation, read while messages flow.
struct pull_op {
  std::string reader;
  std::string other;
  instant invoked = 0;
  int64_t newest_mid = 0;  // of the page; 0 = empty
  std::string room;
  std::vector<std::string> bodies;  // of the page
};

/// An account becomes a member of a room, or ceases to be one. `invoked`: first attempt.
struct member_op {
  std::string room;
  std::string account;
  bool joins = true;
  instant invoked = 0;
  instant completed = 0;
  outcome result = outcome::unknown;
};

/// A message taken back: by its author, or burnt by its recipient.
struct recall_op {
  std::string actor;
  std::string room;   // or
  std::string other;  // of the pair
  std::string body;   // of the message
  int64_t mid = 0;
  bool entitled = true;  // the actor may
  instant invoked = 0;
  instant completed = 0;
  int attempts = 1;
  outcome result = outcome::unknown;
};

/// A client was told that a message was taken back.
struct recall_notice {
  std::string account;
  std::string terminal;
  std::string connection;
  std::string room;
  std::string other;  // of the pair, seen from `account`
  int64_t mid = 0;
  instant at = 0;
};

/// One connection that was logged in. ended 0: it lasted to the end of the run.
struct connection_op {
  std::string account;
  std::string terminal;
  std::string connection;
  instant began = 0;
  instant ended = 0;
  instant opened = 0;  // the client asked to be let in, and may have been from then on; 0: not known
};

struct history {
  std::vector<send_op> sends;
  std::vector<receive_op> receives;
  std::vector<final_history> finals;
  std::vector<pull_op> pulls;
  std::vector<member_op> members;  // of one account and room: each after the answer to the one before
  std::vector<recall_op> recalls;
  std::vector<recall_notice> notices;
  std::vector<connection_op> connections;
  std::vector<std::pair<instant, instant>> faults;  // something was down or coming back; may be left empty
  std::vector<std::string> stalls;                  // clients that made no progress within their target
};

struct violation {
  std::string check;  // name of the check
  std::string detail;
};

struct limits {
  size_t window = 64;             // unacknowledged frames that may come again on the next connection
  instant grace = 2'500'000'000;  // a connection that lives so much longer must have got what was due
};

/// All checks, in order; empty when the promise was kept.
std::vector<violation> check(const history& seen, const limits& allowed = {});

// The single checks, by name. Each has a planted bug in history_test.cpp that turns it red.
std::vector<violation> acknowledged_is_stored(const history& seen);        // P1
std::vector<violation> acknowledged_is_delivered(const history& seen);     // P4, P5
std::vector<violation> retry_is_one_message(const history& seen);          // P2
std::vector<violation> refused_is_not_stored(const history& seen);         // no receipt, no message
std::vector<violation> mids_are_dense(const history& seen);                // P3
std::vector<violation> readers_agree(const history& seen);                 // P3
std::vector<violation> sender_order_is_kept(const history& seen);          // P3
std::vector<violation> connection_order_is_kept(const history& seen);      // P3
std::vector<violation> no_duplicate_on_a_connection(const history& seen);  // P6
std::vector<violation> repeats_stay_in_the_window(const history& seen, const limits& allowed);  // P6
std::vector<violation> nobody_else_gets_it(const history& seen);                                // P12
std::vector<violation> receipt_is_readable(const history& seen);                                // P8
std::vector<violation> recalled_stays_recalled(const history& seen);                            // P13
std::vector<violation> recall_is_the_authors(const history& seen);                              // P13
std::vector<violation> recall_is_told(const history& seen);                                     // P13
std::vector<violation> receipt_on_every_terminal(const history& seen, const limits& allowed);   // P14
std::vector<violation> progress_is_made(const history& seen);

}  // namespace tern::verify
