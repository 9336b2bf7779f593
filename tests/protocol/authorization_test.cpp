#include "tests/protocol/authorization.hpp"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <set>
#include <sstream>
#include <thread>

namespace tern::testing {
namespace {

using wire::frame_type;

constexpr size_t players = 4;  // rows at once: each waits for commits most of the time

std::vector<std::string> alternatives(const std::string& cell) {
  std::vector<std::string> out;
  std::istringstream in(cell);
  for (std::string one; std::getline(in, one, '|');) out.push_back(one);
  return out;
}

bool is_any(const std::vector<std::string>& list, const std::string& one) {
  return std::find(list.begin(), list.end(), one) != list.end();
}

}  // namespace

void authorization::send_message(const table_row& row, const scene& on, tim_client& from) {
  if (row.base() == "revokemessage" || row.base() == "burnmessage") {
    const int8_t od_type = row.base() == "revokemessage" ? 2 : 3;
    from.send(command_of(row).type, recall(od_type, on.node, on.room, on.mid));
    return;
  }
  auto message = on.room.empty() ? text_message(on.node, "text") : room_message(on.room, "text");
  if (!on.node2.empty()) {
    message.ms_type = 2;
    message.to_tid.emplace().node = on.node2;
  }
  if (row.command == "message-odtype31") message.od_type = 31;
  if (row.command == "message-odtype5") {
    message.od_type = 5;
    message.data_string = "heard";
  }
  from.send(frame_type::message, message);
}

void authorization::send_presence(const table_row& row, const scene& on, tim_client& from) {
  wire::tim_presence presence;
  presence.status = "here";
  if (!on.node.empty()) presence.to_tid.emplace().node = on.node;
  from.send(command_of(row).type, presence);
}

void authorization::send_business(const table_row& row, const scene& on, tim_client& from) {
  wire::tim_req req;
  req.rtype = row.number();
  const std::string& node = on.room.empty() ? on.node : on.room;
  if (!node.empty()) req.node = node;
  if (!on.node2.empty()) req.node2 = on.node2;
  if (req.rtype == 8 && !node.empty()) req.req_int = open_room;
  if (req.rtype == 21) {
    req.req_str = "wrong";
    req.req_str2 = "better";
  }
  from.send(frame_type::business, req);
}

void authorization::send_nodes(const table_row& row, const scene& on, tim_client& from) {
  wire::tim_nodes nodes;
  nodes.ntype = row.number();
  const std::string& node = on.room.empty() ? on.node : on.room;
  if (nodes.ntype == 6 && !node.empty()) {
    wire::tim_user_bean bean;
    bean.nick_name = "nick";
    nodes.usermap.emplace().emplace_back("me", bean);
  } else if (nodes.ntype == 7) {
    wire::tim_room_bean bean;
    bean.topic = "topic";
    if (row.command == "nodes-7-managers") bean.managers = std::vector<wire::text>{on.node2};
    nodes.roommap.emplace().emplace_back(node, bean);
  } else if (!node.empty()) {
    nodes.nodelist = std::vector<wire::text>{node};
  }
  from.send(frame_type::nodes, nodes);
}

void authorization::request(const table_row& row, const scene& on, tim_client& from) {
  const auto type = command_of(row).type;
  switch (type) {
    case frame_type::ack: from.acknowledge(7); return;
    case frame_type::message:
    case frame_type::revokemessage:
    case frame_type::burnmessage: send_message(row, on, from); return;
    case frame_type::presence:
    case frame_type::broadpresence: send_presence(row, on, from); return;
    case frame_type::business: send_business(row, on, from); return;
    case frame_type::nodes: send_nodes(row, on, from); return;
    case frame_type::pullmessage:
      from.send(type, history(row.number(), on.room.empty() ? on.node : on.room, 0, 10));
      return;
    case frame_type::vroom: send_vroom(row, on, from); return;
    case frame_type::stream:
    case frame_type::bigstring:
    case frame_type::bigbinary:
    case frame_type::bigbinarystream: send_live(row, on, from); return;
    case frame_type::auth:
    case frame_type::reg:
    case frame_type::token: {
      wire::tim_auth auth;
      auth.name = "nobody at all";
      auth.pwd = "secret";
      from.send(type, auth);
      return;
    }
    default: from.send_bytes(type, {}); return;
  }
}

std::string authorization::describe(const table_row& row, tim_client& actor, const server_frame& frame) {
  switch (frame.type) {
    case frame_type::ack: {
      const auto ack = actor.read<wire::tim_ack>(frame);
      if (static_cast<uint8_t>(ack.tim_type) != static_cast<uint8_t>(command_of(row).type))
        return "ACK of another type";
      if (!ack.ok) return std::to_string(ack.error ? ack.error->code.value_or(0) : 0);
      const bool numbered = row.number() != 0 && row.base() != "pullmessage";
      return numbered && ack.t != row.number() ? "ok with t = " + std::to_string(ack.t.value_or(-1)) : "ok";
    }
    case frame_type::message: {
      const auto m = own(actor.read<wire::tim_message>(frame));
      if (m.od_type == 4) return "notice" + std::to_string(m.bn_type);
      if (m.od_type == 2 || m.od_type == 3) return "recall" + std::to_string(m.od_type);
      return m.from == actor.node() && m.mid > 0 ? "message" : "message of another";
    }
    case frame_type::nodes: return "nodes" + std::to_string(actor.read<wire::tim_nodes>(frame).ntype);
    case frame_type::pullmessage: return "pull";
    case frame_type::offlinemsgend: return "end";
    case frame_type::ping: return "pong";
    case frame_type::presence: return "presence";
    default: return "frame " + std::to_string(static_cast<int>(frame.type));
  }
}

std::optional<std::string> authorization::play(const table_row& row, role who, cast& people) {
  const auto wanted = alternatives(row.expected[static_cast<size_t>(who)]);
  const scene on = stage(row, who, people);
  auto& actor = *on.actor;
  while (actor.find([](const server_frame&) { return true; }, std::chrono::milliseconds{0})) {
  }
  request(row, on, actor);
  send_fence(row, on, actor);
  std::vector<std::string> got;
  std::string aside;
  bool fenced = false;
  // A notice of somebody else's doing may come at any time; it counts only where it is awaited. So do recalls beside
  // an ACK, and messages of a room one is in.
  const auto counts = [&](const std::string& one) {
    const bool by_the_way = one.starts_with("notice") || one.starts_with("recall") || one == "presence" ||
                            one == "message of another" || (one == "pong" && row.command != "ping");
    return !by_the_way || is_any(wanted, one);
  };
  const bool heard = is_any(wanted, "heard"), silent = heard || is_any(wanted, "none");
  while (!fenced || (got.empty() && !silent)) {
    const auto frame = actor.next();
    if (!frame) break;
    if (!fenced && is_fence(row, actor, *frame)) {
      fenced = true;
      continue;
    }
    const std::string one = describe(row, actor, *frame);
    if (counts(one)) {
      got.push_back(one);
    } else {
      aside += " " + one;
    }
  }
  const bool right = fenced && (got.empty() ? silent : got.size() == 1 && is_any(wanted, got[0]));
  if (right) return row.is_live() ? listen(*people.target, heard) : std::nullopt;
  std::string text = fenced ? "" : "(no answer to the command behind it)";
  for (const auto& one : got) text += " " + one;
  if (text.empty()) text = " nothing";
  return aside.empty() ? text : text + " (beside it" + aside + ")";
}

std::optional<std::string> authorization::play_logged_out(const table_row& row) {
  auto client = anonymous();
  const scene on{client.get(), to_node(room_id{5}), to_node(account_id{5}), to_node(account_id{6}), 1};
  const std::string wanted = row.expected[static_cast<size_t>(role::nologin)];
  request(row, on, *client);
  std::string got;
  if (const auto frame = client->next()) {
    got = describe(row, *client, *frame);
  } else if (client->ws().ended()) {
    got = "close";
  }
  return got == wanted ? std::nullopt : std::optional(got);
}

namespace {

TEST(authorization_table, has_a_row_for_every_command_and_every_type_inside) {
  std::set<std::string> bases, commands;
  for (const auto& row : read_table()) {
    bases.insert(row.base());
    commands.insert(row.command);
    command_of(row);
  }
  for (const auto& one : wire::commands()) {
    EXPECT_TRUE(bases.contains(std::string(one.name))) << "no row for " << one.name;
  }
  for (int i = 1; i <= 21; ++i) EXPECT_TRUE(commands.contains("business-" + std::to_string(i))) << i;
  for (int i = 1; i <= 10; ++i) EXPECT_TRUE(commands.contains("nodes-" + std::to_string(i))) << i;
  for (int i = 1; i <= 6; ++i) EXPECT_TRUE(commands.contains("vroom-" + std::to_string(i))) << i;
}

TEST_P(authorization, types_without_a_row_are_not_offered) {
  std::set<std::string> commands;
  for (const auto& row : read_table()) commands.insert(row.command);
  auto alice = new_user("alice");
  for (int32_t i = -2; i <= 64; ++i) {
    if (!commands.contains("business-" + std::to_string(i))) {
      business(*alice, i, alice->node());
      expect_refused(*alice, frame_type::business, 4107);
    }
    if (!commands.contains("nodes-" + std::to_string(i))) {
      wire::tim_nodes nodes;
      nodes.ntype = i;
      alice->send(frame_type::nodes, nodes);
      expect_refused(*alice, frame_type::nodes, 4107);
    }
    if (!commands.contains("vroom-" + std::to_string(i))) {
      vroom(*alice, i, to_node(node_kind::virtual_room, 1), alice->node());
      expect_refused(*alice, frame_type::vroom, 4107);
    }
    if (!commands.contains("pullmessage-" + std::to_string(i))) {
      alice->send(frame_type::pullmessage, history(i, alice->node(), 0, 1));
      EXPECT_FALSE(alice->next_ack().ok) << i;
    }
  }
}

TEST_P(authorization, every_cell_of_the_table) {
  const auto rows = read_table();
  std::atomic<size_t> next{0}, cells{0}, wrong{0};
  std::mutex output;
  const auto report = [&](const table_row& row, role who, const std::optional<std::string>& got) {
    ++cells;
    if (!got) return;
    ++wrong;
    const std::lock_guard lock(output);
    ADD_FAILURE() << "authorization.txt:" << row.line << ": " << row.command << " about " << row.about << " by "
                  << to_string(who) << ": expected " << row.expected[static_cast<size_t>(who)] << ", got:" << *got;
  };
  const auto work = [&] {
    for (size_t i = next++; i < rows.size(); i = next++) {
      const auto& row = rows[i];
      auto people = new_cast();
      for (size_t column = 0; column + 1 < roles; ++column) {
        const auto who = static_cast<role>(column);
        if (row.expected[column] != ".") report(row, who, play(row, who, people));
      }
      report(row, role::nologin, play_logged_out(row));
    }
  };
  std::vector<std::thread> threads;
  for (size_t i = 0; i < players; ++i) threads.emplace_back(work);
  for (auto& one : threads) one.join();
  std::cout << "  " << cells << " cells, " << wrong << " wrong\n";
  EXPECT_GT(cells, rows.size());
}

INSTANTIATE_TEST_SUITE_P(ternd, authorization, ::testing::ValuesIn(encodings_at(server_kind::ternd)), place_name);
INSTANTIATE_TEST_SUITE_P(cluster, authorization, ::testing::ValuesIn(encodings_at(server_kind::cluster)), place_name);

}  // namespace
}  // namespace tern::testing
