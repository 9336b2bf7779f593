// The ten stream kinds between nodes, and between operators and routing.
#pragma once

#include <tern/group/v1/group.pb.h>
#include <tern/handover/v1/handover.pb.h>
#include <tern/routing/v1/routing.pb.h>
#include <tern/session/v1/session.pb.h>
#include <tern/storage/v1/storage.pb.h>

namespace tern::rpc {

/// Every node -> routing: membership, leases, maps.
struct join_stream {
  using up = routing::v1::NodeItem;
  using up_batch = routing::v1::NodeBatch;
  using down = routing::v1::RoutingItem;
  using down_batch = routing::v1::RoutingBatch;
  static constexpr const char* method = "/tern.routing.v1.RoutingService/Join";
};

/// Operators (ternctl) -> routing: what is, and what is to be.
struct control_stream {
  using up = routing::v1::ControlRequest;
  using up_batch = routing::v1::ControlRequestBatch;
  using down = routing::v1::ControlReply;
  using down_batch = routing::v1::ControlReplyBatch;
  static constexpr const char* method = "/tern.routing.v1.ControlService/Control";
};

/// Session -> session, group -> group: ranges that move.
struct handover_stream {
  using up = handover::v1::HandoverItem;
  using up_batch = handover::v1::HandoverBatch;
  using down = handover::v1::HandoverReply;
  using down_batch = handover::v1::HandoverReplyBatch;
};
struct session_handover_stream : handover_stream {
  static constexpr const char* method = "/tern.session.v1.HandoverService/Move";
};
struct group_handover_stream : handover_stream {
  static constexpr const char* method = "/tern.group.v1.HandoverService/Move";
};

/// Gateway -> session: terminals and their frames.
struct attach_stream {
  using up = session::v1::GatewayItem;
  using up_batch = session::v1::GatewayBatch;
  using down = session::v1::SessionItem;
  using down_batch = session::v1::SessionBatch;
  static constexpr const char* method = "/tern.session.v1.SessionService/Attach";
};

/// Storage dispatcher -> session: outbox entries to recipients' owners.
struct deliver_stream {
  using up = session::v1::Delivery;
  using up_batch = session::v1::DeliveryBatch;
  using down = session::v1::DeliveryReply;
  using down_batch = session::v1::DeliveryReplyBatch;
  static constexpr const char* method = "/tern.session.v1.DeliveryService/Deliver";
};

/// Session -> storage: reads and group-committed writes.
struct storage_stream {
  using up = storage::v1::StorageRequest;
  using up_batch = storage::v1::StorageRequestBatch;
  using down = storage::v1::StorageReply;
  using down_batch = storage::v1::StorageReplyBatch;
  static constexpr const char* method = "/tern.storage.v1.StorageService/Exchange";
};

/// Session -> group: room commands.
struct group_stream {
  using up = group::v1::GroupRequest;
  using up_batch = group::v1::GroupRequestBatch;
  using down = group::v1::GroupReply;
  using down_batch = group::v1::GroupReplyBatch;
  static constexpr const char* method = "/tern.group.v1.GroupService/Exchange";
};

/// Gateway -> group: virtual rooms.
struct live_stream {
  using up = group::v1::LiveRequest;
  using up_batch = group::v1::LiveRequestBatch;
  using down = group::v1::LiveReply;
  using down_batch = group::v1::LiveReplyBatch;
  static constexpr const char* method = "/tern.group.v1.LiveService/Relay";
};

/// Session -> session: presence and what is not stored.
struct peer_stream {
  using up = session::v1::PeerItem;
  using up_batch = session::v1::PeerBatch;
  using down = session::v1::PeerReply;
  using down_batch = session::v1::PeerReplyBatch;
  static constexpr const char* method = "/tern.session.v1.PeerService/Notify";
};

}  // namespace tern::rpc
