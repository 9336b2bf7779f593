#include "tests/sim/membership_client.hpp"

#include <utility>

namespace tern::sim {

using namespace std::chrono_literals;

namespace {

constexpr duration look_every = 50ms;

placement::membership_options options_of(process& of, network& net, const std::string& service,
                                         const std::string& routing, std::vector<std::string> shards) {
  placement::membership_options out;
  out.self = {service, of.on().name, of.on().incarnation()};
  out.address = "sim:" + of.on().name;
  out.shards = std::move(shards);
  out.slots_wanted = service != "gateway";
  out.routing_address = routing;
  if (service == "session" || service == "group") {
    out.on_move = [&of, &net](const placement::move_order& what) {
      of.on().in().trace("%s is to move %u-%u to %s", of.on().name.c_str(), what.first, what.last,
                         what.target.c_str());
      net.ordered(of.on());
      of.on_order(what);
    };
  }
  out.load = [] { return uint64_t{1}; };
  return out;
}

}  // namespace

membership_client::membership_client(process& of, network& net, referee& watch, const std::string& service,
                                     const std::string& routing, std::vector<std::string> shards)
    : of_(of), membership_(net, of.on().in().time(), options_of(of, net, service, routing, std::move(shards))) {
  membership_.cluster().subscribe([&of, &watch](const auto&, const placement::snapshot_ptr& current) {
    if (current->version > 0) of.take_map(current, watch);
  });
  tick();
}

void membership_client::tick() {
  membership_.step();
  host& where = of_.on();
  where.in().after(look_every, [this, alive = alive_, &where, life = where.life] {
    where.run(life, [this, alive] {
      if (*alive) tick();
    });
  });
}

}  // namespace tern::sim
