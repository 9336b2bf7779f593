#include "services/storage/repositories/memory_tables.hpp"

#include <algorithm>

#include "services/storage/repositories/backends.hpp"

namespace tern::storage {

result<uint64_t> memory_tables::acquire(uint64_t epoch) {
  if (epoch < epoch_) return errc::stale_epoch;
  epoch_ = epoch;
  return ++session_;
}

std::vector<conversation_row> memory_tables::load(std::span<const conversation_id> ids) const {
  std::vector<conversation_row> rows;
  for (const auto& id : ids) {
    if (const auto found = conversations_.find(id); found != conversations_.end()) rows.push_back(found->second);
  }
  return rows;
}

std::vector<found_key> memory_tables::find_keys(std::span<const message_key> keys) const {
  std::vector<found_key> rows;
  for (size_t i = 0; i < keys.size(); ++i) {
    const auto found = keys_.find({keys[i].conversation, keys[i].sender, keys[i].key});
    if (found == keys_.end()) continue;
    rows.push_back({i, found->second, messages_.at({keys[i].conversation, found->second}).timestamp_ns});
  }
  return rows;
}

std::vector<outbox_entry> memory_tables::scan_outbox(uint64_t after, size_t limit) const {
  std::vector<outbox_entry> rows;
  for (auto at = outbox_.upper_bound(after); at != outbox_.end() && rows.size() < limit; ++at) {
    auto& entry = rows.emplace_back(outbox_entry{at->second, std::nullopt});
    if (entry.row.kind != outbox_kind::message) continue;
    const auto found = messages_.find({entry.row.conversation, entry.row.mid});
    if (found != messages_.end()) entry.message = found->second;
  }
  return rows;
}

errc memory_tables::acceptable(const write_batch& batch) const {
  std::set<key_of_message> released;
  for (const auto& row : batch.released_keys) released.emplace(row.conversation, row.sender, row.key);
  std::set<key_of_message> keys;
  std::set<std::pair<conversation_id, uint64_t>> mids;
  for (const auto& row : batch.messages) {
    if (messages_.contains({row.conversation, row.mid}) || !mids.emplace(row.conversation, row.mid).second)
      return errc::database;
    if (row.key.empty()) continue;
    const key_of_message key{row.conversation, row.sender, row.key};
    if ((keys_.contains(key) && !released.contains(key)) || !keys.insert(key).second) return errc::exists;
  }
  const bool doubled =
      std::ranges::any_of(batch.outbox, [&](const auto& row) { return outbox_.contains(row.entry); });
  return doubled ? errc::database : errc::ok;
}

result<write_outcome> memory_tables::write(const write_batch& batch) {
  if (const errc code = acceptable(batch); code != errc::ok) {
    return error{code, "memory: a mid, key or entry is there already"};
  }
  write_outcome outcome;
  write_messages(batch);
  for (const auto& row : batch.conversations) conversations_[row.id] = row;
  for (const auto& row : batch.outbox) outbox_[row.entry] = row;
  for (const auto entry : batch.outbox_done) outbox_.erase(entry);
  write_rooms(batch);
  for (const auto& row : batch.roster) write_roster(row);
  for (const auto& row : batch.cursors) write_cursor(row);
  for (const auto& row : batch.notices) notices_.try_emplace({row.account, row.id}, row);
  for (const auto& row : batch.notices_done) notices_.erase({row.account, row.id});
  write_accounts(batch, outcome);
  write_tokens(batch, outcome);
  write_account_changes(batch);
  return outcome;
}

void memory_tables::write_messages(const write_batch& batch) {
  for (const auto& row : batch.released_keys) {
    const auto found = keys_.find({row.conversation, row.sender, row.key});
    if (found == keys_.end()) continue;
    messages_.at({row.conversation, found->second}).key.clear();
    keys_.erase(found);
  }
  for (const auto& row : batch.messages) {
    bytes_ += row.body.size() + sizeof row;
    messages_[{row.conversation, row.mid}] = row;
    if (!row.key.empty()) keys_[{row.conversation, row.sender, row.key}] = row.mid;
  }
}

void memory_tables::write_roster(const roster_row& row) {
  auto [at, inserted] = roster_.try_emplace({row.account, row.other}, row);
  if (!inserted && row.version > at->second.version) at->second = row;
}

void memory_tables::write_cursor(const cursor_row& row) {
  auto [at, inserted] = cursors_.try_emplace({row.account, row.conversation}, position{row, 0});
  auto& stored = at->second;
  if (row.kind == cursor_kind::mark) {
    const bool dirty = stored.dirty_since != 0;
    stored.row.delivered = dirty ? std::min(stored.row.delivered, row.delivered) : row.delivered;
    if (!dirty) stored.dirty_since = ++stamps_;
    return;
  }
  stored.row.delivered = std::max(stored.row.delivered, row.delivered);
  if (row.kind == cursor_kind::clear) stored.dirty_since = 0;
}

void memory_tables::write_accounts(const write_batch& batch, write_outcome& outcome) {
  for (const auto& row : batch.accounts) outcome.account_created.push_back(accounts_.try_emplace(row.id, row).second);
}

void memory_tables::write_tokens(const write_batch& batch, write_outcome& outcome) {
  for (const auto& row : batch.tokens) tokens_[{row.account, row.hash}] = row;
  for (const auto& row : batch.tokens_taken) {
    auto& taken = outcome.token_taken.emplace_back();
    const auto found = tokens_.find({row.account, row.hash});
    if (found == tokens_.end()) continue;
    taken = found->second;
    tokens_.erase(found);
  }
}

std::optional<account_row> memory_tables::account(account_id id) const {
  const auto found = accounts_.find(id);
  return found == accounts_.end() ? std::nullopt : std::optional(found->second);
}

std::vector<roster_row> memory_tables::roster(account_id id) const {
  std::vector<roster_row> rows;
  for (auto at = roster_.lower_bound({id, account_id{}}); at != roster_.end() && at->first.first == id; ++at) {
    rows.push_back(at->second);
  }
  return rows;
}

backlog memory_tables::waiting(account_id id, uint32_t limit) const {
  backlog found;
  std::map<uint64_t, cursor_row> dirty;
  for (auto at = cursors_.lower_bound({id, {}}); at != cursors_.end() && at->first.first == id; ++at) {
    if (at->second.dirty_since != 0) dirty[at->second.dirty_since] = at->second.row;
  }
  for (const auto& [since, row] : dirty) {
    if (found.dirty.size() == limit)
      found.more = true;
    else
      found.dirty.push_back(row);
  }
  for (auto at = notices_.lower_bound({id, 0}); at != notices_.end() && at->first.first == id; ++at) {
    if (found.notices.size() == limit)
      found.more = true;
    else
      found.notices.push_back(at->second);
  }
  for (auto& row : found.dirty) row.kind = cursor_kind::mark;
  return found;
}

history_page memory_tables::history(const history_query& query) const {
  history_page page;
  const auto head = conversations_.find(query.conversation);
  if (head == conversations_.end()) return page;
  page.conversation = head->second;
  const uint64_t first = query.newest_first ? 0 : query.from_mid + 1;
  const uint64_t last = query.newest_first && query.from_mid != 0 ? query.from_mid : ~uint64_t{0};
  const auto begin = messages_.lower_bound({query.conversation, first});
  const auto end = messages_.upper_bound({query.conversation, last});
  const auto take = [&](const message_row& row) {
    if (row.sender == query.skip_sender && query.skip_sender) return;
    if (query.newest_first && query.not_after_ns != 0 && row.timestamp_ns > query.not_after_ns) return;
    if (row.tombstone || (query.listed_only && row.unlisted)) return;
    page.rows.push_back(row);
  };
  if (query.newest_first) {
    for (auto at = end; at != begin && page.rows.size() < query.limit;) take((--at)->second);
  } else {
    for (auto at = begin; at != end && page.rows.size() < query.limit; ++at) take(at->second);
  }
  row_cipher none;
  return *finish_page(query, false, none, std::move(page));
}

}  // namespace tern::storage
