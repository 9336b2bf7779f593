// What nodes say of themselves, each for itself and compared with the others.
#include <algorithm>
#include <cmath>
#include <map>

#include "tools/ctl/doctor/parts.hpp"
#include "tools/ctl/text.hpp"

namespace tern::ctl::detail {
namespace {

constexpr int64_t day_ms = 86'400'000;
constexpr int64_t expiry_warning_days = 21;
constexpr int64_t skew_warning_ms = 1000;
constexpr int64_t skew_broken_ms = 30'000;
constexpr uint64_t mebibyte = 1U << 20U;

std::string per_cent(double part) { return std::to_string(static_cast<int>(std::lround(part * 100))) + " %"; }

finding silent_process(const scene& at, const node_seen& who) {
  const auto& name = who.called();
  if (who.how == app::reach::silent) {
    return about_node(
        at,
        ill(severity::broken, "process", name, "hangs or is cut off: " + who.address + " " + who.why,
            "see its log and its machine; a process that hangs is killed with SIGKILL and started again"),
        name, rank_process);
  }
  const std::string what = who.how == app::reach::no_such_host ? "its address is not known: " : "does not run: ";
  return about_node(at,
                    ill(severity::broken, "process", name, what + who.address + ": " + who.why,
                        "start it, or take it from the list of nodes; the end of its log says why it ended"),
                    name, rank_process);
}

/// A dependency as all nodes that have it see it.
struct shared {
  node_report::dependency what;
  std::vector<std::string> fine, failing;
  std::string text;
};

std::string dependency_advice(const shared& it) {
  const auto has = [&](const char* text) { return it.text.find(text) != std::string::npos; };
  if (has("No space left")) return "make room on the disk of " + it.what.where;
  if (has("authentication failed") || has("NOAUTH") || has("WRONGPASS") || has("no pg_hba.conf")) {
    return "the password or user is wrong: compare the secret of the node with that of the server";
  }
  if (has("does not exist")) return "the user or database is missing: create it, or correct the connection string";
  if (has("standby") || has("read-only"))
    return "it is not the primary: promote it, or point the nodes to the primary";
  if (it.what.kind == "redis") return "start Redis at " + it.what.where + "; meanwhile logins go on without it";
  return "start the database server, or see whether " + it.what.where + " can be reached from " + joined(it.failing);
}

finding failing_dependency(const scene& at, const shared& it) {
  const auto text = it.what.where + ": " + it.text;
  if (!it.fine.empty()) {  // others can: it is these nodes
    const auto& node = it.failing.front();
    auto out = ill(severity::broken, "dependency", node, "cannot use " + it.what.name + ", others can: " + text,
                   dependency_advice(it));
    out.concerns = {node};
    for (const auto& each : it.failing) out.breaks.insert("ready:" + each);
    if (it.what.kind == "shard") out.breaks.insert(it.what.name);
    return out;
  }
  auto out = ill(severity::broken, "dependency", it.what.name, "fails for " + joined(it.failing) + ": " + text,
                 dependency_advice(it));
  for (const auto& each : it.failing) out.breaks.insert("ready:" + each);
  if (it.what.kind == "shard") out.breaks.insert(it.what.name);
  if (it.what.kind == "meta") out.breaks.insert({"routing", "leases"});
  (void)at;
  return out;
}

std::map<std::string, shared> dependencies_by_name(const scene& at) {
  std::map<std::string, shared> all;
  for (const auto* who : at.reporting()) {
    for (const auto& each : who->report->dependencies) {
      auto& entry = all[each.name];
      if (entry.what.name.empty() || !each.ok) entry.what = each;
      (each.ok ? entry.fine : entry.failing).push_back(who->name);
      if (!each.ok) entry.text = each.text;
    }
  }
  return all;
}

/// Shards whose schema is older than that of others.
void check_schemas(const scene& at, std::vector<finding>& out) {
  int64_t newest = -1;
  for (const auto* who : at.reporting()) {
    for (const auto& each : who->report->dependencies) {
      if (each.kind == "shard" && each.ok) newest = std::max(newest, each.schema);
    }
  }
  std::set<std::string> told;
  for (const auto* who : at.reporting()) {
    for (const auto& each : who->report->dependencies) {
      if (each.kind != "shard" || !each.ok || each.schema == newest || !told.insert(each.name).second) continue;
      out.push_back(ill(severity::warn, "schema", each.name,
                        "has schema " + std::to_string(each.schema) + ", others have " + std::to_string(newest),
                        "its owner migrates it when it takes it over; see the log of that storage node"));
    }
  }
  if (told.empty() && newest >= 0) {
    out.push_back(well("schema", "shards", "all have schema " + std::to_string(newest)));
  }
}

/// The same thing said by several nodes: who differs from most.
void check_equal(const scene& at, std::vector<finding>& out, const std::string& check, const std::string& what,
                 const std::vector<std::pair<std::string, std::string>>& said, const std::string& advice) {
  if (said.empty()) return;
  const auto usual = most_frequent(said);
  std::set<std::string> values;
  for (const auto& each : said) values.insert(each.second);
  if (values.size() == 1) {
    out.push_back(well(
        check, what, said.size() == 1 ? "one node has it" : "the same on " + std::to_string(said.size()) + " nodes"));
    return;
  }
  std::vector<std::string> names;
  for (const auto& [who, value] : said) {
    if (usual.empty()) {
      names.push_back(who + " " + value);
    } else if (value != usual) {
      out.push_back(
          about_node(at,
                     ill(severity::broken, check, who,
                         "has another " + what + " than the others (" + value + ", they " + usual + ")", advice),
                     who, rank_own));
    }
  }
  if (!names.empty()) out.push_back(ill(severity::broken, check, what, "differs: " + joined(names), advice));
}

void check_certificate(const scene& at, const node_seen& who, const node_report::certificate& it,
                       std::vector<finding>& out) {
  const auto days = (it.not_after_ms - at.seen.now_ms) / day_ms;
  const auto what = it.role == "clients" ? "its certificate for clients " : "its certificate ";
  if (!it.problem.empty()) {
    out.push_back(about_node(
        at,
        ill(severity::broken, "certificate", who.name, what + it.file + " (" + it.subject + "): " + it.problem,
            it.role == "clients" ? "put a valid one there: the gateway takes it within seconds"
                                 : "put a valid one there and restart the node"),
        who.name, rank_own));
  } else if (it.not_after_ms > 0 && days < expiry_warning_days) {
    out.push_back(ill(severity::warn, "certificate", who.name,
                      what + it.file + " ends in " + std::to_string(days) + " days", "renew it"));
  }
}

}  // namespace

void check_processes(const scene& at, std::vector<finding>& out) {
  size_t answering = 0;
  for (const auto& who : at.seen.nodes) {
    if (who.how != app::reach::answered) {
      out.push_back(silent_process(at, who));
      continue;
    }
    ++answering;
    if (who.report && !who.report->live) {
      out.push_back(about_node(at,
                               ill(severity::broken, "process", who.called(), "is stuck: " + who.report->not_live,
                                   "keep its log and a stack of it (gdb -p), then restart it"),
                               who.name, rank_process));
    }
  }
  if (at.seen.nodes.empty()) {
    out.push_back(ill(severity::warn, "process", "nodes", "no node's own report is known",
                      "say where nodes show their metrics: --nodes NAME=HOST:PORT,... or --metrics-port PORT"));
  } else {
    out.push_back(well("process", "nodes", std::to_string(answering) + " answer"));
  }
}

void check_dependencies(const scene& at, std::vector<finding>& out) {
  for (const auto& [name, it] : dependencies_by_name(at)) {
    if (it.failing.empty()) {
      out.push_back(well("dependency", name, it.what.where + " answers " + joined(it.fine)));
    } else {
      out.push_back(failing_dependency(at, it));
    }
  }
  check_schemas(at, out);
}

void check_disks(const scene& at, std::vector<finding>& out) {
  std::set<std::string> told;
  for (const auto* who : at.reporting()) {
    for (const auto& disk : who->report->disks) {
      // Nodes of one machine see the same disk.
      const auto same = disk.path + " " + std::to_string(disk.size_bytes);
      if (disk.size_bytes == 0 || !told.insert(same).second) continue;
      const double part = static_cast<double>(disk.free_bytes) / static_cast<double>(disk.size_bytes);
      const auto text =
          disk.path + ": " + std::to_string(disk.free_bytes / mebibyte) + " MiB (" + per_cent(part) + ") free";
      const auto subject = "disk of " + who->name;
      if (part < 0.02 || disk.free_bytes < 16 * mebibyte) {
        out.push_back(ill(severity::broken, "disk", subject, text, "make room, or give it a larger disk"));
      } else if (part < 0.1) {
        out.push_back(ill(severity::warn, "disk", subject, text, "plan for more room"));
      } else {
        out.push_back(well("disk", subject, text));
      }
    }
  }
}

void check_certificates(const scene& at, std::vector<finding>& out) {
  std::vector<std::pair<std::string, std::string>> authorities;
  size_t seen = 0;
  const auto before = out.size();
  for (const auto* who : at.reporting()) {
    for (const auto& it : who->report->certificates) {
      ++seen;
      check_certificate(at, *who, it, out);
      if (it.role == "authority" && it.problem.empty()) authorities.emplace_back(who->name, it.fingerprint);
    }
  }
  if (seen > 0 && out.size() == before) {
    out.push_back(well("certificate", "certificates", std::to_string(seen) + " are valid for three weeks and more"));
  }
  check_equal(at, out, "certificate", "authority (rpc.tls.ca_file)", authorities,
              "nodes with different authorities do not take each other's connections: give all the same file");
}

void check_secrets(const scene& at, std::vector<finding>& out) {
  std::map<std::string, std::vector<std::pair<std::string, std::string>>> said;
  for (const auto* who : at.reporting()) {
    for (const auto& [secret, value] : who->report->fingerprints) said[secret].emplace_back(who->name, value);
  }
  for (const auto& [secret, values] : said) {
    check_equal(at, out, "secret", secret, values,
                "give it the file the others have and restart it; accounts made with another key are others");
  }
}

void check_clocks(const scene& at, std::vector<finding>& out) {
  std::vector<int64_t> all;
  for (const auto* who : at.reporting()) all.push_back(who->skew_ms);
  if (all.empty()) return;
  std::nth_element(all.begin(), all.begin() + static_cast<ptrdiff_t>(all.size() / 2), all.end());
  const auto median = all[all.size() / 2];
  bool any = false;
  for (const auto* who : at.reporting()) {
    const auto off = std::abs(who->skew_ms - median) - who->round_trip_ms / 2;
    if (off < skew_warning_ms) continue;
    any = true;
    out.push_back(ill(off < skew_broken_ms ? severity::warn : severity::broken, "clock", who->name,
                      "its clock is off by " + age(std::abs(who->skew_ms - median)),
                      "let its machine follow a time server"));
  }
  if (!any) out.push_back(well("clock", "clocks", "agree"));
}

void check_versions(const scene& at, std::vector<finding>& out) {
  std::map<std::string, std::vector<std::string>> by_version;
  for (const auto* who : at.reporting()) {
    by_version[who->report->version + " (" + who->report->commit + ")"].push_back(who->name);
  }
  if (by_version.empty()) return;
  if (by_version.size() == 1) {
    out.push_back(well("version", "nodes", "all run " + by_version.begin()->first));
    return;
  }
  std::vector<std::string> parts;
  for (const auto& [version, names] : by_version) parts.push_back(joined(names) + " run " + version);
  out.push_back(ill(severity::warn, "version", "nodes", joined(parts, "; "),
                    "during an upgrade this is as it should be; else restart those of the old version"));
}

}  // namespace tern::ctl::detail
