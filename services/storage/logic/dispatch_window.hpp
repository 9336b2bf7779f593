// What a shard's dispatcher holds of the outbox: which entries are on their way to which session node.
// Plain logic: no CAF, no I/O of its own. Used by one thread.
#pragma once

#include <tern/session/v1/session.pb.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "libs/base/clock.hpp"
#include "libs/placement/view.hpp"
#include "libs/rpc/network.hpp"
#include "services/storage/moves/slot_doors.hpp"

namespace tern::storage {

using delivery_sink = rpc::sink<session::v1::Delivery>;

struct dispatch_options {
  size_t entries_most = 50'000;         // kept in memory; beyond, the outbox is read again later
  size_t send_items = 128;              // per sink call
  std::chrono::milliseconds hold{100};  // pause of an account whose owner by our map says it is not
};

/// Entries go to the owner of their recipient's slot, in entry order per account, and stay until done. They go again,
/// in order, when the stream to the node was lost, the slot's owner or epoch changed, or the node said wrong_owner.
/// The entry of a recall takes the text of its message away from those that are still here: they do not go again.
///
/// Entries of slots whose door is not open are not taken and those that are here are dropped: another shard sends
/// them. Should such a door open again the outbox is read again from its beginning.
///
/// Two modes. Live: the writer's entries are taken as they are committed. Behind (at the start, after an overflow,
/// after an unknown commit): they are not taken; the outbox is read page by page from position() until the end is
/// seen.
class dispatch_window {
 public:
  using delivery = session::v1::Delivery;
  explicit dispatch_window(dispatch_options how = {}) : how_(how) {}

  /// Entries just committed, in order. Not taken while behind; falls behind when there is no room.
  void offer(std::vector<delivery>& entries);
  /// A page of the outbox from position(), asked for because wants_page(). `last`: the outbox ended with it.
  void page(std::vector<delivery>& entries, bool last);
  /// The page asked for could not be had; page_retry() lets it be asked for again.
  void page_failed() noexcept { page_failed_ = true; }
  void page_retry() noexcept {
    if (page_failed_) page_asked_ = page_failed_ = false;
  }
  /// Entries may be in the outbox that were not offered.
  void fall_behind() noexcept {
    behind_ = true;
    overtaken_ = page_asked_;
  }
  /// Behind, and room for a page, and none is asked for: the caller asks for one.
  bool wants_page() const noexcept;
  void page_asked() noexcept {
    page_asked_ = true;
    overtaken_ = page_late_ = false;
  }
  /// All entries up to here have been taken.
  uint64_t position() const noexcept { return position_; }
  bool behind() const noexcept { return behind_; }

  /// Before the first entry.
  void set_doors(slot_doors doors) { doors_ = std::move(doors); }
  void set_door(slot_door_range change);

  void map_changed(placement::snapshot_ptr map);
  void link_up(const std::string& node, std::shared_ptr<delivery_sink> out);
  void link_down(const std::string& node);

  /// What `node` says of entries counts only while they are on their way to it: a former owner's late word must not
  /// delete what the present owner holds in memory alone. Entries that were still here are appended to `deletable`.
  void done(const std::string& node, const std::vector<uint64_t>& entries, std::vector<uint64_t>& deletable);
  void wrong_owner(const std::string& node, const std::vector<uint64_t>& entries, clock::time_point now);
  /// Sends what can be sent; `sent` is told of each entry sent. True: something waits for a full sink or a held
  /// account, call again soon. Entries that have nothing to send (message gone) are appended to `deletable`.
  bool pump(clock::time_point now, std::vector<uint64_t>& deletable,
            const std::function<void(const delivery&)>& sent);

  size_t size() const noexcept { return lane_of_.size(); }
  /// accepted_ns of the lowest entry here; 0 when there is none.
  int64_t oldest_accepted_ns() const;

 private:
  struct item {
    delivery what;
    uint64_t range_epoch = 0;
  };
  /// What goes to one session node; the lane "" is of nobody: slots without an owner.
  struct lane {
    std::shared_ptr<delivery_sink> out;
    std::map<uint64_t, item> items;
    std::deque<uint64_t> unsent;                           // ascending; may name entries that are gone
    std::unordered_map<uint64_t, clock::time_point> held;  // accounts
    std::vector<uint64_t> held_entries;                    // taken out of unsent
  };
  using lanes = std::map<std::string, lane>;

  void take(delivery&& entry);
  void restart();
  void forget_recalled(const delivery& recall);
  std::pair<std::string, uint64_t> owner_of(const delivery& entry) const;
  void resend(lane& to, std::vector<uint64_t> entries);
  void release_held(lane& of, clock::time_point now);
  bool pump_lane(lane& to, std::vector<uint64_t>& deletable, const std::function<void(const delivery&)>& sent);
  void collect(lane& from, std::vector<uint64_t>& chunk, std::vector<delivery>& batch,
               std::vector<uint64_t>& deletable);
  void drop(uint64_t entry);
  bool is_with(uint64_t entry, const std::string& node) const;

  dispatch_options how_;
  placement::snapshot_ptr map_ = std::make_shared<const placement::snapshot>();
  lanes lanes_;
  std::map<uint64_t, lane*> lane_of_;  // by entry; std::map keeps lanes in place
  uint64_t position_ = 0;
  bool behind_ = true;
  bool page_asked_ = false;
  bool page_failed_ = false;
  bool page_late_ = false;  // the page asked for is of no use any more
  slot_doors doors_;
  bool left_out_ = false;   // entries may be in the outbox because their door was closed
  bool overtaken_ = false;  // the page asked for may miss the newest entries
};

}  // namespace tern::storage
