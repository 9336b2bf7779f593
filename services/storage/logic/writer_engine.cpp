#include "services/storage/logic/writer_engine.hpp"

#include <algorithm>
#include <array>
#include <exception>
#include <future>
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

constexpr uint8_t no_witness = 255;  // in doubt, but nothing can tell: it is done anew

/// Of two failures the one that decides how it goes on.
int weight(errc code) {
  if (code == errc::stale_epoch) return 3;
  if (!lost_connection(code)) return 2;
  return code == errc::deadline ? 1 : 0;
}

}  // namespace

struct writer_engine::attempt {
  attempt(size_t begin, size_t many, batch_builder plan) : from(begin), count(many), builder(std::move(plan)) {}
  size_t from, count;
  batch_builder builder;
  size_t done = 0;      // of done_, deleted by it
  bool tried = false;   // a commit was sent
  bool misled = false;  // nothing was written: keys have to be looked up first
  write_outcome outcome;
  std::optional<error> failure;  // nothing: it is durable, if it is not misled
};

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
  if (!store_ || !doubts_.empty()) return false;
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

uint64_t writer_engine::statements() const {
  return closed_statements_ + (store_ ? store_->statements() : 0) + (beside_ ? beside_->statements() : 0);
}

void writer_engine::drop_store() {
  closed_statements_ = statements();
  beside_.reset();
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

bool writer_engine::may_split() {
  if (how_.split_requests == 0 || items_.size() < how_.split_requests || solo_ > 0) return false;
  if (!beside_) beside_ = store_->beside();
  return beside_ != nullptr;
}

/// Sorts the first of items_ by slots; those of one slot stay in order.
writer_engine::batch_sizes writer_engine::split() {
  struct part {
    std::vector<write_request> items;
    size_t bytes = 0;
    bool full = false;
  };
  std::array<part, 2> parts;
  std::vector<write_request> rest;
  const size_t most = std::min(items_.size(), 2 * how_.batch_requests);
  for (size_t i = 0; i < most; ++i) {
    auto& item = items_[i];
    auto& to = parts[slot_asked(item.message).value_or(0) % parts.size()];
    to.bytes += size_of(item.message);
    to.full = to.full || to.items.size() == how_.batch_requests || (!to.items.empty() && to.bytes > how_.batch_bytes);
    (to.full ? rest : to.items).push_back(std::move(item));
  }
  auto at = items_.begin();
  for (auto* from : {&parts[0].items, &parts[1].items, &rest}) at = std::move(from->begin(), from->end(), at);
  const batch_sizes sizes{parts[0].items.size(), parts[1].items.size()};
  return sizes.first > 0 ? sizes : batch_sizes{sizes.second, 0};
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
  const bool look = !store_->tell_keys() || time_.now() < look_until_;
  const auto sizes = may_split() ? split() : batch_sizes{batch_size(), 0};
  in_batch_ = sizes.first + sizes.second;
  if (sizes.second > 0) {
    run_both(sizes, look, out);
    return;
  }
  if (!run_planned(sizes.first, look, out)) run_planned(sizes.first, true, out);
}

/// False: nothing was done, because keys have to be looked up first.
bool writer_engine::run_planned(size_t count, bool look, round& out) {
  attempt one(0, count, new_plan());
  if (plan(one, look)) {
    take_done(one);
    commit(one, *store_);
  }
  if (one.misled && !look) return false;
  conclude(std::array<attempt*, 1>{&one}, out);
  return true;
}

/// The second batch is planned, and then committed, while the first is being committed.
void writer_engine::run_both(const batch_sizes& sizes, bool look, round& out) {
  attempt one(0, sizes.first, new_plan());
  attempt other(sizes.first, sizes.second, new_plan());
  if (!plan(one, look)) {
    if (one.misled) {
      run_planned(one.count, true, out);
    } else {
      conclude(std::array<attempt*, 1>{&one}, out);
    }
    return;
  }
  take_done(one);
  auto first = std::async(std::launch::async, [&] { commit(one, *beside_); });
  try {
    if (plan(other, look)) commit(other, *store_);
  } catch (const std::exception& thrown) {
    other.failure = error{errc::internal, thrown.what()};
  }
  first.get();
  const std::array<attempt*, 2> all{&one, &other};
  conclude(all, out);
  for (const attempt* again : all) {
    if (again->misled && store_) run_planned(again->count, true, out);
  }
}

batch_builder writer_engine::new_plan() { return {how_.shard, how_.epoch, cache_, *counters_, time_.wall_ns()}; }

/// False: it failed, or was misled by a guess.
bool writer_engine::plan(attempt& one, bool look) {
  if (auto known = read(one, look); !known) {
    one.failure = known.error();
    return false;
  }
  for (size_t i = 0; i < one.count; ++i) one.builder.plan(items_[one.from + i]);
  one.misled = one.builder.misled();
  return !one.misled;
}

void writer_engine::take_done(attempt& one) {
  one.done = std::min(done_.size(), how_.done_rows);
  one.builder.batch().outbox_done.assign(done_.begin(), done_.begin() + static_cast<std::ptrdiff_t>(one.done));
}

/// On any thread; touches nothing but the attempt.
void writer_engine::commit(attempt& one, writer_store& into) {
  const auto& batch = one.builder.batch();
  if (batch.empty()) return;
  one.tried = true;
  auto outcome = guarded([&] { return into.commit(batch); }, errc::internal);
  if (outcome) {
    one.outcome = std::move(*outcome);
  } else if (outcome.code() == errc::exists && one.builder.guessed()) {
    one.misled = true;
  } else {
    one.failure = outcome.error();
  }
}

void writer_engine::look_for_keys() { look_until_ = time_.now() + how_.look_for_keys; }

/// Answers what was committed by the batches whose outcome was unknown; the rest is done as if it had never been
/// tried.
result<void> writer_engine::resolve(round& out) {
  if (doubts_.empty()) return {};
  std::vector<bool> committed;
  for (const auto& witness : doubts_) {
    const auto there = was_committed(witness);
    if (!there) return there.error();
    committed.push_back(*there);
  }
  doubts_.clear();
  size_t answered = 0;
  const auto settled = [&](write_request& item) {
    if (item.in_doubt == 0 || item.in_doubt > committed.size()) return false;
    const bool there = committed[std::exchange(item.in_doubt, uint8_t{0}) - 1U];
    // A new account: what became of it is in its row, which is asked for by doing it again.
    if (!there || item.message.has_account_create()) return false;
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

/// The outcome of its commit is not known: keeps what was to be answered.
void writer_engine::doubt(attempt& one) {
  uint8_t mark = no_witness;
  if (const auto witness = one.builder.witness()) {
    doubts_.push_back(*witness);
    mark = static_cast<uint8_t>(doubts_.size());
  }
  for (size_t i = 0; i < one.count; ++i) {
    auto& item = items_[one.from + i];
    item.in_doubt = mark;
    item.planned_reply = std::move(one.builder.replies()[i]);
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
  remove(0, count);
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

result<void> writer_engine::read(attempt& one, bool ask_keys) {
  auto& builder = one.builder;
  for (size_t i = 0; i < one.count; ++i) builder.need(items_[one.from + i]);
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

/// What was committed is answered; the rest stays in front of the queue. `all` in the order of their requests.
void writer_engine::conclude(std::span<attempt* const> all, round& out) {
  size_t gone = 0, left = 0;
  const error* worst = nullptr;
  bool tried = false;
  for (attempt* one : all) {
    one->from -= gone;
    if (one->misled) look_for_keys();
    if (!one->misled && !one->failure) {
      durable_ = durable_ || one->tried;
      one->builder.committed(one->outcome);
      settle(*one, out);
      gone += one->count;
      continue;
    }
    left += one->count;
    if (!one->failure) continue;
    tried = tried || one->tried;
    const auto code = one->failure->code;
    if (one->tried && code != errc::unavailable && code != errc::stale_epoch) doubt(*one);
    if (worst == nullptr || weight(code) > weight(worst->code)) worst = &*one->failure;
  }
  if (worst != nullptr) fail(*worst, left, tried, out);
}

void writer_engine::settle(attempt& one, round& out) {
  auto& replies = one.builder.replies();
  for (size_t i = 0; i < one.count; ++i) {
    auto& item = items_[one.from + i];
    if (item.message.trace() != 0) log::trace(item.message.trace(), "storage", "commit");
    out.answers.push_back(make_answer(item, std::move(replies[i])));
  }
  auto& entries = one.builder.deliveries();
  std::move(entries.begin(), entries.end(), std::back_inserter(out.deliveries));
  out.what = round::outcome::served;
  out.commits += one.tried ? 1 : 0;
  out.rows += one.builder.batch().rows();
  out.messages += one.builder.messages();
  remove(one.from, one.count);
  done_.erase(done_.begin(), done_.begin() + static_cast<std::ptrdiff_t>(one.done));
}

void writer_engine::remove(size_t from, size_t count) {
  const auto first = items_.begin() + static_cast<std::ptrdiff_t>(from);
  items_.erase(first, first + static_cast<std::ptrdiff_t>(count));
  in_batch_ -= std::min(in_batch_, count);
  solo_ -= std::min(solo_, count);
}

void writer_engine::fail(const error& why, size_t count, bool committing, round& out) {
  out.failure = why.code;
  out.detail = why.detail;
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
    remove(0, 1);
  } else {
    // Only confirmations: they stay in the outbox, and whoever scans it next delivers them again, which is harmless.
    done_.erase(done_.begin(), done_.begin() + static_cast<std::ptrdiff_t>(std::min(done_.size(), how_.done_rows)));
  }
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
