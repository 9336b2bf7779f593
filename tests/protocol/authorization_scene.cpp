#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "tests/protocol/authorization.hpp"

namespace tern::testing {

using wire::frame_type;

std::string_view to_string(role who) {
  static constexpr std::array<std::string_view, roles> names{"founder",  "manager", "member",    "ex",
                                                             "stranger", "blocked", "elsewhere", "nologin"};
  return names[static_cast<size_t>(who)];
}

int table_row::number() const {
  int out = 0;
  const size_t dash = command.find('-');
  if (dash != std::string::npos) std::from_chars(command.data() + dash + 1, command.data() + command.size(), out);
  return out;
}

std::string table_row::target() const {
  const size_t slash = about.find('/');
  return slash == std::string::npos ? std::string() : about.substr(slash + 1);
}

bool table_row::is_live() const {
  return command == "message-odtype5" || base() == "stream" || base().starts_with("big");
}

const wire::command& command_of(const table_row& row) {
  for (const auto& one : wire::commands()) {
    if (one.name == row.base()) return one;
  }
  ADD_FAILURE() << "line " << row.line << ": no such command " << row.command;
  return wire::commands().front();
}

std::vector<table_row> read_table() {
  const char* source = std::getenv("TERN_SOURCE");
  std::ifstream in(std::string(source == nullptr ? "." : source) + "/tests/protocol/authorization.txt");
  EXPECT_TRUE(in) << "TERN_SOURCE must name the project's directory";
  std::vector<table_row> rows;
  int number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    std::istringstream words(line);
    table_row row;
    row.line = number;
    if (!(words >> row.command) || row.command.starts_with('#')) continue;
    words >> row.about;
    for (auto& cell : row.expected) words >> cell;
    std::string more;
    EXPECT_TRUE(words && !(words >> more)) << "line " << number << " has not ten columns: " << line;
    rows.push_back(std::move(row));
  }
  return rows;
}

cast authorization::new_cast() {
  cast out;
  for (auto* one : {&out.founder, &out.manager, &out.member, &out.ex, &out.stranger, &out.blocked, &out.target}) {
    *one = new_user("cast");
  }
  out.elsewhere = new_user("cast", nullptr, "elsewhere");
  return out;
}

tim_client& authorization::actor_of(role who, cast& people) {
  switch (who) {
    case role::founder: return *people.founder;
    case role::manager: return *people.manager;
    case role::member: return *people.member;
    case role::ex: return *people.ex;
    case role::blocked: return *people.blocked;
    case role::elsewhere: return *people.elsewhere;
    default: return *people.stranger;
  }
}

void authorization::set_managers(tim_client& founder, const std::string& room,
                                 const std::vector<std::string>& managers) {
  wire::tim_nodes nodes;
  nodes.ntype = 7;
  wire::tim_room_bean bean;
  bean.managers = std::vector<wire::text>(managers.begin(), managers.end());
  nodes.roommap.emplace().emplace_back(room, bean);
  founder.send(frame_type::nodes, nodes);
  expect_ok(founder, frame_type::nodes, 7);
}

std::string authorization::stage_target(const table_row& row, role who, cast& people, const std::string& room) {
  const std::string what = row.target();
  auto& founder = *people.founder;
  auto& target = *people.target;
  if (what == "member" || what == "manager") pull_in(founder, room, target);
  if (what == "applicant") {
    business(target, 9, room);
    expect_message(
        founder, [&](const seen_message& m) { return m.is_notice(9) && m.room == room; }, "the application");
  }
  if (what == "barred") {
    business_on(founder, 15, room, target.node());
    expect_ok(founder, frame_type::business, 15);
  }
  if (what == "refusing") {
    business(target, 14, room);
    expect_ok(target, frame_type::business, 14);
  }
  if (what == "founder") return founder.node();
  if (what == "self") return actor_of(who, people).node();
  if (what == "elsewhere") return people.elsewhere->node();
  if (what == "nobody") return to_node(account_id{12345});
  if (what == "badnode") return "nonsense";
  return what.empty() ? std::string() : target.node();
}

