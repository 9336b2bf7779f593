// The Control streams of one replica: requests come in, answers and the watchers' news go out. Part of the placement
// actor.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "libs/rpc/network.hpp"
#include "libs/rpc/streams.hpp"
#include "services/routing/cluster.hpp"

namespace tern::routing {

using control_sink = rpc::sink<rpc::control_stream::down>;

class control_desk {
 public:
  /// Where this replica stands. `at` is null when it does not lead; `leader` is then the address of who does.
  struct standing {
    cluster* at = nullptr;
    uint64_t term = 0;
    std::string leader;
  };

  void opened(uint64_t stream, std::shared_ptr<control_sink> out) { streams_[stream].out = std::move(out); }
  void closed(uint64_t stream) { streams_.erase(stream); }
  /// True: something is wanted that was not: plan, and store the intents; the answer is held until stored() says so.
  bool asked(uint64_t stream, const v1::ControlRequest& request, const clock& time, const standing& where);
  /// What was wanted when the storing began is stored, or (`code` not ok) is not.
  void stored(errc code);
  /// The intents are on their way to the database: answers that are held from now on wait for the next time.
  void storing();
  /// Watchers are told what has changed, four times a second at most. True: a shard that was to be added is wanted
  /// now: store the intents.
  bool tick(const clock& time, const standing& where);
  /// This replica leads no more: nobody waits for an answer of it.
  void lost(const std::string& leader);

 private:
  struct watch {
    uint64_t call = 0;
    std::string told;  // without what changes all the time
  };
  struct visitor {
    std::shared_ptr<control_sink> out;
    std::vector<watch> watches;
  };
  struct held {
    uint64_t stream = 0;
    v1::ControlReply reply;
    std::string shard{};  // that is to be added
  };

  void watch_from(uint64_t stream, uint64_t call);
  void send(uint64_t to, v1::ControlReply reply);
  bool settle_additions(cluster& at);
  void tell_watchers(const clock& time, const standing& where);
  static void turn_away(v1::ControlReply& reply, const std::string& leader);

  std::map<uint64_t, visitor> streams_;
  std::vector<held> waiting_;  // for the next storing
  std::vector<held> storing_;
  std::vector<held> adding_;  // until a storage node has opened the shard
  clock::time_point told_at_{};
};

}  // namespace tern::routing
