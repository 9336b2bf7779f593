// Presences on their way out of this node: gathered for a short window, one item per sender and node then.
#pragma once

#include <tern/session/v1/session.pb.h>

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "libs/base/ids.hpp"
#include "libs/placement/view.hpp"
#include "services/session/presence/metrics.hpp"

namespace tern::session {

/// One presence of one account for many.
struct presence_note {
  account_id sender;
  std::string domain;
  std::string payload;  // TimPresence, Thrift compact, as clients get it
  std::vector<account_id> to;
};

/// Thread-safe. What is bounded: the recipients that wait; those beyond are left out and counted, as a presence is
/// worth nothing later. A storm of logins thus costs one item per sender and node, whatever the number of friends.
class presence_outbox {
 public:
  using send_function = std::function<void(const std::string& node, std::vector<v1::PeerItem>& items)>;

  /// `wake` asks for a flush() after the window; it is called when the first note comes after a flush, with no lock
  /// held. `send` takes what is for one node, our own included.
  presence_outbox(const presence_metrics& metrics, size_t most, std::function<void()> wake, send_function send)
      : metrics_(metrics), most_(most), wake_(std::move(wake)), send_(std::move(send)) {}

  /// A recipient that a note of the same sender waits for gets only the newer one.
  void add(presence_note note);
  /// Sends what waits, by the owners of `map`; recipients nobody owns are left out.
  void flush(const placement::snapshot& map);

 private:
  struct waiting_note {
    std::string domain;
    std::shared_ptr<const std::string> payload;
  };
  struct sender_state {
    std::vector<waiting_note> notes;                 // oldest first
    std::unordered_map<account_id, size_t> note_of;  // recipient -> index of its note
    std::vector<account_id> order;                   // recipients, as they came
  };
  using by_node = std::map<std::string, std::vector<v1::PeerItem>>;
  static void address(account_id sender, const sender_state& state, const placement::snapshot& map, by_node& out);

  const presence_metrics& metrics_;
  const size_t most_;
  const std::function<void()> wake_;
  const send_function send_;
  std::mutex mutex_;  // not held while wake_ and send_ run
  std::map<account_id, sender_state> senders_;
  size_t recipients_ = 0;
};

}  // namespace tern::session
