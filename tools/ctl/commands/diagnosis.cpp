// doctor, debug bundle: what is broken, and all there is to know about it.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <mutex>
#include <nlohmann/json.hpp>

#include "libs/app/version.hpp"
#include "libs/config/masking.hpp"
#include "tools/ctl/archive.hpp"
#include "tools/ctl/command.hpp"
#include "tools/ctl/doctor/collect.hpp"
#include "tools/ctl/doctor/show.hpp"
#include "tools/ctl/report.hpp"

namespace tern::ctl {
namespace {

using files = std::vector<std::pair<std::string, std::string>>;

constexpr auto page_limit = std::chrono::seconds(10);

const std::vector<flag>& place_flags() {
  static const std::vector<flag> all{
      {"--nodes", "LIST",
       "where nodes show their metrics: NAME=HOST:PORT or HOST:PORT, separated by commas (ternctl.nodes, "
       "TERN_NODES)"},
      {"--metrics-port", "PORT", "without --nodes: that port of every host routing knows [9100]"}};
  return all;
}

int doctor(session& with) {
  const auto all = examine(look_around(with.how));
  with.say(with.how.json ? doctor_json(all) : doctor_text(all));
  return static_cast<int>(worst_of(all));
}

std::string utc(std::time_t when, const char* format) {
  std::tm parts{};
  ::gmtime_r(&when, &parts);
  char text[64];
  return {text, std::strftime(text, sizeof text, format, &parts)};
}

std::string safe_name(std::string text) {
  for (char& c : text) {
    const bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
                      c == '-' || c == '_';
    if (!fine) c = '_';
  }
  return text.substr(0, 60);
}

/// Nodes mask what they know to be secret; what slipped into a text of the log is masked here.
std::string masked(const std::string& text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find('\n', at), text.size());
    out += config::without_passwords(text.substr(at, end - at)) + "\n";
    at = end + 1;
  }
  return out;
}

void add_node(const node_seen& who, files& into) {
  static constexpr std::pair<const char*, const char*> pages[] = {
      {"/statusz", "status.json"}, {"/configz", "config.yaml"}, {"/metrics", "metrics.txt"},  {"/logz", "log.txt"},
      {"/readyz", "readyz.txt"},   {"/livez", "livez.txt"},     {"/startupz", "startupz.txt"}};
  const auto directory = "nodes/" + safe_name(who.called()) + "/";
  if (who.how != app::reach::answered) {
    into.emplace_back(directory + "unreachable.txt", who.address + ": " + who.why + "\n");
    return;
  }
  for (const auto& [path, name] : pages) {
    const auto got = app::http_get(who.address, path, page_limit);
    const bool health = std::string_view(path).ends_with("z") && std::string_view(name).ends_with("z.txt");
    std::string text = got.how == app::reach::answered ? got.answer.body : got.why + "\n";
    if (got.how == app::reach::answered && got.answer.status != 200 && !health) {
      text = "HTTP " + std::to_string(got.answer.status) + "\n" + text;
    }
    const bool may_leak = std::string_view(name) == "log.txt" || std::string_view(name) == "config.yaml";
    into.emplace_back(directory + name, may_leak ? masked(text) : text);
  }
}

void add_cluster(const observations& seen, files& into) {
  if (!seen.status) {
    into.emplace_back("cluster/unreachable.txt", seen.status_error + "\n");
    return;
  }
  const auto& status = *seen.status;
  into.emplace_back("cluster/status.txt", status_text(status));
  into.emplace_back("cluster/status.json", status_json(status) + "\n");
  into.emplace_back("cluster/nodes.txt", nodes_text(status, {}));
  into.emplace_back("cluster/nodes.json", nodes_json(status, {}) + "\n");
  into.emplace_back("cluster/ranges.txt", ranges_text(status, {}));
  into.emplace_back("cluster/ranges.json", ranges_json(status, {}) + "\n");
  into.emplace_back("cluster/moves.txt", moves_text(status));
  into.emplace_back("cluster/moves.json", moves_json(status) + "\n");
}

std::string versions(const observations& seen, std::time_t now) {
  std::string out = "made " + utc(now, "%Y-%m-%dT%H:%M:%SZ") + " by ternctl " + std::string(app::version()) + " (" +
                    std::string(app::commit()) + ", " + std::string(app::build_type()) + ")\n\n";
  for (const auto& each : seen.nodes) {
    out += each.called() + " at " + each.address + ": " +
           (each.report ? each.report->version + " (" + each.report->commit + ")" : "not known") + "\n";
  }
  return out;
}

result<void> write_file(const std::string& path, const std::string& content) {
  const int fd = ::open(path.c_str(), O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return error{errc::unavailable, path + ": " + std::strerror(errno)};
  size_t done = 0;
  while (done < content.size()) {
    const auto count = ::write(fd, content.data() + done, content.size() - done);
    if (count < 0) break;
    done += static_cast<size_t>(count);
  }
  const int closed = ::close(fd);
  if (done == content.size() && closed == 0) return {};
  return error{errc::unavailable, path + ": " + std::strerror(errno)};
}

int debug_bundle(session& with) {
  const auto now = ::time(nullptr);
  const auto seen = look_around(with.how);
  const auto findings = examine(seen);
  files all{{"versions.txt", versions(seen, now)},
            {"doctor.txt", doctor_text(findings)},
            {"doctor.json", doctor_json(findings) + "\n"}};
  add_cluster(seen, all);
  std::vector<files> of_nodes(seen.nodes.size());
  for_each_at_once(seen.nodes.size(), [&](size_t i) { add_node(seen.nodes[i], of_nodes[i]); });
  for (auto& each : of_nodes) all.insert(all.end(), each.begin(), each.end());
  const auto name = "tern-debug-" + utc(now, "%Y%m%d-%H%M%S");
  const auto path = with.given.value("--output", name + ".tar.gz");
  const auto packed = tar_gz(name, all, now);
  if (!packed) return with.fail(packed.error());
  if (const auto written = write_file(path, *packed); !written) return with.fail(written.error());
  if (with.how.json) {
    with.say(nlohmann::json{{"command", "debug bundle"}, {"file", path}, {"files", all.size()}}.dump());
  } else {
    with.say(path + ": " + std::to_string(all.size()) + " files, " + std::to_string(packed->size() / 1024) +
             " KiB, without secrets and messages");
  }
  return exit_done;
}

}  // namespace

std::vector<command> diagnosis_commands() {
  auto bundle_flags = place_flags();
  bundle_flags.push_back({"--output", "FILE", "where to write it [tern-debug-TIME.tar.gz]"});
  return {
      {"doctor", "", "what is broken, whose fault it is, and what to do",
       "Asks routing, and each node at its metrics address, which in turn tries its databases, Redis, certificates\n"
       "and links. Exit codes of its own: 0 all is well, 1 something to look at, 2 something is broken.\n",
       place_flags(), 0, 0, doctor},
      {"debug bundle", "", "one file with all that helps to find out what is wrong",
       "Versions, maps, the doctor's report, and of each node its options (secrets hidden), metrics, readiness and "
       "the\n"
       "newest log lines. No messages and no secrets; the names of nodes, hosts and databases are in it.\n",
       bundle_flags, 0, 0, debug_bundle},
  };
}

}  // namespace tern::ctl
