// The hand-over explored to the end within small bounds, and with each planted bug. TERN_MODEL=large explores more
// (`make model`), TERN_MODEL_TRACES=1 prints how each planted bug shows.
#include "tests/model/handover_model.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <iostream>

namespace tern::model {
namespace {

struct scene {
  const char* name;
  budget limits;
};

bool is_set(const char* variable, const std::string& value) {
  const char* text = std::getenv(variable);
  return text != nullptr && value == text;
}

std::string listed(const report& what) {
  std::string text;
  for (const auto& line : what.trace) text += "    " + line + "\n";
  return text;
}

class all_is_well : public ::testing::TestWithParam<scene> {};
class bug_is_found : public ::testing::TestWithParam<std::pair<scene, mutation>> {};

TEST_P(all_is_well, nothing_breaks_and_everything_ends_well) {
  const bool large = std::string(GetParam().name).starts_with("large");
  if (large && !is_set("TERN_MODEL", "large")) return;
  const auto began = std::chrono::steady_clock::now();
  const auto found = explore(GetParam().limits, mutation::none, large ? 16'000'000 : 3'000'000);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  std::cout << "  " << GetParam().name << ": " << found.states << " states, " << found.steps << " steps, up to "
            << found.depth << " deep, " << found.good << " good ends, " << took.count() << " s"
            << (found.complete ? "\n" : ", not complete: safety only\n");
  EXPECT_EQ(found.violation, "") << listed(found);
  EXPECT_TRUE(found.complete || large) << "the bounds are too wide for this test";
}

TEST_P(bug_is_found, by_a_shortest_way) {
  const auto& [where, bug] = GetParam();
  const auto found = explore(where.limits, bug, 3'000'000);
  EXPECT_NE(found.violation, "") << "the planted bug was not found";
  if (found.violation.empty()) return;
  std::cout << "  " << where.name << ": " << found.violation << ", after " << found.trace.size() - 1
            << " steps, among " << found.states << " states\n";
  if (is_set("TERN_MODEL_TRACES", "1")) std::cout << listed(found);
}

std::string name_of(const scene& what) {
  std::string name = what.name;
  for (auto& c : name) {
    if (c == ' ') c = '_';
  }
  return name;
}

INSTANTIATE_TEST_SUITE_P(
    model, all_is_well,
    ::testing::Values(
        scene{"a move with two messages under way", {.messages = 2, .moves = 1}},
        scene{"a move with a message each way", {.messages = 1, .frames = 1, .moves = 1}},
        scene{"a move and a client that comes back", {.messages = 1, .moves = 1, .reconnects = 1}},
        scene{"a move and a gateway that crashes", {.messages = 1, .moves = 1, .gateway_crashes = 1}},
        scene{"a move and a stream that breaks", {.messages = 1, .moves = 1, .link_breaks = 1}},
        scene{"a move and the meta database away", {.messages = 1, .moves = 1, .meta_faults = 1}},
        scene{"a move and a leader that crashes", {.messages = 1, .moves = 1, .leader_crashes = 1}},
        scene{"a move and a leader that is deposed", {.messages = 1, .moves = 1, .depositions = 1}},
        scene{"a move a node that wakes and two leaders without answer",
              {.messages = 0, .moves = 1, .suspicions = 1, .depositions = 1, .meta_faults = 1}},
        scene{"two moves planned by two leaders", {.messages = 0, .moves = 2, .depositions = 1}},
        scene{"a move and a crash of either node", {.messages = 0, .frames = 1, .moves = 1, .crashes = 1}},
        scene{"nodes that wake twice", {.messages = 2, .moves = 0, .suspicions = 2}},
        scene{"a crash and a node that wakes", {.messages = 1, .moves = 0, .crashes = 1, .suspicions = 1}},
        scene{"a crash and a client that comes back", {.messages = 2, .moves = 0, .crashes = 1, .reconnects = 1}},
        scene{"large a move and a node that wakes", {.messages = 1, .moves = 1, .suspicions = 1}},
        scene{"large a move and a crash", {.messages = 1, .moves = 1, .crashes = 1}},
        scene{"large three messages", {.messages = 3, .moves = 1}},
        scene{"large two plans", {.messages = 1, .moves = 2, .depositions = 1}},
        scene{"large both ways with breaks",
              {.messages = 1, .frames = 1, .moves = 1, .link_breaks = 1, .reconnects = 1}},
        scene{"large crash and no answer", {.messages = 1, .moves = 1, .crashes = 1, .meta_faults = 1}},
        scene{"large everything once",
              {.messages = 1,
               .frames = 1,
               .moves = 1,
               .crashes = 1,
               .suspicions = 1,
               .leader_crashes = 1,
               .depositions = 1,
               .meta_faults = 1,
               .link_breaks = 1,
               .reconnects = 1}}),
    [](const auto& each) { return name_of(each.param); });

constexpr budget one_move{.messages = 1, .moves = 1};
constexpr budget two_messages{.messages = 2, .moves = 1};

INSTANTIATE_TEST_SUITE_P(
    model, bug_is_found,
    ::testing::Values(
        std::pair{scene{"gateway takes any epoch", one_move}, mutation::gateway_takes_any_epoch},
        std::pair{scene{"storage has no fence", one_move}, mutation::storage_has_no_fence},
        std::pair{scene{"dispatcher has no fence", two_messages}, mutation::dispatcher_has_no_fence},
        std::pair{scene{"state needs no verdict", one_move}, mutation::state_needs_no_verdict},
        std::pair{scene{"verdict is valid after a thaw", one_move}, mutation::valid_after_thaw},
        std::pair{scene{"no term at the commit", {.messages = 1, .moves = 1, .suspicions = 1, .depositions = 1}},
                  mutation::no_term_at_commit},
        std::pair{scene{"no check at the commit", {.messages = 1, .moves = 0, .suspicions = 3, .depositions = 1}},
                  mutation::no_check_at_commit},
        std::pair{scene{"target acts before the commit", one_move}, mutation::target_acts_before_commit},
        std::pair{scene{"frozen source settles", two_messages}, mutation::frozen_source_settles},
        std::pair{scene{"frozen source takes new work", one_move}, mutation::frozen_source_takes_new},
        std::pair{scene{"source acts after its verdict", one_move}, mutation::source_acts_after_verdict},
        std::pair{scene{"source owns after a claim", one_move}, mutation::source_owns_after_claim},
        std::pair{scene{"claim survives a newer map", {.messages = 1, .moves = 1, .suspicions = 1}},
                  mutation::claim_survives_newer_map},
        std::pair{scene{"entries without epoch", {.messages = 2, .moves = 0, .suspicions = 2}},
                  mutation::entries_without_epoch},
        std::pair{scene{"answer of a commit is guessed", {.messages = 1, .moves = 1, .meta_faults = 1}},
                  mutation::answer_is_guessed},
        std::pair{scene{"restart keeps its epoch", {.messages = 2, .moves = 0, .crashes = 1}},
                  mutation::restart_keeps_epoch},
        std::pair{scene{"bind tells nothing", one_move}, mutation::bind_tells_nothing},
        std::pair{scene{"answers to binds look alike", {.messages = 1, .moves = 1, .suspicions = 1}},
                  mutation::bind_answers_look_alike},
        std::pair{scene{"append without key", {.messages = 0, .frames = 1, .moves = 1, .link_breaks = 1}},
                  mutation::append_without_key},
        std::pair{scene{"receipt before the commit", {.messages = 0, .frames = 1, .moves = 1}},
                  mutation::receipt_before_commit},
        std::pair{scene{"source never thaws", one_move}, mutation::source_never_thaws},
        std::pair{scene{"orders never end", one_move}, mutation::orders_never_end}),
    [](const auto& each) { return name_of(each.param.first); });

}  // namespace
}  // namespace tern::model
