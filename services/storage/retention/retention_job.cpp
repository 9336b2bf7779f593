#include "services/storage/retention/retention_job.hpp"

#include <algorithm>
#include <sstream>

#include "libs/wire/codec.hpp"
#include "services/storage/repositories/chores.hpp"
#include "services/storage/repositories/message_flags.hpp"

namespace tern::storage {
namespace {

using namespace std::chrono_literals;
using sql::as_int;
using steady = std::chrono::steady_clock;

constexpr auto longest_step = 20ms;  // then the transaction ends after the conversation that is being looked at
constexpr auto outbox_look = 10s;
/// Session nodes' clocks say when a message was accepted, storage nodes' when it was stored.
constexpr int64_t clocks_apart = std::chrono::nanoseconds(24h).count();

constexpr const char* first_candidates =
    "select c.slot, c.conv_hi, c.conv_lo, (select m.timestamp_ns from message m where m.slot = c.slot"
    " and m.conv_hi = c.conv_hi and m.conv_lo = c.conv_lo order by m.mid limit 1) from conversation c";

std::vector<sql::value> with_place(int64_t slot, int64_t hi, int64_t lo, std::vector<sql::value> before = {}) {
  before.insert(before.end(), {slot, hi, lo});
  return before;
}

/// The domain of who sent it, as its session node signed it; nothing: the message does not tell.
std::optional<std::string> domain_in(const std::string& body) {
  wire::arena memory;
  const auto message = wire::decode<wire::tim_message>(wire::encoding::thrift, body, memory, wire::trusted_limits);
  if (!message || !message->from_tid) return std::nullopt;
  return std::string(message->from_tid->domain.value_or(""));
}

}  // namespace

result<retention_progress> retention_job::step(size_t rows) {
  if (!database_) {
    auto opened = ring_->connect();
    if (!opened) return opened.error();
    database_ = std::move(*opened);
  }
  if (auto begun = database_->begin(); !begun) {
    database_.reset();
    return begun.error();
  }
  retention_progress out;
  auto done = work(*database_, rows, out);
  if (done) {
    done = database_->commit();
  } else {
    database_->rollback();
  }
  if (!done) {
    database_.reset();
    return done.error();
  }
  return out;
}

result<void> retention_job::work(sql::connection& database, size_t rows, retention_progress& out) {
  const auto end = steady::now() + longest_step;
  auto moving = slots_on_the_move(database);
  if (!moving) return moving.error();
  moving_ = std::move(*moving);
  auto wall = now(database);
  if (!wall) return wall.error();
  now_ = *wall;
  if (auto seen = look_at_outbox(database); !seen) return seen;
  auto after = find_place(database);
  if (!after) return after.error();
  auto page = candidates(database, *after, rows);
  if (!page) return page.error();

  const auto soonest = cutoff(rules_.shortest());
  std::optional<place> reached = *after;
  bool all = true;  // of the page
  for (const auto& one : *page) {
    if (out.looked > 0 && (steady::now() > end || out.expired >= rows)) {
      all = false;
      break;
    }
    ++out.looked;
    if (soonest && one.oldest_ns && *one.oldest_ns < *soonest && !in_ranges(moving_, one.at.slot)) {
      const size_t most = rows - out.expired;
      auto gone = shorten(database, one.at, most);
      if (!gone) return gone.error();
      out.expired += *gone;
      if (*gone == most) {  // there may be more of it
        all = false;
        break;
      }
    }
    reached = one.at;
  }
  out.done = all && page->size() < rows;
  out.ratio = out.done ? 1 : reached ? std::clamp(static_cast<double>(reached->slot) / (1 << 20), 0.0, 1.0) : 0;
  return keep_place(database, out.done ? std::nullopt : reached, out.expired);
}

result<std::optional<retention_job::place>> retention_job::find_place(sql::connection& database) const {
  auto rows = database.query("select position from chore where name = 'retention'");
  if (!rows) return rows.error();
  place at{};
  if (rows->empty()) return std::optional<place>{};
  std::istringstream text(sql::as_text(rows->front()[0]));
  if (!(text >> at.slot >> at.hi >> at.lo)) return std::optional<place>{};
  return std::optional(at);
}

result<void> retention_job::keep_place(sql::connection& database, const std::optional<place>& at,
                                       uint64_t expired) const {
  std::string text;
  if (at) text = std::to_string(at->slot) + " " + std::to_string(at->hi) + " " + std::to_string(at->lo);
  auto kept = database.query(
      "insert into chore (name, position, done, updated_ns) values ('retention', $1, $2, $3)"
      " on conflict (name) do update set position = excluded.position, done = chore.done + excluded.done,"
      " updated_ns = excluded.updated_ns",
      {text, static_cast<int64_t>(expired), now_});
  return kept ? result<void>{} : result<void>{kept.error()};
}

/// The earlier one of this node's clock and the database's: one that is far ahead must not delete what is young.
result<retention_job::wall_ns> retention_job::now(sql::connection& database) const {
  const auto here = time_.wall_ns();
  if (database.dialect() != sql::dialect::pg) return here;
  auto rows = database.query("select (extract(epoch from clock_timestamp()) * 1000000000)::bigint");
  if (!rows) return rows.error();
  return std::min(here, as_int(rows->front()[0]));
}

/// What is added to the outbox later is young, so looking now and then is enough.
result<void> retention_job::look_at_outbox(sql::connection& database) {
  if (outbox_seen_ && steady::now() - *outbox_seen_ < outbox_look) return {};
  auto rows = database.query("select min(accepted_ns) from outbox where kind = 1");
  if (!rows) return rows.error();
  waiting_since_.reset();
  const auto& least = rows->front()[0];
  if (!std::holds_alternative<std::monostate>(least)) waiting_since_ = as_int(least) - clocks_apart;
  outbox_seen_ = steady::now();
  return {};
}

std::optional<retention_job::wall_ns> retention_job::cutoff(std::optional<retention_rules::days> age) const {
  if (!age) return std::nullopt;
  const auto at = now_ - std::chrono::nanoseconds(*age).count();
  return waiting_since_ ? std::min(at, *waiting_since_) : at;
}

result<std::vector<retention_job::candidate>> retention_job::candidates(sql::connection& database,
                                                                        const std::optional<place>& after,
                                                                        size_t rows) const {
  std::string text = first_candidates;
  std::vector<sql::value> with;
  if (after) {
    text += " where (c.slot, c.conv_hi, c.conv_lo) > ($1, $2, $3)";
    with = with_place(after->slot, after->hi, after->lo);
  }
  text += " order by c.slot, c.conv_hi, c.conv_lo limit " + std::to_string(rows);
  auto found = database.query(text, with);
  if (!found) return found.error();
  std::vector<candidate> out;
  for (const auto& row : *found) {
    candidate one{{as_int(row[0]), as_int(row[1]), as_int(row[2])}, std::nullopt};
    if (!std::holds_alternative<std::monostate>(row[3])) one.oldest_ns = as_int(row[3]);
    out.push_back(one);
  }
  return out;
}

result<uint64_t> retention_job::shorten(sql::connection& database, const place& at, size_t rows) {
  // Bodies tell the domain of a pair; they are not needed when all domains keep as long, nor of a room.
  const std::string body = rules_.by_domain.empty() || at.lo == 0 ? "''" : "body";
  auto found =
      database.query("select mid, timestamp_ns, sender, flags, " + body +
                         " from message where slot = $1 and conv_hi = $2 and conv_lo = $3 order by mid limit " +
                         std::to_string(rows),
                     with_place(at.slot, at.hi, at.lo));
  if (!found) return found.error();
  auto age = age_of(database, at, *found);
  if (!age) return age.error();
  const auto before = cutoff(*age);
  std::vector<int64_t> mids;
  for (const auto& row : *found) {
    if (!before || as_int(row[1]) >= *before) break;
    mids.push_back(as_int(row[0]));
  }
  return mids.empty() ? uint64_t{0} : remove(database, at, mids);
}

/// When nothing tells the domain: the longest time there is.
result<std::optional<retention_rules::days>> retention_job::age_of(sql::connection& database, const place& at,
                                                                   const std::vector<sql::row>& rows) {
  if (rules_.by_domain.empty()) return rules_.of("");
  if (at.lo == 0) {
    auto room = database.query("select domain from room where slot = $1 and id = $2", {at.slot, at.hi});
    if (!room) return room.error();
    return room->empty() ? rules_.longest() : rules_.of(sql::as_text(room->front()[0]));
  }
  for (const auto& row : rows) {
    if ((as_int(row[3]) & flag_tombstone) != 0) continue;
    message_row message;
    message.conversation = {static_cast<uint64_t>(at.hi), static_cast<uint64_t>(at.lo)};
    message.mid = static_cast<uint64_t>(as_int(row[0]));
    message.timestamp_ns = as_int(row[1]);
    message.sender = {static_cast<uint64_t>(as_int(row[2]))};
    message.body = sql::as_text(row[4]);
    if (!cipher_.open(message)) continue;
    if (const auto domain = domain_in(message.body)) return rules_.of(*domain);
  }
  return rules_.longest();
}

/// `mids`: the conversation's first ones. What somebody else has locked stays until the next time, with all behind
/// it: so nobody ever waits for this transaction while it waits.
result<uint64_t> retention_job::remove(sql::connection& database, const place& at,
                                       const std::vector<int64_t>& mids) const {
  const std::string here = " where slot = $1 and conv_hi = $2 and conv_lo = $3";
  size_t count = mids.size();
  if (database.dialect() == sql::dialect::pg) {
    auto mine = database.query("select 1 from conversation" + here + " for update skip locked",
                               with_place(at.slot, at.hi, at.lo));
    if (!mine) return mine.error();
    if (mine->empty()) return uint64_t{0};
    auto with = with_place(at.slot, at.hi, at.lo);
    with.emplace_back(mids.back());
    auto locked =
        database.query("select mid from message" + here + " and mid <= $4 order by mid for update skip locked", with);
    if (!locked) return locked.error();
    count = 0;
    while (count < locked->size() && count < mids.size() && as_int((*locked)[count][0]) == mids[count]) ++count;
    if (count == 0) return uint64_t{0};
  }
  const int64_t last = mids[count - 1];
  auto head = database.query(
      "update conversation set head = $1 where head < $1 and slot = $2 and conv_hi = $3 and conv_lo = $4",
      with_place(at.slot, at.hi, at.lo, {last}));
  if (!head) return head.error();
  auto with = with_place(at.slot, at.hi, at.lo);
  with.emplace_back(last);
  auto gone = database.query("delete from message" + here + " and mid <= $4", with);
  if (!gone) return gone.error();
  return database.changed();
}

}  // namespace tern::storage
