// One cluster that is well, then the same with one thing broken: the doctor has to name that, and nothing else.
#include "tools/ctl/doctor/checks.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tools/ctl/doctor/show.hpp"

namespace tern::ctl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr int64_t now = 1'700'000'000'000;
constexpr int64_t day = 86'400'000;

node_report::dependency healthy(const std::string& name, const std::string& kind, int64_t schema) {
  return {name, kind, "somewhere", true, "", schema};
}

class doctor_test : public ::testing::Test {
 protected:
  doctor_test() {
    all.now_ms = now;
    all.status.emplace();
    all.status->set_leader("routing-0");
    for (const char* name :
         {"routing-0", "storage-0", "storage-1", "session-0", "session-1", "group-0", "gateway-0", "gateway-1"}) {
      add(name);
    }
    for (const char* owner : {"session-0", "session-1"}) range(*all.status->mutable_maps()->add_sessions(), owner);
    range(*all.status->mutable_maps()->add_groups(), "group-0");
    shard("shard-0", "storage-0");
    shard("shard-1", "storage-1");
    all.routing.push_back({"", "h:1", app::reach::answered, ""});
  }

  void add(const std::string& name) {
    const auto service = name.substr(0, name.find('-'));
    auto& known = *all.status->mutable_maps()->add_nodes();
    known.set_name(name);
    known.set_service(service);
    known.set_address(name + ":5090");
    known.set_alive(true);
    auto& state = *all.status->add_nodes();
    state.set_name(name);
    state.set_state("up");
    node_seen seen;
    seen.name = name;
    seen.address = name + ":9100";
    seen.how = app::reach::answered;
    seen.report.emplace();
    seen.report->node = name;
    seen.report->services = {service};
    seen.report->version = "1.0.0";
    seen.report->commit = "abc";
    seen.report->address = name + ":5090";
    seen.report->certificates = {{"authority", "ca.pem", "the ca", "ca1", "", now + 900 * day},
                                 {"node", "x.pem", service, "x", "", now + 90 * day}};
    if (service == "gateway" || service == "session") seen.report->fingerprints["identity.key"] = "11111111";
    if (service == "routing") seen.report->dependencies = {healthy("meta database", "meta", 3)};
    if (service == "storage") {
      seen.report->dependencies = {healthy("shard shard-0", "shard", 8), healthy("shard shard-1", "shard", 8),
                                   healthy("redis", "redis", -1)};
    }
    all.nodes.push_back(std::move(seen));
    all.announced.push_back({name, name + ":5090", app::reach::answered, ""});
  }
  static void range(routing::v1::Range& one, const std::string& owner) {
    one.set_owner(owner);
    one.set_last(9);
  }
  void shard(const std::string& name, const std::string& owner) {
    auto& one = *all.status->mutable_maps()->add_shards();
    one.set_name(name);
    one.set_owner(owner);
  }
  node_seen& node(const std::string& name) {
    return *std::find_if(all.nodes.begin(), all.nodes.end(), [&](const auto& each) { return each.name == name; });
  }
  void set_state(const std::string& name, const std::string& state) {
    for (auto& each : *all.status->mutable_nodes()) {
      if (each.name() == name) each.set_state(state);
    }
  }
  void gone(const std::string& name, app::reach how = app::reach::refused) {
    node(name).how = how;
    node(name).why = "Connection refused";
    node(name).report.reset();
    set_state(name, "dead");
    for (auto& each : all.announced) {
      if (each.node == name) each.how = how;
    }
    for (auto& each : all.nodes) {
      if (each.report)
        each.report->links.push_back({name.substr(0, name.find('-')), name + ":5090", false, 9000, "refused"});
    }
  }
  void fails(const std::string& on, const std::string& dependency, const std::string& text) {
    for (auto& each : node(on).report->dependencies) {
      if (each.name == dependency) each.ok = false, each.text = text;
    }
  }
  void unready(const std::string& name, const std::string& why) {
    node(name).report->ready = false;
    node(name).report->conditions = {{"x", false, why}};
  }
  std::vector<std::string> causes() const { return causes_of(examine(all)); }
  std::string text() const { return doctor_text(examine(all)); }

