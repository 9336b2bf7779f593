#include "tests/sim/routing_process.hpp"

#include <utility>

#include "services/routing/actors/placement_actor.hpp"
#include "services/routing/grpc/join_service.hpp"

namespace tern::sim {

using namespace std::chrono_literals;

namespace {

/// A replica's connection to the meta database.
class sim_meta final : public routing::meta_store {
 public:
  sim_meta(meta_disk& disk, std::function<bool()> cut) : disk_(disk), cut_(std::move(cut)) {}

  result<void> open() override { return {}; }
  result<routing::meta_state> load() override {
    if (broken(0.5)) return errc::unavailable;
    return disk_.real->load();
  }
  result<void> commit(const routing::meta_state& now, const routing::meta_state& next, uint64_t term) override {
    if (cut_()) return errc::unavailable;
    if (disk_.bug == planted::leader_publishes_early && disk_.random.chance(0.3)) return {};  // it will fail
    const bool fails = disk_.random.chance(disk_.failures);
    const auto how = fails ? disk_.random.below(3) : 3;
    if (how == 0) return errc::unavailable;
    if (how == 1) return errc::deadline;
    auto done = disk_.real->commit(now, next, term);
    if (done) disk_.watch->committed(next);
    if (how == 2 && done) return errc::deadline;  // nobody hears of it
    return done;
  }
  result<routing::intents> load_intents() override {
    if (broken(0.5)) return errc::unavailable;
    return disk_.real->load_intents();
  }
  result<void> store_intents(const routing::intents& what, uint64_t term) override {
    return in_doubt([&] { return disk_.real->store_intents(what, term); });
  }
  result<routing::leader_row> leader() override {
    if (broken(0.5)) return errc::unavailable;
    return disk_.real->leader();
  }
  result<void> take_over(const routing::leader_row& seen, const routing::leader_row& self) override {
    return in_doubt([&] { return disk_.real->take_over(seen, self); });
  }
  result<void> renew(uint64_t term) override {
    return in_doubt([&] { return disk_.real->renew(term); });
  }
  result<void> resign(uint64_t term) override {
    return in_doubt([&] { return disk_.real->resign(term); });
  }

 private:
  bool broken(double part) { return cut_() || disk_.random.chance(disk_.failures * part); }
  /// Fails before or after it was done, sometimes.
  template <class Work>
  result<void> in_doubt(const Work& work) {
    if (cut_()) return errc::unavailable;
    if (!disk_.random.chance(disk_.failures)) return work();
    if (disk_.random.chance(0.5)) return errc::unavailable;
    auto done = work();
    if (done) return errc::deadline;
    return done;
  }

  meta_disk& disk_;
  const std::function<bool()> cut_;
};

/// Operators' answers are not looked at.
class no_sink final : public routing::control_sink {
 public:
  bool send(routing::v1::ControlReply) override { return true; }
  bool send_all(std::vector<routing::v1::ControlReply>& items) override {
    items.clear();
    return true;
  }
  void close() override {}
};

}  // namespace

routing_process::routing_process(host& on, network& net, meta_disk& meta, const routing::routing_config& config)
    : process(on), routing_metrics_(std::make_shared<routing::routing_metrics>(metrics_)) {
  auto cut = [&net, name = on.name] { return net.blocked(name, "meta") || net.blocked("meta", name); };
  meta_ = actors().spawn(routing::meta_behavior,
                         std::static_pointer_cast<routing::meta_store>(std::make_shared<sim_meta>(meta, cut)));
  placement_ = actors().spawn(routing::placement_behavior, setup(config));
  net.serve<rpc::join_stream>("sim:" + on.name, routing::make_join_acceptor(placement_));
  caf::anon_send(placement_, routing::control_opened_message{1, std::make_shared<no_sink>()});
}

/// Killed: it gives nothing back.
routing_process::~routing_process() {
  caf::anon_send_exit(placement_, caf::exit_reason::kill);
  caf::anon_send_exit(meta_, caf::exit_reason::kill);
  placement_ = meta_ = nullptr;
  settle();
}

routing::placement_setup routing_process::setup(const routing::routing_config& config) {
  auto made = routing::placement_of(config, on().name, "sim:" + on().name, on().incarnation());
  made.time = &on().in().time();
  made.meta = meta_;
  made.metrics = routing_metrics_;
  made.ready = [this](bool leads) { on().in().trace("%s %s", on().name.c_str(), leads ? "leads" : "follows"); };
  return made;
}

void routing_process::ask(routing::v1::ControlRequest what) {
  auto items = std::make_shared<std::vector<routing::v1::ControlRequest>>();
  items->push_back(std::move(what));
  caf::anon_send(placement_, routing::control_items_message{1, std::move(items)});
}

}  // namespace tern::sim
