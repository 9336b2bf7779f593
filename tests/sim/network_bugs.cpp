// What planted bugs do to items on their way.
#include <tern/group/v1/group.pb.h>

#include "libs/rpc/streams.hpp"
#include "tests/sim/network_streams.hpp"
#include "tests/sim/process.hpp"

namespace tern::sim {

using namespace std::chrono_literals;
using rpc::detail::item_list;
using rpc::detail::receiver;

bool network::tamper(const stream& on, const flow& way, item_list& items) {
  const bool up = &way == &on.up;
  if (bug_ == planted::gateway_forgets_written && up && on.method == rpc::attach_stream::method) {
    for (size_t i = 0; i < items.size(); ++i) {
      auto& item = static_cast<session::v1::GatewayItem&>(items.at(i));
      if (item.has_bind()) item.mutable_bind()->clear_written();
    }
  }
  if (bug_ == planted::group_repeats_mid && !up && on.method == rpc::group_stream::method) {
    for (size_t i = 0; i < items.size(); ++i) {
      auto& item = static_cast<group::v1::GroupReply&>(items.at(i));
      const bool later = item.has_frame() && item.frame().mid() > 1;
      if (later && world_.random().chance(0.02)) item.mutable_frame()->set_mid(item.frame().mid() - 1);
    }
  }
  const bool delivery = up && on.method == rpc::deliver_stream::method;
  return !(bug_ == planted::deliveries_get_lost && delivery && world_.random().chance(0.02));
}

void network::hand_over(const stream& on, const flow& way, receiver& to, item_list& items) {
  const bool up = &way == &on.up;
  const bool attach = on.method == rpc::attach_stream::method;
  if (bug_ == planted::session_loses_held && up && on.method == rpc::deliver_stream::method) {
    const auto at = ordered_.find(way.to->name);
    if (at != ordered_.end() && world_.now() - at->second < 100ms) return;
  }
  const uint64_t sender = way.from->incarnation_of(way.from_life);
  for (size_t i = 0; i < items.size(); ++i) referee_.arrived(*way.from, sender, *way.to, on.method, up, items.at(i));
  if (bug_ == planted::gateway_ignores_epochs && !up && attach) return let_late_ones_in(way, to, items);
  to.items(items);
}

void network::let_late_ones_in(const flow& way, receiver& to, item_list& items) {
  const host& gateway = *way.to;
  auto more = to.make_list();
  for (size_t i = 0; i < items.size(); ++i) {
    const auto& item = static_cast<session::v1::SessionItem&>(items.at(i));
    if (item.has_out() && referee_.bound_to(gateway, item.out().conn()) != way.from) {
      late_[{gateway.incarnation(), item.out().conn()}].push_back(item);
    } else if (item.has_bind_result() && item.bind_result().code() == 0) {
      for (auto& each : late_[{gateway.incarnation(), item.bind_result().conn()}]) more->append(each);
      late_.erase({gateway.incarnation(), item.bind_result().conn()});
    }
  }
  to.items(items);
  if (more->size() > 0) to.items(*more);
}

}  // namespace tern::sim
