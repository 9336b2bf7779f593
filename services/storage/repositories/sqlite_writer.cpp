#include "services/storage/repositories/sqlite_writer.hpp"

#include "libs/crypto/random.hpp"
#include "services/storage/repositories/sqlite_rows.hpp"
#include "services/storage/repositories/sqlite_statements.hpp"

namespace tern::storage {
namespace {

using sql::sqlite_statement;

void bind_key(sqlite_statement& s, const conversation_id& id, account_id sender, const std::string& key) {
  bind_conversation(s, 1, id).bind(4, sender.value).bind_bytes(5, key);
}

}  // namespace

result<void> sqlite_writer::acquire(uint64_t epoch) {
  if (auto begun = database_->begin(); !begun) return begun;
  auto fence = database_->query(sqlite_text::get_fence, {});
  if (!fence || fence->empty() || static_cast<uint64_t>(sql::as_int(fence->front()[0])) > epoch) {
    database_->rollback();
    return fence ? result<void>{errc::stale_epoch} : result<void>{fence.error()};
  }
  const uint64_t session = crypto::random_u64() | 1U;
  auto set = database_->query(sqlite_text::set_fence, {static_cast<int64_t>(epoch), static_cast<int64_t>(session)});
  if (!set) {
    database_->rollback();
    return set.error();
  }
  if (auto done = database_->commit(); !done) return done;
  epoch_ = epoch;
  session_ = session;
  relations_.clear();  // another writer may have been between
  return {};
}

result<std::vector<conversation_row>> sqlite_writer::load(std::span<const conversation_id> ids) {
  std::vector<conversation_row> rows;
  auto statement = database_->prepare(sqlite_text::load_conversation);
  if (!statement) return statement.error();
  auto& s = **statement;
  for (const auto& id : ids) {
    bind_conversation(s, 1, id);
    auto found = s.step();
    if (!found) return found.error();
    if (*found) {
      rows.push_back({id,
                      {s.number(0)},
                      {s.number(1)},
                      s.number(2),
                      static_cast<uint32_t>(s.number(3)),
                      static_cast<uint32_t>(s.number(4)),
                      s.number(5)});
      relations_.remember(rows.back());
    }
    s.reset();
  }
  return rows;
}

result<std::vector<found_key>> sqlite_writer::find_keys(std::span<const message_key> keys) {
  std::vector<found_key> rows;
  auto statement = database_->prepare(sqlite_text::find_key);
  if (!statement) return statement.error();
  auto& s = **statement;
  for (size_t i = 0; i < keys.size(); ++i) {
    bind_key(s, keys[i].conversation, keys[i].sender, keys[i].key);
    auto found = s.step();
    if (!found) return found.error();
    if (*found) rows.push_back({i, s.number(0), s.integer(1)});
    s.reset();
  }
  return rows;
}

result<std::vector<outbox_entry>> sqlite_writer::scan(uint64_t after, size_t limit) {
  std::vector<outbox_entry> rows;
  auto statement = database_->prepare(sqlite_text::scan_outbox);
  if (!statement) return statement.error();
  auto& s = **statement;
  s.bind(1, after).bind(2, static_cast<uint64_t>(limit));
  while (true) {
    auto more = s.step();
    if (!more) return more.error();
    if (!*more) return rows;
    auto& entry = rows.emplace_back();
    entry.row = {s.number(0),
                 {s.number(1)},
                 {s.number(2), s.number(3)},
                 static_cast<outbox_kind>(s.integer(4)),
                 s.number(5),
                 std::string(s.bytes(6)),
                 s.integer(7)};
    if (s.number(8) == 0) continue;  // no message: mids start at 1
    entry.message =
        message_row{entry.row.conversation, s.number(8), {s.number(9)}, {}, s.integer(10), std::string(s.bytes(11))};
    set_flags(*entry.message, s.integer(12), s.number(13));
  }
}

result<write_outcome> sqlite_writer::commit(const write_batch& batch) {
  if (doubtful_) {
    if (auto opened = database_->reopen(); !opened) return opened.error();
    doubtful_ = false;
  }
  if (auto begun = database_->begin(); !begun) return begun.error();
  write_outcome outcome;
  const auto pairs = relations_.changed(batch.conversations);
  if (auto done = transact(batch, pairs, outcome); !done) {
    database_->rollback();
    return done.error();
  }
  if (auto done = database_->commit(); !done) {
    doubtful_ = done.code() == errc::deadline;
    return done.error();
  }
  for (const auto& row : pairs) relations_.remember(row);
  return outcome;
}

result<void> sqlite_writer::transact(const write_batch& batch, const std::vector<conversation_row>& pairs,
                                     write_outcome& outcome) {
  if (auto done = check_fence(); !done) return done;
  if (auto done = write_chat(batch, pairs); !done) return done;
  if (auto done = write_outbox(batch); !done) return done;
  if (auto done = write_rooms(batch); !done) return done;
  if (auto done = write_cursors(batch.cursors); !done) return done;
  if (auto done = write_lists(batch); !done) return done;
  if (auto done = write_accounts(batch.accounts, outcome); !done) return done;
  if (auto done = write_tokens(batch, outcome); !done) return done;
  return write_account_changes(batch);
}

result<void> sqlite_writer::check_fence() {
  auto statement = database_->prepare(sqlite_text::get_fence);
  if (!statement) return statement.error();
  auto& s = **statement;
  auto found = s.step();
  if (!found) return found.error();
  const bool ours = *found && session_ != 0 && s.number(0) == epoch_ && s.number(1) == session_;
  s.reset();
  return ours ? errc::ok : errc::stale_epoch;
}

result<void> sqlite_writer::write_chat(const write_batch& batch, const std::vector<conversation_row>& pairs) {
  auto done = each(batch.released_keys, sqlite_text::release_key,
                   [](auto& s, const message_row& row) { bind_key(s, row.conversation, row.sender, row.key); });
  if (!done) return done;
  done = each(batch.messages, sqlite_text::put_message, [this](auto& s, const message_row& row) {
    bind_conversation(s, 1, row.conversation).bind(4, row.mid).bind(5, row.sender.value).bind(7, row.timestamp_ns);
    row.key.empty() ? s.bind_null(6) : s.bind_bytes(6, row.key);
    s.bind_bytes(8, cipher_.seal(row)).bind(9, flags_of(row));
    row.target == 0 ? s.bind_null(10) : s.bind(10, row.target);
  });
  if (!done) return done;
  return each(pairs, sqlite_text::put_conversation, [](auto& s, const conversation_row& row) {
    bind_conversation(s, 1, row.id).bind(4, row.a.value).bind(5, row.b.value).bind(6, row.head);
    s.bind(7, row.a_bits).bind(8, row.b_bits).bind(9, row.relation_version);
  });
}

result<void> sqlite_writer::write_outbox(const write_batch& batch) {
  auto done = each(batch.outbox, sqlite_text::put_outbox, [this](auto& s, const outbox_row& row) {
    bind_conversation(s.bind(1, row.entry), 2, row.conversation).bind(5, row.recipient.value);
    s.bind(6, static_cast<int64_t>(row.kind))
        .bind(7, row.mid)
        .bind_bytes(8, cipher_.seal(row))
        .bind(9, row.accepted_ns);
  });
  if (!done) return done;
  return each(batch.outbox_done, sqlite_text::drop_outbox, [](auto& s, uint64_t entry) { s.bind(1, entry); });
}

result<void> sqlite_writer::write_cursors(const std::vector<cursor_row>& rows) {
  for (const auto& row : rows) {
    const bool mark = row.kind == cursor_kind::mark;
    auto statement = database_->prepare(mark                               ? sqlite_text::mark_cursor
                                        : row.kind == cursor_kind::advance ? sqlite_text::advance_cursor
                                                                           : sqlite_text::clear_cursor);
    if (!statement) return statement.error();
    auto& s = **statement;
    bind_account(s, row.account).bind(3, row.conversation.hi).bind(4, row.conversation.lo);
    s.bind(5, row.other.value).bind(6, row.delivered);
    if (mark) s.bind(7, stamps_.next());
    if (auto done = s.run(); !done) return done;
  }
  return {};
}

result<void> sqlite_writer::write_lists(const write_batch& batch) {
  auto done = each(batch.roster, sqlite_text::put_roster, [](auto& s, const roster_row& row) {
    bind_account(s, row.account).bind(3, row.other.value).bind(4, row.version).bind(5, row.mine).bind(6, row.theirs);
  });
  if (!done) return done;
  done = each(batch.notices, sqlite_text::put_notice, [this](auto& s, const notice_row& row) {
    bind_account(s, row.account).bind(3, row.id).bind_bytes(4, cipher_.seal(row));
  });
  if (!done) return done;
  return each(batch.notices_done, sqlite_text::drop_notice,
              [](auto& s, const notice_row& row) { bind_account(s, row.account).bind(3, row.id); });
}

result<void> sqlite_writer::write_accounts(const std::vector<account_row>& rows, write_outcome& outcome) {
  if (rows.empty()) return {};
  auto statement = database_->prepare(sqlite_text::put_account);
  if (!statement) return statement.error();
  auto& s = **statement;
  for (const auto& row : rows) {
    bind_account(s, row.id).bind_bytes(3, row.name_key).bind_text(4, row.domain).bind_text(5, row.password_hash);
    s.bind(6, row.created_ns);
    auto created = s.step();
    if (!created) return created.error();
    outcome.account_created.push_back(*created);
    if (!*created) continue;
    if (auto done = s.run(); !done) return done;
  }
  return {};
}

result<void> sqlite_writer::write_tokens(const write_batch& batch, write_outcome& outcome) {
  auto done = each(batch.tokens, sqlite_text::put_token, [](auto& s, const token_row& row) {
    bind_account(s, row.account).bind_bytes(3, row.hash).bind(4, row.expires_ns);
  });
  if (!done || batch.tokens_taken.empty()) return done;
  auto statement = database_->prepare(sqlite_text::take_token);
  if (!statement) return statement.error();
  auto& s = **statement;
  for (const auto& row : batch.tokens_taken) {
    bind_account(s, row.account).bind_bytes(3, row.hash);
    auto found = s.step();
    if (!found) return found.error();
    auto& taken = outcome.token_taken.emplace_back();
    if (!*found) continue;
    taken = token_row{row.hash, row.account, s.integer(0)};
    if (done = s.run(); !done) return done;
  }
  return {};
}

}  // namespace tern::storage
