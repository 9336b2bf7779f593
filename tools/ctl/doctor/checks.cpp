#include "tools/ctl/doctor/checks.hpp"

#include <algorithm>
#include <map>

#include "tools/ctl/doctor/parts.hpp"

namespace tern::ctl {
namespace detail {

std::string scene::service_of(const std::string& node) const {
  for (const auto& each : seen.nodes) {
    if (each.name == node && each.report && !each.report->services.empty()) return each.report->services.front();
  }
  if (seen.status) {
    for (const auto& each : seen.status->maps().nodes()) {
      if (each.name() == node) return each.service();
    }
  }
  for (const char* each : all_services) {
    if (node.find(each) != std::string::npos) return each;
  }
  return {};
}

std::string scene::node_at(const std::string& address) const {
  for (const auto& each : seen.nodes) {
    if (each.report && each.report->address == address) return each.report->node;
  }
  if (!seen.status) return {};
  for (const auto& each : seen.status->maps().nodes()) {
    if (each.address() == address) return each.name();
  }
  return {};
}

const node_seen* scene::find(const std::string& node) const {
  const auto found =
      std::find_if(seen.nodes.begin(), seen.nodes.end(), [&](const node_seen& each) { return each.name == node; });
  return found == seen.nodes.end() ? nullptr : &*found;
}

std::string scene::state_of(const std::string& node) const {
  if (!seen.status) return {};
  for (const auto& each : seen.status->nodes()) {
    if (each.name() == node) return each.state();
  }
  return {};
}

std::vector<const node_seen*> scene::reporting() const {
  std::vector<const node_seen*> out;
  for (const auto& each : seen.nodes) {
    if (each.report) out.push_back(&each);
  }
  return out;
}

bool scene::stores() const {
  for (const auto* each : reporting()) {
    const auto found = each->report->options.find("session.storage");
    if (found != each->report->options.end() && found->second == "none" && service_of(each->name) == "session") {
      return false;
    }
  }
  return true;
}

bool scene::single() const {
  const auto all = reporting();
  return !seen.status && all.size() == 1 && all.front()->report->services.size() > 1;
}

finding well(std::string check, std::string subject, std::string text) {
  finding out;
  out.check = std::move(check);
  out.subject = std::move(subject);
  out.text = std::move(text);
  return out;
}

finding ill(severity level, std::string check, std::string subject, std::string text, std::string advice) {
  auto out = well(std::move(check), std::move(subject), std::move(text));
  out.level = level;
  out.advice = std::move(advice);
  return out;
}

finding about_node(const scene& at, finding what, const std::string& node, rank of) {
  const auto service = at.service_of(node);
  what.rank = of;
  what.concerns.insert(node);
  what.breaks.insert({node, "ready:" + node});
  if (service.empty()) return what;
  what.breaks.insert({"service:" + service, "ranges:" + service});
  if (service == "routing") what.breaks.insert("routing");
  return what;
}

std::string most_frequent(const std::vector<std::pair<std::string, std::string>>& all) {
  std::map<std::string, size_t> counts;
  for (const auto& [who, value] : all) ++counts[value];
  std::string best;
  size_t most = 0;
  bool tie = false;
  for (const auto& [value, count] : counts) {
    tie = count == most || (tie && count < most);
    if (count > most) best = value, most = count;
  }
  return tie ? "" : best;
}

std::string joined(const std::vector<std::string>& all, const std::string& between) {
  std::string out;
  for (const auto& each : all) out += (out.empty() ? "" : between) + each;
  return out;
}

namespace {

bool meet(const std::set<std::string>& a, const std::set<std::string>& b) {
  return std::any_of(a.begin(), a.end(), [&](const std::string& each) { return b.contains(each); });
}

/// A cause comes before what follows from it: lower rank, or the same rank and found earlier.
void explain(std::vector<finding>& all) {
  std::vector<finding*> order;
  for (auto& each : all) {
    if (each.level != severity::ok) order.push_back(&each);
  }
  std::stable_sort(order.begin(), order.end(), [](const finding* a, const finding* b) { return a->rank < b->rank; });
  for (size_t i = 0; i < order.size(); ++i) {
    for (size_t k = 0; k < i && order[i]->because.empty(); ++k) {
      const auto& cause = *order[k];
      if (cause.level != severity::broken || !meet(order[i]->concerns, cause.breaks)) continue;
      const auto root = cause.because.empty() ? cause.subject : cause.because;
      if (root != order[i]->subject) order[i]->because = root;
    }
  }
}

}  // namespace
}  // namespace detail

std::vector<finding> examine(const observations& seen) {
  const detail::scene at(seen);
  std::vector<finding> all;
  for (const auto check :
       {detail::check_routing, detail::check_processes, detail::check_dependencies, detail::check_disks,
        detail::check_certificates, detail::check_secrets, detail::check_membership, detail::check_links,
        detail::check_services, detail::check_ranges, detail::check_shard_moves, detail::check_readiness,
        detail::check_clocks, detail::check_versions}) {
    check(at, all);
  }
  detail::explain(all);
  return all;
}

std::vector<std::string> causes_of(const std::vector<finding>& all) {
  std::vector<std::string> out;
  for (const auto& each : all) {
    if (each.level != severity::broken || !each.because.empty()) continue;
    if (std::find(out.begin(), out.end(), each.subject) == out.end()) out.push_back(each.subject);
  }
  return out;
}

severity worst_of(const std::vector<finding>& all) {
  auto worst = severity::ok;
  for (const auto& each : all) worst = std::max(worst, each.level);
  return worst;
}

}  // namespace tern::ctl
