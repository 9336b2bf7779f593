#include "tools/ctl/doctor/collect.hpp"

#include <algorithm>
#include <future>
#include <set>

#include "libs/app/http.hpp"
#include "libs/base/clock.hpp"
#include "tools/ctl/control_client.hpp"

namespace tern::ctl {
namespace {

using namespace std::chrono_literals;

constexpr auto knock_limit = 1500ms;
constexpr auto sign_of_life_limit = 2500ms;
constexpr auto report_limit = 10s;  // a node tries what it depends on before it answers
constexpr auto routing_limit = 3000ms;

int64_t now_ms() { return system_clock().wall_ns() / 1'000'000; }

int64_t to_ms(std::chrono::steady_clock::duration time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time).count();
}

void ask_routing(settings how, observations& into) {
  if (!how.timeout_given) how.timeout = routing_limit;
  auto client = control_client::make(how);
  if (!client) {
    into.status_error = client.error().detail;
    return;
  }
  routing::v1::ControlRequest request;
  request.mutable_status();
  auto reply = (*client)->call(request);
  if (!reply) {
    into.status_error = reply.error().detail;
  } else if (reply->code() != 0) {
    into.status_error = reply->text();
  } else {
    into.status = std::move(*reply->mutable_status());
  }
}

void read_report(node_seen& into) {
  const auto got = app::http_get(into.address, "/statusz", report_limit);
  if (got.how == app::reach::answered && got.answer.status == 200) into.report = parse_report(got.answer.body);
  if (!into.report) {
    const auto ready = app::http_get(into.address, "/readyz", sign_of_life_limit);
    into.ready = ready.answer.status == 200;
    into.ready_text = ready.answer.body.substr(0, ready.answer.body.find_last_not_of('\n') + 1);
    return;
  }
  if (!into.report->node.empty()) into.name = into.report->node;
  if (into.name.empty()) into.name = into.report->services.size() > 1 ? "ternd" : into.address;
  // The report ends with the time, just before it is sent.
  into.skew_ms = into.report->now_ms - now_ms();
}

node_seen ask_node(const ops_target& whom) {
  node_seen out;
  out.name = whom.name;
  out.address = whom.address;
  const auto sign = app::http_get(whom.address, "/livez", sign_of_life_limit);
  out.how = sign.how;
  out.why = sign.why;
  out.round_trip_ms = to_ms(sign.answer.answered - sign.answer.asked);
  if (out.how == app::reach::answered) read_report(out);
  return out;
}

std::string host_of(const std::string& address) {
  const auto where = app::split_address(address);
  if (!where) return {};
  return where->first.find(':') == std::string::npos ? where->first : "[" + where->first + "]";
}

/// A target without a name that does not answer is a node that routing knows at that host, if there is just one.
void name_the_silent(observations& all) {
  if (!all.status) return;
  for (auto& each : all.nodes) {
    if (!each.name.empty()) continue;
    std::vector<std::string> here;
    for (const auto& node : all.status->maps().nodes()) {
      if (host_of(node.address()) == host_of(each.address)) here.push_back(node.name());
    }
    if (here.size() == 1) each.name = here.front();
  }
}

void knock(std::vector<address_seen>& all) {
  for_each_at_once(all.size(), [&](size_t i) {
    const auto tried = app::try_connect(all[i].address, knock_limit);
    all[i].how = tried.how;
    all[i].why = tried.why;
  });
}

}  // namespace

void for_each_at_once(size_t count, const std::function<void(size_t)>& work) {
  std::vector<std::future<void>> under_way;
  for (size_t i = 0; i < count; ++i) under_way.push_back(std::async(std::launch::async, work, i));
  for (auto& each : under_way) each.get();
}

std::vector<ops_target> targets_of(const settings& how, const routing::v1::Status* status) {
  std::vector<ops_target> out;
  for (const auto& each : how.nodes) {
    const auto found = each.name.empty() ? app::resolve(each.address) : std::vector<std::string>{};
    if (found.size() < 2) out.push_back(each);
    if (found.size() >= 2) {
      for (const auto& one : found) out.push_back({{}, one});
    }
  }
  if (!out.empty()) return out;
  const auto port = ":" + std::to_string(how.metrics_port);
  std::set<std::string> hosts;
  if (status != nullptr) {
    for (const auto& node : status->maps().nodes()) {
      const auto host = host_of(node.address());
      if (!host.empty() && hosts.insert(host).second) out.push_back({node.name(), host + port});
    }
  }
  for (const auto& address : how.routing) {
    const auto host = host_of(address);
    if (!host.empty() && hosts.insert(host).second) out.push_back({{}, host + port});
  }
  return out;
}

observations look_around(const settings& how) {
  observations all;
  auto routing = std::async(std::launch::async, [&] { ask_routing(how, all); });
  if (how.nodes.empty()) routing.wait();
  const auto targets = targets_of(how, how.nodes.empty() && all.status ? &*all.status : nullptr);
  all.nodes.resize(targets.size());
  for_each_at_once(targets.size(), [&](size_t i) { all.nodes[i] = ask_node(targets[i]); });
  routing.wait();
  if (how.nodes.empty() && !how.metrics_port_given) {
    // A guess that did not come true says nothing.
    std::erase_if(all.nodes, [](const node_seen& each) { return each.how != app::reach::answered; });
  }
  name_the_silent(all);
  for (const auto& address : how.routing) all.routing.push_back({{}, address, {}, {}});
  if (all.status) {
    for (const auto& node : all.status->maps().nodes()) {
      if (node.alive() && !node.address().empty()) all.announced.push_back({node.name(), node.address(), {}, {}});
    }
  }
  knock(all.routing);
  knock(all.announced);
  all.now_ms = now_ms();
  return all;
}

}  // namespace tern::ctl