scene authorization::stage_room(const table_row& row, role who, cast& people) {
  auto& founder = *people.founder;
  auto& actor = actor_of(who, people);
  scene out{&actor, {}, {}, {}, 1};
  out.room = new_room(founder, row.object() == "private" ? private_room : open_room);
  const bool joins = who == role::manager || who == role::member || who == role::ex;
  const bool recalls = row.base() == "revokemessage";
  if (row.is_live() && row.target().empty() && row.object() != "cancelled")
    pull_in(founder, out.room, *people.target);
  if (joins || (recalls && who == role::blocked)) pull_in(founder, out.room, actor);
  out.node2 = stage_target(row, who, people, out.room);
  std::vector<std::string> managers;
  if (who == role::manager) managers.push_back(actor.node());
  if (row.target() == "manager") managers.push_back(people.target->node());
  if (!managers.empty()) set_managers(founder, out.room, managers);
  if (recalls && row.object() == "open" && who != role::stranger && who != role::elsewhere) {
    out.mid = send_to_room(actor, out.room, "mine");
  } else if (recalls || row.base() == "pullmessage") {
    tim_client* author = &founder;
    if (recalls && who == role::founder) {
      pull_in(founder, out.room, *people.target);
      author = people.target.get();
    }
    out.mid = send_to_room(*author, out.room, "somebody's");
  }
  if (who == role::ex) {
    business(actor, 16, out.room);
    expect_ok(actor, frame_type::business, 16);
  }
  if (who == role::blocked || row.command == "business-20") {
    auto& barred = who == role::blocked ? actor : *people.target;
    business_on(founder, 15, out.room, barred.node());
    expect_ok(founder, frame_type::business, 15);
  }
  if (row.object() == "cancelled") {
    business(founder, 17, out.room);
    expect_ok(founder, frame_type::business, 17);
  }
  return out;
}

scene authorization::stage_person(const table_row& row, role who, cast& people) {
  auto& actor = actor_of(who, people);
  auto& person = *people.target;
  scene out{&actor, {}, person.node(), {}, 1};
  const bool written = row.base() == "revokemessage" || row.base() == "burnmessage" || row.command == "pullmessage-1";
  const bool friends = who == role::member || who == role::ex || (who == role::blocked && written);
  if (friends) befriend(actor, person);
  if (friends && written) {
    // "others": what the actor may not recall, being the wrong side of it.
    const bool by_actor = (row.base() == "burnmessage") == (row.object() == "others");
    auto& author = by_actor ? actor : person;
    auto& reader = by_actor ? person : actor;
    out.mid = send_text(author, reader.node(), "text");
    expect_text(reader, author.node(), "text", out.mid);
  }
  if (who == role::ex) {
    business(actor, 6, person.node());
    expect_ok(actor, frame_type::business, 6);
  }
  if (who == role::blocked) {
    business(person, 7, actor.node());
    expect_ok(person, frame_type::business, 7);
    expect_notice(actor, person.node(), 7);
  }
  return out;
}

scene authorization::stage(const table_row& row, role who, cast& people) {
  const std::string what = row.object();
  scene out{&actor_of(who, people), {}, {}, {}, 1};
  if (what == "person" || what == "others") return stage_person(row, who, people);
  if (what == "open" || what == "private" || what == "cancelled" || what == "open-others") {
    return stage_room(row, who, people);
  }
  if (what == "vroom") return stage_vroom(row, who, people);
  if (row.is_virtual()) {
    if (what == "novroom") out.room = to_node(node_kind::virtual_room, 0x123456789ULL);
    if (what == "badnode") out.room = "nonsense";
    if (row.base() == "vroom") out.node2 = people.target->node();
    return out;
  }
  if (what == "norooms") out.room = to_node(room_id{0x123456789ULL});
  if (what == "noperson") out.node = to_node(account_id{12345});
  if (what == "self") out.node = out.actor->node();
  if (what == "badnode") out.node = "nonsense";
  if (what == "badnode-room") out.room = "nonsense";
  if (!row.target().empty()) out.node2 = people.target->node();
  return out;
}

}  // namespace tern::testing
