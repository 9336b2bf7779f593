#include "libs/sql/pg_link.hpp"

#include <libpq-fe.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>

#include "libs/sql/pg.hpp"

namespace tern::sql {
namespace {

using steady = std::chrono::steady_clock;

/// All our statements are look-ups by key: a plan made while a table was empty must be right for a full one, and no
/// time is spent on planning again.
constexpr const char* session_settings =
    " -c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off"
    " -c enable_bitmapscan=off -c jit=off -c statement_timeout=";

constexpr int64_t look_up_every = 100;  // ms, from waiting for an answer

std::string field(const PGresult* result, int code) {
  const char* text = PQresultErrorField(result, code);
  return text == nullptr ? std::string{} : std::string(text);
}

/// FATAL and PANIC end it; an error without SQLSTATE is libpq's own word for a connection that broke.
bool ends_connection(const PGresult* result) {
  if (field(result, PG_DIAG_SQLSTATE).empty()) return true;
  const auto severity = field(result, PG_DIAG_SEVERITY_NONLOCALIZED);
  return severity == "FATAL" || severity == "PANIC";
}

error error_of(const PGresult* result) {
  const auto state = field(result, PG_DIAG_SQLSTATE);
  return {map_sqlstate(state), state + ": " + field(result, PG_DIAG_MESSAGE_PRIMARY)};
}

}  // namespace

void pg_rows::clear_result::operator()(pg_result* handle) const { PQclear(handle); }
size_t pg_rows::size() const { return static_cast<size_t>(PQntuples(handle_.get())); }
bool pg_rows::null(size_t line, int column) const {
  return PQgetisnull(handle_.get(), static_cast<int>(line), column) != 0;
}

std::string_view pg_rows::bytes(size_t line, int column) const {
  return {PQgetvalue(handle_.get(), static_cast<int>(line), column),
          static_cast<size_t>(PQgetlength(handle_.get(), static_cast<int>(line), column))};
}

int64_t pg_rows::integer(size_t line, int column) const {
  const auto data = bytes(line, column);
  if (data.empty()) return 0;
  uint64_t number = static_cast<int8_t>(data[0]) < 0 ? ~uint64_t{0} : 0;  // the sign
  for (const char byte : data) number = number << 8U | static_cast<uint8_t>(byte);
  return static_cast<int64_t>(number);
}

pg_link::pg_link(std::string dsn, pg_link_options options) : dsn_(std::move(dsn)), options_(std::move(options)) {
  if (!options_.terms) options_.terms = std::make_shared<pg_terms>();
}

pg_link::~pg_link() { close(); }

void pg_link::commit_locally(bool local) {
  if (local == local_) return;
  close();
  local_ = local;
}

bool pg_link::superseded() const { return options_.terms->newest().timeline > server_.term; }

void pg_link::close() {
  PQfinish(handle_);
  handle_ = nullptr;
  prepared_.clear();
}

result<void> pg_link::ensure() {
  if (handle_ != nullptr && (superseded() || !alive())) close();
  return handle_ == nullptr ? connect() : result<void>{};
}

/// A commit that its standbys did not confirm is answered like any other: only this warning tells.
void note_unconfirmed(void* flag, const PGresult* notice) {
  if (field(notice, PG_DIAG_SOURCE_FUNCTION) == "SyncRepWaitForLSN") *static_cast<bool*>(flag) = true;
}

result<void> pg_link::connect() {
  pg_hosts hosts(complete_pg_dsn(dsn_, {options_.connect_timeout, options_.statement_timeout}),
                 session_settings + std::to_string(options_.statement_timeout.count()) +
                     (local_ ? " -c synchronous_commit=local" : ""));
  const auto servers = hosts.look(options_.connect_timeout, options_.host_grace);
  const auto at = choose_primary(servers, options_.terms->newest(), options_.writes);
  if (!at) return at.error();
  server_ = servers[*at];
  options_.terms->saw(server_.system, server_.term);
  handle_ = hosts.release(*at);
  unconfirmed_ = cancelled_ = false;
  PQsetNoticeReceiver(handle_, note_unconfirmed, &unconfirmed_);
  if (PQsetnonblocking(handle_, 1) != 0 || PQenterPipelineMode(handle_) != 1) {
    error failed{errc::unavailable, PQerrorMessage(handle_)};
    close();
    return failed;
  }
  ++generation_;
  return {};
}

/// An idle connection has nothing to read; if it has, that is most likely its end, and a new one is cheap.
bool pg_link::alive() {
  pollfd socket{PQsocket(handle_), POLLIN, 0};
  return ::poll(&socket, 1, 0) == 0 && PQstatus(handle_) == CONNECTION_OK;
}

/// False: the answer is not worth waiting for.
bool pg_link::patient() {
  late_ = superseded();
  if (late_ || !options_.patient) return !late_;
  switch (options_.patient()) {
    case patience::wait: return true;
    case patience::give_up: late_ = true; return false;
    case patience::local: break;
  }
  if (!local_ && !std::exchange(cancelled_, true)) {
    char why[256];
    auto* cancel = PQgetCancel(handle_);
    (void)PQcancel(cancel, why, sizeof why);
    PQfreeCancel(cancel);
  }
  return true;
}

bool pg_link::wait(wait_for what) {
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until_ - steady::now()).count();
    late_ = left <= 0;
    if (late_) return false;
    if (!patient()) return false;
    pollfd socket{PQsocket(handle_), static_cast<short>(what == wait_for::room ? POLLIN | POLLOUT : POLLIN), 0};
    const int ready = ::poll(&socket, 1, static_cast<int>(std::min<int64_t>(left, look_up_every)));
    if (ready < 0 && errno != EINTR) return false;
    if (ready <= 0) continue;
    return (socket.revents & ~POLLOUT) == 0 || PQconsumeInput(handle_) == 1;
  }
}

