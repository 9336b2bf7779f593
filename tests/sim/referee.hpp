// Looks on all the time: at what is sent and arrives, which maps are where, who writes. Says at once what must never
// be.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_set>
#include <vector>

#include "libs/base/ids.hpp"
#include "libs/placement/view.hpp"
#include "tests/sim/world.hpp"

namespace google::protobuf {
class MessageLite;
}

namespace tern::sim {

/// It knows everything and touches nothing. What it watches:
/// - maps: versions grow, each is the same everywhere and was committed before anybody has it, a process never goes
///   back; an epoch of a slot or shard has one owner.
/// - owners: who accepts a Bind or login or answers a room's command owns the slot by its maps, and in an epoch only
/// one
///   node does, and never its former process again; who commits to a shard is its owner in that epoch, one process.
/// - disks: nobody commits to a shard in an older epoch than was acquired.
/// - gateways: epochs of their Binds never go back; what a former owner sends, or the next one before it has bound,
/// is
///   not written to a client.
/// - rooms: a stream has a room's frames without a gap or a repeat, from the head that was told on.
class referee {
 public:
  explicit referee(world& in) : world_(in) {}

  /// The next maps are true from now on.
  void committed(const placement::snapshot& maps);
  /// A process has these maps from now on.
  void mapped(const host& at, const placement::snapshot& maps);
  /// Items as they leave, and as they are handed to the process they are for. `other`: incarnation of the process
  /// that is or was at the other end of the stream; the host may have a newer one.
  void sent(const host& from, const host& to, uint64_t other, const std::string& method, bool up,
            const google::protobuf::MessageLite& item);
  void arrived(const host& from, uint64_t other, const host& to, const std::string& method, bool up,
               const google::protobuf::MessageLite& item);
  /// A gateway has written a frame to a client.
  void written(const host& gateway, uint64_t conn, uint8_t type, std::string_view payload);
  /// The process of a host acquired a shard, or committed to it.
  void acquired(const std::string& shard, uint64_t epoch);
  void stored(const host& by, const std::string& shard, uint64_t epoch);

  /// The node the gateway has bound the connection to; null: to none, or not yet. For planted bugs.
  const host* bound_to(const host& gateway, uint64_t conn) const;
  /// The newest maps that were committed; null: none yet.
  const placement::snapshot* newest() const { return maps_.empty() ? nullptr : &maps_.rbegin()->second; }
  void fails(std::string what) { world_.violation(std::move(what)); }
  /// Called after each commit.
  void on_commit(std::function<void(const placement::snapshot& before)> call) { on_commit_ = std::move(call); }
  /// How much was looked at.
  size_t looks() const noexcept { return looks_; }

 private:
  enum class kind : uint8_t { session, group, shard };
  struct grant {
    uint32_t first = 0, last = 0;
    uint64_t epoch = 0;
    std::string owner;
  };
  struct view {
    uint64_t version = 0;
    duration until{0};
  };
  struct actor {
    std::string owner;
    uint64_t incarnation = 0;
  };
  struct connection {
    account_id account;
    const host* owner = nullptr;
    uint64_t owner_incarnation = 0;
    uint64_t epoch = 0;
    bool bound = false;
    std::unordered_set<size_t> taken, refused;  // frames, by what they say
  };
  struct question {
    uint64_t room = 0;
    bool interest = false, on = false, changes = false;
    duration at{};
  };
  using pair_key = std::pair<uint64_t, uint64_t>;  // incarnations, or one and a connection

  void grant_ranges(kind what, const placement::range_map& map);
  void acts(kind what, uint32_t slot, const host& who, duration since);
  void gateway_says(const host& from, const host& to, uint64_t other, const google::protobuf::MessageLite& item);
  void session_says(const host& from, const host& to, const google::protobuf::MessageLite& item);
  void session_is_heard(const host& from, uint64_t other, const host& to, const google::protobuf::MessageLite& item);
  void group_says(const host& from, const host& to, uint64_t other, const google::protobuf::MessageLite& item);
  connection* find(const host& gateway, uint64_t conn);

  world& world_;
  uint64_t version_ = 0;
  std::map<uint64_t, placement::snapshot> maps_;   // all that were ever committed
  std::map<uint64_t, std::vector<view>> maps_of_;  // processes, by incarnation
  std::vector<grant> grants_[2];                   // sessions, groups
  std::map<std::pair<std::string, uint64_t>, std::string> shard_grants_;
  std::map<std::tuple<kind, uint32_t, uint64_t>, actor> actors_;  // by slot and epoch
  std::map<std::pair<std::string, uint64_t>, uint64_t> writers_;  // shard and epoch
  std::map<std::string, uint64_t> shard_epochs_;
  std::map<pair_key, connection> connections_;
  std::map<pair_key, uint64_t> bind_epochs_;                                // gateway, slot
  std::map<std::tuple<uint64_t, uint64_t, uint64_t>, question> questions_;  // asker, owner, call
  std::map<std::tuple<uint64_t, uint64_t, uint64_t>, uint64_t> next_mids_;  // owner, to, room
  size_t looks_ = 0;
  std::function<void(const placement::snapshot&)> on_commit_;
};

}  // namespace tern::sim
