#include "tests/verify/dump.hpp"

#include <fstream>

namespace tern::verify {
namespace {

const char* name_of(outcome what) { return what == outcome::ok ? "ok" : what == outcome::fail ? "fail" : "unknown"; }

const char* name_of(via what) {
  switch (what) {
    case via::live: return "live";
    case via::batch: return "batch";
    case via::receipt: return "receipt";
    case via::pull: return "pull";
  }
  return "?";
}

}  // namespace

bool dump(const history& seen, const std::string& path) {
  std::ofstream out(path);
  for (const auto& op : seen.sends) {
    out << op.invoked << " send " << op.body << " from " << op.sender << " (" << op.terminal << ") to "
        << op.recipient << op.room << " mid " << op.mid << ' ' << name_of(op.result) << " at " << op.completed
        << ", attempts " << op.attempts << '\n';
  }
  for (const auto& op : seen.receives) {
    out << op.at << " receive " << op.body << " by " << op.account << " on " << op.connection << " of " << op.sender
        << " in " << op.recipient << op.room << " mid " << op.mid << ' ' << name_of(op.how)
        << (op.is_offline ? " offline" : "") << (op.acknowledged ? " acknowledged" : "") << '\n';
  }
  for (const auto& op : seen.members) {
    out << op.invoked << " member " << op.account << (op.joins ? " joins " : " leaves ") << op.room << ' '
        << name_of(op.result) << " at " << op.completed << '\n';
  }
  for (const auto& op : seen.recalls) {
    out << op.invoked << " recall " << op.body << " mid " << op.mid << " by " << op.actor
        << (op.entitled ? "" : " who may not") << " in " << op.other << op.room << ' ' << name_of(op.result) << " at "
        << op.completed << ", attempts " << op.attempts << '\n';
  }
  for (const auto& op : seen.notices) {
    out << op.at << " told " << op.account << " on " << op.connection << " of mid " << op.mid << " in " << op.other
        << op.room << '\n';
  }
  for (const auto& op : seen.connections) {
    out << op.began << " connection " << op.connection << " of " << op.account << " until " << op.ended << '\n';
  }
  for (const auto& stall : seen.stalls) out << "0 stall " << stall << '\n';
  return out.good();
}

}  // namespace tern::verify
