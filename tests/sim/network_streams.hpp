// What a stream of the simulated network is.
#pragma once

#include "tests/sim/network.hpp"

namespace tern::sim {

/// One direction of a stream.
struct network::flow {
  struct chunk {
    duration due;
    std::unique_ptr<rpc::detail::item_list> items;
  };
  host* from = nullptr;
  host* to = nullptr;
  uint64_t from_life = 0, to_life = 0;
  std::deque<chunk> chunks;
  duration last_due{0};
  size_t queued = 0;
  bool ready = false;      // the receiver is there
  bool pumping = false;    // an event is set for it
  bool lost = false;       // what is sent goes nowhere
  bool ending = false;     // the receiver is told of the end behind what is queued…
  bool end_local = false;  // …by its own machine, whatever the network does
  duration end_due{0};
  std::shared_ptr<rpc::detail::receiver> handler;  // of the receiving end; null: it has been told of the end
};

struct network::stream {
  flow up, down;
  std::string method;
  std::weak_ptr<link_state> link;
};

}  // namespace tern::sim
