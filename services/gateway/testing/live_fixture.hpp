// A gateway without sockets: real clients, lanes and hub over connections and io threads that tests move by hand, and
// group nodes that follow a script.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "libs/metrics/metrics.hpp"
#include "libs/rpc/local_network.hpp"
#include "libs/testing/fake_clock.hpp"
#include "services/gateway/client.hpp"
#include "services/gateway/live/hub.hpp"

namespace tern::gateway::testing {

class fake_thread;

/// A socket whose kernel takes as many bytes as the test says.
class fake_connection final : public websocket::connection {
 public:
  fake_connection(fake_thread& on, uint64_t id, lane& of);

  uint64_t id() const noexcept override { return id_; }
  websocket::io_thread& thread() const noexcept override;
  const std::string& remote_address() const noexcept override { return address_; }
  websocket::connection_handler& handler() noexcept override { return client_; }
  void send(std::string_view head, std::string_view payload) override {
    websocket::append_message(queued_, head, payload);
  }
  void send_made(std::string_view message, bool at_once) override {
    ++sends;
    sent_data.insert(message.data());
    if (at_once && queued_.empty()) message.remove_prefix(take(message));
    queued_ += message;
  }
  size_t queued_bytes() const noexcept override { return queued_.size(); }
  void pause_reading(bool) override {}
  void set_max_message_bytes(size_t) noexcept override {}
  void set_large_messages(size_t, bool (*)(uint8_t)) noexcept override {}
  void close(uint16_t, std::string_view, websocket::close_reason reason) override { end(reason); }
  void abort(websocket::close_reason reason) override { end(reason); }

  /// The end of a wake-up.
  void settle() {
    while (!queued_.empty()) {
      const size_t taken = take(queued_);
      queued_.erase(0, taken);
      if (taken == 0) return;
      if (queued_.empty()) client_.on_drained(*this);
    }
  }
  /// The socket ends.
  void end(websocket::close_reason reason = websocket::close_reason::client) {
    if (closed) return;
    closed = true;
    client_.on_close(*this, reason);
  }
  /// What the client has been given so far and not looked at: whole messages.
  std::vector<std::string> messages() {
    std::vector<std::string> out;
    size_t at = 0;
    while (taken_.size() - at >= 2) {
      size_t size = static_cast<uint8_t>(taken_[at + 1]), head = 2;
      if (size >= 126) {
        const size_t digits = size == 126 ? 2 : 8;
        size = 0;
        for (size_t i = 0; i < digits; ++i) size = size << 8U | static_cast<uint8_t>(taken_.at(at + 2 + i));
        head += digits;
      }
      if (taken_.size() - at < head + size) break;
      out.push_back(taken_.substr(at + head, size));
      at += head + size;
    }
    taken_.erase(0, at);
    return out;
  }

  size_t kernel_room = SIZE_MAX;  // bytes the kernel still takes
  size_t sends = 0;
  std::set<const void*> sent_data;  // where messages were sent from
  bool closed = false;

 private:
  size_t take(std::string_view bytes) {
    const size_t most = std::min(bytes.size(), kernel_room);
    taken_ += bytes.substr(0, most);
    if (kernel_room != SIZE_MAX) kernel_room -= most;
    return most;
  }

  fake_thread& on_;
  const uint64_t id_;
  const std::string address_ = "192.0.2.1";
  std::string queued_, taken_;
  client client_;
};

class fake_thread final : public websocket::io_thread {
 public:
  explicit fake_thread(size_t index) : index_(index) {}
  size_t index() const noexcept override { return index_; }
  void post(std::function<void()> work) override {
    const std::lock_guard lock(mutex_);
    posted_.push_back(std::move(work));
  }
  void every(std::chrono::milliseconds, std::function<void()>) override {}
  void after(std::chrono::milliseconds, std::function<void()> work) override { timers_.push_back(std::move(work)); }
  websocket::connection* find(uint64_t id) noexcept override {
    const auto found = connections.find(id);
    return found == connections.end() || found->second->closed ? nullptr : found->second.get();
  }
  void for_each(const std::function<void(websocket::connection&)>& visit) override {
    for (auto& [id, one] : connections) {
      if (!one->closed) visit(*one);
    }
  }

  /// Runs what is posted and settles the sockets, once; true if there was something to run.
  bool turn() {
    std::deque<std::function<void()>> now;
    {
      const std::lock_guard lock(mutex_);
      now.swap(posted_);
    }
    for (auto& work : now) work();
    for (auto& [id, one] : connections) {
      if (!one->closed) one->settle();
    }
    return !now.empty();
  }

