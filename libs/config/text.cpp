// Keys and values as text.
#include <algorithm>
#include <cctype>
#include <numeric>
#include <regex>

#include "libs/config/option.hpp"

namespace tern::config {
namespace {

/// Levenshtein distance.
size_t distance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t changed = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, changed});
    }
  }
  return row[b.size()];
}

}  // namespace

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      constexpr const char* digits = "0123456789abcdef";
      out.append("\\x").append(1, digits[(c >> 4) & 15]).append(1, digits[c & 15]);
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string environment_name(const std::string& key) {
  std::string name = "TERN_";
  for (const char c : key) name += c == '.' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

std::string nearest(const std::string& key, const std::vector<std::string>& known) {
  std::string best;
  const std::string probe = key.substr(0, 200);  // bounds the work on a hostile file
  size_t best_distance = std::max<size_t>(2, std::min<size_t>(probe.size() / 3, 10)) + 1;
  for (const auto& candidate : known) {
    const size_t found = distance(probe, candidate);
    if (found < best_distance) best = candidate, best_distance = found;
  }
  return best;
}

std::vector<std::string> split_list(const std::string& text) {
  std::vector<std::string> items;
  if (text.empty()) return items;
  items.emplace_back();
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size() && text[i + 1] == ',') {
      items.back() += text[++i];
    } else if (text[i] == ',') {
      items.emplace_back();
    } else {
      items.back() += text[i];
    }
  }
  return items;
}

std::string without_passwords(std::string text) {
  static const std::regex in_url("(://[^:@/ ]*:)[^@/ ]*@");
  static const std::regex in_words(R"((password\s*=\s*)('[^']*'|[^ ]+))", std::regex::icase);
  text = std::regex_replace(text, in_url, "$1***@");
  return std::regex_replace(text, in_words, "$1***");
}

}  // namespace tern::config
