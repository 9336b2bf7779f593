// batch_builder: rooms, their messages, and recalls.
#include <algorithm>
#include <utility>

#include "services/storage/convert.hpp"
#include "services/storage/logic/batch_builder.hpp"
#include "services/storage/logic/beans.hpp"
#include "services/storage/logic/room_keys.hpp"
#include "services/storage/logic/room_rules.hpp"

namespace tern::storage {
namespace {

constexpr size_t topic_bytes_most = 64;
constexpr uint32_t founder_bits = room_member | room_manager | room_founder;

bool is_valid_key(const std::string& key) { return !key.empty() && key.size() <= key_bytes_most; }

bool is_valid(const v1::RoomCreate& ask) {
  return ask.room() != 0 && ask.founder() != 0 && is_valid_key(ask.key()) && !ask.name().empty() &&
         ask.name().size() <= topic_bytes_most && (ask.kind() == v1::ROOM_PRIVATE || ask.kind() == v1::ROOM_OPEN);
}

room_change change_of(v1::RoomChange::Change change) {
  switch (change) {
    case v1::RoomChange::PULL_IN: return room_change::pull_in;
    case v1::RoomChange::REFUSE: return room_change::refuse;
    case v1::RoomChange::KICK: return room_change::kick;
    case v1::RoomChange::BLOCK: return room_change::block;
    case v1::RoomChange::BAR: return room_change::bar;
    case v1::RoomChange::LEAVE: return room_change::leave;
    case v1::RoomChange::CANCEL: return room_change::cancel;
    case v1::RoomChange::PROFILE: return room_change::profile;
    default: return room_change::apply;
  }
}

bool wants_target(room_change change) {
  return change == room_change::pull_in || change == room_change::refuse || change == room_change::kick ||
         change == room_change::bar;
}

bool lost(uint32_t before, uint32_t after, uint32_t what) { return (before & ~after & what) != 0; }

}  // namespace

// ---- what is known, with the changes of this batch ---------------------------------------------------------------

const room_row* batch_builder::room(room_id id) const {
  if (const auto at = changed_rooms_.find(id); at != changed_rooms_.end()) return &batch_.rooms[at->second];
  const auto known = known_rooms_.find(id);
  return known == known_rooms_.end() ? nullptr : known->second.get();
}

room_row& batch_builder::changing_room(room_id id) {
  const auto [at, inserted] = changed_rooms_.try_emplace(id, batch_.rooms.size());
  if (inserted) {
    const auto& known = known_rooms_[id];
    batch_.rooms.push_back(known ? *known : room_row{});
  }
  return batch_.rooms[at->second];
}

uint32_t batch_builder::bits(room_id room, account_id account) const {
  const auto at = known_members_.find({room, account});
  return at == known_members_.end() ? uint32_t{room_none} : at->second;
}

/// The row, and what the room itself keeps of it: the number of members and the list of managers.
void batch_builder::set_bits(room_row& room, account_id account, uint32_t bits) {
  const member_key key{room.id, account};
  uint32_t& known = known_members_[key];
  const bool was = (known & room_member) != 0;
  const bool is = (bits & room_member) != 0;
  if (was && !is) --room.members;
  if (!was && is) ++room.members;
  std::erase(room.managers, account);
  if ((bits & room_manager) != 0 && account != room.founder) room.managers.push_back(account);
  known = bits;
  const auto [at, inserted] = changed_members_.try_emplace(key, batch_.members.size());
  if (inserted) batch_.members.push_back({room.id, account, bits});
  batch_.members[at->second].bits = bits;
}

const message_row* batch_builder::message(const message_place& place) const {
  for (const auto& row : batch_.messages) {
    if (row.mid == place.mid && row.conversation == place.conversation) return &row;
  }
  const auto at = known_messages_.find(place);
  return at == known_messages_.end() ? nullptr : &at->second;
}

bool batch_builder::is_recalled(const message_place& place) const {
  if (std::find(batch_.recalled.begin(), batch_.recalled.end(), place) != batch_.recalled.end()) return true;
  const auto* row = message(place);
  return row != nullptr && row->tombstone;
}

// ---- recalls -----------------------------------------------------------------------------------------------------

errc batch_builder::may_recall(const v1::Recall& ask) const {
  const auto id = from_proto(ask.conversation());
  const account_id actor{ask.actor()};
  const auto known = known_.find(id);
  const bool exists = known != known_.end() && known->second.has_value();
  if (id.lo == 0) {
    const auto* in = room(room_id{id.hi});
    if (in == nullptr) return errc::permission_denied;
    const errc allowed = may_use_room(in->cancelled, bits(in->id, actor), in->founder == actor);
    if (allowed != errc::ok) return allowed;
  } else if (exists && known->second->a != actor && known->second->b != actor) {
    return errc::permission_denied;
  }
  const auto* row = exists ? message({id, ask.mid()}) : nullptr;
  if (row == nullptr || row->target != 0) return errc::bad_parameter;
  return (row->sender == actor) != ask.burn() ? errc::ok : errc::permission_denied;
}

v1::StorageReply batch_builder::plan_recall(write_request& item) {
  const auto& ask = item.message.recall();
  const auto id = from_proto(ask.conversation());
  const account_id actor{ask.actor()};
  const bool sane = id && actor && ask.mid() != 0 && !ask.body().empty() && !(ask.burn() && id.lo == 0);
  if (!sane) return reply_to(item.message, errc::bad_parameter);
  const message_place place{id, ask.mid()};
  auto key = recall_key(ask.mid());
  // What was done stays done, whatever the actor may do now.
  if (auto known = repeated(item, seen(key_name(id, actor, key)))) return *known;
  if (const errc allowed = may_recall(ask); allowed != errc::ok) return reply_to(item.message, allowed);
  auto reply = reply_to(item.message);
  auto& appended = *reply.mutable_appended();
  if (is_recalled(place)) {  // by the other side, or so long ago that the key is forgotten
    appended.set_duplicate(true);
    return reply;
  }
  const int64_t stamp = counters_.stamp(wall_ns_);
  batch_.recalled.push_back(place);
  auto& row = *known_[id];
  const uint64_t mid = store_message(row, {{}, 0, actor, std::move(key), stamp, ask.body(), true, false, ask.mid()});
  if (id.lo != 0) {
    outbox_row entry{.recipient = row.a == actor ? row.b : row.a, .conversation = id, .mid = mid, .payload = {}};
    entry.accepted_ns = ask.accepted_ns() != 0 ? ask.accepted_ns() : stamp;
    add_outbox(std::move(entry), item.message.trace());
    outbox_messages_.back() = batch_.messages.size() - 1;
  }
  appended.set_mid(mid);
  appended.set_timestamp_ns(stamp);
  return reply;
}

// ---- rooms -------------------------------------------------------------------------------------------------------

v1::StorageReply batch_builder::plan_room_create(write_request& item) {
  const auto& ask = item.message.room_create();
  if (!is_valid(ask)) return reply_to(item.message, errc::bad_parameter);
  const room_id id{ask.room()};
  const account_id founder{ask.founder()};
  if (const auto* known = room(id)) {
    const bool again = known->founder == founder && known->create_key == ask.key();
    auto reply = reply_to(item.message, again ? errc::ok : errc::exists);
    if (again) reply.mutable_room_changed()->set_version(known->version);
    return reply;
  }
  const int64_t now = counters_.stamp(wall_ns_);
  auto& row = changing_room(id);
  row.id = id;
  row.domain = ask.domain();
  row.founder = founder;
  row.kind = ask.kind() == v1::ROOM_OPEN ? room_kind::open : room_kind::closed;
  row.version = 1;
  row.created_ns = now;
  row.bean = room_bean_of(ask.name());
  row.create_key = ask.key();
  set_bits(row, founder, founder_bits);
  auto& talk = known_[room_conversation(id)];
  if (!talk) {
    talk.emplace();
    talk->id = room_conversation(id);
  }
  changed(*talk);
  tell(row, {.to = founder, .changed = true, .enters = true, .actor = founder, .text = {}}, now);
  auto reply = reply_to(item.message);
  reply.mutable_room_changed()->set_version(row.version);
  reply.mutable_room_changed()->set_joined(true);
  return reply;
}

v1::StorageReply batch_builder::plan_room_append(write_request& item) {
  const auto& ask = item.message.room_append();
  const room_id id{ask.room()};
  const account_id sender{ask.sender()};
  if (!id || !sender || !is_valid_key(ask.key())) return reply_to(item.message, errc::bad_parameter);
  const auto talk_id = room_conversation(id);
  const auto* earlier = seen(key_name(talk_id, sender, ask.key()));
  if (auto known = repeated(item, earlier)) return *known;
  const auto* in = room(id);
  auto& talk = known_[talk_id];
  if (in == nullptr || !talk) return reply_to(item.message, errc::no_such_object);
  const errc allowed = may_use_room(in->cancelled, bits(id, sender), in->founder == sender);
  if (allowed != errc::ok) return reply_to(item.message, allowed);
  if (earlier != nullptr) {
    batch_.released_keys.push_back({talk_id, 0, sender, ask.key(), 0, {}});
  }
  const int64_t stamp = counters_.stamp(wall_ns_);
  const uint64_t mid = store_message(*talk, {{}, 0, sender, ask.key(), stamp, ask.body(), ask.unlisted()});
  auto reply = reply_to(item.message);
  reply.mutable_appended()->set_mid(mid);
  reply.mutable_appended()->set_timestamp_ns(stamp);
  return reply;
}

void batch_builder::tell(const room_row& about, const room_news& what, int64_t now) {
  const auto id = room_conversation(about.id);
  const auto& talk = known_[id];
  session::v1::RoomMembership news;
  news.set_room(about.id.value);
  news.set_version(about.version);
  news.set_changed(what.changed);
  uint32_t bits_now = bits(about.id, what.to);
  // A founder's or manager's row is not read for a notice: what they are is in the room's own row.
  if (!what.changed && bits_now == room_none) {
    if (about.founder == what.to) bits_now = founder_bits;
    if (std::find(about.managers.begin(), about.managers.end(), what.to) != about.managers.end()) {
      bits_now = room_member | room_manager;
    }
  }
  news.set_bits(bits_now);
  if (what.enters && talk) news.set_since(talk->head);
  news.set_notice_bn_type(what.notice);
  news.set_actor(what.actor.value);
  news.set_text(what.text.data(), what.text.size());
  news.set_domain(about.domain);
  news.set_timestamp_ns(now);
  outbox_row entry{.recipient = what.to, .conversation = id, .kind = outbox_kind::room, .payload = {}};
  entry.payload = news.SerializeAsString();
  entry.accepted_ns = now;
  add_outbox(std::move(entry), 0);
}

v1::StorageReply batch_builder::plan_room_change(write_request& item) {
  const auto& ask = item.message.room_change();
  const room_id id{ask.room()};
  const account_id actor{ask.actor()};
  const account_id target{ask.target()};
  const auto change = change_of(ask.change());
  if (!id || !actor || (wants_target(change) && !target)) return reply_to(item.message, errc::bad_parameter);
  const auto* in = room(id);
  if (in == nullptr || in->domain != ask.domain()) return reply_to(item.message, errc::no_such_object);

  v1::RoomChanged out;
  errc code = errc::ok;
  if (change == room_change::profile) {
    code = change_profile(ask);
  } else {
    code = change_bits(ask, change, out);
  }
  auto reply = reply_to(item.message, code);
  out.set_version(room(id)->version);
  *reply.mutable_room_changed() = std::move(out);
  return reply;
}

errc batch_builder::change_bits(const v1::RoomChange& ask, room_change change, v1::RoomChanged& out) {
  const room_id id{ask.room()};
  const account_id actor{ask.actor()};
  const account_id target{wants_target(change) ? ask.target() : 0};
  const auto& before = *room(id);
  const uint32_t actor_was = bits(id, actor);
  const uint32_t target_was = target ? bits(id, target) : 0;
  const auto step = apply_room_change({.change = change,
                                       .kind = before.kind,
                                       .cancelled = before.cancelled,
                                       .members = before.members,
                                       .actor_bits = actor_was,
                                       .target_bits = target_was,
                                       .actor_founded = actor == before.founder,
                                       .target_founded = target && target == before.founder,
                                       .same = actor == target});
  out.set_joined(step.joined);
  out.set_was_applicant(step.was_applicant);
  if (!step.changed) return step.code;

  const int64_t now = counters_.stamp(wall_ns_);
  auto& row = changing_room(id);
  ++row.version;
  row.cancelled = row.cancelled || step.cancels;
  const auto settle = [&](account_id who, uint32_t was, uint32_t is, uint32_t notice) {
    if (was != is) set_bits(row, who, is);
    if (lost(was, is, room_member)) out.add_gone(who.value);
    if (was == is && notice == 0) return;
    const bool enters = lost(is, was, room_member);
    tell(row,
         {.to = who, .changed = was != is, .enters = enters, .notice = notice, .actor = actor, .text = ask.text()},
         now);
  };
  settle(actor, actor_was, step.actor_bits, step.actor_notice);
  if (target) settle(target, target_was, step.target_bits, step.target_notice);
  if (step.managers_notice != 0) {
    auto managers = row.managers;
    managers.push_back(row.founder);
    for (const auto manager : managers) {
      tell(row, {.to = manager, .notice = step.managers_notice, .actor = actor, .text = ask.text()}, now);
    }
  }
  return errc::ok;
}

errc batch_builder::change_profile(const v1::RoomChange& ask) {
  const room_id id{ask.room()};
  const account_id actor{ask.actor()};
  const auto& before = *room(id);
  const auto managers = given_managers(ask.bean());
  if (!managers) return managers.code();
  const auto step = apply_room_change({.change = room_change::profile,
                                       .kind = before.kind,
                                       .cancelled = before.cancelled,
                                       .members = before.members,
                                       .actor_bits = bits(id, actor),
                                       .actor_founded = actor == before.founder,
                                       .sets_managers = managers->has_value()});
  if (step.code != errc::ok) return step.code;
  auto merged = merge_room_bean(before.bean, ask.bean());
  if (!merged) return merged.code();
  std::vector<account_id> wanted = before.managers;
  if (*managers) wanted = **managers;
  std::erase(wanted, before.founder);
  for (const auto one : wanted) {
    if ((bits(id, one) & room_member) == 0 && *managers) return errc::bad_parameter;
  }
  const auto had = before.managers;
  if (*merged == before.bean && wanted == had) return errc::ok;
  auto& row = changing_room(id);
  ++row.version;
  row.bean = std::move(*merged);
  if (*managers) change_managers(row, actor, wanted);
  return errc::ok;
}

void batch_builder::change_managers(room_row& row, account_id actor, const std::vector<account_id>& wanted) {
  const int64_t now = counters_.stamp(wall_ns_);
  const auto put = [&](account_id who, uint32_t is) {
    set_bits(row, who, is);
    tell(row, {.to = who, .changed = true, .actor = actor, .text = {}}, now);
  };
  const auto had = row.managers;
  for (const auto one : had) {
    if (std::find(wanted.begin(), wanted.end(), one) == wanted.end()) put(one, room_member);
  }
  for (const auto one : wanted) {
    if (std::find(had.begin(), had.end(), one) == had.end()) put(one, room_member | room_manager);
  }
}

errc batch_builder::plan_account_room(const v1::AccountRoomPut& put) {
  const account_room_row row{.account = account_id{put.account()},
                             .room = room_id{put.room()},
                             .version = put.version(),
                             .bits = put.bits(),
                             .since = put.since()};
  if (!row.account || !row.room) return errc::bad_parameter;
  const auto [at, inserted] = account_rooms_.try_emplace({row.account, row.room}, batch_.account_rooms.size());
  if (inserted) {
    batch_.account_rooms.push_back(row);
  } else if (account_room_row& earlier = batch_.account_rooms[at->second]; earlier.version < row.version) {
    const uint64_t since = std::max(earlier.since, row.since);
    earlier = row;
    earlier.since = since;
  }
  if (put.notice_id() != 0) batch_.notices.push_back({row.account, put.notice_id(), put.notice()});
  return errc::ok;
}

}  // namespace tern::storage
