// The placement actor: what nodes say goes in, committed maps go out.
#pragma once

#include <map>
#include <string>

#include "services/routing/actors.hpp"

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
  void tick();

 private:
  /// A node's stream. It counts from its Hello on.
  struct stream {
    rpc::peer who;
    std::shared_ptr<join_sink> out;
    placement::announcement said;
    bool introduced = false;
    clock::time_point renewed_at{};
  };

  void hello(uint64_t id, stream& from, const v1::Hello& what);
  void heartbeat(stream& from, const v1::Heartbeat& what);
  void drop_others_of(uint64_t id, const std::string& node);
  /// Plans, and sends the plan to the database, unless one is on its way.
  void consider();
  void publish();
  void send_maps(stream& to);

  actor::stateful<placement_state>* self_;
  placement_setup setup_;
  std::unique_ptr<cluster> cluster_;
  std::map<uint64_t, stream> streams_;
  std::shared_ptr<const v1::Snapshot> published_;
  bool loaded_ = false;
  bool committing_ = false;
  bool pending_ = false;  // a tick found something, or a commit failed
  clock::time_point retry_at_{};
  clock::time_point commit_began_{};
};

caf::behavior placement_behavior(actor::stateful<placement_state>* self, placement_setup setup);

}  // namespace tern::routing
