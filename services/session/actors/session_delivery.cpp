// Deliveries: entries of the dispatchers in, frames and storage requests out.
#include "libs/wire/codec.hpp"
#include "libs/wire/message.hpp"
#include "services/session/actors/session_state.hpp"
#include "services/session/notice.hpp"
#include "services/session/wheel.hpp"

namespace tern::session {
namespace {

constexpr uint32_t backlog_rows = 500;
constexpr std::chrono::seconds retry_after{1};

void set(common::v1::Conversation& out, const conversation_id& id) {
  out.set_hi(id.hi);
  out.set_lo(id.lo);
}

conversation_id from(const common::v1::Conversation& id) { return {id.hi(), id.lo()}; }

delivery::message row_of(const conversation_id& conversation, storage::v1::HistoryRow& row) {
  return {conversation, account_id{row.sender()}, row.mid(), row.timestamp_ns(), std::move(*row.mutable_body()), 0, 0,
          row.target()};
}

/// Clients see a recall under the number of what it recalls.
int64_t shown_mid(const delivery::message& what) {
  return static_cast<int64_t>(what.target != 0 ? what.target : what.mid);
}

/// Rooms' logs have no other zero there; pairs never have it.
bool is_room(const conversation_id& id) { return id.lo == 0; }

/// Calls `each` with every slot of the set.
template <class Function>
void for_each(delivery::terminal_set set, Function each) {
  for (; set != 0; set &= set - 1) each(static_cast<size_t>(std::countr_zero(set)));
}

}  // namespace

void session_state::on(delivery_event& what) {
  if (what.delivery.has_message()) {
    stored_message(what);
  } else if (what.delivery.has_relation()) {
    relation_change(what);
  } else if (what.delivery.has_room()) {
    membership_change(what);
  } else if (what.delivery.has_notice()) {
    stored_notice(what);
  } else {
    done({what.source, what.delivery.entry()});
  }
}

void session_state::stored_message(delivery_event& what) {
  v1::StoredMessage& stored = *what.delivery.mutable_message();
  auto message = std::make_shared<delivery::message>();
  message->conversation = from(what.delivery.conversation());
  message->sender = account_id{stored.sender()};
  message->mid = stored.mid();
  message->timestamp_ns = stored.timestamp_ns();
  message->body = std::move(*stored.mutable_body());
  message->trace = what.delivery.trace();
  message->accepted_ns = what.delivery.accepted_ns();
  message->target = stored.target();
  log::trace(message->trace, "session", "deliver", {{"terminals", std::popcount(delivery_.terminals())}});
  delivery_.on_message({std::move(what.source), what.delivery.entry()}, std::move(message));
}

void session_state::deliver(delivery::terminal_set to, const delivery::message& what) {
  // A terminal that logged on after the message was stored may have seen it on an earlier connection.
  delivery::terminal_set missed = 0;
  for_each(to, [&](size_t slot) {
    if (terminals_[slot] && terminals_[slot]->login_ns > what.timestamp_ns)
      missed |= delivery::terminal_set{1} << slot;
  });
  if (!deliver_as(to & ~missed, what, false) || !deliver_as(missed, what, true)) return damaged(to, what);
  if (to != delivery_.terminals()) env_->metrics.redeliveries_total.add();
  env_->metrics.count(kind::message, outcome::online);
  if (what.accepted_ns != 0 && missed != to) {
    count_delivered(delivery_kind::message, what.sender, what.accepted_ns);
  }
}

void session_state::count_delivered(delivery_kind what, account_id sender, int64_t accepted_ns) const {
  const auto map = env_->cluster->get();
  const placement::range* home = map->sessions.find(slot_of(sender));
  const bool here = home != nullptr && home->owner == env_->node;
  env_->metrics.delivered(what, here ? delivery_path::local : delivery_path::remote,
                          static_cast<double>(env_->time.wall_ns() - accepted_ns) / 1e9);
}

bool session_state::deliver_as(delivery::terminal_set to, const delivery::message& what, bool offline) {
  if (to == 0) return true;
  std::string payload;
  const auto flag = offline ? std::optional<bool>{true} : std::nullopt;
  if (!wire::compose_message(what.body, shown_mid(what), what.timestamp_ns, flag, payload)) return false;
  for_each(to, [&](size_t slot) {
    if (!terminals_[slot]) return;
    v1::Out& frame = out_frame(*terminals_[slot], wire::frame_type::message);
    frame.set_payload(payload);
    frame.set_trace(what.trace);
    if (!offline) frame.set_accepted_ns(what.accepted_ns);
    v1::DeliveryRef& ref = *frame.mutable_ref();
    ref.set_kind(v1::DeliveryRef::MESSAGE);
    set(*ref.mutable_conversation(), what.conversation);
    ref.set_mid(what.mid);
  });
  return true;
}

void session_state::damaged(delivery::terminal_set to, const delivery::message& what) {
  // A row that cannot be read must not hold up the rest: it counts as delivered.
  env_->metrics.count(kind::message, outcome::failed);
  env_->log.error("stored message is not decodable",
                  {{"conversation", to_string(what.conversation)}, {"mid", what.mid}});
  const delivery::position where{what.conversation, what.mid};
  ++asked_;
  caf::anon_send(caf::actor{self_}, answer{[to, where](session_state& state) {
                   for_each(to, [&](size_t slot) {
                     state.delivery_.on_message_ack(static_cast<delivery::terminal_slot>(slot), where);
                   });
                 }});
}

void session_state::deliver_batch(delivery::terminal_set to, const conversation_id& conversation, uint64_t batch,
                                  const std::vector<delivery::message>& rows) {
  std::vector<wire::tim_message> list;
  for (const delivery::message& one : rows) {
    auto view = wire::compose_view(one.body, shown_mid(one), one.timestamp_ns, true);
    if (view) list.push_back(std::move(*view));
  }
  wire::tim_message_list found;
  found.message_list = std::move(list);
  const std::string payload = wire::encode(wire::encoding::thrift, found);
  env_->metrics.count(kind::batch, outcome::online);
  for_each(to, [&](size_t slot) {
    if (!terminals_[slot]) return;
    v1::Out& frame = out_frame(*terminals_[slot], wire::frame_type::offlinemsg);
    frame.set_payload(payload);
    v1::DeliveryRef& ref = *frame.mutable_ref();
    ref.set_kind(v1::DeliveryRef::BATCH);
    set(*ref.mutable_conversation(), conversation);
    ref.set_mid(batch);
  });
}

void session_state::deliver_notice(delivery::terminal_set to, uint64_t id, const std::string& body,
                                   bool from_backlog) {
  const std::string payload = from_backlog ? notice_list(body) : body;
  env_->metrics.count(kind::notice, outcome::online);
  for_each(to, [&](size_t slot) {
    if (!terminals_[slot]) return;
    v1::Out& frame =
        out_frame(*terminals_[slot], from_backlog ? wire::frame_type::offlinemsg : wire::frame_type::message);
    frame.set_payload(payload);
    frame.mutable_ref()->set_kind(v1::DeliveryRef::NOTICE);
    frame.mutable_ref()->set_mid(id);
  });
}

void session_state::drained(delivery::terminal_set to) {
  for_each(to, [&](size_t slot) {
    if (terminals_[slot]) out_frame(*terminals_[slot], wire::frame_type::offlinemsgend);
  });
  if (drain_started_ns_ != 0) {
    env_->metrics.offline_drain_seconds.observe(static_cast<double>(env_->time.wall_ns() - drain_started_ns_) / 1e9);
    drain_started_ns_ = 0;
  }
}

void session_state::start_drain(const origin& origin_of) {
  if (drain_started_ns_ == 0) drain_started_ns_ = env_->time.wall_ns();
  delivery_.on_drain_request(origin_of.slot);
}

void session_state::acknowledged(const delivery::message& what) {
  if (what.accepted_ns == 0) return;
  env_->metrics.client_ack_seconds.observe(static_cast<double>(env_->time.wall_ns() - what.accepted_ns) / 1e9);
}

void session_state::done(const delivery::entry_ref& entry) {
  auto source = std::static_pointer_cast<delivery_source>(entry.source);
  if (!source) return;
  for (auto& [known, reply] : replies_) {
    if (known == source) return reply.add_done(entry.entry);
  }
  v1::DeliveryReply reply;
  reply.set_shard(source->shard);
  reply.set_epoch(source->epoch);
  reply.add_done(entry.entry);
  replies_.emplace_back(std::move(source), std::move(reply));
}

void session_state::put_cursor(const conversation_id& conversation, account_id other, delivery::cursor_change change,
                               uint64_t delivered) {
  storage::v1::StorageRequest request;
  storage::v1::CursorPut& put = *request.mutable_cursor_put();
  put.set_account(account_.value);
  set(*put.mutable_conversation(), conversation);
  put.set_delivered(delivered);
  put.set_other(other.value);
  put.set_kind(static_cast<storage::v1::CursorPut::Kind>(change));
  if (change == delivery::cursor_change::mark) env_->metrics.count(kind::message, outcome::offline);
  ask(slot_of(account_), std::move(request), patience::until_answered,
      [conversation, change](session_state& state, storage_answer& got) {
        state.delivery_.on_cursor(conversation, change, got.code == errc::ok);
      });
}

void session_state::load_backlog() {
  storage::v1::StorageRequest request;
  request.mutable_backlog()->set_account(account_.value);
  request.mutable_backlog()->set_limit(backlog_rows);
  ask(slot_of(account_), std::move(request), patience::until_answered, [](session_state& state, storage_answer& got) {
    if (got.code != errc::ok) return state.delivery_.on_backlog_failed();
    storage::v1::BacklogFound& found = *got.reply.mutable_backlog();
    delivery::backlog out;
    out.more = found.more();
    for (const auto& row : found.rows()) {
      out.conversations.push_back({from(row.conversation()), account_id{row.other()}, row.delivered()});
    }
    for (auto& one : *found.mutable_notices()) out.notices.push_back({one.id(), std::move(*one.mutable_body())});
    state.delivery_.on_backlog(std::move(out));
  });
}

void session_state::read(const conversation_id& conversation, uint64_t after, uint64_t token) {
  storage::v1::StorageRequest request;
  storage::v1::Read& read = *request.mutable_read();
  set(*read.mutable_conversation(), conversation);
  read.set_reader(account_.value);
  read.set_from_mid(after);
  read.set_limit(static_cast<uint32_t>(env_->config.drain_messages));
  read.set_max_bytes(static_cast<uint32_t>(env_->config.drain_bytes));
  read.set_others_only(!is_room(conversation));  // nobody else brings a member's own ones to its other terminals
  ask(slot_of(conversation), std::move(request), patience::until_answered,
      [conversation, token](session_state& state, storage_answer& got) {
        if (is_room(conversation) && (got.code == errc::permission_denied || got.code == errc::no_such_object)) {
          state.delivery_.on_room_gone(conversation);  // no member any more
          return;
        }
        if (got.code != errc::ok) return state.delivery_.on_page_failed(conversation, token);
        storage::v1::Page& page = *got.reply.mutable_page();
        delivery::page out{{}, page.head(), page.reached()};
        for (auto& row : *page.mutable_rows()) out.rows.push_back(row_of(conversation, row));
        state.delivery_.on_page(conversation, token, std::move(out));
      });
}

void session_state::drop_notices(const std::vector<uint64_t>& ids) {
  storage::v1::StorageRequest request;
  request.mutable_notice_drop()->set_account(account_.value);
  for (const uint64_t id : ids) request.mutable_notice_drop()->add_notice_ids(id);
  ask(slot_of(account_), std::move(request), patience::until_answered,
      [ids](session_state& state, storage_answer& got) {
        state.delivery_.on_notices_dropped(ids, got.code == errc::ok);
      });
}

void session_state::later() {
  if (later_at_ != clock::time_point{}) return;
  later_at_ = env_->time.now() + retry_after;
  env_->wheel->after(retry_after, caf::actor{self_});
}

void session_state::relation_change(delivery_event& what) {
  const v1::RelationChange& change = what.delivery.relation();
  note_relation({account_id{change.other()}, change.version(), change.mine(), change.theirs()});
  storage::v1::StorageRequest request;
  storage::v1::RosterPut& put = *request.mutable_roster_put();
  put.set_account(account_.value);
  put.set_other(change.other());
  put.set_version(change.version());
  put.set_mine(change.mine());
  put.set_theirs(change.theirs());
  *put.mutable_conversation() = what.delivery.conversation();
  uint64_t notice_id = 0;
  std::string notice;
  if (change.notice_bn_type() != 0) {
    notice_id = notice_id_of(from(what.delivery.conversation()), change.version());
    notice = make_notice(account_, notice_id, change);
    put.set_notice_id(notice_id);
    put.set_notice(notice);
  }
  const delivery::entry_ref entry{what.source, what.delivery.entry()};
  ask(slot_of(account_), std::move(request), patience::until_answered,
      [entry, notice_id, notice](session_state& state, storage_answer& got) {
        if (got.code != errc::ok) return state.tell_again(entry, got.code, "roster row not stored");
        state.done(entry);
        if (notice_id == 0) return;
        if (state.delivery_.terminals() == 0) state.env_->metrics.count(kind::notice, outcome::offline);
        state.delivery_.on_notice(notice_id, notice);
      });
}

}  // namespace tern::session
