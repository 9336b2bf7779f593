#include "tools/ctl/doctor/show.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace tern::ctl {
namespace {

using nlohmann::json;

std::string word(severity level) {
  switch (level) {
    case severity::ok: return "ok";
    case severity::warn: return "warn";
    case severity::broken: break;
  }
  return "broken";
}

std::string column(std::string text, size_t width) {
  text.resize(std::max(width, text.size() + 1), ' ');
  return text;
}

const finding* cause(const std::vector<finding>& all, const std::string& subject) {
  const auto found = std::find_if(all.begin(), all.end(), [&](const finding& each) {
    return each.subject == subject && each.level == severity::broken && each.because.empty();
  });
  return found == all.end() ? nullptr : &*found;
}

}  // namespace

std::string doctor_text(const std::vector<finding>& all) {
  std::string out;
  for (const auto& each : all) {
    out += column(word(each.level), 8) + column(each.check, 12) + each.subject + ": " + each.text;
    if (!each.because.empty()) out += " (follows from " + each.because + ")";
    out += "\n";
    const bool helps = each.level != severity::ok && each.because.empty() && !each.advice.empty();
    if (helps) out += column("", 20) + "do: " + each.advice + "\n";
  }
  out += "\n";
  const auto causes = causes_of(all);
  for (const auto& subject : causes) out += "cause: " + subject + ": " + cause(all, subject)->text + "\n";
  if (!causes.empty()) return out;
  const auto warnings =
      std::count_if(all.begin(), all.end(), [](const auto& f) { return f.level == severity::warn; });
  if (warnings > 0) return out + "nothing is broken; " + std::to_string(warnings) + " to look at\n";
  return out + "all is well\n";
}

std::string doctor_json(const std::vector<finding>& all) {
  json out;
  out["level"] = word(worst_of(all));
  out["causes"] = json::array();
  for (const auto& subject : causes_of(all)) {
    const auto* it = cause(all, subject);
    out["causes"].push_back({{"subject", subject}, {"check", it->check}, {"text", it->text}, {"advice", it->advice}});
  }
  out["checks"] = json::array();
  for (const auto& each : all) {
    out["checks"].push_back({{"check", each.check},
                             {"level", word(each.level)},
                             {"subject", each.subject},
                             {"text", each.text},
                             {"advice", each.level == severity::ok ? "" : each.advice},
                             {"because", each.because}});
  }
  return out.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace tern::ctl