  /// Time has passed: what after() was given.
  void fire() {
    for (auto& work : std::exchange(timers_, {})) work();
  }

  std::map<uint64_t, std::unique_ptr<fake_connection>> connections;

 private:
  std::vector<std::function<void()>> timers_;
  std::mutex mutex_;
  std::deque<std::function<void()>> posted_;
  const size_t index_;
};

inline fake_connection::fake_connection(fake_thread& on, uint64_t id, lane& of) : on_(on), id_(id), client_(of) {}
inline websocket::io_thread& fake_connection::thread() const noexcept { return on_; }

/// A group node: notes every request, and answers as `script` says.
class scripted_group {
 public:
  using sink = std::shared_ptr<rpc::sink<group::v1::LiveReply>>;
  scripted_group(rpc::network& network, std::string address) : network_(network), address_(std::move(address)) {
    serve();
  }
  ~scripted_group() {
    if (serving_) fail();
  }

  void serve() {
    serving_ = true;
    network_.serve<rpc::live_stream>(address_, [this](const rpc::peer&, sink out) {
      down = out;
      ++streams;
      return std::make_shared<handler>(*this, std::move(out));
    });
  }
  /// The node dies.
  void fail() {
    serving_ = false;
    network_.withdraw<rpc::live_stream>(address_);
    down = nullptr;
  }

  void answer(const group::v1::LiveRequest& to, errc code, const group::v1::LiveState* state = nullptr) const {
    group::v1::LiveReply reply;
    reply.mutable_answer()->set_call(to.call());
    reply.mutable_answer()->set_code(static_cast<int32_t>(code));
    if (state != nullptr) *reply.mutable_answer()->mutable_state() = *state;
    if (!down->send(reply)) down->close();  // as the real one: no answer is ever dropped
  }
  void frame(uint64_t vroom, uint64_t seq, const std::string& body, uint64_t sender = 77) const {
    group::v1::LiveReply reply;
    group::v1::LiveFrame& out = *reply.mutable_frame();
    out.set_vroom(vroom);
    out.set_seq(seq);
    out.set_sender(sender);
    out.set_body(body);
    out.set_received_ns(1);
    down->send(reply);
  }
  void gone(uint64_t vroom) const {
    group::v1::LiveReply reply;
    reply.mutable_gone()->set_vroom(vroom);
    down->send(reply);
  }
  void refuse(const group::v1::LiveRequest& push, errc code) const {
    group::v1::LiveReply reply;
    reply.mutable_refused()->set_vroom(push.vroom());
    reply.mutable_refused()->set_conn(push.push().conn());
    reply.mutable_refused()->set_code(static_cast<int32_t>(code));
    down->send(reply);
  }
  /// A group that knows all rooms in `rooms`: answers as the real one does.
  void behave() {
    script = [this](const group::v1::LiveRequest& what) {
      const auto known = rooms.find(what.vroom());
      if (what.has_create()) {
        group::v1::LiveState made;
        made.set_vroom(what.vroom());
        made.set_version(1);
        made.set_owner(what.account());
        made.set_domain(what.domain());
        rooms[what.vroom()] = made;
        answer(what, errc::ok, &made);
      } else if (what.has_interest() && !what.interest().on()) {
        answer(what, errc::ok);
      } else if (known == rooms.end() && what.interest().known().version() != 0) {
        rooms[what.vroom()] = what.interest().known();
        answer(what, errc::ok, &rooms[what.vroom()]);
      } else if (known == rooms.end() || known->second.domain() != what.domain()) {
        if (what.has_push()) return refuse(what, errc::no_such_object);
        answer(what, errc::no_such_object);
      } else if (what.has_interest()) {
        answer(what, errc::ok, &known->second);
      } else if (what.has_push()) {
        frame(what.vroom(), ++seqs[what.vroom()], what.push().body(), what.account());
      } else if (what.account() != known->second.owner()) {
        answer(what, errc::permission_denied);
      } else if (what.has_remove()) {
        rooms.erase(known);
        answer(what, errc::ok);
        gone(what.vroom());
      } else {
        known->second.set_version(known->second.version() + 1);
        known->second.add_granted(what.grant().account());
        answer(what, errc::ok, &known->second);
      }
    };
  }
  /// Requests of one kind so far.
  size_t count(group::v1::LiveRequest::OpCase kind) const {
    size_t out = 0;
    for (const auto& each : got) out += each.op_case() == kind ? 1 : 0;
    return out;
  }

