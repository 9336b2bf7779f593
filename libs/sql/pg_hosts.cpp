#include "libs/sql/pg_hosts.hpp"

#include <libpq-fe.h>
#include <poll.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <map>
#include <utility>

#include "libs/sql/pg.hpp"

namespace tern::sql {
namespace {

using steady = std::chrono::steady_clock;

/// The timeline comes from the name of the WAL file that is being written: unlike the control file it is right from
/// the first moment after a promotion.
constexpr const char* ask_self =
    "select pg_is_in_recovery()::int, (current_setting('transaction_read_only') = 'on')::int,"
    " (select system_identifier from pg_control_system()),"
    " case when pg_is_in_recovery() then 0"
    " else ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::bigint end,"
    " (extract(epoch from pg_postmaster_start_time()) * 1000000)::bigint,"
    " case when current_setting('synchronous_commit') in ('on', 'remote_apply')"
    " then current_setting('synchronous_standby_names') else '' end,"
    " (select count(*) from pg_stat_replication where state = 'streaming' and sync_state in ('sync', 'quorum')),"
    " exists (select from pg_attribute where attrelid = to_regclass('fence') and attname = 'term')::int";
constexpr const char* ask_row =
    "select term from fence where system = (select system_identifier from pg_control_system())";

std::vector<std::string> cut(const std::string& list) {
  std::vector<std::string> parts(1);
  for (const char c : list) {
    if (c == ',') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

std::map<std::string, std::string> parts_of(const std::string& dsn) {
  std::map<std::string, std::string> parts;
  auto* parsed = PQconninfoParse(dsn.c_str(), nullptr);
  for (auto* each = parsed; each != nullptr && each->keyword != nullptr; ++each) {
    if (each->val != nullptr) parts[each->keyword] = each->val;
  }
  PQconninfoFree(parsed);
  return parts;
}

std::string joined(const std::map<std::string, std::string>& parts) {
  std::string text;
  for (const auto& [key, value] : parts) {
    text += (text.empty() ? "" : " ") + key + "='";
    for (const char c : value) {
      if (c == '\'' || c == '\\') text += '\\';
      text += c;
    }
    text += "'";
  }
  return text;
}

uint64_t number(const PGresult* row, int column) { return std::strtoull(PQgetvalue(row, 0, column), nullptr, 10); }

std::string trimmed(std::string text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0) text.pop_back();
  return text;
}

error none_of(std::span<const pg_server> servers) {
  std::string why;
  for (const auto& one : servers) {
    const std::string what = !one.answers    ? one.problem
                             : one.standby   ? "is a standby"
                             : one.read_only ? "is read-only"
                                             : "belongs to another database cluster";
    why += (why.empty() ? "" : "; ") + (servers.size() > 1 ? one.where + ": " : std::string()) + what;
  }
  return {errc::unavailable, servers.size() > 1 ? "no primary: " + why : why};
}

}  // namespace

void pg_terms::saw(uint64_t system, uint64_t timeline) {
  const std::lock_guard guard(mutex_);
  newest_.system = system;
  newest_.timeline = std::max(newest_.timeline, timeline);
}

void pg_terms::require(uint64_t timeline) {
  const std::lock_guard guard(mutex_);
  newest_.timeline = std::max(newest_.timeline, timeline);
}

pg_terms::term pg_terms::newest() const {
  const std::lock_guard guard(mutex_);
  return newest_;
}

uint32_t standbys_asked(std::string_view names) {
  std::string text(names);
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  const auto start = text.find_first_not_of(' ');
  if (start == std::string::npos) return 0;
  text.erase(0, start);
  if (text.find('(') == std::string::npos) return 1;  // a plain list: the first one
  for (const std::string_view word : {"first", "any"}) {
    if (text.starts_with(word)) text.erase(0, word.size());
  }
  return static_cast<uint32_t>(std::strtoul(text.c_str(), nullptr, 10));
}

result<size_t> choose_primary(std::span<const pg_server> servers, const pg_terms::term& newest, bool writes) {
  uint64_t least = newest.timeline;
  std::vector<size_t> primaries;
  for (size_t i = 0; i < servers.size(); ++i) {
    const auto& one = servers[i];
    if (!one.answers || (newest.system != 0 && one.system != newest.system)) continue;
    least = std::max(least, one.term);
    if (!one.standby && !(writes && one.read_only)) primaries.push_back(i);
  }
  if (primaries.empty()) return none_of(servers);
  const auto older = [&](size_t a, size_t b) { return servers[a].term < servers[b].term; };
  const auto best = *std::max_element(primaries.begin(), primaries.end(), older);
  const auto& chosen = servers[best];
  if (chosen.term < least) {
    return error{errc::unavailable, chosen.where + " is a former primary: its timeline is " +
                                        std::to_string(chosen.term) + ", timeline " + std::to_string(least) +
                                        " has been seen"};
  }
  for (const auto i : primaries) {
    if (servers[i].system != chosen.system) {
      return error{errc::unavailable,
                   servers[i].where + " and " + chosen.where + " belong to different database clusters"};
    }
    // The same server may be listed by two addresses.
    if (servers[i].term == chosen.term && servers[i].started_us != chosen.started_us) {
      return error{errc::unavailable, servers[i].where + " and " + chosen.where + " are both primaries of timeline " +
                                          std::to_string(chosen.term) + ": stop the wrong one"};
    }
  }
  return best;
}

std::vector<std::string> hosts_of(const std::string& dsn) {
  auto parts = parts_of(dsn);
  const auto names = cut(parts["host"]), addresses = cut(parts["hostaddr"]), ports = cut(parts["port"]);
  const size_t count = std::max(names.size(), addresses.size());
  if (count < 2) return {dsn};
  // What is asked here is whether a server may be written to; libpq need not ask, too.
  parts.erase("target_session_attrs");
  std::vector<std::string> each;
  const auto place = [&](const char* key, const std::vector<std::string>& list, size_t i) {
    const std::string its = list.size() == 1 ? list.front() : i < list.size() ? list[i] : std::string();
    if (its.empty()) {
      parts.erase(key);
    } else {
      parts[key] = its;
    }
  };
  for (size_t i = 0; i < count; ++i) {
    place("host", names, i);
    place("hostaddr", addresses, i);
    place("port", ports, i);
    each.push_back(joined(parts));
  }
  return each;
}

result<std::string> primary_of(const std::string& dsn, pg_terms& terms, std::chrono::milliseconds limit) {
  pg_hosts hosts(dsn);
  const auto servers = hosts.look(limit, limit / 4);
  const auto at = choose_primary(servers, terms.newest());
  if (!at) return at.error();
  terms.saw(servers[*at].system, servers[*at].term);
  return hosts.dsn(*at);
}

pg_hosts::pg_hosts(const std::string& dsn, const std::string& options) {
  for (auto& one : hosts_of(dsn)) {
    auto parts = parts_of(one);
    options_ = parts["options"] + options;
    auto& server = servers_.emplace_back();
    const auto name = !parts["host"].empty() ? parts["host"] : parts["hostaddr"];
    server.where = (name.empty() ? "localhost" : name) + ":" + (parts["port"].empty() ? "5432" : parts["port"]);
    hosts_.push_back({std::move(one)});
  }
}

pg_hosts::~pg_hosts() {
  for (auto& one : hosts_) PQfinish(one.link);
}

pg_conn* pg_hosts::release(size_t index) {
  hosts_[index].at = step::away;
  return std::exchange(hosts_[index].link, nullptr);
}

bool pg_hosts::busy(size_t index) const {
  const auto at = hosts_[index].at;
  return at != step::away && at != step::told;
}

void pg_hosts::fail(size_t index, const std::string& why) {
  auto& one = hosts_[index];
  PQfinish(one.link);
  one.link = nullptr;
  one.at = step::away;
  servers_[index].answers = false;
  servers_[index].problem = trimmed(why);
}

void pg_hosts::ask(size_t index, const char* text, step next) {
  auto& one = hosts_[index];
  one.at = next;
  one.writes = false;
  if (PQsendQuery(one.link, text) != 1) fail(index, PQerrorMessage(one.link));
}

void pg_hosts::start(size_t index) {
  auto& one = hosts_[index];
  const auto where = servers_[index].where;
  servers_[index] = {};
  servers_[index].where = where;
  if (one.link != nullptr && one.at == step::told) {
    ask(index, ask_self, step::asked);
    if (one.at == step::asked) return;
  }
  const auto full = complete_pg_dsn(one.dsn, {});
  const char* keys[] = {"dbname", "options", nullptr};
  const char* values[] = {full.c_str(), options_.c_str(), nullptr};
  PQfinish(one.link);
  one.link = PQconnectStartParams(keys, values, 1);
  one.at = step::connecting;
  one.writes = true;
  if (one.link == nullptr || PQstatus(one.link) == CONNECTION_BAD) {
    fail(index, one.link == nullptr ? "no memory" : PQerrorMessage(one.link));
    return;
  }
  PQsetNoticeProcessor(
      one.link, [](void*, const char*) {}, nullptr);  // the default writes to stderr
}

void pg_hosts::connect_further(size_t index) {
  auto& one = hosts_[index];
  switch (PQconnectPoll(one.link)) {
    case PGRES_POLLING_OK: ask(index, ask_self, step::asked); return;
    case PGRES_POLLING_FAILED: fail(index, PQerrorMessage(one.link)); return;
    case PGRES_POLLING_WRITING: one.writes = true; return;
    default: one.writes = false;
  }
}

void pg_hosts::read(size_t index) {
  auto& one = hosts_[index];
  auto& says = servers_[index];
  if (PQconsumeInput(one.link) != 1) return fail(index, PQerrorMessage(one.link));
  while (PQisBusy(one.link) == 0) {
    const std::unique_ptr<PGresult, decltype(&PQclear)> answer(PQgetResult(one.link), &PQclear);
    if (!answer) {
      if (one.at == step::asked && says.answers) return ask(index, ask_row, step::asked_row);
      one.at = step::told;
      says.answers = true;
      return;
    }
    if (PQresultStatus(answer.get()) != PGRES_TUPLES_OK) {
      return fail(index, PQresultErrorMessage(answer.get()));
    }
    if (one.at == step::asked_row) {
      if (PQntuples(answer.get()) == 1) says.term = std::max(says.term, number(answer.get(), 0));
      continue;
    }
    says.standby = number(answer.get(), 0) != 0;
    says.read_only = number(answer.get(), 1) != 0;
    says.system = number(answer.get(), 2);
    says.term = number(answer.get(), 3);
    says.started_us = static_cast<int64_t>(number(answer.get(), 4));
    says.copies_asked = standbys_asked(PQgetvalue(answer.get(), 0, 5));
    says.copies = std::min(says.copies_asked, static_cast<uint32_t>(number(answer.get(), 6)));
    says.answers = says.standby && number(answer.get(), 7) != 0;  // what its primary wrote is asked next
  }
}

void pg_hosts::advance(size_t index) {
  if (hosts_[index].at == step::connecting) {
    connect_further(index);
  } else {
    read(index);
  }
}

/// Waits for any of those asked and lets it go on. False: there is nobody left, or it is late.
bool pg_hosts::wait(steady::time_point until) {
  std::vector<pollfd> sockets;
  std::vector<size_t> whose;
  for (size_t i = 0; i < hosts_.size(); ++i) {
    if (!busy(i)) continue;
    const auto& one = hosts_[i];
    const bool sends = one.at == step::connecting && one.writes;
    sockets.push_back({PQsocket(one.link), static_cast<short>(sends ? POLLOUT : POLLIN), 0});
    whose.push_back(i);
  }
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - steady::now()).count();
  if (sockets.empty() || left <= 0) return false;
  if (::poll(sockets.data(), sockets.size(), static_cast<int>(left)) < 0) return true;
  for (size_t i = 0; i < sockets.size(); ++i) {
    if (sockets[i].revents != 0) advance(whose[i]);
  }
  return true;
}

std::span<const pg_server> pg_hosts::look(std::chrono::milliseconds limit, std::chrono::milliseconds grace) {
  auto until = steady::now() + limit;
  for (size_t i = 0; i < hosts_.size(); ++i) start(i);
  bool found = false;
  while (wait(until)) {
    const bool primary = std::any_of(servers_.begin(), servers_.end(),
                                     [](const pg_server& one) { return one.answers && !one.standby; });
    if (primary && !found) until = std::min(until, steady::now() + grace);
    found = primary;
  }
  for (size_t i = 0; i < hosts_.size(); ++i) {
    if (busy(i)) fail(i, "no answer in time");
  }
  return servers_;
}

}  // namespace tern::sql
