#include "services/storage/logic/writer_engine.hpp"

#include <algorithm>
#include <exception>
#include <utility>

#include "libs/log/log.hpp"
#include "services/storage/convert.hpp"
#include "services/storage/request_slot.hpp"

namespace tern::storage {
namespace {

const log::logger logger{"storage"};

/// About: bodies count, the rest is small.
size_t size_of(const v1::StorageRequest& message) {
  constexpr size_t small = 256;
  switch (message.op_case()) {
    case v1::StorageRequest::kAppend: return message.append().body().size();
    case v1::StorageRequest::kRoomAppend: return message.room_append().body().size();
    case v1::StorageRequest::kRecall: return small + message.recall().body().size();
    case v1::StorageRequest::kRoomChange: return small + message.room_change().bean().size();
    case v1::StorageRequest::kProfilePut: return small + message.profile_put().bean().size();
    case v1::StorageRequest::kNoticePut: return small + message.notice_put().body().size();
    default: return small;
  }
}

/// The answer of a store, or what it threw as `code`.
template <class Call>
auto guarded(const Call& call, errc code = errc::unavailable) -> decltype(call()) {
  try {
    return call();
  } catch (const std::exception& thrown) {
    return error{code, thrown.what()};
  }
}

bool lost_connection(errc code) { return code == errc::unavailable || code == errc::deadline; }

}  // namespace

writer_engine::writer_engine(writer_options how, const clock& time, open_function open,
                             std::shared_ptr<shard_counters> counters)
    : how_(std::move(how)),
      time_(time),
      open_(std::move(open)),
      cache_(how_.cached),
      counters_(counters ? std::move(counters) : std::make_shared<shard_counters>(how_.epoch)) {}

void writer_engine::add(std::vector<write_request>&& items) {
  for (auto& item : items) items_.push_back(std::move(item));
  items.clear();
}

void writer_engine::add_done(const std::vector<uint64_t>& entries) {
  done_.insert(done_.end(), entries.begin(), entries.end());
}

bool writer_engine::settled(slot_type first, slot_type last) const {
  if (!store_ || doubt_) return false;
  return std::none_of(items_.begin(), items_.end(), [&](const write_request& item) {
    const auto slot = slot_asked(item.message);
    return slot && *slot >= first && *slot <= last;
  });
}

void writer_engine::flush_done() {
  if (!store_ || done_.empty()) return;
  write_batch batch;
  batch.outbox_done.assign(done_.begin(), done_.end());
  if (store_->commit(batch)) done_.clear();  // else: delivered once more by the next owner
}

std::vector<answer> writer_engine::refuse_all(errc code) {
  std::vector<answer> out;
  out.reserve(items_.size());
  for (auto& item : items_) out.push_back(make_answer(item, item.in_doubt ? errc::deadline : code));
  items_.clear();
  done_.clear();
  return out;
}

std::vector<answer> writer_engine::expire() {
  std::vector<answer> out;
  const auto now = time_.now();
  const auto late = [&](write_request& item) {
    if (item.deadline > now) return false;
    out.push_back(make_answer(item, item.in_doubt ? errc::deadline : errc::unavailable));
    return true;
  };
  std::erase_if(items_, late);
  return out;
}

result<void> writer_engine::ensure_open() {
  if (store_) return {};
  auto opened = guarded([&] { return open_(); });
  if (!opened) return opened.error();
  store_ = std::move(*opened);
  // Another primary may lack commits that the former one had: nothing that was read there holds here.
  const auto term = store_->term();
  if (term_ && *term_ != term) cache_.clear();
  term_ = term;
  look_for_keys();
  return {};
}

uint64_t writer_engine::statements() const { return closed_statements_ + (store_ ? store_->statements() : 0); }

void writer_engine::drop_store() {
  closed_statements_ += store_ ? store_->statements() : 0;
  store_.reset();
}

size_t writer_engine::batch_size() const {
  const size_t most = solo_ > 0 ? 1 : how_.batch_requests;
  size_t count = 0;
  size_t bytes = 0;
  for (const auto& item : items_) {
    if (count == most) break;
    bytes += size_of(item.message);
    if (count > 0 && bytes > how_.batch_bytes) break;
    ++count;
  }
  return count;
}

round writer_engine::run() {
  round out;
  out.answers = expire();
  if (items_.empty() && done_.empty()) {
    out.what = out.answers.empty() ? round::outcome::idle : round::outcome::served;
    return out;
  }
  in_batch_ = 0;
  durable_ = false;
  try {
    run_batch(out);
  } catch (const std::exception& thrown) {
    logger.error("exception in the writer", {{"shard", how_.shard}, {"what", thrown.what()}});
    if (durable_) {
      unanswerable(out);
    } else {
      fail({errc::internal, thrown.what()}, std::min(in_batch_, items_.size()), false, out);
    }
  }
  return out;
}

void writer_engine::run_batch(round& out) {
  if (auto opened = ensure_open(); !opened) {
    fail(opened.error(), batch_size(), false, out);
    return;
  }
  if (auto resolved = resolve(out); !resolved) {
    fail({errc::unavailable, resolved.error().detail}, batch_size(), false, out);
    return;
  }
  if (items_.empty() && done_.empty()) {
    out.what = round::outcome::served;
    return;
  }
  const size_t count = in_batch_ = batch_size();
  const bool look = !store_->tell_keys() || time_.now() < look_until_;
  if (!run_planned(count, look, out)) run_planned(count, true, out);
}

/// False: nothing was done, because keys have to be looked up first.
bool writer_engine::run_planned(size_t count, bool look, round& out) {
  batch_builder builder(how_.shard, how_.epoch, cache_, *counters_, time_.wall_ns());
  if (auto known = read(builder, count, look); !known) {
    fail(known.error(), count, false, out);
    return true;
  }
  for (size_t i = 0; i < count; ++i) builder.plan(items_[i]);
  return !builder.misled() && commit(builder, count, out);
}

void writer_engine::look_for_keys() { look_until_ = time_.now() + how_.look_for_keys; }

/// Answers what was committed by the batch whose outcome was unknown; the rest is done as if it had never been tried.
result<void> writer_engine::resolve(round& out) {
  if (!doubt_) return {};
  const auto committed = was_committed(*doubt_);
  if (!committed) return committed.error();
  doubt_.reset();
  size_t answered = 0;
  const auto settled = [&](write_request& item) {
    if (!item.in_doubt) return false;
    item.in_doubt = false;
    // A new account: what became of it is in its row, which is asked for by doing it again.
    if (!*committed || item.message.has_account_create()) return false;
    auto reply = std::move(item.planned_reply);
    out.answers.push_back(make_answer(item, std::move(reply)));
    ++answered;
    return true;
  };
  std::erase_if(items_, settled);
  solo_ -= std::min(solo_, answered);
  return {};
}

result<bool> writer_engine::was_committed(const batch_witness& witness) {
  return guarded([&]() -> result<bool> {
    if (witness.message) {
      const auto found = store_->find_keys({&*witness.message, 1});
      if (!found) return found.error();
      return !found->empty() && found->front().timestamp_ns == witness.timestamp_ns;
    }
    if (witness.room) {
      const auto rows = store_->load_rooms({&witness.room, 1});
      if (!rows) return rows.error();
      return !rows->empty() && rows->front().version >= witness.version;
    }
    const auto rows = store_->load({&witness.pair, 1});
    if (!rows) return rows.error();
    return !rows->empty() && rows->front().relation_version >= witness.version;
  });
}

/// The outcome of the batch's commit is not known: keeps what was to be answered.
void writer_engine::doubt(batch_builder& builder, size_t count) {
  doubt_ = builder.witness();
  for (size_t i = 0; i < count; ++i) {
    items_[i].in_doubt = true;
    items_[i].planned_reply = std::move(builder.replies()[i]);
  }
}

/// The batch is durable, but an exception came before it was answered.
void writer_engine::unanswerable(round& out) {
  drop_store();
  cache_.clear();
  const size_t count = std::min(in_batch_, items_.size());
  for (size_t i = 0; i < count; ++i) {
    if (items_[i].from) out.answers.push_back(make_answer(items_[i], errc::deadline));
  }
  forget_first(count);
  done_in_batch_ = 0;
  out.deliveries.clear();
  out.resync = true;
  out.what = round::outcome::retry;
  out.failure = errc::internal;
}

result<void> writer_engine::read_keys(batch_builder& builder, bool ask) {
  const auto& wanted = builder.keys_wanted();
  if (wanted.empty()) return {};
  if (!ask && !builder.must_know_keys()) {
    builder.guess_keys();
    return {};
  }
  const auto found = store_->find_keys(wanted);
  if (!found) return found.error();
  if (!found->empty()) look_for_keys();
  builder.learn_keys(*found);
  return {};
}

result<void> writer_engine::read(batch_builder& builder, size_t count, bool ask_keys) {
  for (size_t i = 0; i < count; ++i) builder.need(items_[i]);
  const auto look = [&](const auto& wanted, const auto& ask, const auto& learn) -> result<void> {
    if (wanted.empty()) return {};
    auto rows = ask(wanted);
    if (!rows) return rows.error();
    learn(std::move(*rows));
    return {};
  };
  auto& store = *store_;
  if (auto done = look(
          builder.conversations_wanted(), [&](auto& ids) { return store.load(ids); },
          [&](auto rows) { builder.learn_conversations(std::move(rows)); });
      !done) {
    return done;
  }
  if (auto done = look(
          builder.rooms_wanted(), [&](auto& ids) { return store.load_rooms(ids); },
          [&](auto rows) { builder.learn_rooms(std::move(rows)); });
      !done) {
    return done;
  }
  if (auto done = look(
          builder.members_wanted(), [&](auto& keys) { return store.load_members(keys); },
          [&](const auto& rows) { builder.learn_members(rows); });
      !done) {
    return done;
  }
  if (auto done = look(
          builder.messages_wanted(), [&](auto& places) { return store.load_messages(places); },
          [&](auto rows) { builder.learn_messages(std::move(rows)); });
      !done) {
    return done;
  }
  if (auto done = look(
          builder.profiles_wanted(), [&](auto& ids) { return store.load_profiles(ids); },
          [&](auto rows) { builder.learn_profiles(std::move(rows)); });
      !done) {
    return done;
  }
  return read_keys(builder, ask_keys);
}

/// False: nothing was written, because a key is there that was taken for new.
bool writer_engine::commit(batch_builder& builder, size_t count, round& out) {
  auto& batch = builder.batch();
  done_in_batch_ = std::min(done_.size(), how_.done_rows);
  batch.outbox_done.assign(done_.begin(), done_.begin() + static_cast<std::ptrdiff_t>(done_in_batch_));
  out.rows = batch.rows();
  out.messages = builder.messages();
  if (batch.empty()) {
    builder.committed({});
    settle(builder, count, out);
    return true;
  }
  auto outcome = guarded([&] { return store_->commit(batch); }, errc::internal);
  if (!outcome && outcome.code() == errc::exists && builder.guessed()) {
    look_for_keys();
    return false;
  }
  if (!outcome) {
    if (outcome.code() != errc::unavailable && outcome.code() != errc::stale_epoch) doubt(builder, count);
    fail(outcome.error(), count, true, out);
    return true;
  }
  durable_ = true;
  builder.committed(*outcome);
  settle(builder, count, out);
  return true;
}

void writer_engine::settle(batch_builder& builder, size_t count, round& out) {
  auto& replies = builder.replies();
  for (size_t i = 0; i < count; ++i) {
    auto& item = items_[i];
    if (item.message.trace() != 0) log::trace(item.message.trace(), "storage", "commit");
    out.answers.push_back(make_answer(item, std::move(replies[i])));
  }
  out.deliveries = std::move(builder.deliveries());
  out.what = round::outcome::served;
  forget_first(count);
  done_.erase(done_.begin(), done_.begin() + static_cast<std::ptrdiff_t>(done_in_batch_));
  done_in_batch_ = 0;
}

void writer_engine::forget_first(size_t count) {
  items_.erase(items_.begin(), items_.begin() + static_cast<std::ptrdiff_t>(count));
  solo_ -= std::min(solo_, count);
}

void writer_engine::fail(const error& why, size_t count, bool committing, round& out) {
  out.failure = why.code;
  out.detail = why.detail;
  out.rows = out.messages = 0;
  drop_store();
  if (why.code == errc::stale_epoch) {
    out.what = round::outcome::stale;
    auto refused = refuse_all(errc::wrong_owner);
    std::move(refused.begin(), refused.end(), std::back_inserter(out.answers));
    return;
  }
  out.what = round::outcome::retry;
  const bool in_doubt = committing && why.code != errc::unavailable;
  if (in_doubt) {
    // Whether a taken token was there before cannot be read back: its owner is told that the outcome is unknown.
    out.resync = true;
    cache_.clear();
    const auto undecidable = [&](write_request& item) {
      if (!item.in_doubt || !item.message.has_token_login()) return false;
      out.answers.push_back(make_answer(item, errc::deadline));
      return true;
    };
    count -= std::erase_if(items_, undecidable);
  }
  if (lost_connection(why.code)) return;

  // Not the connection: something in the batch itself. One by one, so that only the culprit suffers.
  logger.error("batch refused by the database",
               {{"shard", how_.shard}, {"code", to_string(why.code)}, {"detail", why.detail}, {"requests", count}});
  if (count > 1) {
    solo_ = count;
  } else if (count == 1) {
    out.answers.push_back(make_answer(items_.front(), errc::database));
    forget_first(1);
  } else {
    // Only confirmations: they stay in the outbox, and whoever scans it next delivers them again, which is harmless.
    done_.erase(done_.begin(), done_.begin() + static_cast<std::ptrdiff_t>(done_in_batch_));
  }
  done_in_batch_ = 0;
}

result<std::vector<session::v1::Delivery>> writer_engine::scan(uint64_t after, size_t limit) {
  if (auto opened = ensure_open(); !opened) return opened.error();
  auto rows = guarded([&] { return store_->scan_outbox(after, limit); });
  if (!rows) {
    drop_store();
    return rows.error();
  }
  std::vector<session::v1::Delivery> out;
  out.reserve(rows->size());
  for (auto& row : *rows) out.push_back(to_delivery(how_.shard, how_.epoch, std::move(row)));
  return out;
}

}  // namespace tern::storage
