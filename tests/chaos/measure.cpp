#include "tests/chaos/measure.hpp"

#include <algorithm>
#include <map>
#include <unordered_map>
#include <utility>

namespace tern::chaos {
namespace {

constexpr double ms = 1e6;
constexpr double least_slow = 1000;  // a machine's own hiccups are no part of a fault
constexpr size_t most_samples = 8;

struct arrival {
  std::string_view body;
  verify::instant sent = 0;
  verify::instant at = 0;
  double latency() const { return static_cast<double>(at - sent) / ms; }
};

/// The first arrival of each message at each receiver.
std::vector<arrival> arrivals_of(const verify::history& seen) {
  std::unordered_map<std::string_view, verify::instant> sent;
  for (const auto& op : seen.sends) sent.emplace(op.body, op.invoked);
  std::map<std::pair<std::string_view, std::string_view>, arrival> first;
  for (const auto& op : seen.receives) {
    const auto known = sent.find(op.body);
    const bool delivery = op.how == verify::via::live || op.how == verify::via::batch;
    if (!delivery || known == sent.end()) continue;
    first.try_emplace({op.body, op.account}, arrival{op.body, known->second, op.at});
  }
  std::vector<arrival> all;
  for (const auto& [key, each] : first) all.push_back(each);
  return all;
}

double well_after(const verify::history& seen, const std::vector<arrival>& arrivals, const moments& when,
                  double slow) {
  verify::instant last = when.struck;
  const auto note = [&](verify::instant at) {
    if (at <= when.ended) last = std::max(last, at);
  };
  const auto late = static_cast<verify::instant>(slow * ms);
  for (const auto& each : arrivals) {
    if (each.at >= when.struck && each.at - each.sent > late) note(each.at);
  }
  for (const auto& op : seen.sends) {
    if (op.completed >= when.struck && op.completed - op.invoked > late) note(op.completed);
  }
  for (const auto& each : seen.connections) {
    if (each.began >= when.struck) note(each.began);
    if (each.ended >= when.struck) note(each.ended);
  }
  return static_cast<double>(last - when.struck) / ms;
}

}  // namespace

double quantile(std::vector<double> values, double p) {
  if (values.empty()) return 0;
  const auto rank = static_cast<size_t>(p * static_cast<double>(values.size()));
  const auto at = values.begin() + static_cast<std::ptrdiff_t>(std::min(rank, values.size() - 1));
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

figures measure(const verify::history& seen, const moments& when) {
  figures out;
  const auto arrivals = arrivals_of(seen);
  out.sent = seen.sends.size();
  out.delivered = arrivals.size();
  std::vector<double> before;
  for (const auto& each : arrivals) {
    if (each.sent >= when.began && each.sent < when.struck && each.at < when.struck) before.push_back(each.latency());
  }
  out.p99_before = quantile(std::move(before), 0.99);
  out.slow_above = std::max(least_slow, 3 * out.p99_before);
  out.well_after = well_after(seen, arrivals, when, out.slow_above);
  const auto well = std::max(when.released, when.struck + static_cast<verify::instant>(out.well_after * ms));
  std::vector<double> during;
  std::map<std::string_view, double> longest;
  for (const auto& each : arrivals) {
    if (each.at < when.struck || each.sent > well) continue;
    auto& most = longest[each.body];
    most = std::max(most, each.latency());
    if (each.sent >= when.struck) during.push_back(each.latency());
  }
  out.p99_during = quantile(std::move(during), 0.99);
  std::vector<double> waits;
  for (const auto& [body, most] : longest) waits.push_back(most);
  if (!waits.empty()) out.wait_max = *std::max_element(waits.begin(), waits.end());
  out.wait_p99 = quantile(std::move(waits), 0.99);
  for (const auto& each : seen.connections) {
    if (each.ended >= when.struck && each.ended < when.ended) ++out.dropped;
  }
  return out;
}

damage assess(const std::vector<verify::violation>& found) {
  damage out;
  for (const auto& each : found) {
    const auto is = [&](std::initializer_list<std::string_view> names) {
      return std::find(names.begin(), names.end(), each.check) != names.end();
    };
    if (is({"acknowledged_is_stored", "acknowledged_is_delivered"})) {
      ++out.lost;
    } else if (is({"retry_is_one_message", "no_duplicate_on_a_connection", "repeats_stay_in_the_window"})) {
      ++out.doubled;
    } else if (is({"mids_are_dense", "readers_agree", "sender_order_is_kept", "connection_order_is_kept"})) {
      ++out.reordered;
    } else {
      ++out.other;
    }
    if (out.samples.size() < most_samples) out.samples.push_back(each.check + ": " + each.detail);
  }
  return out;
}

}  // namespace tern::chaos
