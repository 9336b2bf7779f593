// The owner of all rooms for tests of a session node: a fake storage decides, frames go to whoever listens, at once.
#pragma once

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "libs/shards/testing/fake_storage.hpp"
#include "services/session/links/group_client.hpp"

namespace tern::session {

/// Not thread-safe: used with the test coordinator.
class storage_groups final : public group_port {
 public:
  explicit storage_groups(shards::fake_storage& storage) : storage_(storage) {}

  /// Answers the next request that is more than interest with `code` instead of passing it on.
  void fail_next(errc code) { failures_.push_back(code); }

  void ask(group::v1::GroupRequest request, group_callback then) override {
    asked.push_back(request);
    group_answer got;
    got.source = got.epoch = 1;
    if (!failures_.empty() && !request.has_interest()) {
      got.code = failures_.front();
      failures_.erase(failures_.begin());
      return then(got);
    }
    if (request.has_interest() && hold_interest) {
      held_.emplace_back(std::move(request), std::move(then));
      return;
    }
    if (request.has_interest()) {
      got.code = std::exchange(fail_interest, errc::ok);
      if (got.code != errc::ok) return then(got);
      if (request.interest().on()) {
        interested_.insert(request.room());
      } else {
        interested_.erase(request.room());
      }
      got.answer.set_head(storage_.head_of(room_id{request.room()}));
      return then(got);
    }
    if (request.has_live()) {
      tell_live(request);
      return then(got);
    }
    storage::v1::StorageRequest passed;
    if (request.has_create()) *passed.mutable_room_create() = request.create();
    if (request.has_append()) *passed.mutable_room_append() = request.append();
    if (request.has_change()) *passed.mutable_room_change() = request.change();
    if (request.has_recall()) *passed.mutable_recall() = request.recall();
    storage::v1::StorageReply reply;
    got.code = storage_.execute(passed, reply);
    if (got.code == errc::ok) tell(request, reply);
    if (reply.has_appended()) *got.answer.mutable_appended() = reply.appended();
    if (reply.has_room_changed()) *got.answer.mutable_changed() = reply.room_changed();
    then(got);
  }

  /// Answers the subscriptions held so far.
  void release_interest() {
    hold_interest = false;
    for (auto& [request, then] : std::exchange(held_, {})) ask(std::move(request), std::move(then));
  }

  std::vector<group::v1::GroupRequest> asked;
  bool hold_interest = false;     // subscriptions wait for release_interest()
  errc fail_interest = errc::ok;  // the next subscription is answered with it
  group_listener* listener = nullptr;

 private:
  void tell_live(group::v1::GroupRequest& request) {
    if (listener == nullptr || !interested_.contains(request.room())) return;
    group::v1::RoomFrame frame;
    frame.set_room(request.room());
    frame.set_sender(request.live().sender());
    frame.set_body(std::move(*request.mutable_live()->mutable_body()));
    frame.set_accepted_ns(request.live().accepted_ns());
    frame.set_trace(request.trace());
    frame.set_live(true);
    listener->on_frame(1, frame);
  }
  void tell(const group::v1::GroupRequest& request, const storage::v1::StorageReply& reply) {
    if (listener == nullptr || !interested_.contains(request.room())) return;
    if (reply.room_changed().gone_size() != 0) {
      group::v1::RoomGone gone;
      gone.set_room(request.room());
      *gone.mutable_accounts() = reply.room_changed().gone();
      gone.set_version(reply.room_changed().version());
      listener->on_gone(1, gone);
    }
    if (!reply.has_appended() || reply.appended().duplicate()) return;
    group::v1::RoomFrame frame;
    frame.set_room(request.room());
    frame.set_mid(reply.appended().mid());
    frame.set_timestamp_ns(reply.appended().timestamp_ns());
    frame.set_sender(request.has_recall() ? request.recall().actor() : request.append().sender());
    frame.set_body(request.has_recall() ? request.recall().body() : request.append().body());
    if (request.has_recall()) frame.set_target(request.recall().mid());
    listener->on_frame(1, frame);
  }

  shards::fake_storage& storage_;
  std::set<uint64_t> interested_;
  std::vector<errc> failures_;
  std::vector<std::pair<group::v1::GroupRequest, group_callback>> held_;
};

}  // namespace tern::session
