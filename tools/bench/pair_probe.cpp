#include "tools/bench/pair_probe.hpp"

#include <chrono>
#include <utility>

namespace tern::bench {
namespace {

int64_t now_ns() { return std::chrono::steady_clock::now().time_since_epoch().count(); }

}  // namespace

result<std::unique_ptr<pair_probe>> pair_probe::make(client::loop& loop, const target& where, wire::encoding encoding,
                                                     const std::string& prefix, const progress_function& progress) {
  auto accounts = make_accounts(where, prefix + "-pair", 2, progress);
  if (!accounts) return accounts.error();
  auto made = std::make_unique<pair_probe>();
  if (auto done = log_in_all(loop, where, encoding, made->members_, *accounts, 2, progress); !done) {
    return done.error();
  }
  if (auto done = befriend_pairs(loop, made->members_, progress); !done) return done.error();
  made->next_id_ = now_ns();
  made->members_[0]->on_text = [probe = made.get()](member& self, const wire::tim_message& message, bool) {
    if (message.od_type != 1 || !message.from_tid || message.from_tid->node != self.node()) return;
    if (const int64_t due = std::exchange(probe->due_ns_, 0); due != 0) probe->receipt_latency.add(now_ns() - due);
  };
  return made;
}

void pair_probe::send(int64_t due_ns) {
  if (due_ns_ != 0) return;
  due_ns_ = due_ns;
  members_[0]->terminal().send_text(members_[1]->node(), std::string(64, 'x'), ++next_id_);
}

}  // namespace tern::bench
