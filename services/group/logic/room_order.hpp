// The order of one room: which stored messages go to which session nodes, when, and what is answered after them.
// No actors, links or clock; used by the room's actor only.
#pragma once

#include <tern/group/v1/group.pb.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <vector>

#include "libs/base/errc.hpp"
#include "services/group/links/streams.hpp"

namespace tern::group {

/// A request storage has answered.
struct completion {
  caller who;
  v1::Answer answer;    // as it is to be sent
  v1::RoomFrame frame;  // append, recall: what was stored; mid 0: nothing was
  bool change = false;  // a RoomChange: announced by change_sent()
};

/// Frames go out in mid order without a gap; everything storage answered is passed on in the order of its answers, an
/// answer after its frame. `fanned` is the newest mid that went out (or, with nobody interested, is known).
///
/// A mid above fanned + 1 means that something was stored of which this node does not know: an answer was lost, the
/// first answer to a repeated append never came, another owner stored it. Then the rows up to it are read from
/// storage and go out first.
class room_order {
 public:
  enum class timer : uint8_t { retry, recheck };
  /// What the order of a room moves. Calls must not come back into it.
  class port {
   public:
    virtual ~port() = default;
    virtual void fan_out(v1::RoomFrame& what, const std::vector<session_ptr>& to) = 0;
    virtual void tell_gone(const storage::v1::RoomChanged& what, const std::vector<session_ptr>& to) = 0;
    virtual void send_answer(const caller& who, v1::Answer& what) = 0;
    /// Asks for the newest mid; on_head() follows.
    virtual void load_head() = 0;
    /// Asks for rows above `after`; on_page() follows.
    virtual void read(uint64_t after, bool recheck) = 0;
    /// on_timer(which) after `delay`.
    virtual void later(timer which, std::chrono::milliseconds delay) = 0;
  };

  explicit room_order(port& out) : port_(out) {}

  /// A session node wants frames from now on, or no more. Answered with the head when that is known.
  void interest(caller who, bool on);
  /// The stream has ended.
  void left(const session_ptr& stream);
  /// A RoomChange is on its way to storage; finished() follows.
  void change_sent();
  void finished(completion what);
  /// Something may have been stored, or may still be, without an answer for us: looks for it a few times during the
  /// next seconds.
  void doubt();
  void on_head(errc code, uint64_t head);
  void on_page(errc code, storage::v1::Page& page);
  void on_timer(timer which);
  /// Begins where a former owner stopped, who has nothing on its way: `head` is the newest mid.
  void resume(uint64_t head);
  /// Gives up: what waits for frames is answered wrong_owner, the interested are forgotten.
  void abandon();

  bool idle() const;
  /// Nothing is asked, waits, or is in doubt, and the head is known: another owner can go on from fanned().
  bool still() const;
  uint64_t fanned() const noexcept { return fanned_; }
  const std::vector<session_ptr>& interested() const noexcept { return interested_; }
  /// Streams of interests that are not answered yet.
  std::vector<session_ptr> awaiting() const;

 private:
  enum class reading : uint8_t { none, gap, recheck };
  enum class head : uint8_t { unknown, asked, known };

  void pump();
  void fan(v1::RoomFrame& what, const session_ptr& sender);
  void fan_page(storage::v1::Page& page, uint64_t until);
  void pass_on(completion& what);
  void tell_lately_gone(const session_ptr& to);
  void fill_gap();
  bool recheck();
  void next_recheck();

  port& port_;
  std::vector<session_ptr> interested_;
  std::vector<session_ptr> former_;  // who was, or waited to be, when the range was lost
  std::vector<caller> awaiting_;     // interests that wait for the head
  std::deque<completion> done_;      // in the order of storage's answers
  std::deque<storage::v1::RoomChanged> lately_gone_;
  uint64_t fanned_ = 0;
  head head_ = head::unknown;
  reading reading_ = reading::none;
  bool retry_due_ = false;  // a read failed: wait for the timer
  bool spoiled_ = false;    // a change was sent since the recheck began: its page may hold what came after the change
  uint32_t changes_ = 0;    // on their way
  uint32_t rechecks_ = 0;   // left
  bool recheck_due_ = false;  // its timer runs
};

}  // namespace tern::group
