// The placement actor: what nodes say goes in, committed maps go out, as long as this replica leads.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "libs/placement/delta.hpp"
#include "services/routing/actors.hpp"
#include "services/routing/actors/control_desk.hpp"

namespace tern::routing {

class placement_state {
 public:
  static inline const char* name = "placement";
  explicit placement_state(actor::stateful<placement_state>* self) : self_(self) {}

  void begin(placement_setup setup);
  void opened(const opened_message& what);
  void items(items_message& what);
  void closed(const closed_message& what);
  void loaded(const loaded_message& what);
  void committed(const committed_message& what);
  void led(const leader_message& what);
  void resign(const resign_message& what);
  void control_opened(const control_opened_message& what) { desk_.opened(what.stream, what.out); }
  void control_items(const control_items_message& what);
  void control_closed(const control_closed_message& what) { desk_.closed(what.stream); }
  void stored(const stored_message& what);
  void tick();

 private:
  /// A node's stream. It counts from its Hello on.
  struct stream {
    rpc::peer who;
    std::shared_ptr<join_sink> out;
    placement::announcement said;
    bool introduced = false;
    clock::time_point renewed_at{};
    uint64_t maps = 0;  // version of the maps it was sent last
    clock::time_point maps_at{};
  };

  /// Does what the election says is next.
  void elect();
  void begin_term(uint64_t term);
  /// From now on this replica only follows: all nodes are sent away, plans and leases are forgotten.
  void stand_down(const std::string& why);
  /// False: not (surely) the leader any more, and it has stood down.
  bool leads();
  void turn_away(join_sink& out);

  void hello(uint64_t id, stream& from, const v1::Hello& what);
  void heartbeat(stream& from, const v1::Heartbeat& what);
  void drop_others_of(uint64_t id, const std::string& node);
  void move_ended(stream& from, const v1::MoveResult& what);
  void shards_served(stream& from, const v1::ShardsServed& what);
  void shard_told(stream& from, const v1::ShardMoveProgress& what);
  void send_shard_orders();
  /// What storage nodes are to know of shards, to all of them when it has changed.
  void send_shards();
  void send_item(const std::string& node, const v1::RoutingItem& what);
  /// What the cluster wants of nodes, and what has become of it for the metrics.
  void send_orders();
  /// Writes down what operators want, when it is not what is written down.
  void store_intents();
  /// Gateways are told that they drain, or do so no more.
  void send_drain(const std::string& node, bool on);
  control_desk::standing standing();
  /// Plans, and sends the plan to the database, unless one is on its way.
  void consider();
  void publish();
  void send_maps(stream& to);
  void send_change(stream& to, const v1::RoutingItem& change, uint64_t from);

  actor::stateful<placement_state>* self_;
  placement_setup setup_;
  std::unique_ptr<election> election_;
  bool asking_ = false;  // a step of the election is under way
  bool retired_ = false;
  control_desk desk_;
  std::optional<uint64_t> term_;  // in which this replica leads, or loads the maps to lead
  // The rest is of that term:
  std::unique_ptr<cluster> cluster_;  // once the maps are loaded
  std::map<uint64_t, stream> streams_;
  intents stored_;  // in the database
  bool storing_ = false;
  std::set<std::string> told_to_drain_;
  v1::RoutingItem shards_item_;  // what storage nodes were told of shards
  placement::snapshot_ptr published_;
  std::shared_ptr<const v1::Snapshot> published_item_;  // made when somebody needs it
  bool committing_ = false;
  bool pending_ = false;         // a tick found something, or a commit failed
  std::vector<size_t> changes_;  // in what is being committed, by reason
  clock::time_point retry_at_{};
  clock::time_point commit_began_{};
};

caf::behavior placement_behavior(actor::stateful<placement_state>* self, placement_setup setup);

}  // namespace tern::routing