  std::function<void(const group::v1::LiveRequest&)> script;
  bool keep = true;
  std::vector<group::v1::LiveRequest> got;
  std::map<uint64_t, group::v1::LiveState> rooms;
  std::map<uint64_t, uint64_t> seqs;
  sink down;
  size_t streams = 0;

 private:
  struct handler final : rpc::server_handler<rpc::live_stream> {
    handler(scripted_group& of, sink back) : group(of), out(std::move(back)) {}
    void on_items(std::vector<group::v1::LiveRequest>& items) override {
      group.down = out;
      for (auto& item : items) {
        if (group.keep) group.got.push_back(item);
        if (group.script) group.script(item);
      }
    }
    void on_down() override {}
    scripted_group& group;
    const sink out;
  };

  rpc::network& network_;
  const std::string address_;
  bool serving_ = false;
};

/// Two io threads, a session node that lets everybody in, and group nodes "group-0" and "group-1".
class live_fixture : public ::testing::Test {
 protected:
  static constexpr size_t thread_count = 2;

  live_fixture() { config.identity_key = std::string(32, 'k'); }
  ~live_fixture() override {
    if (!rooms) return;
    for (auto& thread : threads) {
      for (auto& [id, one] : thread->connections) one->end();
    }
    run();
    rooms->clear();
    network->stop();
  }

  /// Makes everything; `config` may be changed before.
  void start() {
    network = rpc::make_local_network();
    shared = std::make_unique<core>(config, time, registry, "gateway-0", 1);
    for (size_t i = 0; i < thread_count; ++i) {
      threads.push_back(std::make_unique<fake_thread>(i));
      lanes.push_back(std::make_shared<lane>(*shared, *threads.back()));
    }
    rooms = std::make_unique<live::hub>(
        *shared, *network, rpc::peer{"gateway", "gateway-0", 1}, thread_count,
        [this](size_t thread, std::vector<live::event> events) {
          ++posts[thread];
          auto batch = std::make_shared<std::vector<live::event>>(std::move(events));
          threads[thread]->post([this, thread, batch] { lanes[thread]->on_live(*batch); });
        });
    for (auto& each : lanes) each->attach(*rooms);
    for (const char* name : {"group-0", "group-1"}) {
      groups.push_back(std::make_unique<scripted_group>(*network, address_of(name)));
      groups.back()->behave();
    }
    own("group-0", 1);
  }

  static std::string address_of(const std::string& node) { return "local:" + node; }

  /// A new map: the group node owns all slots.
  void own(const std::string& node, uint64_t epoch) {
    publish(node, epoch);
    run();
  }
  /// The same, without running the io threads.
  void publish(const std::string& node, uint64_t epoch) {
    auto next = std::make_shared<placement::snapshot>();
    next->version = ++version;
    for (const char* name : {"group-0", "group-1"}) next->nodes.push_back({name, "group", address_of(name), 1, true});
    next->groups = placement::range_map({{0, slot_count - 1, node, epoch}});
    rooms->apply(next);
  }

  /// Runs what is posted, and settles sockets, until nothing is left to do.
  void run() {
    for (bool more = true; more;) {
      more = false;
      for (auto& thread : threads) more = thread->turn() || more;
    }
  }
  void pass(std::chrono::milliseconds by) {
    for (; by.count() > 0; by -= tick_length) {
      time.advance(tick_length);
      for (auto& each : threads) each->fire();
      for (auto& each : lanes) each->on_tick();
      rooms->on_tick(shared->tick());
      run();
    }
  }