  observations all;
};

TEST_F(doctor_test, a_cluster_that_is_well_has_no_findings) {
  EXPECT_EQ(worst_of(examine(all)), severity::ok) << text();
  EXPECT_THAT(text(), HasSubstr("all is well"));
}

TEST_F(doctor_test, a_database_that_is_down_explains_storage_nodes_that_are_not_ready) {
  fails("storage-0", "shard shard-1", "refused");
  fails("storage-1", "shard shard-1", "refused");
  unready("storage-1", "shard-1: refused");
  EXPECT_THAT(causes(), ElementsAre("shard shard-1"));
  EXPECT_THAT(text(), HasSubstr("storage-1: is not ready: x: shard-1: refused (follows from shard shard-1)"));
}

TEST_F(doctor_test, a_database_only_one_node_cannot_use_is_that_nodes_fault) {
  fails("storage-1", "shard shard-1", "password authentication failed for user \"tern\"");
  unready("storage-1", "no");
  EXPECT_THAT(causes(), ElementsAre("storage-1"));
  EXPECT_THAT(text(), HasSubstr("do: the password or user is wrong"));
}

TEST_F(doctor_test, a_meta_database_that_is_down_explains_that_nobody_leads) {
  fails("routing-0", "meta database", "refused");
  unready("routing-0", "the maps are not loaded");
  all.status.reset();
  all.status_error = "no replica leads";
  EXPECT_THAT(causes(), ElementsAre("meta database"));
}

TEST_F(doctor_test, shards_with_problems_and_moves_that_failed_are_named) {
  auto& shard = *all.status->add_shards();
  shard.set_name("shard-1");
  shard.set_owner("storage-1");
  EXPECT_EQ(worst_of(examine(all)), severity::ok) << text();
  shard.set_problem("1 of 2 standbys");
  EXPECT_EQ(worst_of(examine(all)), severity::warn);
  EXPECT_THAT(text(), HasSubstr("shard shard-1: 1 of 2 standbys"));
  auto& move = *all.status->add_shard_moves();
  move.set_move(7);
  move.set_source("shard-0");
  move.set_target("shard-1");
  move.set_state("aborted");
  move.set_error("disk full");
  EXPECT_THAT(text(), HasSubstr("move 7: was given up: disk full"));
  EXPECT_THAT(causes(), IsEmpty());
  move.set_state("opening");
  move.mutable_progress()->set_stalled_us(9'000'000);
  EXPECT_THAT(causes(), ElementsAre("move 7"));
  gone("storage-1");
  EXPECT_THAT(causes(), ElementsAre("storage-1")) << text();
}

TEST_F(doctor_test, redis_is_named) {
  for (const char* on : {"storage-0", "storage-1"}) fails(on, "redis", "refused");
  EXPECT_THAT(causes(), ElementsAre("redis"));
}

TEST_F(doctor_test, a_dead_node_explains_links_ranges_and_its_lease) {
  gone("session-1");
  EXPECT_THAT(causes(), ElementsAre("session-1"));
  EXPECT_THAT(text(), HasSubstr("sessions: 10 slots have no living owner (follows from session-1)"));
}

TEST_F(doctor_test, a_node_that_hangs_is_told_from_one_that_does_not_run) {
  gone("storage-1", app::reach::silent);
  EXPECT_THAT(causes(), ElementsAre("storage-1"));
  EXPECT_THAT(text(), HasSubstr("storage-1: hangs"));
}

