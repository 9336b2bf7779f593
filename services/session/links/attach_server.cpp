#include "services/session/links/attach_server.hpp"

#include <deque>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "libs/actor/inline_run.hpp"
#include "libs/handover/mover.hpp"
#include "services/session/directory.hpp"
#include "services/session/links/late_acks.hpp"
#include "services/session/links/parked_streams.hpp"
#include "services/session/login.hpp"
#include "services/session/rooms/hub.hpp"

namespace tern::session {
namespace {

constexpr std::chrono::seconds parked_for{1};
constexpr size_t parked_most = 16384;  // items of a stream

/// The lock keeps the order of what waits and what comes; nothing is sent and no actor runs while it is held.
class attach_handler final : public rpc::server_handler<rpc::attach_stream>, public parking_stream {
 public:
  attach_handler(const environment& env, gateway_ptr stream, stream_watch watch)
      : env_(env), stream_(std::move(stream)), watch_(std::move(watch)) {}

  void on_items(std::vector<v1::GatewayItem>& items) override {
    // A few frames: their actors run here, which saves waking a thread. Many: the scheduler's threads share them.
    const actor::inline_scope here(env_.actors, items.size() <= few_items);
    for (v1::GatewayItem& item : items) take_aside(item);
    turn(&items);
  }

  void settle() override { turn(nullptr); }

  void on_down() override {
    stream_->up = false;
    watch_(stream_, false);
    const std::lock_guard held(mutex_);
    if (env_.parked != nullptr) env_.parked->waiting() -= parked_.size();
    parked_.clear();
    parked_accounts_.clear();
  }

 private:
  struct parked {
    v1::GatewayItem item;
    account_id account;
    clock::time_point until;
  };

  /// What needs no order with the rest; positions in rooms come before the end of their terminal.
  void take_aside(v1::GatewayItem& item) {
    if (item.has_login()) start_login(env_, stream_, std::move(*item.mutable_login()));
    if (item.has_account_call()) start_account_call(env_, stream_, std::move(*item.mutable_account_call()));
    if (item.has_room_acked()) env_.hub->on_acked(*stream_, item.room_acked());
  }

  void turn(std::vector<v1::GatewayItem>* items) {
    std::vector<v1::SessionItem> refused;
    std::vector<v1::Acked> late;
    {
      const std::lock_guard held(mutex_);
      const std::shared_lock turn_lasts(env_.directory->turns());
      const auto map = env_.cluster->get();
      std::vector<directory::addressed> mails;
      if (items == nullptr) {
        unpark(*map, mails);
      } else {
        mails.reserve(items->size());
        for (v1::GatewayItem& item : *items) {
          if (!park(*map, item)) take(*map, item, mails);
        }
      }
      if (!mails.empty()) env_.directory->post(mails);
      refused.swap(refused_);
      late.swap(late_);
    }
    for (const v1::Acked& one : late) late_notices(env_, one);
    if (refused.empty()) return;
    env_.metrics.wrong_owner_total.add(static_cast<double>(refused.size()));
    if (!stream_->out->send_all(refused)) stream_->out->close();
  }

  static uint64_t account_in(const v1::GatewayItem& item) {
    switch (item.item_case()) {
      case v1::GatewayItem::kBind: return item.bind().account();
      case v1::GatewayItem::kFrame: return item.frame().account();
      case v1::GatewayItem::kAcked: return item.acked().account();
      case v1::GatewayItem::kClosed: return item.closed().account();
      default: return 0;
    }
  }

  /// The account is on its way here, or something of it waits already: this comes after that.
  bool park(const placement::snapshot& map, v1::GatewayItem& item) {
    if (env_.moves == nullptr || env_.parked == nullptr) return false;
    const account_id account{account_in(item)};
    if (!account) return false;
    const bool follows = !parked_.empty() && parked_accounts_.contains(account);
    if (!follows) {
      const bool first = item.has_bind() || item.has_frame();
      if (!first || !env_.moves->expects(slot_of(account)) || owned(map, account.value)) return false;
    }
    if (parked_.size() >= parked_most) return false;
    ++parked_accounts_[account];
    parked_.push_back({std::move(item), account, env_.time.now() + parked_for});
    ++env_.parked->waiting();
    return true;
  }

