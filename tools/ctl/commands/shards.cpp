// shard …: databases, and slots on their way between them.
#include <algorithm>
#include <chrono>

#include "libs/sql/probe.hpp"
#include "tools/ctl/command.hpp"
#include "tools/ctl/shard_report.hpp"
#include "tools/ctl/watching.hpp"

namespace tern::ctl {
namespace {

using namespace std::chrono_literals;
using routing::v1::ControlReply;
using routing::v1::ControlRequest;
using steady = std::chrono::steady_clock;

constexpr auto add_patience = 20s;  // routing waits 15 s for a storage node to open it

const flag watch_flag{"--watch", "", "show it again whenever something has changed, until Ctrl-C"};
const flag rate_flag{"--rate", "BYTES",
                     "copy so many bytes a second at most, e.g. 20MB [as the storage node is set]"};
const flag dry_flag{"--dry-run", "", "only show what would move"};
const flag wait_flag{"--wait", "", "until it has been done; Ctrl-C ends the waiting, not the move"};

std::vector<uint64_t> numbers_of(const std::vector<ShardMoveStatus>& moves) {
  std::vector<uint64_t> out;
  for (const auto& each : moves) out.push_back(each.move());
  return out;
}

std::vector<ShardMoveStatus> of(const Status& status, const std::vector<uint64_t>& numbers) {
  std::vector<ShardMoveStatus> out;
  for (const auto& each : status.shard_moves()) {
    if (std::find(numbers.begin(), numbers.end(), each.move()) != numbers.end()) out.push_back(each);
  }
  return out;
}

/// Until none of these moves is under way; exit_done when each came to `end`. `last`: as they were seen last.
int wait_at_rest(session& with, const std::vector<uint64_t>& numbers, const std::string& end,
                 std::vector<ShardMoveStatus>& last) {
  screen view(with.out, with.terminal);
  if (with.terminal) with.say("Ctrl-C ends the waiting, not the move");
  for (;;) {
    auto next = with.routing->watch(1000ms);
    if (!next && next.code() == errc::deadline) continue;
    if (!next) return with.fail(next.error());
    last = of(*next, numbers);
    if (!with.how.json) view.show(shard_plan_text(last));
    const bool over = std::all_of(last.begin(), last.end(), is_at_rest);
    if (!over) continue;
    const auto why = trouble_of(*next, numbers, end);
    return why.empty() ? exit_done : with.fail({errc::internal, why});
  }
}

/// Sends it, shows the plan, waits if that is wanted until its moves have come to `end`.
int order(session& with, const std::string& command, const ControlRequest& request, bool dry_run,
          const std::string& end = "kept") {
  const auto began = steady::now();
  const auto reply = with.routing->call(request);
  if (!reply) return with.fail(reply.error());
  if (const int code = with.refused(*reply); code != exit_done) return code;
  std::vector<ShardMoveStatus> moves(reply->shard_plan().begin(), reply->shard_plan().end());
  const bool waits = with.given.has("--wait") && !dry_run && !moves.empty();
  if (!with.how.json && !waits) with.say(moves.empty() ? "nothing to move" : shard_plan_text(moves));
  if (!with.how.json && !waits && !dry_run && !moves.empty())
    with.say("ternctl shard status --watch shows how it goes");
  int code = exit_done;
  if (waits) code = wait_at_rest(with, numbers_of(moves), end, moves);
  const std::chrono::duration<double> took = steady::now() - began;
  if (with.how.json) {
    with.say(
        shard_outcome_json(command, moves.empty() || (waits && code == exit_done), dry_run, took.count(), moves));
  }
  return code;
}

result<uint64_t> rate(const session& with) {
  if (!with.given.has("--rate")) return uint64_t{0};
  auto bytes = parse_bytes(with.given.value("--rate"));
  if (!bytes) return error{errc::bad_parameter, "--rate: " + bytes.error().detail};
  return bytes;
}

result<uint64_t> move_number(const session& with) {
  const auto& text = with.given.words[0];
  const bool digits = !text.empty() && text.size() < 19 && text.find_first_not_of("0123456789") == std::string::npos;
  if (!digits)
    return error{errc::bad_parameter, "'" + text + "' is no number of a move; ternctl shard status shows them"};
  return std::stoull(text);
}

int status(session& with) { return show(with, shards_text, shards_json); }

int add(session& with) {
  const auto& dsn = with.given.words[1];
  if (const auto clean = sql::without_secrets(dsn); !clean) {
    return with.fail({errc::bad_parameter,
                      clean.error().detail + "; passwords belong into the storage nodes' environment (PGPASSWORD) or "
                                             "password file (PGPASSFILE)"});
  }
  ControlRequest request;
  request.mutable_shard_add()->set_name(with.given.words[0]);
  request.mutable_shard_add()->set_dsn(dsn);
  if (!with.how.timeout_given) with.how.timeout = add_patience;
  auto patient = control_client::make(with.how);
  if (!patient) return with.fail(patient.error());
  const auto reply = (*patient)->call(request);
  if (!reply) return with.fail(reply.error());
  if (const int code = with.refused(*reply); code != exit_done) return code;
  with.say(with.how.json ? shard_outcome_json("shard add", true, false, 0, {})
                         : "shard " + with.given.words[0] +
                               " is there, without slots: ternctl shard rebalance, split or "
                               "move gives it some");
  return exit_done;
}

int move(session& with) {
  const auto bytes = rate(with);
  if (!bytes) return with.fail(bytes.error());
  ControlRequest request;
  auto& one = *request.mutable_shard_move();
  one.set_source(with.given.words[0]);
  one.set_target(with.given.words[1]);
  one.set_dry_run(with.given.has("--dry-run"));
  one.set_bytes_per_second(*bytes);
  const auto range = parse_slots(with.given.value("--slots", "0%-100%"));
  if (!range) return with.fail({errc::bad_parameter, "--slots: " + range.error().detail});
  one.set_first(range->first);
  one.set_last(range->last);
  return order(with, "shard move", request, one.dry_run());
}

int split(session& with) {
  const auto bytes = rate(with);
  if (!bytes) return with.fail(bytes.error());
  ControlRequest request;
  auto& one = *request.mutable_shard_move();
  one.set_source(with.given.words[0]);
  one.set_target(with.given.words[1]);
  one.set_split(true);
  one.set_dry_run(with.given.has("--dry-run"));
  one.set_bytes_per_second(*bytes);
  return order(with, "shard split", request, one.dry_run());
}

int drain(session& with) {
  const auto bytes = rate(with);
  if (!bytes) return with.fail(bytes.error());
  ControlRequest request;
  auto& one = *request.mutable_shard_drain();
  one.set_shard(with.given.words[0]);
  one.set_on(!with.given.has("--undo"));
  one.set_dry_run(with.given.has("--dry-run"));
  one.set_bytes_per_second(*bytes);
  return order(with, "shard drain", request, one.dry_run());
}

int rebalance(session& with) {
  const auto bytes = rate(with);
  if (!bytes) return with.fail(bytes.error());
  ControlRequest request;
  auto& one = *request.mutable_shard_rebalance();
  one.set_dry_run(with.given.has("--dry-run"));
  one.set_bytes_per_second(*bytes);
  return order(with, "shard rebalance", request, one.dry_run());
}

int rollback(session& with) {
  const auto number = move_number(with);
  if (!number) return with.fail(number.error());
  ControlRequest request;
  request.mutable_shard_rollback()->set_move(*number);
  return order(with, "shard rollback", request, false);
}

int finish(session& with) {
  const auto number = move_number(with);
  if (!number) return with.fail(number.error());
  if (!with.given.has("--yes")) {
    return with.fail(
        {errc::bad_parameter,
         "after this there is no way back: what the source kept is deleted. Say --yes if that is meant"});
  }
  ControlRequest request;
  request.mutable_shard_finish()->set_move(*number);
  return order(with, "shard finish", request, false, "done");
}

int abort(session& with) {
  const auto number = move_number(with);
  if (!number) return with.fail(number.error());
  ControlRequest request;
  request.mutable_shard_abort()->set_move(*number);
  return order(with, "shard abort", request, false, "aborted");
}

constexpr const char* states =
    "States: waiting (for a move before it), copying, sealing and deciding and opening (writes stand still for some\n"
    "ten milliseconds), kept (the target serves; the source keeps what it had for a way back), finishing, done,\n"
    "aborting, aborted. BEHIND: changed rows still to be carried. STALL: how long writes stood still.\n";

}  // namespace

std::vector<command> shard_commands() {
  return {
      {"shard status", "", "databases, what they hold, and moves between them", states, {watch_flag}, 0, 0, status},
      {"shard add",
       "NAME DSN",
       "makes a database known, without slots",
       "DSN: a libpq connection string or URI without a password, or sqlite:PATH. Every storage node has to reach "
       "it. It\n"
       "is refused unless a storage node has opened it.\n",
       {},
       2,
       2,
       add},
      {"shard move",
       "SOURCE TARGET",
       "moves slots to another shard, on line",
       "All slots of SOURCE unless --slots says which. Nothing is lost if anything dies in between: the next "
       "routing\n"
       "leader goes on. It can be rolled back until it is finished, which happens by itself after a day.\n",
       {{"--slots", "FIRST-LAST", "only these, e.g. 0-1023, 0x0-0x3ff or 0%-25%"}, rate_flag, dry_flag, wait_flag},
       2,
       2,
       move},
      {"shard split",
       "SOURCE TARGET",
       "moves the upper half of a shard's slots to another",
       "",
       {rate_flag, dry_flag, wait_flag},
       2,
       2,
       split},
      {"shard drain",
       "SHARD",
       "moves all slots of a shard to the others, and keeps it empty",
       "",
       {{"--undo", "", "instead: it may have slots again"}, rate_flag, dry_flag, wait_flag},
       1,
       1,
       drain},
      {"shard rebalance",
       "",
       "moves what it takes to give every shard the same number of slots",
       "",
       {rate_flag, dry_flag, wait_flag},
       0,
       0,
       rebalance},
      {"shard rollback",
       "MOVE",
       "moves the slots of a kept move back, with what has changed since",
       "MOVE: its number in ternctl shard status.\n",
       {wait_flag},
       1,
       1,
       rollback},
      {"shard finish",
       "MOVE",
       "gives up the way back: compares, then deletes what the source kept",
       "MOVE: its number in ternctl shard status. Needs --yes.\n",
       {{"--yes", "", "there is no way back afterwards"}, wait_flag},
       1,
       1,
       finish},
      {"shard abort",
       "MOVE",
       "gives up a move that is not decided: the source serves on, the target is cleaned",
       "",
       {wait_flag},
       1,
       1,
       abort},
  };
}

}  // namespace tern::ctl
