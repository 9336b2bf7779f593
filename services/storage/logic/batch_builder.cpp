#include "services/storage/logic/batch_builder.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "services/storage/convert.hpp"
#include "services/storage/logic/beans.hpp"
#include "services/storage/logic/relations.hpp"

namespace tern::storage {
namespace {

constexpr size_t no_message = static_cast<size_t>(-1);
constexpr int64_t key_window_ns = std::chrono::nanoseconds{key_window}.count();

uint32_t& bits_of(conversation_row& row, account_id side) { return row.a == side ? row.a_bits : row.b_bits; }

bool is_pair(const conversation_row& row, account_id one, account_id other) {
  return row.a == std::min(one, other) && row.b == std::max(one, other);
}

bool is_valid(const v1::Append& ask) {
  return ask.sender() != 0 && ask.recipient() != 0 && ask.conversation().lo() != 0 && !ask.key().empty() &&
         ask.key().size() <= key_bytes_most;
}

}  // namespace

std::string key_name(const conversation_id& conversation, account_id sender, std::string_view key) {
  std::string name;
  name.reserve(3 * sizeof(uint64_t) + key.size());
  for (const uint64_t part : {conversation.hi, conversation.lo, sender.value}) {
    name.append(reinterpret_cast<const char*>(&part), sizeof part);
  }
  name.append(key);
  return name;
}

void shard_cache::forget(slot_type first, slot_type last) {
  const auto in = [first, last](slot_type slot) { return slot >= first && slot <= last; };
  conversations.erase_if([&](const conversation_id& id) { return in(slot_of(id)); });
  keys.erase_if([&](const std::string& name) {
    uint64_t hi = 0;
    std::memcpy(&hi, name.data(), sizeof hi);
    return in(slot_of(hi));
  });
  rooms.erase_if([&](room_id id) { return in(slot_of(id)); });
  members.erase_if([&](const member_key& key) { return in(slot_of(key.room)); });
}

batch_builder::batch_builder(std::string_view shard, uint64_t epoch, shard_cache& cache, shard_counters& counters,
                             int64_t wall_ns)
    : shard_(shard), epoch_(epoch), cache_(cache), counters_(counters), wall_ns_(wall_ns) {}

// ---- planning ----------------------------------------------------------------------------------------------------

void batch_builder::plan(write_request& item) {
  const auto& message = item.message;
  errc code = errc::ok;
  switch (message.op_case()) {
    case v1::StorageRequest::kAppend: add_keyed(plan_append(item)); return;
    case v1::StorageRequest::kRelate: replies_.push_back(plan_relate(item)); return;
    case v1::StorageRequest::kRecall: replies_.push_back(plan_recall(item)); return;
    case v1::StorageRequest::kRoomCreate: replies_.push_back(plan_room_create(item)); return;
    case v1::StorageRequest::kRoomAppend: add_keyed(plan_room_append(item)); return;
    case v1::StorageRequest::kRoomChange: replies_.push_back(plan_room_change(item)); return;
    case v1::StorageRequest::kRosterPut: plan_roster(message.roster_put()); break;
    case v1::StorageRequest::kCursorPut: code = plan_cursor(message.cursor_put()); break;
    case v1::StorageRequest::kNoticeDrop: plan_notices(message.notice_drop()); break;
    case v1::StorageRequest::kNoticePut: code = plan_notice(message.notice_put()); break;
    case v1::StorageRequest::kAccountRoomPut: code = plan_account_room(message.account_room_put()); break;
    case v1::StorageRequest::kProfilePut: code = plan_profile(message.profile_put()); break;
    case v1::StorageRequest::kAccountCreate: code = plan_account(item); break;
    case v1::StorageRequest::kTokenIssue: code = plan_token(item); break;
    case v1::StorageRequest::kTokenLogin: code = plan_token_use(item); break;
    case v1::StorageRequest::kPasswordChange: code = plan_password(item); break;
    default: code = errc::bad_interface;
  }
  replies_.push_back(reply_to(message, code));
  if (message.has_token_issue() && code == errc::ok)
    replies_.back().mutable_token_issued()->set_token(item.token_text);
}

/// The answer to a request with a key.
void batch_builder::add_keyed(v1::StorageReply reply) {
  misled_ = misled_ || (guessed_ && reply.code() != 0);
  replies_.push_back(std::move(reply));
}

conversation_row* batch_builder::conversation(const conversation_id& id, account_id one, account_id other) {
  auto& known = known_[id];
  if (!known) {
    known.emplace();
    known->id = id;
    known->a = std::min(one, other);
    known->b = std::max(one, other);
  }
  return is_pair(*known, one, other) ? &*known : nullptr;
}

const seen_key* batch_builder::seen(const std::string& name) {
  const auto at = known_keys_.find(name);
  return at == known_keys_.end() ? nullptr : &at->second;
}

void batch_builder::changed(const conversation_row& row) {
  const auto [at, inserted] = changed_.try_emplace(row.id, batch_.conversations.size());
  if (inserted) {
    batch_.conversations.push_back(row);
  } else {
    batch_.conversations[at->second] = row;
  }
}

std::optional<v1::StorageReply> batch_builder::repeated(const write_request& item, const seen_key* earlier) const {
  if (earlier == nullptr || wall_ns_ - earlier->timestamp_ns > key_window_ns) return std::nullopt;
  auto reply = reply_to(item.message);
  auto& appended = *reply.mutable_appended();
  appended.set_mid(earlier->mid);
  appended.set_timestamp_ns(earlier->timestamp_ns);
  appended.set_duplicate(true);
  return reply;
}

uint64_t batch_builder::store_message(conversation_row& row, message_row message) {
  message.conversation = row.id;
  message.mid = ++row.head;
  changed(row);
  known_keys_[key_name(row.id, message.sender, message.key)] = {message.mid, message.timestamp_ns};
  batch_.messages.push_back(std::move(message));
  return row.head;
}

v1::StorageReply batch_builder::plan_append(write_request& item) {
  const auto& ask = item.message.append();
  if (!is_valid(ask)) return reply_to(item.message, errc::bad_parameter);
  const auto id = from_proto(ask.conversation());
  const account_id sender{ask.sender()};
  const account_id recipient{ask.recipient()};
  if (sender == recipient) return reply_to(item.message, errc::permission_denied);

  const auto* earlier = seen(key_name(id, sender, ask.key()));
  if (auto known = repeated(item, earlier)) return *known;
  auto* row = conversation(id, sender, recipient);
  if (row == nullptr) return reply_to(item.message, errc::bad_parameter);
  const errc allowed = may_send(bits_of(*row, sender), bits_of(*row, recipient), ask.open());
  if (allowed != errc::ok) return reply_to(item.message, allowed);
  if (earlier != nullptr) batch_.released_keys.push_back({id, 0, sender, ask.key(), 0, {}});

  const int64_t stamp = counters_.stamp(wall_ns_);
  const uint64_t mid = store_message(*row, {{}, 0, sender, ask.key(), stamp, ask.body(), ask.unlisted()});
  outbox_row entry{.recipient = recipient, .conversation = id, .mid = mid, .payload = {}};
  entry.accepted_ns = ask.accepted_ns() != 0 ? ask.accepted_ns() : stamp;
  add_outbox(std::move(entry), item.message.trace());
  outbox_messages_.back() = batch_.messages.size() - 1;
  auto reply = reply_to(item.message);
  reply.mutable_appended()->set_mid(mid);
  reply.mutable_appended()->set_timestamp_ns(stamp);
  return reply;
}

v1::StorageReply batch_builder::plan_relate(write_request& item) {
  const auto& ask = item.message.relate();
  const account_id actor{ask.actor()};
  const account_id other{ask.other()};
  if (!actor || !other || ask.conversation().lo() == 0) return reply_to(item.message, errc::bad_parameter);
  if (actor == other) return reply_to(item.message, errc::permission_denied);
  auto* row = conversation(from_proto(ask.conversation()), actor, other);
  if (row == nullptr) return reply_to(item.message, errc::bad_parameter);

  const auto change = ask.change() == v1::Relate::ADD      ? relation_change::add
                      : ask.change() == v1::Relate::REMOVE ? relation_change::remove
                                                           : relation_change::block;
  const auto step = apply_relation(change, bits_of(*row, actor), bits_of(*row, other));
  auto reply = reply_to(item.message, step.code);
  if (step.changed || step.notify) {
    ++row->relation_version;
    bits_of(*row, actor) = step.actor_bits;
    bits_of(*row, other) = step.other_bits;
    changed(*row);
    relation_entries(ask, *row, step.changed, step.notify ? step.notice : 0);
  }
  reply.mutable_related()->set_version(row->relation_version);
  reply.mutable_related()->set_mine(step.actor_bits);
  reply.mutable_related()->set_theirs(step.other_bits);
  return reply;
}

void batch_builder::relation_entries(const v1::Relate& ask, const conversation_row& row, bool both_sides,
                                     uint32_t notice) {
  const account_id actor{ask.actor()};
  const account_id other{ask.other()};
  const uint32_t actor_bits = row.a == actor ? row.a_bits : row.b_bits;
  const uint32_t other_bits = row.a == actor ? row.b_bits : row.a_bits;
  const int64_t now = counters_.stamp(wall_ns_);
  const auto put = [&](account_id to, account_id about, uint32_t mine, uint32_t theirs, uint32_t bn_type) {
    session::v1::RelationChange change;
    change.set_other(about.value);
    change.set_version(row.relation_version);
    change.set_mine(mine);
    change.set_theirs(theirs);
    change.set_notice_bn_type(bn_type);
    if (bn_type != 0) change.set_text(ask.text());
    change.set_domain(ask.domain());
    change.set_timestamp_ns(now);
    outbox_row entry{.recipient = to, .conversation = row.id, .kind = outbox_kind::relation, .payload = {}};
    entry.payload = change.SerializeAsString();
    entry.accepted_ns = now;
    add_outbox(std::move(entry), 0);
  };
  if (both_sides) put(actor, other, actor_bits, other_bits, 0);
  put(other, actor, other_bits, actor_bits, notice);
}

uint64_t batch_builder::add_outbox(outbox_row row, uint64_t trace) {
  row.entry = counters_.next_entry++;
  batch_.outbox.push_back(std::move(row));
  outbox_traces_.push_back(trace);
  outbox_messages_.push_back(no_message);
  return batch_.outbox.back().entry;
}

void batch_builder::plan_roster(const v1::RosterPut& put) {
  const account_id account{put.account()};
  const roster_row row{account, account_id{put.other()}, put.version(), put.mine(), put.theirs()};
  // One statement cannot upsert a row twice: the newest of a batch wins here as it would there.
  const auto [at, inserted] = roster_.try_emplace({row.account, row.other}, batch_.roster.size());
  if (inserted) {
    batch_.roster.push_back(row);
  } else if (batch_.roster[at->second].version < row.version) {
    batch_.roster[at->second] = row;
  }
  if (put.notice_id() != 0) batch_.notices.push_back({account, put.notice_id(), put.notice()});
}

errc batch_builder::plan_cursor(const v1::CursorPut& put) {
  // What a room's member has not acknowledged is found by the position alone.
  if (put.conversation().lo() == 0 && put.kind() != v1::CursorPut::ADVANCE) return errc::bad_parameter;
  const auto kind = put.kind() == v1::CursorPut::MARK      ? cursor_kind::mark
                    : put.kind() == v1::CursorPut::ADVANCE ? cursor_kind::advance
                                                           : cursor_kind::clear;
  batch_.cursors.push_back(
      {account_id{put.account()}, from_proto(put.conversation()), account_id{put.other()}, put.delivered(), kind});
  return errc::ok;
}

void batch_builder::plan_notices(const v1::NoticeDrop& drop) {
  for (const uint64_t id : drop.notice_ids()) batch_.notices_done.push_back({account_id{drop.account()}, id, {}});
}

errc batch_builder::plan_notice(const v1::NoticePut& put) {
  const account_id account{put.account()};
  if (!account || put.id() == 0 || put.body().empty()) return errc::bad_parameter;
  // The table leaves a known id alone; the caches keep a repeat from being delivered once more.
  const conversation_id about{account.value, 0};
  auto name = key_name(about, account, "N" + std::to_string(put.id()));
  if (known_keys_.contains(name) || cache_.keys.find(name) != nullptr) return errc::ok;
  const int64_t now = counters_.stamp(wall_ns_);
  known_keys_[name] = {put.id(), now};
  notice_names_.push_back(std::move(name));
  batch_.notices.push_back({account, put.id(), put.body()});
  session::v1::StoredNotice notice;
  notice.set_id(put.id());
  notice.set_body(put.body());
  outbox_row entry{.recipient = account, .conversation = about, .kind = outbox_kind::notice, .payload = {}};
  entry.payload = notice.SerializeAsString();
  entry.accepted_ns = now;
  add_outbox(std::move(entry), 0);
  return errc::ok;
}

errc batch_builder::plan_profile(const v1::ProfilePut& put) {
  const account_id account{put.account()};
  const auto known = known_profiles_.find(account);
  if (known == known_profiles_.end()) return errc::bad_account;
  auto merged = merge_user_bean(known->second, put.bean());
  if (!merged) return merged.code();
  known->second = *merged;
  const auto [at, inserted] = profiles_.try_emplace(account, batch_.profiles.size());
  if (inserted) batch_.profiles.push_back({.account = account, .domain = {}, .bean = {}});
  batch_.profiles[at->second].bean = std::move(*merged);
  return errc::ok;
}

errc batch_builder::plan_account(write_request& item) {
  if (!item.account) return errc::internal;
  for (const auto& row : batch_.accounts) {
    if (row.id == item.account->id) return errc::exists;
  }
  batch_.accounts.push_back(*item.account);
  account_replies_.push_back(replies_.size());
  return errc::ok;
}

errc batch_builder::plan_token(write_request& item) {
  if (!item.token) return errc::internal;
  batch_.tokens.push_back(*item.token);
  return errc::ok;
}

errc batch_builder::plan_token_use(write_request& item) {
  if (!item.token) return errc::internal;
  for (const auto& row : batch_.tokens_taken) {
    if (row.hash == item.token->hash) return errc::bad_token;
  }
  batch_.tokens_taken.push_back(*item.token);
  token_replies_.push_back(replies_.size());
  return errc::ok;
}

errc batch_builder::plan_password(write_request& item) {
  if (!item.password) return errc::internal;
  const auto [at, inserted] = passwords_.try_emplace(item.password->account, batch_.passwords.size());
  if (inserted) batch_.passwords.push_back(*item.password);
  batch_.passwords[at->second] = *item.password;
  return errc::ok;
}

std::optional<batch_witness> batch_builder::witness() const {
  batch_witness out;
  if (!batch_.messages.empty()) {
    const auto& row = batch_.messages.front();
    out.message = message_key{row.conversation, row.sender, row.key};
    out.timestamp_ns = row.timestamp_ns;
  } else if (!batch_.rooms.empty()) {
    out.room = batch_.rooms.front().id;
    out.version = batch_.rooms.front().version;
  } else if (!batch_.conversations.empty()) {
    out.pair = batch_.conversations.front().id;
    out.version = batch_.conversations.front().relation_version;
  } else {
    return std::nullopt;
  }
  return out;
}

// ---- after the commit --------------------------------------------------------------------------------------------

void batch_builder::committed(const write_outcome& outcome) {
  for (size_t i = 0; i < account_replies_.size(); ++i) {
    auto& reply = replies_[account_replies_[i]];
    const bool created = i < outcome.account_created.size() && outcome.account_created[i];
    reply.set_code(static_cast<int32_t>(created ? errc::ok : errc::exists));
    if (created) reply.mutable_account_created()->set_account(batch_.accounts[i].id.value);
  }
  for (size_t i = 0; i < token_replies_.size(); ++i) {
    auto& reply = replies_[token_replies_[i]];
    const auto* taken = i < outcome.token_taken.size() && outcome.token_taken[i] ? &*outcome.token_taken[i] : nullptr;
    const bool good =
        taken != nullptr && taken->expires_ns > wall_ns_ && taken->account == batch_.tokens_taken[i].account;
    reply.set_code(static_cast<int32_t>(good ? errc::ok : errc::bad_token));
    if (good) reply.mutable_logged_in()->set_account(taken->account.value);
  }
  remember();
  make_deliveries();
}

void batch_builder::remember() {
  for (const auto& row : batch_.conversations) cache_.conversations.put(row.id, row);
  for (const auto& row : batch_.messages) {
    cache_.keys.put(key_name(row.conversation, row.sender, row.key), {row.mid, row.timestamp_ns});
  }
  for (const auto& name : notice_names_) cache_.keys.put(name, known_keys_[name]);
  for (const auto& row : batch_.rooms) cache_.rooms.put(row.id, std::make_shared<const room_row>(row));
  for (const auto& row : batch_.members) {
    const member_key key{row.room, row.account};
    if (row.bits == room_none) {
      cache_.members.erase(key);
    } else {
      cache_.members.put(key, row.bits);
    }
  }
}

void batch_builder::make_deliveries() {
  deliveries_.reserve(batch_.outbox.size());
  for (size_t i = 0; i < batch_.outbox.size(); ++i) {
    outbox_entry entry{std::move(batch_.outbox[i]), std::nullopt};
    if (outbox_messages_[i] != no_message) entry.message = std::move(batch_.messages[outbox_messages_[i]]);
    deliveries_.push_back(to_delivery(shard_, epoch_, std::move(entry), outbox_traces_[i]));
  }
}

}  // namespace tern::storage
