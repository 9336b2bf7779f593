// `ternctl shard …` against a control server that says what the test wants and keeps what it was asked.
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <mutex>
#include <nlohmann/json.hpp>

#include "libs/rpc/grpc_network.hpp"
#include "libs/rpc/streams.hpp"
#include "libs/testing/temp_dir.hpp"
#include "tools/ctl/command.hpp"

namespace tern::ctl {
namespace {

using routing::v1::ControlReply;
using routing::v1::ControlRequest;
using routing::v1::ShardMoveStatus;
using routing::v1::Status;

ShardMoveStatus move_at(uint64_t number, const std::string& state, const std::string& error = {}) {
  ShardMoveStatus out;
  out.set_move(number);
  out.set_first(512);
  out.set_last(1023);
  out.set_source("shard-0");
  out.set_target("shard-1");
  out.set_state(state);
  out.set_error(error);
  return out;
}

Status with_move(uint64_t number, const std::string& state, const std::string& error = {}) {
  Status out;
  *out.add_shard_moves() = move_at(number, state, error);
  return out;
}

/// A leader: what it answers to a request that changes something, and the states it shows to watchers, one after the
/// other; the last one stays.
class script {
 public:
  void answer(ControlReply reply) { reply_ = std::move(reply); }
  void show(std::vector<Status> states) { states_.assign(states.begin(), states.end()); }
  std::vector<ControlRequest> asked() {
    const std::lock_guard hold{lock_};
    return asked_;
  }
  std::vector<ControlReply> take(const ControlRequest& request) {
    const std::lock_guard hold{lock_};
    if (!request.has_status()) {
      asked_.push_back(request);
      reply_.set_call(request.call());
      return {reply_};
    }
    std::vector<ControlReply> out;
    for (const auto& each : states_) {
      out.emplace_back().set_call(request.call());
      *out.back().mutable_status() = each;
    }
    if (!request.status().watch()) out.erase(out.begin(), out.end() - 1);
    return out;
  }

 private:
  std::mutex lock_;
  ControlReply reply_;
  std::deque<Status> states_{Status()};
  std::vector<ControlRequest> asked_;
};

class scripted_stream final : public rpc::server_handler<rpc::control_stream> {
 public:
  scripted_stream(script& lines, std::shared_ptr<rpc::sink<ControlReply>> out)
      : lines_(lines), out_(std::move(out)) {}
  void on_items(std::vector<ControlRequest>& items) override {
    for (const auto& each : items) {
      for (auto& reply : lines_.take(each)) out_->send(std::move(reply));
    }
  }
  void on_down() override {}

 private:
  script& lines_;
  const std::shared_ptr<rpc::sink<ControlReply>> out_;
};

struct ended {
  int code;
  std::string out, err;
};

class shard_command : public ::testing::Test {
 protected:
  shard_command() {
    rpc::grpc_options how;
    how.self = {"routing", "routing-0", 1};
    how.listen_address = address;
    how.close_timeout = std::chrono::milliseconds(200);
    network = rpc::make_grpc_network(how);
    network->serve<rpc::control_stream>(address,
                                        [this](const rpc::peer& who, std::shared_ptr<rpc::sink<ControlReply>> out)
                                            -> std::shared_ptr<rpc::server_handler<rpc::control_stream>> {
                                          EXPECT_EQ(who.service, "ternctl");
                                          return std::make_shared<scripted_stream>(lines, std::move(out));
                                        });
    EXPECT_TRUE(network->start());
  }
  ~shard_command() override { network->stop(); }

  ended run_with(std::vector<std::string> texts) {
    texts.insert(texts.begin(), "shard");
    texts.insert(texts.end(), {"--routing", address});
    char* no_environment[] = {nullptr};
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    const int code = run(texts, no_environment);
    std::fflush(stdout);
    return {code, ::testing::internal::GetCapturedStdout(), ::testing::internal::GetCapturedStderr()};
  }
  /// The one request that `texts` led to, without its call; also that it went well.
  ControlRequest sent(const std::vector<std::string>& texts) {
    const auto before = lines.asked().size();
    const auto end = run_with(texts);
    EXPECT_EQ(end.code, exit_done) << end.err;
    auto all = lines.asked();
    EXPECT_EQ(all.size(), before + 1);
    if (all.empty()) return {};
    all.back().clear_call();
    return all.back();
  }
  void plans(const ShardMoveStatus& move) {
    ControlReply reply;
    *reply.add_shard_plan() = move;
    lines.answer(reply);
  }

