#include "services/storage/logic/room_rules.hpp"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <string>

namespace tern::storage {
namespace {

constexpr uint32_t none = room_none, member = room_member, applied = room_applied, barred = room_barred,
                   refuses = room_refuses, manager = room_member | room_manager,
                   founder = room_member | room_manager | room_founder;

/// Everything somebody can be to a room.
struct role {
  const char* name;
  uint32_t bits;
};
constexpr std::array roles{role{"stranger", none},   role{"member", member},
                           role{"manager", manager}, role{"founder", founder},
                           role{"applied", applied}, role{"barred", barred},
                           role{"refuses", refuses}, role{"barred+refuses", barred | refuses}};

room_ask ask_of(room_change change, room_kind kind, uint32_t actor, uint32_t target = none) {
  room_ask ask{.change = change, .kind = kind, .members = 10, .actor_bits = actor, .target_bits = target};
  ask.actor_founded = (actor & room_founder) != 0;
  ask.target_founded = (target & room_founder) != 0;
  return ask;
}

constexpr errc ok = errc::ok, denied = errc::permission_denied, exists = errc::exists, blocked = errc::blocked,
               expired = errc::expired, bad = errc::bad_parameter, cancelled = errc::cancelled_object;

/// The answer by the actor's role, in the order of `roles`.
using by_actor = std::array<errc, roles.size()>;

void expect_answers(room_change change, room_kind kind, uint32_t target, const by_actor& wanted, const char* what) {
  for (size_t i = 0; i < roles.size(); ++i) {
    const auto step = apply_room_change(ask_of(change, kind, roles[i].bits, target));
    EXPECT_EQ(step.code, wanted[i]) << what << " by " << roles[i].name;
    if (step.code == ok) continue;
    EXPECT_FALSE(step.changed || step.cancels || step.joined) << what << " by " << roles[i].name;
    EXPECT_EQ(step.actor_bits, roles[i].bits);
    EXPECT_EQ(step.target_bits, target);
    EXPECT_EQ(step.actor_notice + step.target_notice + step.managers_notice, 0U);
  }
}

TEST(room_rules, answers_of_every_role_to_changes_of_oneself_follow_the_table) {
  using enum room_change;
  struct row {
    const char* what;
    room_change change;
    room_kind kind;
    by_actor wanted;  // stranger, member, manager, founder, applied, barred, refuses, barred+refuses
  };
  const row rows[] = {
      {"apply open", apply, room_kind::open, {ok, exists, exists, exists, ok, blocked, ok, blocked}},
      {"apply closed", apply, room_kind::closed, {ok, exists, exists, exists, errc::repeated, blocked, ok, blocked}},
      {"block", block, room_kind::open, {ok, ok, ok, denied, ok, ok, ok, ok}},
      {"leave", leave, room_kind::closed, {denied, ok, ok, denied, denied, denied, denied, denied}},
      {"cancel", cancel, room_kind::open, {denied, denied, denied, denied, denied, denied, denied, denied}},
      {"profile", profile, room_kind::closed, {denied, denied, ok, ok, denied, denied, denied, denied}},
  };
  for (const auto& row : rows) expect_answers(row.change, row.kind, none, row.wanted, row.what);
}

TEST(room_rules, answers_of_every_role_to_changes_of_others_follow_the_table) {
  using enum room_change;
  struct row {
    const char* what;
    room_change change;
    room_kind kind;
    uint32_t target;
    by_actor wanted;  // stranger, member, manager, founder, applied, barred, refuses, barred+refuses
  };
  constexpr by_actor nobody{denied, denied, denied, denied, denied, denied, denied, denied};
  constexpr by_actor members{denied, ok, ok, ok, denied, denied, denied, denied};
  constexpr by_actor managers{denied, denied, ok, ok, denied, denied, denied, denied};
  constexpr by_actor founder_only{denied, denied, denied, ok, denied, denied, denied, denied};
  const row rows[] = {
      {"pull a stranger into an open room", pull_in, room_kind::open, none, members},
      {"pull a stranger into a closed room", pull_in, room_kind::closed, none, managers},
      {"admit an applicant", pull_in, room_kind::closed, applied, managers},
      {"pull a member",
       pull_in,
       room_kind::open,
       member,
       {denied, exists, exists, exists, denied, denied, denied, denied}},
      {"pull the founder",
       pull_in,
       room_kind::closed,
       founder,
       {denied, denied, exists, exists, denied, denied, denied, denied}},
      {"pull one who is barred from an open room",
       pull_in,
       room_kind::open,
       barred,
       {denied, blocked, ok, ok, denied, denied, denied, denied}},
      {"pull one who refuses",
       pull_in,
       room_kind::open,
       refuses,
       {denied, blocked, blocked, blocked, denied, denied, denied, denied}},
      {"pull one barred who refuses",
       pull_in,
       room_kind::closed,
       barred | refuses,
       {denied, denied, blocked, blocked, denied, denied, denied, denied}},
      {"refuse an applicant", refuse, room_kind::closed, applied, managers},
      {"refuse a stranger",
       refuse,
       room_kind::closed,
       none,
       {denied, denied, expired, expired, denied, denied, denied, denied}},
      {"refuse a member",
       refuse,
       room_kind::closed,
       member,
       {denied, denied, expired, expired, denied, denied, denied, denied}},
      {"kick a member", kick, room_kind::open, member, managers},
      {"kick a manager", kick, room_kind::open, manager, founder_only},
      {"kick the founder", kick, room_kind::open, founder, nobody},
      {"kick a stranger", kick, room_kind::open, none, {denied, denied, bad, bad, denied, denied, denied, denied}},
      {"kick an applicant",
       kick,
       room_kind::open,
       applied,
       {denied, denied, bad, bad, denied, denied, denied, denied}},
      {"bar a member", bar, room_kind::open, member, managers},
      {"bar a stranger", bar, room_kind::open, none, managers},
      {"bar an applicant", bar, room_kind::closed, applied, managers},
      {"bar again", bar, room_kind::closed, barred, managers},
      {"bar a manager", bar, room_kind::open, manager, founder_only},
      {"bar the founder", bar, room_kind::open, founder, nobody},
  };
  for (const auto& row : rows) expect_answers(row.change, row.kind, row.target, row.wanted, row.what);
}

TEST(room_rules, bits_and_notices_after_a_change_follow_the_table) {
  using enum room_change;
  struct row {
    const char* what;
    room_change change;
    room_kind kind;
    uint32_t actor, target;
    uint32_t actor_after, target_after;
    uint32_t to_actor, to_target, to_managers;  // notices
    bool changed;
  };
  const row rows[] = {
      {"join", apply, room_kind::open, none, none, member, none, 10, 0, 0, true},
      {"join what one refused", apply, room_kind::open, refuses, none, member, none, 10, 0, 0, true},
      {"join where one had applied", apply, room_kind::open, applied, none, member, none, 10, 0, 0, true},
      {"apply", apply, room_kind::closed, none, none, applied, none, 0, 0, 9, true},
      {"apply for what one refused", apply, room_kind::closed, refuses, none, applied, none, 0, 0, 9, true},
      {"pull in", pull_in, room_kind::open, member, none, member, member, 0, 12, 0, true},
      {"admit", pull_in, room_kind::closed, manager, applied, manager, member, 0, 10, 0, true},
      {"lift a bar", pull_in, room_kind::closed, manager, barred, manager, member, 0, 12, 0, true},
      {"refuse", refuse, room_kind::closed, manager, applied, manager, none, 0, 11, 0, true},
      {"kick", kick, room_kind::open, manager, member, manager, none, 0, 13, 0, true},
      {"kick a manager", kick, room_kind::open, founder, manager, founder, none, 0, 13, 0, true},
      {"bar a member", bar, room_kind::open, manager, member, manager, barred, 0, 15, 0, true},
      {"bar an applicant", bar, room_kind::closed, manager, applied, manager, barred, 0, 0, 0, true},
      {"bar one who refuses", bar, room_kind::open, manager, refuses, manager, barred | refuses, 0, 0, 0, true},
      {"bar again", bar, room_kind::open, manager, barred, manager, barred, 0, 0, 0, false},
      {"block as a member", block, room_kind::open, member, none, refuses, none, 0, 0, 0, true},
      {"block as a manager", block, room_kind::open, manager, none, refuses, none, 0, 0, 0, true},
      {"block as an applicant", block, room_kind::closed, applied, none, refuses, none, 0, 0, 0, true},
      {"block while barred", block, room_kind::closed, barred, none, barred | refuses, none, 0, 0, 0, true},
      {"block again", block, room_kind::open, refuses, none, refuses, none, 0, 0, 0, false},
      {"leave", leave, room_kind::open, manager, none, none, none, 0, 0, 0, true},
  };
  for (const auto& row : rows) {
    const auto step = apply_room_change(ask_of(row.change, row.kind, row.actor, row.target));
    EXPECT_EQ(step.code, ok) << row.what;
    EXPECT_EQ(step.actor_bits, row.actor_after) << row.what;
    EXPECT_EQ(step.target_bits, row.target_after) << row.what;
    EXPECT_EQ(step.actor_notice, row.to_actor) << row.what;
    EXPECT_EQ(step.target_notice, row.to_target) << row.what;
    EXPECT_EQ(step.managers_notice, row.to_managers) << row.what;
    EXPECT_EQ(step.changed, row.changed) << row.what;
    EXPECT_EQ(step.joined, row.change == apply && row.kind == room_kind::open) << row.what;
    EXPECT_EQ(step.was_applicant, row.change == pull_in && row.target == applied) << row.what;
  }
}

TEST(room_rules, nobody_removes_oneself_and_the_last_founder_cancels) {
  auto oneself = ask_of(room_change::kick, room_kind::open, manager, manager);
  oneself.same = true;
  EXPECT_EQ(apply_room_change(oneself).code, denied);
  oneself.change = room_change::bar;
  EXPECT_EQ(apply_room_change(oneself).code, denied);
  auto last = ask_of(room_change::cancel, room_kind::open, founder);
  last.members = 1;
  const auto step = apply_room_change(last);
  EXPECT_EQ(step.code, ok);
  EXPECT_TRUE(step.cancels && step.changed);
  EXPECT_EQ(step.actor_bits, none);
  last.actor_bits = member;
  last.actor_founded = false;
  EXPECT_EQ(apply_room_change(last).code, denied);
}

TEST(room_rules, a_cancelled_room_says_so_to_all_but_those_who_only_want_to_be_rid_of_it) {
  using enum room_change;
  const std::map<room_change, errc> wanted{{apply, cancelled}, {pull_in, cancelled}, {refuse, cancelled},
                                           {kick, cancelled},  {block, ok},          {bar, cancelled},
                                           {leave, denied},    {cancel, denied},     {profile, cancelled}};
  for (const auto& [change, code] : wanted) {
    auto ask = ask_of(change, room_kind::open, none, none);
    ask.cancelled = true;
    EXPECT_EQ(apply_room_change(ask).code, code) << static_cast<int>(change);
  }
  auto again = ask_of(cancel, room_kind::open, none);
  again.cancelled = again.actor_founded = true;
  EXPECT_EQ(apply_room_change(again).code, cancelled);
  again.change = block;
  EXPECT_EQ(apply_room_change(again).code, denied);
}

TEST(room_rules, only_the_founder_appoints_managers) {
  auto ask = ask_of(room_change::profile, room_kind::open, manager);
  EXPECT_EQ(apply_room_change(ask).code, ok);
  ask.sets_managers = true;
  EXPECT_EQ(apply_room_change(ask).code, denied);
  ask.actor_bits = founder;
  ask.actor_founded = true;
  EXPECT_EQ(apply_room_change(ask).code, ok);
}

TEST(room_rules, members_use_a_room_and_its_founder_alone_hears_of_its_end) {
  for (const auto& one : roles) {
    const bool is_member = (one.bits & room_member) != 0;
    EXPECT_EQ(may_use_room(false, one.bits, false), is_member ? ok : denied) << one.name;
    EXPECT_EQ(may_use_room(true, one.bits, false), denied) << one.name;
  }
  EXPECT_EQ(may_use_room(true, none, true), cancelled);
}

}  // namespace
}  // namespace tern::storage
