#include <nlohmann/json.hpp>

#include "tools/ctl/doctor/observations.hpp"

namespace tern::ctl {
namespace {

using nlohmann::json;

/// What is missing or of another kind keeps its default: reports of other versions are read, too.
template <class Value>
void take(const json& from, const char* key, Value& into) {
  const auto at = from.find(key);
  if (at == from.end()) return;
  try {
    into = at->get<Value>();
  } catch (const json::exception&) {
    return;
  }
}

template <class Item, class Read>
void take_all(const json& from, const char* key, std::vector<Item>& into, Read read) {
  const auto at = from.find(key);
  if (at == from.end() || !at->is_array()) return;
  for (const auto& each : *at) {
    if (each.is_object()) read(each, into.emplace_back());
  }
}

void take_lists(const json& from, node_report& into) {
  take_all(from, "dependencies", into.dependencies, [](const json& one, node_report::dependency& to) {
    take(one, "name", to.name);
    take(one, "kind", to.kind);
    take(one, "where", to.where);
    take(one, "ok", to.ok);
    take(one, "text", to.text);
    take(one, "schema", to.schema);
  });
  take_all(from, "disks", into.disks, [](const json& one, node_report::disk& to) {
    take(one, "path", to.path);
    take(one, "free_bytes", to.free_bytes);
    take(one, "size_bytes", to.size_bytes);
  });
  take_all(from, "certificates", into.certificates, [](const json& one, node_report::certificate& to) {
    take(one, "role", to.role);
    take(one, "file", to.file);
    take(one, "subject", to.subject);
    take(one, "fingerprint", to.fingerprint);
    take(one, "problem", to.problem);
    take(one, "not_after_ms", to.not_after_ms);
  });
  take_all(from, "links", into.links, [](const json& one, node_report::link& to) {
    take(one, "service", to.service);
    take(one, "address", to.address);
    take(one, "up", to.up);
    take(one, "ms", to.ms);
    take(one, "why", to.why);
  });
}

void take_health(const json& from, node_report& into) {
  if (const auto live = from.find("live"); live != from.end() && live->is_object()) {
    take(*live, "ok", into.live);
    take(*live, "why", into.not_live);
  }
  const auto ready = from.find("ready");
  if (ready == from.end() || !ready->is_object()) return;
  take(*ready, "ok", into.ready);
  take(*ready, "started", into.started);
  take(*ready, "draining", into.draining);
  take_all(*ready, "conditions", into.conditions, [](const json& one, node_report::condition& to) {
    take(one, "name", to.name);
    take(one, "ok", to.ok);
    take(one, "why", to.why);
  });
}

}  // namespace

std::optional<node_report> parse_report(const std::string& text) {
  const auto parsed = json::parse(text, nullptr, false);
  if (!parsed.is_object() || !parsed.contains("node")) return std::nullopt;
  node_report out;
  take(parsed, "node", out.node);
  take(parsed, "version", out.version);
  take(parsed, "commit", out.commit);
  take(parsed, "address", out.address);
  take(parsed, "services", out.services);
  take(parsed, "now_ms", out.now_ms);
  take(parsed, "fingerprints", out.fingerprints);
  take(parsed, "options", out.options);
  take_health(parsed, out);
  take_lists(parsed, out);
  return out;
}

}  // namespace tern::ctl
