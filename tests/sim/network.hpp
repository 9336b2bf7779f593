// The network of one simulated run: ordered streams with delays, breaks, partitions and silence.
#pragma once

#include <tern/session/v1/session.pb.h>

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "libs/rpc/network.hpp"
#include "tests/sim/faults.hpp"
#include "tests/sim/referee.hpp"
#include "tests/sim/world.hpp"

namespace tern::sim {

/// What links are like in a run.
struct weather {
  duration latency_least = std::chrono::microseconds{50};
  duration latency_most = std::chrono::microseconds{600};
  double slow = 0.01;  // so many items are late by up to…
  duration late = std::chrono::milliseconds{30};
  duration keepalive_least = std::chrono::seconds{4};  // a stream that is silent for so long breaks
  duration keepalive_most = std::chrono::seconds{12};
};

/// Items of one stream and direction arrive in order; a break loses what is under way. Handlers are never called from
/// inside a call of theirs, nor from within a sink. Addresses are "sim:" and the name of a host; a peer's node is the
/// name of its host.
class network final : public rpc::network {
 public:
  network(world& in, weather how, planted bug, referee& watch) : world_(in), how_(how), bug_(bug), referee_(watch) {}

  /// A range of the host is to be handed over: planted bugs want to know.
  void ordered(const host& source) { ordered_[source.name] = world_.now(); }

  // ---- faults ----

  /// Nothing gets from one host to the other until it is allowed again. Streams between them are silent, and break
  /// when they have been for a while.
  void block(const std::string& from, const std::string& to);
  void unblock(const std::string& from, const std::string& to);
  void unblock_all();
  bool blocked(const std::string& from, const std::string& to) const { return blocked_.contains({from, to}); }
  /// Resets the streams between the two.
  void break_streams(const std::string& one, const std::string& other);
  /// The process of the host has just died. Its peers hear of it soon, or after the silence of a dead machine.
  void died(host& of);
  /// The host has been stopped: who talks to it finds it silent.
  void stopped(host& which);

  /// Streams that are up, as "client > server method".
  size_t streams() const;

  result<void> start() override { return {}; }
  void stop() override {}

 protected:
  void raw_serve(const std::string& own_address, const std::string& method, rpc::detail::raw_accept accept) override;
  void raw_withdraw(const std::string& own_address, const std::string& method) override;
  std::unique_ptr<rpc::link> raw_connect(const rpc::peer& self, const std::string& address, const std::string& method,
                                         std::shared_ptr<rpc::detail::receiver> client) override;

 private:
  struct flow;
  struct stream;
  struct link_state;
  class sim_link;
  class sim_sink;
  using stream_ptr = std::shared_ptr<stream>;
  using link_ptr = std::shared_ptr<link_state>;

  duration latency();
  bool send(const stream_ptr& on, flow& way, std::unique_ptr<rpc::detail::item_list> items);
  /// What a planted bug does to items that leave. False: they are gone.
  bool tamper(const stream& on, const flow& way, rpc::detail::item_list& items);
  /// The same to items that arrive; they are given to the handler, too.
  void hand_over(const stream& on, const flow& way, rpc::detail::receiver& to, rpc::detail::item_list& items);
  void let_late_ones_in(const flow& way, rpc::detail::receiver& to, rpc::detail::item_list& items);
  void schedule(const stream_ptr& on, flow& way);
  void pump(const stream_ptr& on, flow& way);
  void deliver_end(const stream_ptr& on, flow& way);
  void nobody_there(const stream_ptr& on, flow& out, flow& in);
  void cut(const stream_ptr& on);
  void lose(const stream_ptr& on, flow& way, duration end_after);
  void silent(const stream_ptr& on);
  void end_link(link_state& which);
  void attempt(const link_ptr& which);
  void arrive(const link_ptr& which);
  void established(const link_ptr& which, const stream_ptr& made);
  void retry(const link_ptr& which);
  duration keepalive() { return world_.random().between(how_.keepalive_least, how_.keepalive_most); }
  const std::vector<stream_ptr> live();

  world& world_;
  const weather how_;
  const planted bug_;
  referee& referee_;
  std::map<std::string, duration> ordered_;                                              // when, by host
  std::map<std::pair<uint64_t, uint64_t>, std::vector<session::v1::SessionItem>> late_;  // by gateway and connection
  std::set<std::pair<std::string, std::string>> blocked_;
  std::map<std::pair<std::string, std::string>, rpc::detail::raw_accept> offers_;  // host, method
  std::vector<stream_ptr> streams_;
  std::vector<std::weak_ptr<link_state>> links_;
};

}  // namespace tern::sim
