#include "libs/shards/testing/fake_storage.hpp"

#include <algorithm>

namespace tern::shards {

using storage::v1::StorageRequest;

namespace {

conversation_id id_of(const common::v1::Conversation& id) { return {id.hi(), id.lo()}; }

}  // namespace

void fake_storage::ask(slot_type, StorageRequest request, patience, storage_callback then) {
  pending_.push_back({std::move(request), std::move(then)});
}

size_t fake_storage::answer() { return answer(pending_.size()); }

size_t fake_storage::answer(size_t most) {
  const size_t count = std::min(most, pending_.size());
  for (size_t i = 0; i < count; ++i) {
    pending one = std::move(pending_.front());
    pending_.pop_front();
    const auto planned = [&one](auto& list) {
      const auto at = std::find_if(list.begin(), list.end(),
                                   [&one](const auto& plan) { return plan.first == one.request.op_case(); });
      errc code = errc::ok;
      if (at != list.end()) {
        code = at->second;
        list.erase(at);
      }
      return code;
    };
    storage_answer got;
    got.code = planned(failures_);
    if (got.code == errc::ok) {
      got.code = execute(one.request, got.reply);
      const errc lost = planned(losses_);
      if (lost != errc::ok) {
        got.code = lost;
        got.reply.Clear();
      }
    }
    got.request = std::move(one.request);
    one.then(got);
  }
  return count;
}

errc fake_storage::execute(const StorageRequest& request, storage::v1::StorageReply& reply) {
  switch (request.op_case()) {
    case StorageRequest::kAppend: return append(request.append(), *reply.mutable_appended());
    case StorageRequest::kRelate: return relate(request.relate(), *reply.mutable_related());
    case StorageRequest::kRosterPut: roster_put(request.roster_put()); return errc::ok;
    case StorageRequest::kCursorPut: cursor_put(request.cursor_put()); return errc::ok;
    case StorageRequest::kNoticeDrop:
      for (const uint64_t id : request.notice_drop().notice_ids())
        notices.erase({request.notice_drop().account(), id});
      return errc::ok;
    case StorageRequest::kAccountGet: {
      const auto at = accounts_.find(request.account_get().account());
      if (at == accounts_.end()) return errc::not_found;
      reply.mutable_account()->set_account(at->first);
      reply.mutable_account()->set_domain(at->second);
      return errc::ok;
    }
    case StorageRequest::kPasswordLogin: {
      const auto at = passwords.find(request.password_login().password());
      if (at == passwords.end()) return errc::no_pass;
      reply.mutable_logged_in()->set_account(at->second.value);
      return errc::ok;
    }
    case StorageRequest::kAccountCreate:
      if (!accounts_.emplace(request.account_create().account(), request.account_create().domain()).second) {
        return errc::exists;
      }
      reply.mutable_account_created()->set_account(request.account_create().account());
      return errc::ok;
    case StorageRequest::kTokenIssue: reply.mutable_token_issued()->set_token("token"); return errc::ok;
    case StorageRequest::kRosterList:
      for (const auto& [key, row] : rosters_) {
        if (key.first == request.roster_list().account()) *reply.mutable_roster()->add_rows() = row;
      }
      return errc::ok;
    case StorageRequest::kBacklog: backlog(request.backlog(), *reply.mutable_backlog()); return errc::ok;
    case StorageRequest::kRead: return read(request.read(), *reply.mutable_page());
    default: return execute_room(request, reply);
  }
}

void fake_storage::befriend(account_id one, account_id other, const conversation_id& conversation) {
  pair_record& record = pairs_[conversation];
  record.version = 1;
  record.bits[one.value] = record.bits[other.value] = session::v1::RELATION_ASKED | session::v1::RELATION_FRIEND;
  const auto bits = static_cast<uint32_t>(session::v1::RELATION_ASKED | session::v1::RELATION_FRIEND);
  const std::pair<account_id, account_id> sides[] = {{one, other}, {other, one}};
  for (const auto& [a, b] : sides) {
    storage::v1::RosterRow& row = rosters_[{a.value, b.value}];
    row.set_other(b.value);
    row.set_version(1);
    row.set_mine(bits);
    row.set_theirs(bits);
  }
}

errc fake_storage::append(const storage::v1::Append& what, storage::v1::Appended& out) {
  pair_record& record = pairs_[id_of(what.conversation())];
  if ((record.bits[what.recipient()] & session::v1::RELATION_BLOCKS) != 0) return errc::blocked;
  if (!what.open() && (record.bits[what.sender()] & session::v1::RELATION_FRIEND) == 0)
    return errc::permission_denied;
  if (known_key(record, what.sender(), what.key(), out)) return errc::ok;
  const auto& row = store(record, what.sender(), what.key(), what.body(), out);
  if (what.unlisted()) record.unlisted.insert(row.mid());
  tell_message(what.recipient(), what.conversation(), row, what.accepted_ns());
  return errc::ok;
}

bool fake_storage::known_key(const pair_record& record, uint64_t sender, const std::string& key,
                             storage::v1::Appended& out) const {
  const auto known = record.keys.find({sender, key});
  if (known == record.keys.end()) return false;
  out.set_mid(record.rows[known->second].mid());
  out.set_timestamp_ns(record.rows[known->second].timestamp_ns());
  out.set_duplicate(true);
  return true;
}

storage::v1::HistoryRow& fake_storage::store(pair_record& record, uint64_t sender, const std::string& key,
                                             const std::string& body, storage::v1::Appended& out) {
  record.keys[{sender, key}] = record.rows.size();
  storage::v1::HistoryRow& row = record.rows.emplace_back();
  row.set_mid(++record.head);
  row.set_sender(sender);
  row.set_timestamp_ns(++time_ns);
  row.set_body(body);
  out.set_mid(row.mid());
  out.set_timestamp_ns(row.timestamp_ns());
  return row;
}

session::v1::Delivery& fake_storage::entry_for(uint64_t account, const common::v1::Conversation& conversation) {
  session::v1::Delivery& entry = outbox[++entries_];
  entry.set_shard("s0");
  entry.set_epoch(1);
  entry.set_entry(entries_);
  entry.set_account(account);
  *entry.mutable_conversation() = conversation;
  return entry;
}

void fake_storage::tell_message(uint64_t account, const common::v1::Conversation& conversation,
                                const storage::v1::HistoryRow& row, int64_t accepted_ns) {
  session::v1::Delivery& entry = entry_for(account, conversation);
  entry.set_accepted_ns(accepted_ns);
  entry.mutable_message()->set_mid(row.mid());
  entry.mutable_message()->set_sender(row.sender());
  entry.mutable_message()->set_timestamp_ns(row.timestamp_ns());
  entry.mutable_message()->set_body(row.body());
  entry.mutable_message()->set_target(row.target());
}

void fake_storage::tell(const storage::v1::Relate& what, uint64_t to, uint64_t other, const pair_record& record,
                        uint32_t bn_type) {
  session::v1::RelationChange& change = *entry_for(to, what.conversation()).mutable_relation();
  change.set_other(other);
  change.set_version(record.version);
  change.set_mine(record.bits.at(to));
  change.set_theirs(record.bits.at(other));
  change.set_notice_bn_type(bn_type);
  change.set_text(what.text());
}

errc fake_storage::relate(const storage::v1::Relate& what, storage::v1::Related& out) {
  pair_record& record = pairs_[id_of(what.conversation())];
  uint32_t& mine = record.bits[what.actor()];
  uint32_t& theirs = record.bits[what.other()];
  uint32_t notice = 0;
  errc code = errc::ok;
  if (what.change() == storage::v1::Relate::ADD) {
    if ((theirs & session::v1::RELATION_BLOCKS) != 0) return errc::blocked;
    if ((mine & session::v1::RELATION_BLOCKS) != 0) return errc::permission_denied;
    code = (mine & session::v1::RELATION_FRIEND) != 0 ? errc::repeated : errc::ok;
    mine |= session::v1::RELATION_ASKED;
    const bool both = (theirs & session::v1::RELATION_ASKED) != 0;
    if (both) {
      mine |= session::v1::RELATION_FRIEND;
      theirs |= session::v1::RELATION_FRIEND;
    }
    notice = both ? 5 : 4;
  } else if (what.change() == storage::v1::Relate::REMOVE) {
    mine = 0;
    theirs &= ~static_cast<uint32_t>(session::v1::RELATION_FRIEND);
    notice = 6;
  } else {
    mine |= session::v1::RELATION_BLOCKS;
    notice = 7;
  }
  ++record.version;
  tell(what, what.other(), what.actor(), record, notice);
  tell(what, what.actor(), what.other(), record, 0);
  out.set_version(record.version);
  out.set_mine(record.bits[what.actor()]);
  out.set_theirs(record.bits[what.other()]);
  return code;
}

void fake_storage::roster_put(const storage::v1::RosterPut& what) {
  storage::v1::RosterRow& row = rosters_[{what.account(), what.other()}];
  if (what.notice_id() != 0) notices.emplace(std::pair{what.account(), what.notice_id()}, what.notice());
  if (row.version() >= what.version()) return;
  row.set_other(what.other());
  row.set_version(what.version());
  row.set_mine(what.mine());
  row.set_theirs(what.theirs());
}

void fake_storage::cursor_put(const storage::v1::CursorPut& what) {
  ++cursor_writes;
  if (what.conversation().lo() == 0) {
    uint64_t& position = room_positions[{what.account(), what.conversation().hi()}];
    position = std::max(position, what.delivered());
    return;
  }
  const std::pair key{what.account(), id_of(what.conversation())};
  const auto at = cursors.find(key);
  if (what.kind() == storage::v1::CursorPut::CLEAR) {
    cursors.erase(key);
  } else if (what.kind() == storage::v1::CursorPut::MARK) {
    if (at == cursors.end() || at->second.delivered() > what.delivered()) cursors[key] = what;
  } else if (at != cursors.end()) {
    at->second.set_delivered(std::max(at->second.delivered(), what.delivered()));
  }
}

void fake_storage::backlog(const storage::v1::Backlog& what, storage::v1::BacklogFound& out) {
  for (const auto& [key, row] : cursors) {
    if (key.first != what.account()) continue;
    if (static_cast<uint32_t>(out.rows_size()) == what.limit()) {
      out.set_more(true);
      break;
    }
    storage::v1::BacklogRow& found = *out.add_rows();
    *found.mutable_conversation() = row.conversation();
    found.set_delivered(row.delivered());
    found.set_other(row.other());
  }
  for (const auto& [key, body] : notices) {
    if (key.first != what.account()) continue;
    storage::v1::Notice& notice = *out.add_notices();
    notice.set_id(key.second);
    notice.set_body(body);
  }
}

errc fake_storage::read(const storage::v1::Read& what, storage::v1::Page& out) {
  const auto id = id_of(what.conversation());
  if (id.lo == 0 && what.reader() != 0 && (bits_in({id.hi}, {what.reader()}) & storage::v1::ROOM_MEMBER) == 0) {
    return errc::permission_denied;
  }
  const auto at = pairs_.find(id);
  if (at == pairs_.end()) return errc::ok;
  const pair_record& record = at->second;
  const auto left_out = [&](uint64_t mid) {
    return record.tombstones.contains(mid) || (what.listed_only() && record.unlisted.contains(mid));
  };
  out.set_head(record.head);
  if (what.newest_first()) {
    for (auto row = record.rows.rbegin(); row != record.rows.rend(); ++row) {
      if (left_out(row->mid()) || (what.from_mid() != 0 && row->mid() > what.from_mid())) continue;
      if (what.not_after_ns() != 0 && row->timestamp_ns() > what.not_after_ns()) continue;
      if (static_cast<uint32_t>(out.rows_size()) == what.limit()) break;
      *out.add_rows() = *row;
    }
    return errc::ok;
  }
  out.set_reached(record.head);
  for (const auto& row : record.rows) {
    if (left_out(row.mid()) || row.mid() <= what.from_mid() || (what.others_only() && row.sender() == what.reader()))
      continue;
    if (static_cast<uint32_t>(out.rows_size()) == what.limit()) {
      out.set_reached(row.mid() - 1);
      break;
    }
    *out.add_rows() = row;
  }
  return errc::ok;
}

}  // namespace tern::shards
