// What holds between nodes: who leads, who is heard, who reaches whom, who owns what.
#include <algorithm>
#include <map>

#include "tools/ctl/doctor/parts.hpp"
#include "tools/ctl/report.hpp"
#include "tools/ctl/shard_report.hpp"
#include "tools/ctl/text.hpp"

namespace tern::ctl::detail {
namespace {

constexpr int64_t link_patience_ms = 1500;  // a link that has just broken comes back by itself

bool is_alive(const std::string& state) { return !state.empty() && state != "dead" && state != "silent"; }

/// Replicas as configured here that take no connection, where no node that is known by name explains it.
void check_replicas(const scene& at, std::vector<finding>& out) {
  if (at.single()) return;
  for (const auto& each : at.seen.routing) {
    if (each.how == app::reach::answered) continue;
    auto what = ill(severity::broken, "routing", "routing at " + each.address, each.why,
                    "start this replica, or take it from routing.address");
    what.rank = rank_reach;
    what.concerns = {"service:routing", "routing"};
    out.push_back(std::move(what));
  }
}

void check_leader(const scene& at, std::vector<finding>& out) {
  if (at.seen.status) {
    out.push_back(well("routing", "routing",
                       at.seen.status->leader() + " leads in term " + std::to_string(at.seen.status->term()) +
                           ", maps at version " + std::to_string(at.seen.status->maps().version())));
    return;
  }
  if (at.single()) return out.push_back(well("routing", "routing", "in the same process as all other services"));
  auto what = ill(severity::broken, "routing", "routing", at.seen.status_error,
                  "see whether a routing process runs and reaches its meta database; clients stay meanwhile");
  what.rank = rank_reach;
  what.concerns = {"routing"};
  what.breaks = {"leases", "routing"};
  out.push_back(std::move(what));
}

finding unheard(const scene& at, const node_seen& who, const std::string& state) {
  const auto text = state.empty() ? "runs, but routing does not know it" : "runs, but routing calls it " + state;
  auto what = about_node(at,
                         ill(severity::broken, "lease", who.name, text,
                             "compare its routing.address with where routing is, and see its log for \"routing\""),
                         who.name, rank_reach);
  what.concerns.insert("leases");
  return what;
}

void check_heard(const scene& at, std::vector<finding>& out) {
  size_t fine = 0;
  std::set<std::string> told;
  for (const auto* who : at.reporting()) {
    const auto state = at.state_of(who->name);
    const bool routing = at.service_of(who->name) == "routing";
    if (routing || !who->report->started || who->report->draining) continue;
    told.insert(who->name);
    if (is_alive(state)) {
      ++fine;
    } else {
      out.push_back(unheard(at, *who, state));
    }
  }
  for (const auto& node : at.seen.status->nodes()) {
    const auto& name = node.name();
    if (at.service_of(name) == "routing" || told.contains(name)) continue;
    if (is_alive(node.state())) {
      ++fine;
      continue;
    }
    auto what = about_node(at,
                           ill(severity::broken, "lease", name,
                               "routing calls it " + node.state() + "; last heard " + age(node.heard_ms()) + " ago",
                               "start it again; what it owned goes to others after its lease"),
                           name, rank_reach);
    what.concerns.insert("leases");
    out.push_back(std::move(what));
  }
  out.push_back(well("lease", "nodes", std::to_string(fine) + " are heard by routing"));
}

struct bad_link {
  std::string from, to, address, why;
};

std::vector<bad_link> bad_links(const scene& at, size_t& up) {
  std::vector<bad_link> bad;
  for (const auto* who : at.reporting()) {
    for (const auto& link : who->report->links) {
      if (link.up) {
        ++up;
        continue;
      }
      // To routing a node tries one replica after the other; who is not heard is told by its lease.
      if (link.ms < link_patience_ms || link.service == "routing") continue;
      bad.push_back({who->name, at.node_at(link.address), link.address, link.why});
    }
  }
  return bad;
}

void check_announced(const scene& at, const std::set<std::string>& unreached, std::vector<finding>& out) {
  for (const auto& each : at.seen.announced) {
    if (each.how == app::reach::answered || !unreached.contains(each.node)) continue;
    auto what = about_node(at,
                           ill(severity::broken, "address", each.node,
                               "announces " + each.address + ", where nobody takes connections: " + each.why,
                               "compare its rpc.advertise_address with its rpc.listen_address"),
                           each.node, rank_reach);
    out.push_back(std::move(what));
  }
}

uint64_t slots_in(uint32_t first, uint32_t last) { return uint64_t{last} - first + 1; }

template <class Ranges>
void check_map(const scene& at, const char* name, const std::string& service, const Ranges& ranges,
               std::vector<finding>& out) {
  uint64_t lost = 0;
  finding what;
  for (const auto& each : ranges) {
    if (is_alive(at.state_of(each.owner()))) continue;
    lost += slots_in(each.first(), each.last());
    if (!each.owner().empty()) what.concerns.insert(each.owner());
  }
  if (lost == 0) {
    out.push_back(well("ranges", name, "all slots have an owner"));
    return;
  }
  auto bad = ill(severity::broken, "ranges", name, grouped(lost) + " slots have no living owner",
                 "start a " + service + " node; slots of a dead one go to others after its lease of some seconds");
  bad.rank = rank_effect;
  bad.concerns = std::move(what.concerns);
  bad.concerns.insert({"ranges:" + service, "leases"});
  bad.breaks.insert("without:" + std::string(service));
  out.push_back(std::move(bad));
}

void check_shards(const scene& at, std::vector<finding>& out) {
  size_t fine = 0;
  for (const auto& each : at.seen.status->maps().shards()) {
    if (is_alive(at.state_of(each.owner()))) {
      ++fine;
      continue;
    }
    const auto subject = "shard " + each.name();
    auto bad =
        ill(severity::broken, "ranges", subject,
            each.owner().empty() ? "has no storage node" : "its storage node " + each.owner() + " is not alive",
            "start a storage node that lists it in storage.shards");
    bad.rank = rank_effect;
    bad.concerns = {each.owner(), subject, "ranges:storage", "leases"};
    out.push_back(std::move(bad));
  }
  if (fine > 0) out.push_back(well("ranges", "shards", std::to_string(fine) + " have a storage node"));
}

}  // namespace

void check_routing(const scene& at, std::vector<finding>& out) {
  check_leader(at, out);
  check_replicas(at, out);
}

void check_membership(const scene& at, std::vector<finding>& out) {
  if (at.seen.status) check_heard(at, out);
}

void check_links(const scene& at, std::vector<finding>& out) {
  size_t up = 0;
  const auto bad = bad_links(at, up);
  std::map<std::string, std::set<std::string>> by_target, by_source;
  std::set<std::string> unreached;
  for (const auto& each : bad) {
    by_target[each.address].insert(each.from);
    by_source[each.from].insert(each.address);
    if (!each.to.empty()) unreached.insert(each.to);
  }
  check_announced(at, unreached, out);
  for (const auto& each : bad) {
    // Whoever is at the end of most broken links is the likelier culprit.
    const bool source = by_source[each.from].size() > by_target[each.address].size();
    const auto target = each.to.empty() ? each.address : each.to;
    const auto& subject = source ? each.from : target;
    auto what = about_node(at,
                           ill(severity::broken, "link", subject,
                               each.from + " does not reach " + target + " at " + each.address + ": " + each.why,
                               "see whether the port is open between the two, and both certificates"),
                           subject, rank_reach);
    what.concerns.insert({each.from, target});
    out.push_back(std::move(what));
  }
  if (up > 0) out.push_back(well("link", "links", std::to_string(up) + " between nodes stand"));
}

void check_services(const scene& at, std::vector<finding>& out) {
  if (!at.seen.status) return;
  std::map<std::string, size_t> living;
  for (const auto& each : at.seen.status->nodes()) {
    if (is_alive(each.state())) ++living[at.service_of(each.name())];
  }
  for (const std::string service : all_services) {
    if (service == "storage" && !at.stores()) continue;
    if (living[service] > 0) {
      out.push_back(well("service", service, std::to_string(living[service]) + " alive"));
      continue;
    }
    auto bad = ill(severity::broken, "service", service, "no " + service + " node is alive",
                   "start at least one, better two");
    bad.rank = rank_effect;
    bad.concerns = {"service:" + service, "leases"};
    bad.breaks = {"ranges:" + service, "without:" + service};
    out.push_back(std::move(bad));
  }
}

void check_ranges(const scene& at, std::vector<finding>& out) {
  if (!at.seen.status) return;
  const auto& maps = at.seen.status->maps();
  check_map(at, "sessions", "session", maps.sessions(), out);
  check_map(at, "groups", "group", maps.groups(), out);
  if (at.stores()) check_shards(at, out);
}

void check_shard_moves(const scene& at, std::vector<finding>& out) {
  if (!at.seen.status || at.seen.status->shards().empty()) return;
  const auto troubles = shard_troubles(*at.seen.status);
  for (const auto& each : troubles) {
    auto bad = ill(each.unserved ? severity::broken : severity::warn, "shard", each.subject, each.text, each.advice);
    bad.rank = rank_effect;
    bad.concerns = {"shard " + each.shard, "ranges:storage", "leases"};
    for (const auto& shard : at.seen.status->maps().shards()) {
      if (shard.name() == each.shard) bad.concerns.insert(shard.owner());
    }
    out.push_back(std::move(bad));
  }
  if (!troubles.empty()) return;
  const auto& moves = at.seen.status->shard_moves();
  const auto open = std::count_if(moves.begin(), moves.end(), [](const auto& one) { return !is_at_rest(one); });
  out.push_back(well("shard", "shards", "nothing wrong with them, " + std::to_string(open) + " moves between them"));
}

void check_readiness(const scene& at, std::vector<finding>& out) {
  size_t ready = 0;
  for (const auto& who : at.seen.nodes) {
    if (who.how != app::reach::answered) continue;
    if (who.report ? who.report->ready : who.ready) {
      ++ready;
      continue;
    }
    std::vector<std::string> whys;
    bool drains = who.report && who.report->draining;
    if (who.report) {
      for (const auto& each : who.report->conditions) {
        if (each.ok) continue;
        whys.push_back(each.name + ": " + each.why);
        drains = drains || each.why == "draining";
      }
      if (!who.report->started) whys.emplace_back("starting");
    } else {
      whys.push_back(who.ready_text);
    }
    const auto& name = who.called();
    const bool ordered = at.state_of(name) == "draining" || at.state_of(name) == "drained";
    auto what = ill(drains || ordered ? severity::warn : severity::broken, "ready", name,
                    drains || ordered ? "is being drained" : "is not ready: " + joined(whys, "; "),
                    drains || ordered ? "ternctl undrain " + name + ", if that was not meant" : "see its log");
    what.rank = rank_effect;
    what.concerns = {name, "ready:" + name, "leases"};
    if (at.service_of(name) == "gateway") what.concerns.insert({"without:session", "service:session"});
    out.push_back(std::move(what));
  }
  if (ready > 0) out.push_back(well("ready", "nodes", std::to_string(ready) + " are ready"));
}

}  // namespace tern::ctl::detail