TEST_F(doctor_test, no_gateway_at_all) {
  gone("gateway-0");
  gone("gateway-1");
  EXPECT_THAT(causes(), ElementsAre("gateway-0", "gateway-1"));
  std::erase_if(all.nodes, [](const auto& each) { return each.name.starts_with("gateway"); });
  for (auto& each : all.nodes) each.report->links.clear();
  all.status->clear_nodes();
  for (const char* name : {"routing-0", "storage-0", "storage-1", "session-0", "session-1", "group-0"}) {
    all.status->add_nodes()->set_name(name);
    set_state(name, "up");
  }
  EXPECT_THAT(causes(), ElementsAre("gateway"));
}

TEST_F(doctor_test, a_routing_replica_that_is_gone) {
  add("routing-1");
  gone("routing-1");
  all.routing.push_back({"", "h:2", app::reach::refused, "Connection refused"});
  EXPECT_THAT(causes(), ElementsAre("routing-1"));
}

TEST_F(doctor_test, all_of_routing_gone) {
  gone("routing-0");
  all.routing.front().how = app::reach::refused;
  all.status.reset();
  all.status_error = "routing cannot be reached";
  EXPECT_THAT(causes(), ElementsAre("routing-0"));
  all.nodes.erase(all.nodes.begin());
  EXPECT_THAT(causes(), UnorderedElementsAre("routing"));
}

TEST_F(doctor_test, an_expired_certificate_explains_why_nobody_hears_the_node) {
  node("storage-0").report->certificates[1].problem = "certificate has expired";
  unready("storage-0", "no map");
  set_state("storage-0", "dead");
  node("session-0").report->links = {{"storage", "storage-0:5090", false, 9000, "handshake failed"}};
  EXPECT_THAT(causes(), ElementsAre("storage-0"));
  EXPECT_THAT(text(), HasSubstr("cause: storage-0: its certificate x.pem (storage): certificate has expired"));
}

TEST_F(doctor_test, a_certificate_that_ends_soon_and_one_of_another_authority) {
  node("group-0").report->certificates[1].not_after_ms = now + 5 * day;
  EXPECT_THAT(causes(), IsEmpty());
  EXPECT_EQ(worst_of(examine(all)), severity::warn);
  EXPECT_THAT(text(), HasSubstr("ends in 5 days"));
  node("session-1").report->certificates[0].fingerprint = "ca2";
  EXPECT_THAT(causes(), ElementsAre("session-1"));
}

TEST_F(doctor_test, a_node_with_another_identity_key) {
  node("session-1").report->fingerprints["identity.key"] = "22222222";
  EXPECT_THAT(causes(), ElementsAre("session-1"));
  node("gateway-1").report->fingerprints["identity.key"] = "22222222";
  EXPECT_THAT(causes(), ElementsAre("identity.key"));  // two and two: nobody knows who is right
}

TEST_F(doctor_test, full_and_nearly_full_disks) {
  node("storage-0").report->disks = {{"/data", 1U << 20U, 10U << 30U}};
  EXPECT_THAT(causes(), ElementsAre("disk of storage-0"));
  node("storage-0").report->disks = {{"/data", 700U << 20U, 10ULL << 30U}};
  EXPECT_THAT(causes(), IsEmpty());
  EXPECT_EQ(worst_of(examine(all)), severity::warn);
  fails("storage-0", "shard shard-0", "could not extend file: No space left on device");
  fails("storage-1", "shard shard-0", "could not extend file: No space left on device");
  EXPECT_THAT(causes(), ElementsAre("shard shard-0"));
  EXPECT_THAT(text(), HasSubstr("do: make room on the disk"));
}

TEST_F(doctor_test, a_node_cut_off_from_routing) {
  set_state("session-1", "dead");
  unready("session-1", "no map");
  EXPECT_THAT(causes(), ElementsAre("session-1"));
  EXPECT_THAT(text(), HasSubstr("runs, but routing calls it dead"));
}

