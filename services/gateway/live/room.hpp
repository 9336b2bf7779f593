// What the gateway knows of one virtual room.
#pragma once

#include <tern/group/v1/group.pb.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "libs/base/errc.hpp"
#include "libs/base/ids.hpp"
#include "services/gateway/live/frame.hpp"

namespace tern::gateway::live {

class viewer;
struct room;
using room_ptr = std::shared_ptr<room>;

/// Where a room is: the stream to its owner and the epoch of the range.
struct place {
  uint32_t link = 0;        // number of the link; never used twice
  uint32_t generation = 0;  // of its stream; 0: nowhere
  uint64_t epoch = 0;
  bool operator==(const place&) const = default;
  explicit operator bool() const noexcept { return generation != 0; }
  bool same_stream(const place& other) const noexcept { return link == other.link && generation == other.generation; }
};

/// What a client asks of a room; the values are those of TimReq.rtype for VROOM.
enum class op : uint8_t { push = 0, create = 1, remove = 2, grant = 3, revoke = 4, subscribe = 5, unsubscribe = 6 };

/// Who asks.
struct asker {
  uint64_t conn = 0;
  account_id account;
  std::string domain;
};

/// Something asked of a room and not answered.
struct command {
  op what = op::push;
  form how = form::none;  // subscribe
  uint64_t conn = 0;
  uint64_t target = 0;             // grant, revoke
  group::v1::LiveRequest request;  // without an operation for subscribe and unsubscribe, which the state answers
  place sent_on;
  uint32_t deadline = 0;  // tick
  bool is_local() const noexcept { return what == op::subscribe || what == op::unsubscribe; }
};

/// A connection of one io thread that has to do with the room.
struct member {
  viewer* who = nullptr;
  form how = form::none;
};

/// Everything but `id` and `domain` is guarded by the lock of the hub's shard, except `parts`: each belongs to its io
/// thread.
struct room {
  room(uint64_t number, std::string of, size_t threads) : id(number), domain(std::move(of)), parts(threads) {
    watchers.resize(threads);
  }

  const uint64_t id;
  const std::string domain;  // of those here who asked; a room has one, and nobody of another domain can reach it
  struct part {
    std::vector<member> members;
    uint64_t registration = 0;  // newest one a frame has come of
  };
  std::vector<part> parts;

  account_id asked_by;
  group::v1::LiveState known;
  bool has_state = false;
  bool over = false;           // no longer in the table
  bool creating = false;       // its LiveCreate is not answered; stands for the interest, too
  bool busy = false;           // in the shard's list of rooms to be looked at each tick
  place registered;            // where the interest was sent
  uint64_t registration = 0;   // grows with each time it was sent somewhere
  uint64_t interest_call = 0;  // not 0: unanswered
  bool frames = false;         // and that its frames are wanted there
  bool upgrading = false;      // they were not until now, and the owner has not answered yet
  uint32_t watched_tick = 0;   // when somebody watched, or asked to, for the last time; 0: never
  uint32_t refusals = 0;       // in a row, by nodes that were not the owner
  uint64_t last_seq = 0;
  size_t uses = 0;  // members, commands and events on their way
  std::deque<command> waiting;
  size_t waiting_bytes = 0;                           // of pushes
  std::vector<std::array<uint32_t, forms>> watchers;  // by io thread
};

/// What an io thread is to do, in order. An answer that is ok and names a room hands over one of its uses.
struct event {
  enum class kind : uint8_t { frame, answer, gone, refused };
  kind what = kind::frame;
  room_ptr at;
  made_frame_ptr frame;
  // answer, refused
  op asked = op::push;
  form how = form::none;
  errc code = errc::ok;
  uint64_t conn = 0;  // refused: as the pusher gave it
  uint64_t target = 0;
  uint64_t vroom = 0;
  uint64_t registration = 0;  // frame
  bool tell = false;          // gone: subscribers are told
};

}  // namespace tern::gateway::live
