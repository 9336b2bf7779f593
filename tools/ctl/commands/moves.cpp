// migrate, drain, undrain, rebalance: what is to be.
#include <algorithm>

#include "tools/ctl/command.hpp"
#include "tools/ctl/report.hpp"
#include "tools/ctl/watching.hpp"

namespace tern::ctl {
namespace {

using routing::v1::ControlReply;
using routing::v1::ControlRequest;
using routing::v1::MoveOrder;

const flag watch_flag{"--watch", "", "with --json: an object per step while it lasts"};
const flag no_wait_flag{"--no-wait", "", "return as soon as routing has accepted it"};

/// What came of it, for programs; people have seen the bar.
int finish(const session& with, const outcome& what, const std::string& text) {
  with.say(with.how.json ? outcome_json(what) : text);
  return exit_done;
}

/// Sends the request. The plan goes into `what`; an exit code when that was all.
int order(session& with, const ControlRequest& request, outcome& what) {
  const auto reply = with.routing->call(request);
  if (!reply) return with.fail(reply.error());
  if (const int code = with.refused(*reply); code != exit_done) return code;
  what.plan = {reply->plan().begin(), reply->plan().end()};
  return exit_done;
}

std::string hopeless_node(const Status& status, const std::string& name) {
  const auto* node = find_node(status, name);
  if (node == nullptr) return "node " + name + " is gone";
  return node->state() == "dead" ? "node " + name + " has died" : "";
}

std::string moves_note(const Status& status) {
  uint64_t under_way = 0;
  for (const auto& each : status.moves()) {
    if (!is_over(each) && each.state() != "planned") ++under_way;
  }
  return under_way == 0 ? "" : grouped(under_way) + (under_way == 1 ? " move" : " moves") + " under way";
}

std::string took(double seconds) { return age(static_cast<int64_t>(seconds * 1000)); }

/// How things are now; an exit code when that cannot be found out.
int look(session& with, Status& into) {
  ControlRequest request;
  request.mutable_status();
  auto reply = with.routing->call(request);
  if (!reply) return with.fail(reply.error());
  into = std::move(*reply->mutable_status());
  return with.refused(*reply);
}

/// A node without slots, a gateway without clients.
goal emptied(const Status& before, const std::string& node) {
  const bool gateway = service_of(before, node) == "gateway";
  goal wanted;
  wanted.what = "drain " + node;
  wanted.unit = gateway ? "connections" : "slots";
  wanted.left = [=](const Status& status) -> uint64_t {
    const auto* found = find_node(status, node);
    if (gateway) return found == nullptr ? 0 : found->load();
    return slots_of(status, node);
  };
  wanted.all = wanted.left(before);
  wanted.reached = [=](const Status& status) {
    const auto* found = find_node(status, node);
    if (found == nullptr || found->state() == "drained") return true;
    return found->state() == "dead" && slots_of(status, node) == 0;
  };
  wanted.hopeless = [=](const Status& status) -> std::string {
    const auto* found = find_node(status, node);
    const bool taken_back = found != nullptr && (found->state() == "up" || found->state() == "joining");
    return taken_back ? "node " + node + " is not being drained any more" : "";
  };
  wanted.note = moves_note;
  return wanted;
}

int drain(session& with) {
  const auto& node = with.given.words[0];
  const bool waits = !with.given.has("--no-wait");
  Status before;
  if (waits) {
    if (const int code = look(with, before); code != exit_done) return code;
  }
  ControlRequest request;
  request.mutable_drain()->set_node(node);
  request.mutable_drain()->set_on(true);
  outcome what{"drain", false, false, {}, 0};
  if (const int code = order(with, request, what); code != exit_done) return code;
  if (!waits) return finish(with, what, node + " is being drained");
  if (const int code = wait_for(with, emptied(before, node), what); code != exit_done) return code;
  return finish(with, what,
                node + " is empty after " + took(what.seconds) + "; it stays so until ternctl undrain " + node);
}

int undrain(session& with) {
  const auto& node = with.given.words[0];
  ControlRequest request;
  request.mutable_drain()->set_node(node);
  request.mutable_drain()->set_on(false);
  outcome what{"undrain", true, false, {}, 0};
  if (const int code = order(with, request, what); code != exit_done) return code;
  return finish(with, what, node + " takes work again");
}

int release(session& with, ControlRequest& request, slot_range range) {
  if (with.given.words.size() > 1)
    return with.fail({errc::bad_parameter, "--release names no node: migrate --release FIRST-LAST"});
  request.mutable_migrate()->set_release(true);
  outcome what{"migrate", true, false, {}, 0};
  if (const int code = order(with, request, what); code != exit_done) return code;
  return finish(with, what, hex_range(range) + " is kept nowhere any more");
}

int migrate(session& with) {
  const auto kind = parse_kind(with.given.value("--kind", "sessions"));
  if (!kind) return with.fail({errc::bad_parameter, "--kind: " + kind.error().detail});
  if (*kind == map_kind::storage)
    return with.fail({errc::bad_parameter, "--kind: only sessions and groups move this way"});
  const auto range = parse_slots(with.given.words[0]);
  if (!range) return with.fail(range.error());
  ControlRequest request;
  auto& migration = *request.mutable_migrate();
  migration.set_kind(*kind == map_kind::groups ? MoveOrder::GROUPS : MoveOrder::SESSIONS);
  migration.set_first(range->first);
  migration.set_last(range->last);
  if (with.given.has("--release")) return release(with, request, *range);
  if (with.given.words.size() != 2)
    return with.fail({errc::bad_parameter, "too few operands; usage: ternctl migrate FIRST-LAST NODE"});
  const auto& node = with.given.words[1];
  migration.set_target(node);
  const bool waits = !with.given.has("--no-wait");
  Status before;
  if (waits) {
    if (const int code = look(with, before); code != exit_done) return code;
  }
  outcome what{"migrate", false, false, {}, 0};
  if (const int code = order(with, request, what); code != exit_done) return code;
  if (!waits) return finish(with, what, hex_range(*range) + " is on its way to " + node);
  goal wanted;
  wanted.what = "migrate to " + node;
  wanted.unit = "slots";
  wanted.left = [&](const Status& status) { return slots_elsewhere(status, *kind, *range, node); };
  wanted.all = wanted.left(before);
  wanted.reached = [&](const Status& status) { return slots_elsewhere(status, *kind, *range, node) == 0; };
  wanted.hopeless = [&](const Status& status) { return hopeless_node(status, node); };
  wanted.note = moves_note;
  if (const int code = wait_for(with, wanted, what); code != exit_done) return code;
  return finish(with, what,
                hex_range(*range) + " belongs to " + node + " after " + took(what.seconds) +
                    "; it stays there until ternctl migrate --release");
}

int rebalance(session& with) {
  ControlRequest request;
  const bool dry = with.given.has("--dry-run");
  request.mutable_rebalance()->set_dry_run(dry);
  outcome what{"rebalance", false, dry, {}, 0};
  if (const int code = order(with, request, what); code != exit_done) return code;
  what.done = what.plan.empty();
  if (!with.how.json && !what.plan.empty()) with.say(plan_text(what.plan));
  if (what.plan.empty()) return finish(with, what, "nothing to move: every node has its share");
  uint64_t slots = 0;
  for (const auto& each : what.plan) slots += each.last() - each.first() + 1;
  if (dry)
    return finish(with, what, grouped(slots) + " slots would move, in " + grouped(what.plan.size()) + " ranges");
  if (with.given.has("--no-wait")) return finish(with, what, grouped(slots) + " slots are on their way");
  goal wanted;
  wanted.what = "rebalance";
  wanted.unit = "slots";
  wanted.left = [&](const Status& status) {
    uint64_t sum = 0;
    for (const auto& each : what.plan) {
      const auto kind = each.kind() == MoveOrder::GROUPS ? map_kind::groups : map_kind::sessions;
      sum += slots_elsewhere(status, kind, {each.first(), each.last()}, each.target());
    }
    return sum;
  };
  wanted.all = slots;
  // Routing may find something better to do than the first plan: nothing to come and nothing under way ends it, too.
  wanted.reached = [&](const Status& status) {
    const bool idle = std::all_of(status.moves().begin(), status.moves().end(), is_over);
    return wanted.left(status) == 0 || idle;
  };
  wanted.hopeless = [](const Status&) { return std::string(); };
  wanted.note = moves_note;
  if (const int code = wait_for(with, wanted, what); code != exit_done) return code;
  return finish(with, what, "balanced after " + took(what.seconds));
}

}  // namespace

std::vector<command> move_commands() {
  return {
      {"migrate",
       "FIRST-LAST NODE",
       "moves slots to a node, and keeps them there",
       "FIRST-LAST: two slots, e.g. 0-1023, 0x0-0x3ff or 0%-25%. Ranges are made of units of 64 slots: what is\n"
       "touched is moved whole. The slots stay at the node until --release, or until the node is gone.\n",
       {{"--kind", "KIND", "sessions or groups [sessions]"},
        {"--release", "", "instead: keep slots FIRST-LAST nowhere any more; they move when balance asks for it"},
        no_wait_flag,
        watch_flag},
       1,
       2,
       migrate},
      {"drain",
       "NODE",
       "moves everything away from a node, and keeps it empty",
       "Session and group nodes hand their ranges over, storage nodes their shards; a gateway closes its clients at\n"
       "a pace and takes no new ones. Other nodes must be there to take it all.\n",
       {no_wait_flag, watch_flag},
       1,
       1,
       drain},
      {"undrain", "NODE", "lets a drained node take work again", "", {}, 1, 1, undrain},
      {"rebalance",
       "",
       "moves what it takes to give every node its share, now",
       "Without it routing does the same, but lets a range that has moved rest for a while.\n",
       {{"--dry-run", "", "only show what would move"}, no_wait_flag, watch_flag},
       0,
       0,
       rebalance},
  };
}

}  // namespace tern::ctl