  testing::temp_dir directory;
  const std::string address = "unix:" + directory.file("routing.sock");
  script lines;
  std::unique_ptr<rpc::network> network;
};

TEST_F(shard_command, add_sends_name_and_dsn) {
  ControlRequest expected;
  expected.mutable_shard_add()->set_name("shard-2");
  expected.mutable_shard_add()->set_dsn("host=db2 dbname=tern user=tern");
  EXPECT_EQ(sent({"add", "shard-2", "host=db2 dbname=tern user=tern"}).DebugString(), expected.DebugString());
}

TEST_F(shard_command, move_sends_shards_slots_and_rate) {
  ControlRequest expected;
  auto& move = *expected.mutable_shard_move();
  move.set_source("shard-0");
  move.set_target("shard-1");
  move.set_first(512);
  move.set_last(1023);
  move.set_dry_run(true);
  move.set_bytes_per_second(20U << 20U);
  EXPECT_EQ(
      sent({"move", "shard-0", "shard-1", "--slots", "0x200-0x3ff", "--rate", "20MB", "--dry-run"}).DebugString(),
      expected.DebugString());
  move.set_first(0);
  move.set_last((1U << 20U) - 1);
  move.set_dry_run(false);
  move.set_bytes_per_second(0);
  EXPECT_EQ(sent({"move", "shard-0", "shard-1"}).DebugString(), expected.DebugString()) << "all slots";
}

TEST_F(shard_command, split_sends_no_slots) {
  ControlRequest expected;
  auto& move = *expected.mutable_shard_move();
  move.set_source("shard-0");
  move.set_target("shard-1");
  move.set_split(true);
  EXPECT_EQ(sent({"split", "shard-0", "shard-1"}).DebugString(), expected.DebugString());
}

TEST_F(shard_command, drain_is_on_unless_it_is_undone) {
  ControlRequest expected;
  auto& drain = *expected.mutable_shard_drain();
  drain.set_shard("shard-0");
  drain.set_on(true);
  drain.set_bytes_per_second(512U << 10U);
  EXPECT_EQ(sent({"drain", "shard-0", "--rate=512KiB"}).DebugString(), expected.DebugString());
  drain.set_on(false);
  drain.set_bytes_per_second(0);
  EXPECT_EQ(sent({"drain", "shard-0", "--undo"}).DebugString(), expected.DebugString());
}

TEST_F(shard_command, rebalance_may_be_dry) {
  ControlRequest expected;
  expected.mutable_shard_rebalance();
  EXPECT_EQ(sent({"rebalance"}).DebugString(), expected.DebugString());
  expected.mutable_shard_rebalance()->set_dry_run(true);
  EXPECT_EQ(sent({"rebalance", "--dry-run"}).DebugString(), expected.DebugString());
}

TEST_F(shard_command, rollback_finish_and_abort_send_the_moves_number) {
  ControlRequest expected;
  expected.mutable_shard_rollback()->set_move(4294967297);
  EXPECT_EQ(sent({"rollback", "4294967297"}).DebugString(), expected.DebugString());
  expected.mutable_shard_finish()->set_move(7);
  EXPECT_EQ(sent({"finish", "7", "--yes"}).DebugString(), expected.DebugString());
  expected.mutable_shard_abort()->set_move(8);
  EXPECT_EQ(sent({"abort", "8"}).DebugString(), expected.DebugString());
}

TEST_F(shard_command, nonsense_is_refused_before_anything_is_sent) {
  const std::pair<std::vector<std::string>, const char*> cases[] = {
      {{"add", "shard-2"}, "too few operands; usage: ternctl shard add NAME DSN"},
      {{"add", "shard-2", "host=db2 password=secret"}, "PGPASSFILE"},
      {{"add", "shard-2", "postgresql://tern:secret@db2/tern"}, "PGPASSFILE"},
      {{"move", "shard-0", "shard-1", "--slots", "9-3"}, "--slots: "},
      {{"move", "shard-0", "shard-1", "--rate", "fast"}, "--rate: 'fast' is no size"},
      {{"split", "shard-0"}, "too few operands"},
      {{"drain", "shard-0", "--slots", "0-1"}, "unknown flag --slots"},
      {{"rollback", "seven"}, "'seven' is no number of a move"},
      {{"abort", "-7"}, "unknown flag -7"},
      {{"finish", "7"}, "there is no way back"},
      {{"statsu"}, "did you mean 'ternctl shard status'?"},
  };
  for (const auto& [texts, expected] : cases) {
    const auto end = run_with(texts);
    EXPECT_EQ(end.code, exit_usage) << expected;
    EXPECT_NE(end.err.find(expected), std::string::npos) << end.err;
    EXPECT_EQ(end.err.find("secret"), std::string::npos) << end.err;
  }
  EXPECT_TRUE(lines.asked().empty());
}

TEST_F(shard_command, a_refusal_is_told_and_fails) {
  ControlReply no;
  no.set_code(static_cast<int32_t>(errc::not_found));
  no.set_text("no shard 'shard-7' is known");
  lines.answer(no);
  const auto end = run_with({"split", "shard-7", "shard-1", "--wait"});
  EXPECT_EQ(end.code, exit_failed);
  EXPECT_EQ(end.err, "ternctl: refused: no shard 'shard-7' is known\n");
}

TEST_F(shard_command, without_wait_the_plan_is_shown) {
  plans(move_at(7, "waiting"));
  const auto end = run_with({"split", "shard-0", "shard-1"});
  EXPECT_EQ(end.code, exit_done);
  EXPECT_NE(end.out.find("0x00200-0x003ff"), std::string::npos) << end.out;
  EXPECT_NE(end.out.find("ternctl shard status --watch"), std::string::npos) << end.out;
  lines.answer({});
  EXPECT_EQ(run_with({"rebalance"}).out, "nothing to move\n");
}

TEST_F(shard_command, wait_follows_a_move_until_it_is_kept) {
  plans(move_at(7, "waiting"));
  lines.show({with_move(7, "copying"), with_move(7, "opening"), with_move(7, "kept")});
  const auto end = run_with({"split", "shard-0", "shard-1", "--wait"});
  EXPECT_EQ(end.code, exit_done) << end.err;
  for (const auto* state : {"copying", "opening", "kept"}) {
    EXPECT_NE(end.out.find(state), std::string::npos) << state << " in\n" << end.out;
  }
}

TEST_F(shard_command, wait_fails_when_the_move_is_given_up) {
  plans(move_at(7, "waiting"));
  lines.show({with_move(7, "copying"), with_move(7, "aborted", "disk full")});
  const auto end = run_with({"split", "shard-0", "shard-1", "--wait"});
  EXPECT_EQ(end.code, exit_failed);
  EXPECT_EQ(end.err, "ternctl: move 7 was given up: disk full\n");
}

TEST_F(shard_command, an_abort_that_was_asked_for_is_no_failure) {
  plans(move_at(7, "aborting"));
  lines.show({with_move(7, "aborting"), with_move(7, "aborted", "an operator gave it up")});
  EXPECT_EQ(run_with({"abort", "7", "--wait"}).code, exit_done);
}

TEST_F(shard_command, a_finish_fails_when_the_move_is_kept_after_all) {
  plans(move_at(7, "finishing"));
  lines.show({with_move(7, "finishing"), with_move(7, "done")});
  EXPECT_EQ(run_with({"finish", "7", "--yes", "--wait"}).code, exit_done);
  lines.show({with_move(7, "finishing"), with_move(7, "kept", "rows differ")});
  const auto end = run_with({"finish", "7", "--yes", "--wait"});
  EXPECT_EQ(end.code, exit_failed);
  EXPECT_EQ(end.err, "ternctl: move 7 cannot be finished: rows differ\n");
}

TEST_F(shard_command, a_move_nobody_knows_any_more_is_no_success) {
  plans(move_at(7, "waiting"));
  lines.show({with_move(8, "copying")});
  const auto end = run_with({"split", "shard-0", "shard-1", "--wait"});
  EXPECT_EQ(end.code, exit_failed);
  EXPECT_NE(end.err.find("move 7 has ended"), std::string::npos) << end.err;
}

TEST_F(shard_command, json_tells_what_came_of_it) {
  plans(move_at(7, "waiting"));
  lines.show({with_move(7, "kept")});
  const auto end = run_with({"split", "shard-0", "shard-1", "--wait", "--json"});
  EXPECT_EQ(end.code, exit_done);
  const auto told = nlohmann::json::parse(end.out);
  EXPECT_EQ(told["command"], "shard split");
  EXPECT_EQ(told["done"], true);
  EXPECT_EQ(told["moves"][0]["move"], "7");
  EXPECT_EQ(told["moves"][0]["state"], "kept");
}

TEST_F(shard_command, status_shows_shards_and_moves) {
  auto status = with_move(7, "copying");
  status.add_shards()->set_name("shard-0");
  lines.show({status});
  const auto end = run_with({"status"});
  EXPECT_EQ(end.code, exit_done);
  EXPECT_NE(end.out.find("shard-0"), std::string::npos) << end.out;
  EXPECT_NE(end.out.find("copying"), std::string::npos) << end.out;
  EXPECT_EQ(nlohmann::json::parse(run_with({"status", "--json"}).out)["moves"][0]["source"], "shard-0");
}

}  // namespace
}  // namespace tern::ctl
