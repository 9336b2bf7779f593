// account erase, account erasure: an account's data is destroyed everywhere, and what was.
#include <nlohmann/json.hpp>

#include "libs/erasure/eraser.hpp"
#include "tools/ctl/command.hpp"

namespace tern::ctl {
namespace {

constexpr uint64_t most_rows = 1'000'000;
constexpr std::chrono::seconds patience{60};  // with nodes that are away while it erases

std::string receipt_json(const std::string& command, const erasing::receipt& of) {
  nlohmann::json out{{"command", command},
                     {"account", to_node(of.account)},
                     {"state", of.state},
                     {"begun_ns", std::to_string(of.begun_ns)},
                     {"ended_ns", std::to_string(of.ended_ns)},
                     {"sha256", of.digest()},
                     {"destroyed", nlohmann::json::array()}};
  for (const auto& one : of.parts) {
    out["destroyed"].push_back({{"shard", one.shard}, {"kind", one.kind}, {"count", one.count}});
  }
  return out.dump() + "\n";
}

int with_eraser(session& with, const std::string& command, bool erase) {
  const auto account = erasing::parse_account(with.given.words[0]);
  if (!account) {
    with.fail(account.error());
    return exit_usage;
  }
  erasing::eraser_options how;
  screen shown(with.out, with.terminal);
  how.patience = erase ? std::max<std::chrono::milliseconds>(with.how.timeout, patience) : with.how.timeout;
  how.progress = [&](const std::string& line) {
    if (!with.how.json) shown.show(line + "\n");
  };
  if (with.given.has("--rate")) {
    const auto rate = std::strtoull(with.given.value("--rate").c_str(), nullptr, 10);
    if (rate == 0 || rate > most_rows) {
      with.fail({errc::bad_parameter, "--rate: messages per second, 1 to 1000000"});
      return exit_usage;
    }
    how.rows_per_second = rate;
  }
  const auto maps = [&]() -> result<routing::v1::Snapshot> {
    routing::v1::ControlRequest request;
    request.mutable_status();
    auto reply = with.routing->call(std::move(request));
    if (!reply) return reply.error();
    if (reply->code() != 0) return error{errc::unavailable, reply->text()};
    return std::move(*reply->mutable_status()->mutable_maps());
  };
  erasing::eraser work(with.routing->network(), with.routing->self(), maps, *account, std::move(how));
  auto done = erase ? work.run() : work.look();
  shown.keep();
  if (!done) return with.fail(done.error());
  if (done->state == "none") return with.fail({errc::no_such_object, "no erasure of this account is recorded"});
  with.say(with.how.json ? receipt_json(command, *done) : done->text());
  return exit_done;
}

int account_erase(session& with) { return with_eraser(with, "account erase", true); }
int account_erasure(session& with) { return with_eraser(with, "account erasure", false); }

}  // namespace

std::vector<command> account_commands() {
  return {
      {"account erase",
       "ACCOUNT",
       "destroys all data of an account, for ever, and shows the receipt",
       "ACCOUNT: its node, as clients see it, or its id as 0x… There is no way back. From the first step on nobody "
       "can\n"
       "log in; sessions on line are ended. Ended before it is done (Ctrl-C, a node away for a minute), the same\n"
       "command goes on. What is destroyed and what stays: docs/storage.md.\n",
       {{"--rate", "N", "messages looked at per second, at most [5000]"}},
       1,
       1,
       account_erase},
      {"account erasure",
       "ACCOUNT",
       "the receipt of an account's erasure, or how far it is",
       "",
       {},
       1,
       1,
       account_erasure},
  };
}

}  // namespace tern::ctl