bool pg_link::flush() {
  while (true) {
    const int left = PQflush(handle_);
    if (left <= 0) return left == 0;
    if (!wait(wait_for::room)) return false;
  }
}

bool pg_link::send(const call& next, bool prepare) {
  ++statements_;
  const auto& [name, text] = *next.statement;
  if (prepare && PQsendPrepare(handle_, name, text, 0, nullptr) != 1) return false;
  return PQsendQueryPrepared(handle_, name, next.params->count(), next.params->values(), next.params->lengths(),
                             next.params->formats(), 1) == 1;
}

result<std::vector<pg_rows>> pg_link::run(std::span<const call> calls) {
  if (auto there = ensure(); !there) return there.error();
  until_ = steady::now() + options_.answer_timeout;
  unconfirmed_ = cancelled_ = false;
  std::vector<bool> prepares;
  for (const auto& next : calls) {
    const auto same = [&](const call& earlier) { return earlier.statement == next.statement; };
    prepares.push_back(!prepared_.contains(next.statement) && std::none_of(calls.data(), &next, same));
    // Until the sync below is sent nothing can be committed, but large batches go out before it.
    if (!send(next, prepares.back())) {
      auto failed = lost("cannot send");
      failed.code = errc::unavailable;
      return failed;
    }
  }
  if (PQpipelineSync(handle_) != 1 || !flush()) return lost("cannot send");
  return collect(calls, prepares);
}

/// The next result, or nothing at the end of a statement's results or when the connection is lost.
pg_result* pg_link::next_result() {
  while (PQisBusy(handle_) == 1) {
    if (!wait(wait_for::answer)) return nullptr;
  }
  return PQgetResult(handle_);
}

result<std::vector<pg_rows>> pg_link::collect(std::span<const call> calls, const std::vector<bool>& prepares) {
  std::vector<pg_rows> rows;
  std::optional<error> failed;
  for (size_t i = 0; i < calls.size(); ++i) {
    for (int part = prepares[i] ? 0 : 1; part < 2; ++part) {  // preparing, executing
      pg_rows answer(next_result());
      auto* handle = answer.handle();
      const auto status = PQresultStatus(handle);
      if (handle == nullptr || (status == PGRES_FATAL_ERROR && ends_connection(handle))) {
        return lost(handle == nullptr ? "no answer" : error_of(handle).detail);
      }
      if (status == PGRES_FATAL_ERROR && !failed) {
        failed = error_of(handle);
        violated_ = field(handle, PG_DIAG_CONSTRAINT_NAME);
      }
      const bool good = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
      if (good && part == 0) prepared_.insert(calls[i].statement);
      if (good && part == 1) rows.push_back(std::move(answer));
      if (pg_rows separator(next_result()); separator.handle() != nullptr) return lost("answers out of step");
    }
  }
  // Only the answer to the sync says that the transaction is over.
  const pg_rows end(next_result());
  if (PQresultStatus(end.handle()) == PGRES_FATAL_ERROR && !ends_connection(end.handle()) && !failed) {
    failed = error_of(end.handle());
    close();  // a COMMIT that failed: rare enough to start over
    return *failed;
  }
  if (PQresultStatus(end.handle()) != PGRES_PIPELINE_SYNC) return lost("no answer to COMMIT");
  if (failed) return *failed;
  if (unconfirmed_ && !cancelled_) return lost("the standby did not confirm the commit");
  return rows;
}

error pg_link::lost(std::string why) {
  why += late_ ? ": no answer in time" : std::string(": ") + PQerrorMessage(handle_);
  late_ = false;
  close();
  return {errc::deadline, "postgresql: " + why};
}

}  // namespace tern::sql
