#include "libs/erasure/receipt.hpp"

#include <charconv>
#include <ctime>
#include <map>

#include "libs/crypto/hash.hpp"

namespace tern::erasing {
namespace {

constexpr size_t hex_most = 18;  // with 0x

std::string hex(const std::string& bytes) {
  static constexpr const char* digits = "0123456789abcdef";
  std::string out;
  for (const char each : bytes) {
    const auto byte = static_cast<unsigned char>(each);
    (out += digits[byte >> 4U]) += digits[byte & 15U];
  }
  return out;
}

std::string time_text(int64_t ns) {
  if (ns == 0) return "-";
  const auto seconds = static_cast<std::time_t>(ns / 1'000'000'000);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char out[32];
  return {out, std::strftime(out, sizeof out, "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

std::string line(const std::string& shard, const std::string& kind, uint64_t count) {
  std::string out = shard + std::string(shard.size() < 10 ? 10 - shard.size() : 1, ' ') + kind;
  return out + std::string(out.size() < 32 ? 32 - out.size() : 1, ' ') + std::to_string(count) + "\n";
}

}  // namespace

std::string receipt::digest() const {
  std::string all = "account " + to_node(account) + "\nstate " + state + "\nbegun " + std::to_string(begun_ns) +
                    "\nended " + std::to_string(ended_ns) + "\n";
  for (const auto& one : parts) all += one.shard + " " + one.kind + " " + std::to_string(one.count) + "\n";
  return hex(crypto::sha256(all));
}

std::string receipt::text() const {
  std::string out = "account   " + to_node(account) + "\nstate     " + state + "\nbegun     " + time_text(begun_ns) +
                    "\nended     " + time_text(ended_ns) + "\ndestroyed\n";
  std::map<std::string, uint64_t> sums;
  for (const auto& one : parts) {
    out += line(one.shard, one.kind, one.count);
    sums[one.kind] += one.count;
  }
  for (const auto& [kind, count] : sums) out += line("all", kind, count);
  return out + "sha256    " + digest() + "\n";
}

result<account_id> parse_account(const std::string& text) {
  if (const auto id = account_from_node(text)) return *id;
  if (text.starts_with("0x") && text.size() <= hex_most) {
    uint64_t value = 0;
    const auto end = text.data() + text.size();
    const auto read = std::from_chars(text.data() + 2, end, value, 16);
    if (read.ec == std::errc{} && read.ptr == end && value != 0) return account_id{value};
  }
  return error{errc::bad_parameter, "'" + text + "' is no account: its node, as clients see it, or 0x... is wanted"};
}

}  // namespace tern::erasing