TEST_F(doctor_test, a_node_that_announces_a_wrong_address) {
  for (const char* from : {"gateway-0", "gateway-1"}) {
    node(from).report->links = {{"session", "session-1:5090", false, 9000, "refused"}};
  }
  for (auto& each : all.announced) {
    if (each.node == "session-1") each.how = app::reach::refused, each.why = "Connection refused";
  }
  EXPECT_THAT(causes(), ElementsAre("session-1"));
  EXPECT_THAT(text(), HasSubstr("announces session-1:5090, where nobody takes connections"));
}

TEST_F(doctor_test, one_node_that_reaches_nobody_is_the_culprit_itself) {
  node("gateway-0").report->links = {{"session", "session-0:5090", false, 9000, "timeout"},
                                     {"session", "session-1:5090", false, 9000, "timeout"}};
  EXPECT_THAT(causes(), ElementsAre("gateway-0"));
}

TEST_F(doctor_test, drains_clocks_and_versions_are_to_look_at_only) {
  unready("gateway-0", "draining");
  EXPECT_EQ(worst_of(examine(all)), severity::warn);
  node("gateway-1").skew_ms = 5000;
  node("group-0").report->version = "0.9.0";
  EXPECT_THAT(causes(), IsEmpty());
  EXPECT_THAT(text(), HasSubstr("gateway-1: its clock is off by 5.0 s"));
  EXPECT_THAT(text(), HasSubstr("group-0 run 0.9.0 (abc)"));
  node("gateway-1").skew_ms = 60'000;
  EXPECT_THAT(causes(), ElementsAre("gateway-1"));
}

TEST_F(doctor_test, two_faults_are_two_causes) {
  gone("storage-1");
  fails("storage-0", "shard shard-0", "refused");
  EXPECT_THAT(causes(), UnorderedElementsAre("storage-1", "shard shard-0"));
}

TEST_F(doctor_test, nodes_without_storage_miss_no_storage) {
  for (const char* name : {"session-0", "session-1"}) node(name).report->options["session.storage"] = "none";
  std::erase_if(all.nodes, [](const auto& each) { return each.name.starts_with("storage"); });
  auto& nodes = *all.status->mutable_nodes();
  nodes.erase(
      std::remove_if(nodes.begin(), nodes.end(), [](const auto& each) { return each.name().starts_with("storage"); }),
      nodes.end());
  EXPECT_THAT(causes(), IsEmpty()) << text();
}

TEST_F(doctor_test, one_process_with_all_services_needs_no_routing_to_be_asked) {
  all.nodes.erase(all.nodes.begin() + 1, all.nodes.end());
  all.nodes.front().report->services = {"routing", "storage", "group", "session", "gateway"};
  all.status.reset();
  all.routing.front().how = app::reach::refused;
  EXPECT_EQ(worst_of(examine(all)), severity::ok) << text();
  fails("routing-0", "meta database", "refused");
  EXPECT_THAT(causes(), ElementsAre("meta database"));
}

TEST_F(doctor_test, json_has_the_same) {
  gone("session-1");
  const auto parsed = nlohmann::json::parse(doctor_json(examine(all)));
  EXPECT_EQ(parsed["level"], "broken");
  ASSERT_EQ(parsed["causes"].size(), 1U);
  EXPECT_EQ(parsed["causes"][0]["subject"], "session-1");
  EXPECT_EQ(parsed["causes"][0]["check"], "process");
}

TEST(report_reader, takes_what_it_understands) {
  EXPECT_FALSE(parse_report("ready\n"));
  EXPECT_FALSE(parse_report("[]"));
  const auto got = parse_report(R"({"node":"a-0","services":["a"],"future":{},"ready":{"ok":false,"conditions":
      [{"name":"map","ok":false,"why":"none"}]},"dependencies":[{"name":"redis","ok":"maybe"},7],"disks":"no"})");
  ASSERT_TRUE(got);
  EXPECT_EQ(got->node, "a-0");
  EXPECT_FALSE(got->ready);
  EXPECT_EQ(got->conditions.at(0).why, "none");
  EXPECT_EQ(got->dependencies.size(), 1U);
}

}  // namespace
}  // namespace tern::ctl
