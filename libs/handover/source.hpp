// The side of a move that owns the range: stops what is there, hands over what it knows, and ends it when the range
// is the target's, or goes on when nothing comes of it.
#pragma once

#include <map>
#include <vector>

#include "libs/handover/handover.hpp"

namespace tern::handover {

/// Effects. Nothing of this may call back into the source at once.
class source_port {
 public:
  virtual ~source_port() = default;
  virtual void send(const placement::move_order& to, v1::HandoverItem item) = 0;
  /// Everything of slots first..last that is here is to stand still, and to answer put() or skip() once. Answered by
  /// told(). States are to be of `format` at most.
  virtual void freeze(const placement::move_order& what, uint32_t format) = 0;
  /// Who has handed over nothing goes on as if nothing had been. `all`: and who has ends, as after a loss of the
  /// range (it is still ours: clients' gateways come back to it).
  virtual void thaw(const placement::move_order& what, bool all) = 0;
  /// The range is the target's: everything of it ends here.
  virtual void end(const placement::move_order& what) = 0;
  /// To routing.
  virtual void answer(const placement::move_result& result) = 0;
  /// For metrics.
  virtual void count(fate what, uint64_t states) = 0;
  virtual void frozen(std::chrono::nanoseconds time) = 0;
};

/// Pure; not thread-safe. One object for all moves from this node.
class source {
 public:
  source(source_port& out, uint32_t format, const limits& bounds) : out_(out), format_(format), limits_(bounds) {}

  /// An order of routing. `owned`: the range is ours in the ordered epoch; `keys`: about how many are here.
  void order(const placement::move_order& what, bool owned, uint64_t keys, clock::time_point now);

  // ---- from the target ----
  void on_reply(const std::string& target, const v1::HandoverReply& reply, clock::time_point now);
  /// The stream to it ended.
  void on_down(const std::string& target, clock::time_point now);

  // ---- from the service ----
  /// So many keys were told to stand still.
  void told(uint64_t move, size_t keys, clock::time_point now);
  /// A key's state; true: it is on its way, the key must do nothing from here on. False: the move is over, go on.
  bool put(uint64_t move, v1::State state, clock::time_point now);
  /// A key that has nothing to hand over, or cannot: it goes on.
  void skip(uint64_t move, bool cold, clock::time_point now);
  /// Something has happened to a key of this slot that has handed over its state: no state of its move counts.
  void spoil(slot_type slot, clock::time_point now);

  /// New maps: those of this kind of range.
  void on_map(const placement::range_map& map, const std::string& self, clock::time_point now);
  void tick(clock::time_point now);

  /// The slot has been claimed by another node, although the maps here do not say so yet: refuse what comes for it.
  bool away(slot_type slot) const noexcept;
  bool any_away() const noexcept { return away_ != 0; }
  /// tick() has something to look at.
  bool busy() const noexcept;
  size_t open() const noexcept;
  /// A target may still ask whether states count, or has hardly got the answer: before a node stops.
  bool wanted(clock::time_point now) const noexcept;

 private:
  enum class phase : uint8_t {
    preparing,   // no answer yet
    freezing,    // states are being sent
    completing,  // all are; not taken yet
    handed,      // routing knows: the maps may change
    over,        // the range is the target's; nothing happens here any more
    void_,       // nothing came of it
  };
  struct move {
    placement::move_order what;
    phase now = phase::preparing;
    clock::time_point due;
    clock::time_point froze{};
    bool counted = false;        // told() was called
    bool claimed = false;        // but the maps here do not say so
    clock::time_point wanted{};  // until then the target may ask, or gets the answer
    uint64_t told = 0;
    uint64_t answered = 0;
    uint64_t sent = 0;
    placement::move_result result;
  };

  move* find(uint64_t number, phase in);
  void prepared(move& one, const v1::Prepared& reply, clock::time_point now);
  void check_complete(move& one, clock::time_point now);
  void complete(move& one, clock::time_point now);
  void taken(move& one, clock::time_point now);
  void claimed(const std::string& target, uint64_t number, uint64_t epoch, clock::time_point now);
  void fail(move& one, errc why, clock::time_point now);
  void end(move& one, phase how, clock::time_point now);
  void send(const move& one, v1::HandoverItem item);

  source_port& out_;
  const uint32_t format_;
  const limits limits_;
  size_t away_ = 0;
  std::map<uint64_t, move> moves_;
};

}  // namespace tern::handover
