#include "tools/ctl/command.hpp"

#include <unistd.h>

#include <algorithm>
#include <sstream>

#include "libs/app/version.hpp"
#include "tools/ctl/text.hpp"

namespace tern::ctl {
namespace {

constexpr const char* exit_codes =
    "Exit codes: 0 done; 1 refused or failed; 2 the command line or configuration was refused; 3 routing cannot be\n"
    "reached, or no replica leads.\n";

std::vector<std::string> split(const std::string& words) {
  std::istringstream in(words);
  std::vector<std::string> out;
  for (std::string word; in >> word;) out.push_back(word);
  return out;
}

std::string flag_lines(const std::vector<flag>& flags) {
  constexpr size_t width = 28;
  std::string out;
  for (const auto& each : flags) {
    std::string head = "  " + each.name + (each.value.empty() ? "" : " " + each.value);
    if (head.size() + 1 > width) {
      out += head + "\n" + std::string(width, ' ');
    } else {
      out += head + std::string(width - head.size(), ' ');
    }
    out += each.help + "\n";
  }
  return out;
}

std::string title() { return "ternctl " + std::string(app::version()) + ": what operators ask of a Tern cluster"; }

const std::vector<flag>& last_flags() {
  static const std::vector<flag> all{{"--version", "", "version, commit and build type"},
                                     {"--help", "", "this text"}};
  return all;
}

std::string help_of_all() {
  std::string out = title() + "\n\nUsage: ternctl COMMAND [flags]\n\nCommands:\n";
  for (const auto& each : all_commands()) {
    std::string head = "  " + each.words + (each.operands.empty() ? "" : " " + each.operands);
    head.resize(std::max<size_t>(head.size() + 2, 28), ' ');
    out += head + each.summary + "\n";
  }
  return out + "\nFlags of every command:\n" + flag_lines(common_flags()) + flag_lines(last_flags()) +
         "\nternctl COMMAND --help tells of one.\n" + exit_codes;
}

std::string help_of(const command& what) {
  std::string out = "ternctl " + what.words + ": " + what.summary + "\n\nUsage: ternctl " + what.words +
                    (what.operands.empty() ? "" : " " + what.operands) + " [flags]\n";
  if (!what.details.empty()) out += "\n" + what.details;
  out += "\nFlags:\n" + flag_lines(what.flags) + flag_lines(common_flags()) + flag_lines(last_flags());
  return out + "\n" + exit_codes;
}

/// The command whose words `given` begins with; the longest one.
const command* find(const std::vector<std::string>& given) {
  const command* found = nullptr;
  size_t longest = 0;
  for (const auto& each : all_commands()) {
    const auto words = split(each.words);
    if (words.size() <= longest || words.size() > given.size()) continue;
    if (!std::equal(words.begin(), words.end(), given.begin())) continue;
    found = &each;
    longest = words.size();
  }
  return found;
}

int complain(const std::string& text) {
  std::fprintf(stderr, "ternctl: %s\n", text.c_str());
  return exit_usage;
}

int no_such_command(const std::vector<std::string>& words) {
  std::vector<std::string> known;
  for (const auto& each : all_commands()) known.push_back(each.words);
  const std::string text = words.size() > 1 ? words[0] + " " + words[1] : words[0];
  auto meant = nearest(text, known);
  if (meant.empty()) meant = nearest(words[0], known);
  return complain("there is no command '" + words[0] +
                  (meant.empty() ? "'; see ternctl --help" : "'; did you mean 'ternctl " + meant + "'?"));
}

/// Every flag of any command: to find the words before the command is known.
std::vector<flag> any_flags() {
  auto flags = common_flags();
  for (const auto& each : all_commands()) flags.insert(flags.end(), each.flags.begin(), each.flags.end());
  return flags;
}

std::string operands_complaint(const command& what, size_t given) {
  if (what.most == 0) return "ternctl " + what.words + " takes no operands";
  return std::string(given < what.least ? "too few" : "too many") + " operands; usage: ternctl " + what.words + " " +
         what.operands;
}

int run_command(const command& what, arguments given, char** environment) {
  given.words.erase(given.words.begin(), given.words.begin() + static_cast<ptrdiff_t>(split(what.words).size()));
  if (given.words.size() < what.least || given.words.size() > what.most) {
    return complain(operands_complaint(what, given.words.size()));
  }
  auto how = read_settings(given, environment);
  if (!how) return complain(how.error().detail);
  session with;
  with.how = std::move(*how);
  with.given = std::move(given);
  with.terminal = ::isatty(::fileno(with.out)) == 1 && !with.how.json;
  auto routing = control_client::make(with.how);
  if (!routing) return complain(routing.error().detail);
  with.routing = std::move(*routing);
  return what.run(with);
}

}  // namespace

int session::fail(const error& why) const {
  std::fprintf(stderr, "ternctl: %s\n",
               why.detail.empty() ? std::string(to_string(why.code)).c_str() : why.detail.c_str());
  if (why.code == errc::bad_parameter) return exit_usage;
  return why.code == errc::unavailable ? exit_unreachable : exit_failed;
}

int session::refused(const routing::v1::ControlReply& reply) const {
  if (reply.code() == 0) return exit_done;
  const auto code = to_string(static_cast<errc>(reply.code()));
  std::fprintf(stderr, "ternctl: refused: %s\n",
               reply.text().empty() ? std::string(code).c_str() : reply.text().c_str());
  return exit_failed;
}

void session::say(const std::string& text) const {
  std::fputs(text.c_str(), out);
  if (!text.ends_with('\n')) std::fputc('\n', out);
  std::fflush(out);
}

const std::vector<command>& all_commands() {
  static const std::vector<command> all = [] {
    auto list = cluster_commands();
    for (auto& each : move_commands()) list.push_back(std::move(each));
    for (auto& each : shard_commands()) list.push_back(std::move(each));
    for (auto& each : account_commands()) list.push_back(std::move(each));
    for (auto& each : diagnosis_commands()) list.push_back(std::move(each));
    return list;
  }();
  return all;
}

int run(const std::vector<std::string>& texts, char** environment) {
  const auto first = parse(texts, any_flags());
  if (first && first->has("--version")) {
    std::printf("ternctl %s (%s, %s)\n", std::string(app::version()).c_str(), std::string(app::commit()).c_str(),
                std::string(app::build_type()).c_str());
    return exit_done;
  }
  if (!first) return complain(first.error().detail);
  if (first->words.empty()) {
    if (!first->has("--help")) return complain("no command; see ternctl --help");
    std::fputs(help_of_all().c_str(), stdout);
    return exit_done;
  }
  const command* what = find(first->words);
  if (what == nullptr) return no_such_command(first->words);
  if (first->has("--help")) {
    std::fputs(help_of(*what).c_str(), stdout);
    return exit_done;
  }
  auto flags = common_flags();
  flags.insert(flags.end(), what->flags.begin(), what->flags.end());
  auto given = parse(texts, flags);
  if (!given) return complain(given.error().detail);
  return run_command(*what, std::move(*given), environment);
}

}  // namespace tern::ctl
