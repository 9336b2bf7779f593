// cluster status, nodes, ranges, moves: what is.
#include "tools/ctl/command.hpp"
#include "tools/ctl/report.hpp"
#include "tools/ctl/watching.hpp"

namespace tern::ctl {
namespace {

const flag watch_flag{"--watch", "", "show it again whenever something has changed, until Ctrl-C"};

int cluster_status(session& with) { return show(with, status_text, status_json); }

int nodes(session& with) {
  const auto service = with.given.value("--service");
  return show(
      with, [&](const Status& status) { return nodes_text(status, service); },
      [&](const Status& status) { return nodes_json(status, service); });
}

int ranges(session& with) {
  range_filter which;
  if (with.given.has("--kind")) {
    const auto kind = parse_kind(with.given.value("--kind"));
    if (!kind) return with.fail({errc::bad_parameter, "--kind: " + kind.error().detail});
    which.all_kinds = false;
    which.kind = *kind;
  }
  which.node = with.given.value("--node");
  return show(
      with, [&](const Status& status) { return ranges_text(status, which); },
      [&](const Status& status) { return ranges_json(status, which); });
}

int moves(session& with) { return show(with, moves_text, moves_json); }

}  // namespace

std::vector<command> cluster_commands() {
  return {
      {"cluster status",
       "",
       "who leads, how many nodes are up, who owns how much",
       "",
       {watch_flag},
       0,
       0,
       cluster_status},
      {"nodes",
       "",
       "every node: state, load, slots, last heartbeat, version of its maps",
       "States: joining, up, draining, drained, silent (no heartbeat for 3 s), dead.\n"
       "LOAD is connections of a gateway, sessions of a session node, rooms of a group node.\n",
       {{"--service", "SERVICE", "only gateway, session, group, storage or routing"}, watch_flag},
       0,
       0,
       nodes},
      {"ranges",
       "",
       "the maps: which slots belong to which node, since which epoch",
       "",
       {{"--kind", "KIND", "only sessions, groups or storage"},
        {"--node", "NODE", "only those of a node"},
        watch_flag},
       0,
       0,
       ranges},
      {"moves",
       "",
       "ranges on their way between nodes: to come, under way, the last ones that ended",
       "",
       {watch_flag},
       0,
       0,
       moves},
  };
}

}  // namespace tern::ctl
