#include "services/storage/testing/storage_node.hpp"

#include <chrono>
#include <utility>

namespace tern::storage::testing {

using namespace std::chrono_literals;

// ---- fake_session ------------------------------------------------------------------------------------------------

struct fake_session::stream final : rpc::server_handler<rpc::deliver_stream> {
  stream(fake_session& to, reply_out from) : session(to), out(std::move(from)) {}
  void on_items(std::vector<session::v1::Delivery>& items) override { session.take(out, items); }
  void on_down() override {}
  fake_session& session;
  reply_out out;
};

fake_session::fake_session(rpc::network& network, const std::string& address) {
  network.serve<rpc::deliver_stream>(
      address, [this](const rpc::peer&, reply_out out) -> std::shared_ptr<rpc::server_handler<rpc::deliver_stream>> {
        const std::lock_guard guard(mutex_);
        ++accepted_;
        outs_.push_back(out);
        wake_.notify_all();
        return std::make_shared<stream>(*this, std::move(out));
      });
}

void fake_session::take(const reply_out& out, std::vector<session::v1::Delivery>& items) {
  std::vector<session::v1::DeliveryReply> replies;
  bool cut = false;
  {
    const std::lock_guard guard(mutex_);
    for (auto& item : items) {
      if (break_every_ != 0 && until_break_-- == 0) {
        until_break_ = break_every_;
        cut = true;
      }
      if (cut) break;  // the rest was lost on the way
      auto& reply = replies.emplace_back();
      reply.set_shard(item.shard());
      reply.set_epoch(item.epoch());
      if (mood_ == mood::confirms) reply.add_done(item.entry());
      if (mood_ == mood::refuses) reply.add_wrong_owner(item.entry());
      if (mood_ == mood::refuses) continue;
      ++entries_[item.entry()];
      received_.push_back(std::move(item));
    }
    if (mood_ == mood::silent) replies.clear();
    wake_.notify_all();
  }
  if (!replies.empty()) out->send_all(replies);
  if (cut) out->close();
}

void fake_session::set_mood(mood now) {
  const std::lock_guard guard(mutex_);
  mood_ = now;
}

void fake_session::break_every(size_t items) {
  const std::lock_guard guard(mutex_);
  break_every_ = until_break_ = items;
}

void fake_session::break_now() {
  std::vector<reply_out> outs;
  {
    const std::lock_guard guard(mutex_);
    outs.swap(outs_);
  }
  for (auto& out : outs) out->close();
}

bool fake_session::wait_for_entries(size_t count) {
  std::unique_lock guard(mutex_);
  return wake_.wait_for(guard, 20s, [&] { return entries_.size() >= count; });
}

std::vector<session::v1::Delivery> fake_session::received() {
  const std::lock_guard guard(mutex_);
  return received_;
}

bool fake_session::wait_for_streams(size_t count) {
  std::unique_lock guard(mutex_);
  return wake_.wait_for(guard, 20s, [&] { return accepted_ >= count; });
}

// ---- fake_client -------------------------------------------------------------------------------------------------

std::shared_ptr<fake_client> fake_client::connect(rpc::network& network, const std::string& address,
                                                  std::unique_ptr<rpc::link>& link) {
  auto client = std::make_shared<fake_client>();
  link = network.connect<rpc::storage_stream>({"session", "session-0", 1}, address, client);
  return client;
}

void fake_client::on_up(std::shared_ptr<rpc::sink<v1::StorageRequest>> out) {
  const std::lock_guard guard(mutex_);
  out_ = std::move(out);
  resend();
}

void fake_client::on_down() {
  const std::lock_guard guard(mutex_);
  out_.reset();
}

void fake_client::on_items(std::vector<v1::StorageReply>& items) {
  const std::lock_guard guard(mutex_);
  for (auto& item : items) {
    if (item.code() == static_cast<int32_t>(errc::wrong_owner)) {
      ++wrong_owner_;
      if (!keep_wrong_owner) continue;  // goes again with the next epoch
    }
    if (open_.erase(item.call()) == 0) continue;
    answers_[item.call()] = std::move(item);
  }
  wake_.notify_all();
}

void fake_client::send(v1::StorageRequest request) {
  std::unique_lock guard(mutex_);
  request.set_epoch(request.epoch() == 1 ? epoch_ : request.epoch());
  open_[request.call()] = request;
  auto out = out_;
  if (out) out->send(std::move(request));  // under the lock: calls keep their order
}

void fake_client::set_epoch(uint64_t epoch) {
  std::unique_lock guard(mutex_);
  epoch_ = epoch;
  for (auto& [call, request] : open_) request.set_epoch(epoch);
  resend();
}

void fake_client::resend() {
  if (!out_) return;
  std::vector<v1::StorageRequest> all;
  for (const auto& [call, request] : open_) all.push_back(request);
  if (!all.empty()) out_->send_all(all);
}

v1::StorageReply fake_client::answer(uint64_t call) {
  std::unique_lock guard(mutex_);
  const bool came = wake_.wait_for(guard, 20s, [&] { return answers_.contains(call); });
  EXPECT_TRUE(came) << "no answer to call " << call;
  return came ? answers_[call] : v1::StorageReply{};
}

v1::StorageReply fake_client::ask(v1::StorageRequest request) {
  const auto call = request.call();
  send(std::move(request));
  return answer(call);
}

bool fake_client::wait_for_all() {
  std::unique_lock guard(mutex_);
  return wake_.wait_for(guard, 20s, [&] { return open_.empty(); });
}

std::map<uint64_t, v1::StorageReply> fake_client::answers() {
  const std::lock_guard guard(mutex_);
  return answers_;
}

size_t fake_client::wrong_owner_answers() {
  const std::lock_guard guard(mutex_);
  return wrong_owner_;
}

// ---- storage_node ------------------------------------------------------------------------------------------------

storage_node::storage_node(node_options how) : metrics(std::make_shared<storage_metrics>(registry)) {
  const auto& time = system_clock();
  logins_ = std::make_shared<login_desk>(how.logins, time, how.soft);
  store_ = std::make_shared<store_holder>(how.dsn, how.open);
  auto slots = std::make_shared<shard_slots>();
  slots->add(std::make_shared<shard_slot>("s0", store_, how.slots, time, logins_, metrics));
  shards_ = std::move(slots);
  network_->serve<rpc::storage_stream>("local:storage-0", make_storage_acceptor(shards_, metrics, cluster, time));
  supervisor_setup setup;
  setup.self = {"storage", "storage-0", 1};
  setup.network = network_.get();
  setup.time = &time;
  setup.lease_valid = [this] { return lease.load(); };
  setup.readiness = [this](bool ready, const std::string& why) {
    const std::lock_guard held(readiness_mutex_);
    unready_ = ready ? "" : why;
    readiness_changed_.notify_all();
  };
  setup.shards = shards_;
  setup.hub = std::make_shared<delivery_hub>();
  setup.logins = logins_;
  setup.dispatch = how.dispatch;
  setup.alive_at = std::make_shared<std::atomic<int64_t>>(0);
  supervisor_ = actors_->spawn<caf::detached>(supervisor_behavior, std::move(setup));
}

storage_node::~storage_node() {
  stop();
  network_->stop();
  network_.reset();
  actors_.reset();
}

void storage_node::publish(uint64_t epoch, const std::string& owner, uint64_t session_epoch, const std::string& upper,
                           uint64_t incarnation) {
  auto map = std::make_shared<placement::snapshot>();
  map->version = ++version_;
  for (const char* name : {"session-0", "session-1"}) {
    map->nodes.push_back({name, "session", std::string("local:") + name, 1, true});
  }
  map->nodes.push_back({"storage-0", "storage", "local:storage-0", incarnation, true});
  map->sessions = placement::range_map(
      {{0, slot_count / 2 - 1, "session-0", session_epoch}, {slot_count / 2, slot_count - 1, upper, session_epoch}});
  map->storage = placement::range_map({{0, slot_count - 1, "s0", 1}});
  map->shards.push_back({"s0", owner, epoch});
  caf::anon_send(supervisor_, map_message{map});
}

void storage_node::stop() {
  if (!supervisor_) return;
  caf::anon_send(supervisor_, stop_message{});
  caf::scoped_actor self{*actors_};
  self->wait_for(supervisor_);
  supervisor_ = nullptr;
  logins_->stop();
  slot().readers->stop();
}

bool storage_node::wait_unready(const std::string& why) {
  std::unique_lock held(readiness_mutex_);
  return readiness_changed_.wait_for(held, 10s, [&] { return unready_ == why; });
}

size_t storage_node::outbox_left() {
  auto writer = store_->writer(1'000'000);
  EXPECT_TRUE(writer);
  if (!writer) return 1;
  auto rows = (*writer)->scan_outbox(0, 1'000'000);
  EXPECT_TRUE(rows);
  return rows ? rows->size() : 1;
}

double storage_node::metric(const std::string& series) {
  const auto text = registry.render();
  const auto at = text.find("\n" + series + " ");
  return at == std::string::npos ? -1 : std::stod(text.substr(at + series.size() + 2));
}

bool storage_node::wait_until_drained() {
  std::mutex mutex;
  std::condition_variable never;
  std::unique_lock guard(mutex);
  const auto end = std::chrono::steady_clock::now() + 20s;
  while (metric("tern_storage_outbox_rows{shard=\"s0\"}") != 0 ||
         metric("tern_storage_outbox_behind{shard=\"s0\"}") != 0) {
    if (std::chrono::steady_clock::now() > end) return false;
    never.wait_for(guard, 5ms);
  }
  return true;
}

}  // namespace tern::storage::testing
