#include "tools/ctl/watching.hpp"

#include <algorithm>

namespace tern::ctl {
namespace {
using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;
}  // namespace

int wait_for(session& with, const goal& wanted, outcome& result) {
  const auto began = steady::now();
  progress bar(wanted.what, wanted.unit, began);
  bar.update(wanted.all, began);
  screen view(with.out, with.terminal);
  Status seen;
  bool any = false;
  for (;;) {
    auto next = with.routing->watch(1000ms);
    if (!next && next.code() != errc::deadline) return with.fail(next.error());
    if (next) seen = std::move(*next);
    any = any || next;
    if (!any) continue;
    result.seconds = std::chrono::duration<double>(steady::now() - began).count();
    bar.update(wanted.left(seen), steady::now(), wanted.note ? wanted.note(seen) : "");
    result.done = wanted.reached(seen);
    const auto more = bar.remaining();
    if (!with.how.json) {
      if (bar.all() > 0) view.show(bar.line() + "\n");
    } else if (with.how.watch && !result.done) {
      with.say(
          progress_json(result.command, wanted.unit, bar.left(), bar.all(), bar.rate(), more ? more->count() : -1));
    }
    if (result.done) return exit_done;
    if (const auto why = wanted.hopeless(seen); !why.empty()) return with.fail({errc::internal, why});
  }
}

int show(session& with, const std::function<std::string(const Status&)>& text,
         const std::function<std::string(const Status&)>& json) {
  if (!with.how.watch) {
    routing::v1::ControlRequest request;
    request.mutable_status();
    const auto reply = with.routing->call(request);
    if (!reply) return with.fail(reply.error());
    if (const int code = with.refused(*reply); code != exit_done) return code;
    with.say(with.how.json ? json(reply->status()) : text(reply->status()));
    return exit_done;
  }
  screen view(with.out, with.terminal);
  Status seen;
  for (;;) {
    auto next = with.routing->watch(2000ms);
    if (!next && next.code() == errc::deadline) continue;
    if (!next) return with.fail(next.error());
    if (with.how.json) {
      with.say(json(*next));
    } else {
      view.show(text(*next) + (with.terminal ? "" : "\n"));
    }
    if (std::ferror(with.out) != 0) return exit_failed;  // whoever read it is gone
  }
}

}  // namespace tern::ctl
