// The declared options as texts: reference page and effective values.
#include "libs/config/option.hpp"
#include "libs/config/schema.hpp"

namespace tern::config {
namespace {

/// The part of a key its options are grouped by.
std::string section_of(const std::string& key) { return key.substr(0, key.find('.')); }

/// A Markdown table cell: no line breaks, no column separators.
std::string cell(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out;
}

}  // namespace

std::vector<description> schema::describe() const {
  std::vector<description> all;
  for (const auto& [key, it] : impl_->options) {
    all.push_back(it.what);
    if (it.secret) all.back().help += it.required ? " (required)" : "";
  }
  return all;
}

std::string schema::reference() const {
  std::string out;
  std::string section;
  for (const auto& it : describe()) {
    if (section_of(it.key) != section) {
      section = section_of(it.key);
      out += (out.empty() ? "" : "\n") + ("## " + section) +
             "\n\n| key | type | default | meaning |\n| --- | --- | --- | --- |\n";
    }
    const bool secret = it.type == "secret";
    out += "| `" + it.key + (secret ? "_file" : "") + "` | " + cell(secret ? "file with a secret" : it.type) + " | " +
           (it.default_value.empty() ? "" : "`" + cell(it.default_value) + "`") + " | " + cell(it.help) + " |\n";
  }
  return out;
}

std::string schema::dump() const {
  std::string out;
  for (const auto& [key, it] : impl_->options) {
    // A secret has no place in a file, so what is shown of it is a comment.
    out += (it.secret ? "# " : "") + key + ": " + it.show() + "\n";
  }
  return out;
}

}  // namespace tern::config