  /// A connection of io thread `thread` that is logged in.
  fake_connection& connect(size_t thread = 0, const std::string& domain = {}, bool json = true,
                           uint64_t account = 0) {
    const uint64_t id = static_cast<uint64_t>(thread) << 48U | ++last_conn;
    auto made = std::make_unique<fake_connection>(*threads[thread], id, *lanes[thread]);
    fake_connection& out = *made;
    threads[thread]->connections[id] = std::move(made);
    log_in_as(out, account != 0 ? account : id + 1000, domain, json);
    run();
    out.messages();
    return out;
  }
  static void log_in_as(fake_connection& out, uint64_t account, const std::string& domain, bool json) {
    auto& who = static_cast<client&>(out.handler());
    who.on_open(out);
    who.start_login({}, json ? wire::encoding::json : wire::encoding::thrift);
    session::v1::LoginResult result;
    result.set_conn(out.id());
    result.set_account(account);
    result.set_domain(domain);
    who.on_login_result(result);
  }
  /// A frame of the client.
  void say(fake_connection& from, wire::frame_type type, const std::string& json) {
    const std::string bytes = static_cast<char>(static_cast<uint8_t>(type) | 0x80U) + json;
    from.handler().on_message(from, bytes, true);
    from.handler().on_batch_end(from);
    run();
  }
  void vroom(fake_connection& from, int rtype, const std::string& node = {}, const std::string& more = {}) {
    std::string json = R"({"rtype":)" + std::to_string(rtype);
    if (!node.empty()) json += R"(,"node":")" + node + '"';
    say(from, wire::frame_type::vroom, json + more + "}");
  }
  void stream(fake_connection& from, const std::string& node, const std::string& base64) {
    say(from, wire::frame_type::stream,
        R"({"id":0,"VNode":")" + node + R"(","body":")" + base64 + R"(","fromNode":""})");
  }
  /// The one message that came; its JSON.
  std::string only(fake_connection& at) {
    const auto all = at.messages();
    EXPECT_EQ(all.size(), 1U);
    return all.empty() ? "" : all.front().substr(1);
  }
  /// A room that the group knows.
  uint64_t make_room(uint64_t owner = 5000, const std::string& domain = {}) {
    const uint64_t id = 0x1234567800000000ULL + ++last_room;
    group::v1::LiveState state;
    state.set_vroom(id);
    state.set_version(1);
    state.set_owner(owner);
    state.set_domain(domain);
    for (auto& each : groups) each->rooms[id] = state;
    return id;
  }
  static std::string node(uint64_t vroom) { return to_node(node_kind::virtual_room, vroom); }
  static std::string ok(int rtype, const std::string& n) {
    return R"({"ok":true,"timType":22,"t":)" + std::to_string(rtype) + R"(,"n":")" + n + R"("})";
  }
  /// A metric's line of the registry as a number.
  double metric(const std::string& series) {
    const std::string all = registry.render();
    const size_t at = all.find("\n" + series + " ");
    return at == std::string::npos ? -1 : std::stod(all.substr(at + series.size() + 2));
  }
  double dropped(const std::string& why) { return metric("tern_gateway_live_dropped_total{reason=\"" + why + "\"}"); }

  gateway_config config;
  tern::testing::fake_clock time;
  metrics::registry registry;
  std::unique_ptr<rpc::network> network;
  std::unique_ptr<core> shared;
  std::unique_ptr<live::hub> rooms;
  std::vector<std::unique_ptr<fake_thread>> threads;
  std::vector<std::shared_ptr<lane>> lanes;
  std::vector<std::unique_ptr<scripted_group>> groups;
  std::array<std::atomic<size_t>, thread_count> posts{};
  uint64_t version = 0, last_conn = 0, last_room = 0;
};

/// The JSON of a refusal.
inline std::string error_of(int type, int rtype, int code, const std::string& n) {
  std::string out = R"({"ok":false,"timType":)" + std::to_string(type) + R"(,"error":{"code":)" +
                    std::to_string(code) + R"(,"info":")" + std::string(wire_text(static_cast<errc>(code))) + R"("})";
  if (rtype != 0) out += R"(,"t":)" + std::to_string(rtype);
  if (!n.empty()) out += R"(,"n":")" + n + '"';
  return out + "}";
}

/// With connections that are subscribed.
class live_rooms : public live_fixture {
 protected:
  fake_connection& viewer(uint64_t room, size_t thread = 0, bool json = true, bool binary = false) {
    fake_connection& out = connect(thread, {}, json);
    if (json) {
      vroom(out, 5, node(room), binary ? R"(,"reqInt":1)" : "");
    } else {
      wire::tim_req req;
      const std::string name = node(room);
      req.rtype = 5;
      req.node = name;
      out.handler().on_message(out, "\x16" + wire::encode(wire::encoding::thrift, req), true);
      out.handler().on_batch_end(out);
      run();
    }
    EXPECT_EQ(out.messages().size(), 1U);
    out.sends = 0;
    out.sent_data.clear();
    return out;
  }
  /// Bodies of the BIGBINARYSTREAM messages that came.
  std::vector<std::string> bodies(fake_connection& at) {
    std::vector<std::string> out;
    for (const std::string& each : at.messages()) {
      EXPECT_EQ(each.front(), 97);
      out.push_back(each.substr(each.find('\x83') + 1));
    }
    return out;
  }
};

}  // namespace tern::gateway::testing