  /// What can be told now, in the order it came: taken, or too late.
  void unpark(const placement::snapshot& map, std::vector<directory::addressed>& mails) {
    const auto now = env_.time.now();
    std::deque<parked> kept;
    for (parked& one : parked_) {
      const slot_type slot = slot_of(one.account);
      if (now < one.until && !owned(map, one.account.value) && env_.moves->expects(slot)) {
        kept.push_back(std::move(one));
        continue;
      }
      if (--parked_accounts_[one.account] == 0) parked_accounts_.erase(one.account);
      --env_.parked->waiting();
      take(map, one.item, mails);
    }
    parked_.swap(kept);
  }

  bool owned(const placement::snapshot& map, uint64_t account) const {
    return owned_range(env_, map, slot_of(account)) != nullptr;
  }

  /// By the map; whether this node may act on it is another question.
  bool ours(const placement::snapshot& map, account_id account) const {
    const placement::range* range = map.sessions.find(slot_of(account));
    return range != nullptr && range->owner == env_.node;
  }

  void refuse(const placement::snapshot& map, uint64_t conn, uint64_t account) {
    v1::BindResult& result = *refused_.emplace_back().mutable_bind_result();
    result.set_conn(conn);
    result.set_code(static_cast<int32_t>(errc::wrong_owner));
    const placement::range* range = map.sessions.find(slot_of(account));
    if (range != nullptr) result.set_epoch(range->epoch);
  }

  void refuse_login(const v1::Bind& bind) {
    v1::LoginResult& result = *refused_.emplace_back().mutable_login_result();
    result.set_conn(bind.conn());
    result.set_code(static_cast<int32_t>(errc::wrong_owner));
  }

  void take(const placement::snapshot& map, v1::GatewayItem& item, std::vector<directory::addressed>& mails) {
    switch (item.item_case()) {
      case v1::GatewayItem::kLogin:
      case v1::GatewayItem::kAccountCall:
      case v1::GatewayItem::kRoomAcked: return;  // taken aside
      case v1::GatewayItem::kBind: return bind(map, *item.mutable_bind(), mails);
      case v1::GatewayItem::kFrame: {
        v1::Frame& frame = *item.mutable_frame();
        const account_id account{frame.account()};
        if (!owned(map, account.value)) return refuse(map, frame.conn(), account.value);
        mails.emplace_back(account, frame_event{stream_, std::move(frame)});
        return;
      }
      case v1::GatewayItem::kAcked: {
        v1::Acked& acked = *item.mutable_acked();
        const account_id account{acked.account()};
        if (owned(map, account.value)) {
          mails.emplace_back(account, acked_event{stream_, std::move(acked)});
        } else if (ours(map, account)) {
          // Only the lease is being renewed: no Bind will follow that would say it again.
          if (!mails.empty()) env_.directory->post(mails);
          env_.directory->post_if_present(account, acked_event{stream_, std::move(acked)});
        } else {
          late_.push_back(std::move(acked));  // the terminal's next Bind says what is still unacknowledged
        }
        return;
      }
      case v1::GatewayItem::kClosed: {
        const v1::Closed& closed = item.closed();
        if (!mails.empty()) env_.directory->post(mails);
        env_.directory->post_if_present(account_id{closed.account()}, closed_event{stream_, closed.conn()});
        return;
      }
      case v1::GatewayItem::ITEM_NOT_SET: return;
    }
  }

  void bind(const placement::snapshot& map, v1::Bind& what, std::vector<directory::addressed>& mails) {
    const account_id account{what.account()};  // read before the move below
    if (owned(map, account.value)) {
      mails.emplace_back(account, bind_event{stream_, std::move(what)});
    } else if (what.fresh()) {
      refuse_login(what);
    } else {
      refuse(map, what.conn(), what.account());
    }
  }

  const environment& env_;
  const gateway_ptr stream_;
  const stream_watch watch_;
  std::mutex mutex_;
  std::vector<v1::SessionItem> refused_;
  std::vector<v1::Acked> late_;
  std::deque<parked> parked_;
  std::unordered_map<account_id, size_t> parked_accounts_;
};

}  // namespace

rpc::accept_function<rpc::attach_stream> attach_acceptor(const environment& env, stream_watch watch) {
  return [&env, watch = std::move(watch)](const rpc::peer& who, std::shared_ptr<rpc::sink<v1::SessionItem>> out)
             -> std::shared_ptr<rpc::server_handler<rpc::attach_stream>> {
    auto stream = std::make_shared<gateway_stream>();
    stream->node = who.node;
    stream->incarnation = who.incarnation;
    stream->out = std::move(out);
    watch(stream, true);
    auto handler = std::make_shared<attach_handler>(env, std::move(stream), watch);
    if (env.parked != nullptr) env.parked->add(handler);
    return handler;
  };
}

}  // namespace tern::session
