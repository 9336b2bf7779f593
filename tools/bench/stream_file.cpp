// A file through a virtual room: its owner pushes pieces as BIGBINARYSTREAM, the receiver answers with cumulative
// acknowledgements in a room of its own, so that nobody gets back what it has sent.
#include "tools/bench/costs.hpp"
#include "tools/bench/file_floor.hpp"
#include "tools/bench/file_transfer.hpp"
#include "tools/bench/live_rooms.hpp"
#include "tools/bench/memory_sampler.hpp"

namespace tern::bench {
namespace {

using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

constexpr double mebibyte = 1 << 20;
constexpr uint64_t most_of_floor = 256U << 20U;  // bytes through the plain relay, before and after

double ratio(double of, double to) { return to > 0 ? of / to : 0; }

/// One room for each direction: its owner pushes, the other end subscribes in binary form.
result<std::vector<std::string>> make_rooms(client::loop& loop, member& sender, member& receiver) {
  auto rooms = command_rooms(loop, {{&sender, live_command::create}, {&receiver, live_command::create}}, 2);
  if (!rooms) return rooms.error();
  auto subscribed = command_rooms(loop,
                                  {{&receiver, live_command::subscribe, (*rooms)[0], "", true},
                                   {&sender, live_command::subscribe, (*rooms)[1], "", true}},
                                  2);
  if (!subscribed) return subscribed.error();
  return rooms;
}

/// Memory at the start, over the first and over the second half of the time: flat when the halves are alike.
void report_memory(report& made, memory_sampler& memory, steady::time_point began, steady::time_point ended) {
  const auto halfway = began + (ended - began) / 2;
  memory.take();
  const auto all = memory.between(began, steady::time_point::max());
  const auto first = memory.between(began, halfway);
  const auto second = memory.between(halfway, steady::time_point::max());
  auto& values = made.values;
  values["pss_least_mib"] = static_cast<double>(all.least_pss) / mebibyte;
  values["pss_most_mib"] = static_cast<double>(all.most_pss) / mebibyte;
  values["rss_least_mib"] = static_cast<double>(all.least_rss) / mebibyte;
  values["rss_most_mib"] = static_cast<double>(all.most_rss) / mebibyte;
  made.units["pss_most_mib"] = made.units["rss_most_mib"] = "all watched services";
  values["memory_samples"] = static_cast<double>(all.samples);
  values["memory_second_half"] = ratio(static_cast<double>(second.most_pss),
                                       static_cast<double>(first.samples > 0 ? first.most_pss : all.most_pss));
  made.units["memory_second_half"] = "most of the second half of the time, of the most of the first";
}

}  // namespace

result<report> run_stream_file(const setting& with, const stream_file_options& how) {
  const auto plan = plan_of(how);
  auto floor_plan = plan;
  floor_plan.total = std::min(plan.total, most_of_floor);
  auto floor = run_file_floor(floor_plan);
  if (!floor) return floor.error();
  auto accounts = make_accounts(with.where, with.prefix, 2, with.progress);
  if (!accounts) return accounts.error();
  client::loop loop;
  std::vector<std::unique_ptr<member>> members;
  if (auto done = log_in_all(loop, with.where, with.encoding, members, *accounts, 2, {}); !done) return done.error();
  auto& owner = *members[0];
  auto& receiver = *members[1];
  auto rooms = make_rooms(loop, owner, receiver);
  if (!rooms) return rooms.error();
  report made;
  made.scenario = "file of " + std::to_string(how.bytes >> 20U) + " MiB through a virtual room, pieces of " +
                  std::to_string(how.chunk >> 10U) + " KiB, window " + std::to_string(plan.window >> 10U) + " KiB";
  if (with.progress) with.progress(made.scenario);
  const auto put = [](member& from, const std::string& into) {
    return [&into, &from](std::string_view message) {
      from.terminal().send_big_data(wire::frame_type::bigbinarystream, into, message);
    };
  };
  file_transfer transfer(loop, plan, put(owner, (*rooms)[0]), put(receiver, (*rooms)[1]));
  uint64_t errors = 0;
  int32_t first_error = 0;
  for (auto& each : members) {
    each->on_answer = [&](member&, const wire::tim_ack& ack) {
      if (!ack.ok && errors++ == 0) first_error = ack.error ? ack.error->code.value_or(0) : 0;
    };
  }
  owner.on_frame = [&](member&, std::string_view, std::string_view data) { transfer.at_sender(data); };
  receiver.on_frame = [&](member&, std::string_view, std::string_view data) { transfer.at_receiver(data); };
  memory_sampler memory(with.processes);
  const cost_meter meter(with);
  const auto began = steady::now();
  transfer.start();
  // Ten seconds without a byte are the end of it.
  uint64_t before = 0;
  do {
    before = transfer.sender().acknowledged();
    loop.run_until([&] { return transfer.complete() || transfer.sender().acknowledged() > before; }, 10s);
  } while (!transfer.complete() && transfer.sender().acknowledged() > before && owner.online() && receiver.online());
  const auto ended = steady::now();
  made.seconds = std::chrono::duration<double>(ended - began).count();
  const auto& sender = transfer.sender();
  meter.finish(made, static_cast<double>(sender.acknowledged()) / mebibyte);
  for (auto& each : members) each->on_answer = {};
  const bool whole = transfer.same_digest();
  report_memory(made, memory, began, ended);
  auto floor_after = run_file_floor(floor_plan);
  if (!floor_after) return floor_after.error();
  const auto of_relay = [&](const char* name) { return (floor->values[name] + floor_after->values[name]) / 2; };
  auto& values = made.values;
  values["arrived_whole"] = whole ? 1 : 0;
  made.units["arrived_whole"] = "SHA-256 of both ends: " + (whole ? "the same, " + transfer.sent_digest() : "no");
  values["mib_per_second"] = static_cast<double>(sender.acknowledged()) / mebibyte / made.seconds;
  values["relay_mib_per_second"] = of_relay("mib_per_second");
  values["rate_of_relay"] = ratio(values["mib_per_second"], values["relay_mib_per_second"]);
  made.units["rate_of_relay"] = "of the same transfer through a plain relay (mean of before and after)";
  values["relay_cpu_us_per_mib"] = of_relay("relay_cpu_us_per_mib");
  for (const auto& one : with.processes) values["cpu_us_per_mib"] += made.costs[one.name].microseconds_per_operation;
  values["sent_again_mib"] = static_cast<double>(sender.sent_again()) / mebibyte;
  values["timeouts"] = static_cast<double>(sender.timeouts());
  values["holes_answered"] = static_cast<double>(sender.rewinds());
  values["errors"] = static_cast<double>(errors);
  if (errors > 0) made.notes.push_back("first error answered: " + std::to_string(first_error));
  if (!whole) {
    made.notes.push_back("arrived: " + std::to_string(transfer.receiver().arrived()) + " of " +
                         std::to_string(how.bytes) + " bytes; sender " + owner.why() + ", receiver " +
                         receiver.why());
  }
  return made;
}

}  // namespace tern::bench
