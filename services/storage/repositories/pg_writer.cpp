#include "services/storage/repositories/pg_writer.hpp"

#include <algorithm>
#include <map>

#include "libs/crypto/random.hpp"
#include "services/storage/repositories/pg_columns.hpp"
#include "services/storage/repositories/pg_room_statements.hpp"
#include "services/storage/repositories/pg_statements.hpp"

namespace tern::storage {
namespace {

struct run_of_entries {
  uint64_t first, last;
};

/// The entries as runs of neighbours: confirmed entries mostly are.
std::vector<run_of_entries> runs_of(std::vector<uint64_t> entries) {
  std::sort(entries.begin(), entries.end());
  std::vector<run_of_entries> runs;
  for (const auto entry : entries) {
    if (!runs.empty() && entry <= runs.back().last + 1) {
      runs.back().last = entry;
    } else {
      runs.push_back({entry, entry});
    }
  }
  return runs;
}

/// What a read tells when its connection is lost: nothing was written, whatever happened.
error of_read(error failed) {
  if (failed.code == errc::deadline) failed.code = errc::unavailable;
  return failed;
}

/// The rows of `left` that are the first of their cursor; the others stay in `left`.
std::vector<cursor_row> first_of_each(std::vector<cursor_row>& left) {
  std::map<std::pair<account_id, conversation_id>, bool> seen;
  std::vector<cursor_row> first, rest;
  for (const auto& row : left) {
    (seen.try_emplace({row.account, row.conversation}, true).second ? first : rest).push_back(row);
  }
  left = std::move(rest);
  return first;
}

std::vector<bool> created(const std::vector<account_row>& asked, const sql::pg_rows& found) {
  std::map<uint64_t, bool> ids;
  for (size_t i = 0; i < found.size(); ++i) ids[found.number(i, 0)] = true;
  std::vector<bool> answers;
  for (const auto& row : asked) answers.push_back(ids.erase(row.id.value) == 1);
  return answers;
}

std::vector<std::optional<token_row>> taken(const std::vector<token_row>& asked, const sql::pg_rows& found) {
  std::map<std::pair<uint64_t, std::string>, int64_t> tokens;
  for (size_t i = 0; i < found.size(); ++i) {
    tokens[{found.number(i, 0), std::string(found.bytes(i, 1))}] = found.integer(i, 2);
  }
  std::vector<std::optional<token_row>> answers;
  for (const auto& row : asked) {
    const auto token = tokens.extract({row.account.value, row.hash});
    answers.push_back(token ? std::optional(token_row{row.hash, row.account, token.mapped()}) : std::nullopt);
  }
  return answers;
}

/// `options` with what the watch knows.
sql::pg_link_options watched(sql::pg_link_options options, const std::shared_ptr<pg_watch>& watch) {
  if (!watch) return options;
  options.terms = watch->terms();
  options.patient = [watch] { return watch->patient(); };
  return options;
}

}  // namespace

pg_writer::pg_writer(const std::string& dsn, sql::pg_link_options options, std::shared_ptr<pg_watch> watch,
                     std::shared_ptr<key_ring> keys)
    : dsn_(dsn),
      options_(options),
      watch_(std::move(watch)),
      link_(dsn, watched(std::move(options), watch_)),
      cipher_(std::move(keys)) {}

std::unique_ptr<writer_store> pg_writer::beside() {
  auto made = std::make_unique<pg_writer>(dsn_, options_, watch_, cipher_.ring());
  made->relations_ = relations_;
  made->epoch_ = epoch_;
  made->session_ = session_;
  made->term_ = term_;
  made->beside_ = true;
  return made;
}

result<void> pg_writer::connected() {
  if (!watch_) return link_.ensure();
  link_.commit_locally(watch_->patient() == sql::patience::local);
  if (auto there = link_.ensure(); !there) return there;
  // What a connection that does not wait for standbys says of them is no news.
  if (seen_ != link_.generation() && !link_.commits_locally()) watch_->saw(link_.server());
  seen_ = link_.generation();
  if (auto may = watch_->may_write(); !may) return may;
  if (watch_->patient() == sql::patience::local && !link_.commits_locally()) return connected();
  return {};
}

sql::pg_params& pg_writer::add(const sql::pg_statement& statement) {
  if (params_.size() == calls_.size()) params_.emplace_back();
  auto& params = params_[calls_.size()];
  params.clear();
  calls_.push_back({&statement, &params});
  return params;
}

result<void> pg_writer::claim(const sql::pg_statement& update, uint64_t epoch) {
  if (auto there = connected(); !there) return there;
  const uint64_t session = crypto::random_u64() | 1U;
  const auto known = sessions_;
  sessions_.push_back(session);
  calls_.clear();
  const auto& primary = link_.server();
  auto& params = add(update).int8(epoch).int8(session).int8(primary.term).int8(primary.system);
  if (&update == &pg_text::verify) params.int8s(known, [](uint64_t one) { return one; });
  auto answer = link_.run(calls_);
  if (!answer) return of_read(answer.error());
  if (answer->front().size() == 0) return errc::stale_epoch;
  session_ = session;
  sessions_ = {session};
  proven_ = link_.generation();
  return {};
}

result<void> pg_writer::acquire(uint64_t epoch) {
  if (auto claimed = claim(pg_text::acquire, epoch); !claimed) return claimed;
  epoch_ = epoch;
  term_ = link_.server().term;
  relations_->clear();  // another writer may have been between
  return {};
}

result<void> pg_writer::ready() {
  if (auto there = connected(); !there) return there;
  if (session_ == 0 || (!beside_ && proven_ == link_.generation())) return {};
  if (link_.server().term != term_) {
    return error{errc::unavailable, "another primary, of timeline " + std::to_string(link_.server().term) +
                                        ": the shard must be acquired again"};
  }
  return beside_ ? result<void>{} : claim(pg_text::verify, epoch_);
}

result<sql::pg_rows> pg_writer::read() {
  auto answer = link_.run(calls_);
  if (!answer) return of_read(answer.error());
  return std::move(answer->front());
}

result<std::vector<conversation_row>> pg_writer::load(std::span<const conversation_id> ids) {
  if (auto there = ready(); !there) return there.error();
  calls_.clear();
  put_conversations(add(pg_text::load), ids, [](const conversation_id& id) { return id; });
  auto found = read();
  if (!found) return found.error();
  std::vector<conversation_row> rows(found->size());
  for (size_t i = 0; i < rows.size(); ++i) {
    rows[i] = {ids[found->number(i, 0) - 1], {found->number(i, 1)}, {found->number(i, 2)}, found->number(i, 3),
               found->number32(i, 4),        found->number32(i, 5), found->number(i, 6)};
    relations_->remember(rows[i]);
  }
  return rows;
}

result<std::vector<found_key>> pg_writer::find_keys(std::span<const message_key> keys) {
  if (auto there = ready(); !there) return there.error();
  calls_.clear();
  put_conversations(add(pg_text::find_keys), keys, [](const message_key& key) {
    return key.conversation;
  }).int8s(keys, [](const message_key& key) {
      return key.sender.value;
    }).byteas(keys, [](const message_key& key) -> const std::string& { return key.key; });
  auto found = read();
  if (!found) return found.error();
  std::vector<found_key> rows(found->size());
  for (size_t i = 0; i < rows.size(); ++i) {
    rows[i] = {found->number(i, 0) - 1, found->number(i, 1), found->integer(i, 2)};
  }
  return rows;
}

result<std::vector<outbox_entry>> pg_writer::scan(uint64_t after, size_t limit) {
  if (auto there = ready(); !there) return there.error();
  calls_.clear();
  add(pg_text::scan_outbox).int8(after).int8(static_cast<uint64_t>(limit));
  auto found = read();
  if (!found) return found.error();
  std::vector<outbox_entry> rows(found->size());
  for (size_t i = 0; i < rows.size(); ++i) {
    auto& row = rows[i].row;
    row = {found->number(i, 0),
           {found->number(i, 1)},
           {found->number(i, 2), found->number(i, 3)},
           static_cast<outbox_kind>(found->integer(i, 4)),
           found->number(i, 5),
           std::string(found->bytes(i, 6)),
           found->integer(i, 7)};
    if (found->null(i, 8)) continue;
    rows[i].message = message_row{row.conversation,      found->number(i, 8),
                                  {found->number(i, 9)}, {},
                                  found->integer(i, 10), std::string(found->bytes(i, 11))};
    set_flags(*rows[i].message, found->integer(i, 12), found->number(i, 13));
  }
  return rows;
}

result<write_outcome> pg_writer::commit(const write_batch& batch) {
  if (session_ == 0) return errc::stale_epoch;
  if (auto there = ready(); !there) return there.error();
  calls_.clear();
  const auto pairs = relations_->changed(batch.conversations);
  const bool chat = !batch.messages.empty() || !pairs.empty() || !batch.outbox.empty() || !batch.outbox_done.empty();
  if (!chat || !batch.released_keys.empty()) add(pg_text::check_fence).int8(epoch_).int8(session_);
  if (!batch.released_keys.empty()) {
    put_conversations(add(pg_text::release_keys), batch.released_keys, [](auto& row) {
      return row.conversation;
    }).int8s(batch.released_keys, [](const message_row& row) {
        return row.sender.value;
      }).byteas(batch.released_keys, [](const message_row& row) -> const std::string& { return row.key; });
  }
  if (chat) add_chat(batch, pairs);
  add_recalls(batch.recalled);
  add_rooms(batch.rooms);
  add_members(batch.members);
  add_account_rooms(batch.account_rooms);
  add_lists(batch);
  add_cursors(batch.cursors);
  add_logins(batch);
  add_account_changes(batch);

  auto answer = link_.run(calls_);
  if (!answer) {
    auto failed = answer.error();
    if (failed.code == errc::database && link_.violated() == "message_send_key") failed.code = errc::exists;
    if (failed.code == errc::stale_epoch && beside_)
      failed.code = errc::unavailable;  // or its neighbour's claim is new
    return failed;
  }
  for (const auto& row : pairs) relations_->remember(row);
  write_outcome outcome;
  for (size_t i = 0; i < calls_.size(); ++i) {
    if (calls_[i].statement == &pg_text::put_accounts)
      outcome.account_created = created(batch.accounts, (*answer)[i]);
    if (calls_[i].statement == &pg_text::take_tokens) outcome.token_taken = taken(batch.tokens_taken, (*answer)[i]);
  }
  return outcome;
}

void pg_writer::add_chat(const write_batch& batch, const std::vector<conversation_row>& pairs) {
  auto& to = add(pg_text::chat).int8(epoch_).int8(session_);
  const auto& messages = batch.messages;
  put_conversations(to, messages, [](const message_row& row) { return row.conversation; })
      .int8s(messages, [](const message_row& row) { return row.mid; })
      .int8s(messages, [](const message_row& row) { return row.sender.value; })
      .byteas(
          messages, [](const message_row& row) -> const std::string& { return row.key; }, true)
      .int8s(messages, [](const message_row& row) { return row.timestamp_ns; })
      .byteas(messages, [this](const message_row& row) { return cipher_.seal(row); });
  put_conversations(to, pairs, [](const conversation_row& row) { return row.id; })
      .int8s(pairs, [](const conversation_row& row) { return row.a.value; })
      .int8s(pairs, [](const conversation_row& row) { return row.b.value; })
      .int8s(pairs, [](const conversation_row& row) { return row.head; })
      .int4s(pairs, [](const conversation_row& row) { return row.a_bits; })
      .int4s(pairs, [](const conversation_row& row) { return row.b_bits; })
      .int8s(pairs, [](const conversation_row& row) { return row.relation_version; });
  const auto& outbox = batch.outbox;
  to.int8s(outbox, [](const outbox_row& row) { return row.entry; });
  put_conversations(to, outbox, [](const outbox_row& row) { return row.conversation; })
      .int8s(outbox, [](const outbox_row& row) { return row.recipient.value; })
      .int2s(outbox, [](const outbox_row& row) { return static_cast<uint8_t>(row.kind); })
      .int8s(outbox, [](const outbox_row& row) { return row.mid; })
      .byteas(
          outbox, [this](const outbox_row& row) { return cipher_.seal(row); }, true)
      .int8s(outbox, [](const outbox_row& row) { return row.accepted_ns; });
  const auto done = runs_of(batch.outbox_done);
  to.int8s(done, [](const run_of_entries& run) { return run.first; }).int8s(done, [](const run_of_entries& run) {
    return run.last;
  });
  to.int2s(messages, flags_of).int8s(messages, [](const message_row& row) { return row.target; });
}

void pg_writer::add_cursors(std::vector<cursor_row> left) {
  // One statement changes a row once, so a cursor's second change goes into a second statement.
  while (!left.empty()) {
    const auto rows = first_of_each(left);
    put_accounts_of(add(pg_text::put_cursors), rows)
        .int8s(rows, [](const cursor_row& row) { return row.conversation.hi; })
        .int8s(rows, [](const cursor_row& row) { return row.conversation.lo; })
        .int8s(rows, [](const cursor_row& row) { return row.other.value; })
        .int8s(rows, [](const cursor_row& row) { return row.delivered; })
        .int2s(rows, [](const cursor_row& row) { return static_cast<uint8_t>(row.kind); })
        .int8s(rows, [&](const cursor_row&) { return stamps_.next(); });
  }
}

void pg_writer::add_lists(const write_batch& batch) {
  if (!batch.roster.empty()) {
    const auto rows =
        newest_of_each(batch.roster, [](const roster_row& row) { return std::pair(row.account, row.other); });
    put_accounts_of(add(pg_text::put_roster), rows)
        .int8s(rows, [](const roster_row& row) { return row.other.value; })
        .int8s(rows, [](const roster_row& row) { return row.version; })
        .int4s(rows, [](const roster_row& row) { return row.mine; })
        .int4s(rows, [](const roster_row& row) { return row.theirs; });
  }
  if (!batch.notices.empty()) {
    put_accounts_of(add(pg_text::put_notices), batch.notices)
        .int8s(batch.notices, [](const notice_row& row) { return row.id; })
        .byteas(batch.notices, [this](const notice_row& row) { return cipher_.seal(row); });
  }
  if (!batch.notices_done.empty()) {
    put_accounts_of(add(pg_text::drop_notices), batch.notices_done)
        .int8s(batch.notices_done, [](const notice_row& row) { return row.id; });
  }
}

void pg_writer::add_logins(const write_batch& batch) {
  const auto& accounts = batch.accounts;
  if (!accounts.empty()) {
    add(pg_text::put_accounts)
        .int4s(accounts, [](const account_row& row) { return slot_of(row.id); })
        .int8s(accounts, [](const account_row& row) { return row.id.value; })
        .byteas(accounts, [](const account_row& row) -> const std::string& { return row.name_key; })
        .texts(accounts, [](const account_row& row) -> const std::string& { return row.domain; })
        .texts(accounts, [](const account_row& row) -> const std::string& { return row.password_hash; })
        .int8s(accounts, [](const account_row& row) { return row.created_ns; });
  }
  if (!batch.tokens.empty()) {
    put_accounts_of(add(pg_text::put_tokens), batch.tokens)
        .byteas(batch.tokens, [](const token_row& row) -> const std::string& { return row.hash; })
        .int8s(batch.tokens, [](const token_row& row) { return row.expires_ns; });
  }
  if (!batch.tokens_taken.empty()) {
    put_accounts_of(add(pg_text::take_tokens), batch.tokens_taken)
        .byteas(batch.tokens_taken, [](const token_row& row) -> const std::string& { return row.hash; });
  }
}

}  // namespace tern::storage
