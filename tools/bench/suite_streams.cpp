// The suite's part on virtual rooms.
#include <algorithm>

#include "tools/bench/suite_parts.hpp"

namespace tern::bench {
namespace {

/// What a gateway keeps for a viewer that does not read (gateway.live.queue_bytes), by default.
constexpr double queue_mib = 1;

std::string shape(const stream_options& how) {
  return std::to_string(how.publishers) + " x " + std::to_string(how.viewers) + " viewers";
}

/// One room with and without slow viewers.
result<void> one_room(const std::string& where, setting with, const stream_options& how, findings& into) {
  with.prefix = "live";
  auto made = run_stream(with, how);
  if (!made) return made.error();
  into.reports.emplace_back(where, *made);
  const auto tail = ", " + shape(how) + ", " + where;
  auto& all = into.goals;
  all.push_back({"S1", "CPU per delivered frame, of the send floor's" + tail, value_of(*made, "ratio_to_floor"), 1.5,
                 true, "times"});
  all.push_back({"S1", "delivery p99" + tail, milliseconds(*made, "delivery", 0.99), 50, true, "ms"});
  all.push_back({"S1", "frames dropped when all read" + tail, value_of(*made, "dropped"), 0, true, ""});
  if (value_of(*made, "slow_viewers") <= 0) return {};
  all.push_back({"S2", "p99 of the others when 10 % stop reading, of that without" + tail,
                 value_of(*made, "slow_p99_of_without"), 1.1, true, "times"});
  all.push_back({"S2", "frames the others lose then" + tail, value_of(*made, "slow_dropped_others"), 0, true, ""});
  all.push_back({"S2", "memory that the stalled viewers add (bound: their queues)" + tail,
                 value_of(*made, "slow_memory_growth_mib"), value_of(*made, "slow_viewers") * queue_mib, true,
                 "MiB"});
  return {};
}

/// The same viewers and deliveries per second in one room and in many.
result<void> many_rooms(const std::string& where, setting with, const stream_options& many, findings& into) {
  stream_options one = many;
  one.publishers = 1;
  one.viewers = many.publishers * many.viewers;
  double cost[2] = {};
  const stream_options* shapes[2] = {&one, &many};
  for (const size_t i : {size_t{0}, size_t{1}}) {
    with.prefix = "lives";
    auto made = run_stream(with, *shapes[i]);
    if (!made) return made.error();
    cost[i] = value_of(*made, "cpu_us_per_delivery");
    into.reports.emplace_back(where, *made);
  }
  into.goals.push_back({"S3",
                        "CPU per delivered frame, " + shape(many) + ", of that of one room with as many, " + where,
                        cost[0] > 0 ? cost[1] / cost[0] : 0, 1.1, true, "times"});
  return {};
}

result<void> file(const std::string& where, setting with, uint64_t bytes, findings& into) {
  with.prefix = "file";
  auto made = run_stream_file(with, {.bytes = bytes});
  if (!made) return made.error();
  into.reports.emplace_back(where, *made);
  const auto what = "file of " + std::to_string(bytes >> 20U) + " MiB ";
  auto& all = into.goals;
  all.push_back({"S4", what + "arrives whole, " + where, value_of(*made, "arrived_whole"), 1, false, ""});
  all.push_back(
      {"S4", what + "at the plain relay's rate, " + where, value_of(*made, "rate_of_relay"), 0.4, false, "times"});
  all.push_back({"S4", what + "memory, second half of the time by the first, " + where,
                 value_of(*made, "memory_second_half"), 1.05, true, "times"});
  return {};
}

}  // namespace

result<void> measure_streams(const std::string& where, setting with, bool quick, double seconds, findings& into) {
  stream_options room{.slow_fraction = 0.1, .seconds = 2 * seconds};
  stream_options rooms{.publishers = 50, .viewers = 100, .rate = 4, .seconds = 2 * seconds};
  if (quick) {
    rooms.publishers = 10;
    rooms.viewers = 20;
    rooms.rate = 20;
  }
  if (auto done = one_room(where, with, room, into); !done) return done;
  if (auto done = many_rooms(where, with, rooms, into); !done) return done;
  return file(where, with, uint64_t{quick ? 128U : 1024U} << 20U, into);
}

}  // namespace tern::bench
