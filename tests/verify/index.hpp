// A history looked at from the side: by conversation, by body, who was a member when. Pure, like the checks.
#pragma once

#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "tests/verify/history.hpp"

namespace tern::verify {

/// The two accounts in order, or ("", room).
using conversation_key = std::pair<std::string, std::string>;

conversation_key conversation_of(const std::string& one, const std::string& other, const std::string& room);
inline conversation_key conversation_of(const send_op& op) {
  return conversation_of(op.sender, op.recipient, op.room);
}
inline conversation_key conversation_of(const receive_op& op) {
  return conversation_of(op.sender, op.recipient, op.room);
}
inline conversation_key conversation_of(const final_history& page) {
  return conversation_of(page.reader, page.other, page.room);
}
inline conversation_key conversation_of(const pull_op& op) { return conversation_of(op.reader, op.other, op.room); }
inline conversation_key conversation_of(const recall_op& op) { return conversation_of(op.actor, op.other, op.room); }
inline conversation_key conversation_of(const recall_notice& seen) {
  return conversation_of(seen.account, seen.other, seen.room);
}

/// mid -> body of each conversation, from the final histories.
std::map<conversation_key, std::map<int64_t, std::string>> final_maps(const history& seen);
std::unordered_map<std::string, const send_op*> sends_by_body(const history& seen);
/// Those that somebody who may has tried to take back: they may be gone.
std::unordered_set<std::string> recalled_bodies(const history& seen);

/// Deliveries: what counts as received, receipts and pulls left out.
inline bool is_delivery(const receive_op& op) { return op.how == via::live || op.how == via::batch; }

/// Who was a member of which room when, as far as the answers tell.
class membership {
 public:
  explicit membership(const history& seen);
  /// Members for certain before the message was sent, and never again asked or made to go.
  std::vector<std::string> owed(const send_op& op) const { return owed(op.room, op.invoked); }
  std::vector<std::string> owed(const std::string& room, instant since) const;
  /// Possibly a member at some moment while the message was stored.
  bool may_get(const std::string& account, const send_op& op) const;

 private:
  struct stay {
    instant possible = 0;   // from here on it may be a member
    instant certain = 0;    // from here on it is one; 0: never known
    instant asked_out = 0;  // 0: never
    instant gone = 0;       // certainly; 0: never known
  };
  std::map<std::string, std::map<std::string, std::vector<stay>>> rooms_;  // room, account
};

}  // namespace tern::verify
