#include "libs/erasure/eraser.hpp"

#include <algorithm>
#include <map>
#include <thread>

#include "libs/erasure/node_link.hpp"
#include "libs/rpc/erasure_stream.hpp"
#include "libs/rpc/streams.hpp"

namespace tern::erasing {
namespace {

using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;
using erasure::v1::ErasureReply;
using erasure::v1::ErasureRequest;
using storage::v1::RoomChange;
using storage::v1::StorageReply;
using storage::v1::StorageRequest;

constexpr auto one_answer = 12s;
constexpr auto pause = 250ms;
constexpr auto between_rounds = 1s;
constexpr uint32_t rounds_most = 50;
constexpr uint32_t page = 500;

bool passes(errc code) {
  return code == errc::unavailable || code == errc::deadline || code == errc::wrong_owner || code == errc::overload ||
         code == errc::rate_limited || code == errc::database;
}

const char* name_of(ErasureReply::State state) {
  return state == ErasureReply::ERASED ? "erased" : state == ErasureReply::ERASING ? "erasing" : "none";
}

}  // namespace

struct eraser::impl {
  impl(rpc::network& by, rpc::peer who, maps_function newest, account_id whose, eraser_options options)
      : network(by), self(std::move(who)), maps_now(std::move(newest)), account(whose), how(std::move(options)) {}

  rpc::network& network;
  const rpc::peer self;
  const maps_function maps_now;
  const account_id account;
  const eraser_options how;
  template <class S>
  using links = std::map<std::string, std::unique_ptr<node_link<S>>>;
  links<rpc::erasure_stream> workers;
  links<rpc::storage_stream> stores;
  links<rpc::group_stream> groups;
  links<rpc::deliver_stream> sessions;
  routing::v1::Snapshot maps;
  std::string home, domain;  // shard and domain of the account
  uint64_t calls = 0;
  uint64_t looked = 0, changed = 0;

  result<void> refresh();
  std::vector<std::string> shards() const;
  std::string address_of(const std::string& node) const;
  const routing::v1::Shard* shard(const std::string& name) const;
  template <class Ranges>
  static const routing::v1::Range* range(const Ranges& all, uint32_t slot);
  template <class Out>
  result<Out> patiently(const std::string& what, const std::function<result<Out>()>& attempt);

  result<ErasureReply> work(const std::string& name, ErasureRequest ask);
  result<StorageReply> store(const std::string& name, StorageRequest ask);
  result<int32_t> change_room(RoomChange change);
  result<void> log_out();

  result<void> find();
  result<void> unrelate(const std::string& name, bool& any);
  result<void> leave_room(uint64_t room);
  result<void> cancel_room(uint64_t room);
  result<std::vector<uint64_t>> leave_rooms();
  result<bool> destroy(uint32_t round, const std::vector<uint64_t>& rooms);
  result<void> rounds();
  result<erasing::receipt> recorded();
};

// ---- who is asked ------------------------------------------------------------------------------------------------

result<void> eraser::impl::refresh() {
  auto newest = maps_now();
  if (how.stopped()) return errc::cancelled;
  if (!newest) return newest.error();
  maps = std::move(*newest);
  return {};
}

std::vector<std::string> eraser::impl::shards() const {
  std::vector<std::string> out;
  for (const auto& one : maps.shards()) out.push_back(one.name());
  std::sort(out.begin(), out.end());
  return out;
}

std::string eraser::impl::address_of(const std::string& node) const {
  for (const auto& one : maps.nodes()) {
    if (one.name() == node && one.alive()) return one.address();
  }
  return {};
}

const routing::v1::Shard* eraser::impl::shard(const std::string& name) const {
  for (const auto& one : maps.shards()) {
    if (one.name() == name) return &one;
  }
  return nullptr;
}

template <class Ranges>
const routing::v1::Range* eraser::impl::range(const Ranges& all, uint32_t slot) {
  for (const auto& one : all) {
    if (one.first() <= slot && slot <= one.last()) return &one;
  }
  return nullptr;
}

/// Again, with newer maps, as long as it may pass by itself.
template <class Out>
result<Out> eraser::impl::patiently(const std::string& what, const std::function<result<Out>()>& attempt) {
  const auto until = steady::now() + how.patience;
  for (;;) {
    if (how.stopped()) return errc::cancelled;
    auto done = attempt();
    if (done || !passes(done.code())) return done;
    if (how.stopped()) return errc::cancelled;
    if (steady::now() >= until) {
      const auto why = done.error().detail.empty() ? std::string(to_string(done.code())) : done.error().detail;
      return error{errc::unavailable, what + ": " + why};
    }
    std::this_thread::sleep_for(pause);
    if (auto newer = refresh(); !newer && !passes(newer.code())) return newer.error();
  }
}

template <class S>
node_link<S>& link_to(std::map<std::string, std::unique_ptr<node_link<S>>>& all, rpc::network& over,
                      const rpc::peer& self, const std::string& address) {
  auto& one = all[address];
  if (!one) one = std::make_unique<node_link<S>>(over, self, address);
  return *one;
}

result<ErasureReply> eraser::impl::work(const std::string& name, ErasureRequest ask) {
  ask.set_shard(name);
  ask.set_account(account.value);
  return patiently<ErasureReply>("shard " + name, [&]() -> result<ErasureReply> {
    const auto* at = shard(name);
    const auto address = at == nullptr ? std::string{} : address_of(at->owner());
    if (address.empty()) return error{errc::unavailable, "nobody serves it"};
    ask.set_call(++calls);
    auto reply = link_to(workers, network, self, address)
                     .ask(
                         ask, [&](const ErasureReply& one) { return one.call() == ask.call(); }, one_answer);
    if (reply && reply->code() != 0) return error{static_cast<errc>(reply->code()), reply->text()};
    return reply;
  });
}

/// The answer whatever its code, unless it is one that passes.
result<StorageReply> eraser::impl::store(const std::string& name, StorageRequest ask) {
  return patiently<StorageReply>("shard " + name, [&]() -> result<StorageReply> {
    const auto* at = shard(name);
    const auto address = at == nullptr ? std::string{} : address_of(at->owner());
    if (address.empty()) return error{errc::unavailable, "nobody serves it"};
    ask.set_shard(name);
    ask.set_epoch(at->epoch());
    ask.set_call(++calls);
    auto reply = link_to(stores, network, self, address)
                     .ask(
                         ask, [&](const StorageReply& one) { return one.call() == ask.call(); }, one_answer);
    if (reply && passes(static_cast<errc>(reply->code()))) return static_cast<errc>(reply->code());
    return reply;
  });
}

/// By the room's owner, so that nobody gets its messages any more who is gone from it.
result<int32_t> eraser::impl::change_room(RoomChange change) {
  change.set_domain(domain);
  return patiently<int32_t>("room " + to_node(room_id{change.room()}), [&]() -> result<int32_t> {
    const auto* at = range(maps.groups(), slot_of(change.room()));
    const auto address = at == nullptr ? std::string{} : address_of(at->owner());
    if (address.empty()) return error{errc::unavailable, "nobody owns it"};
    group::v1::GroupRequest ask;
    ask.set_call(++calls);
    ask.set_epoch(at->epoch());
    ask.set_room(change.room());
    *ask.mutable_change() = change;
    auto reply = link_to(groups, network, self, address)
                     .ask(
                         ask,
                         [&](const group::v1::GroupReply& one) {
                           return one.has_answer() && one.answer().call() == ask.call();
                         },
                         one_answer);
    if (!reply) return reply.error();
    const auto code = static_cast<errc>(reply->answer().code());
    if (passes(code)) return error{code, "it is busy, or moves"};
    return static_cast<int32_t>(code);
  });
}

/// Ends the sessions on line: LOGOUT. A notice without a number says that the account is gone.
result<void> eraser::impl::log_out() {
  auto done = patiently<bool>("sessions of the account", [&]() -> result<bool> {
    const auto* at = range(maps.sessions(), slot_of(account));
    const auto address = at == nullptr ? std::string{} : address_of(at->owner());
    if (address.empty()) return error{errc::unavailable, "nobody owns them"};
    session::v1::Delivery ask;
    ask.set_shard(self.node);  // no shard's: answered on this stream
    ask.set_epoch(1);
    ask.set_entry(++calls);
    ask.set_account(account.value);
    ask.mutable_notice();
    const auto answers = [&](const auto& list) {
      return std::find(list.begin(), list.end(), ask.entry()) != list.end();
    };
    auto reply = link_to(sessions, network, self, address)
                     .ask(
                         ask,
                         [&](const session::v1::DeliveryReply& one) {
                           return answers(one.done()) || answers(one.wrong_owner());
                         },
                         one_answer);
    if (!reply) return reply.error();
    if (!answers(reply->done())) return errc::wrong_owner;
    return true;
  });
  return done ? result<void>{} : result<void>{done.error()};
}

// ---- steps -------------------------------------------------------------------------------------------------------

result<void> eraser::impl::find() {
  for (const auto& name : shards()) {
    ErasureRequest ask;
    ask.set_step(ErasureRequest::LOOK);
    auto reply = work(name, std::move(ask));
    if (!reply) return reply.error();
    if (!reply->here()) continue;
    home = name;
    domain = reply->domain();
    return {};
  }
  return error{errc::no_such_object, "no shard has the account " + to_node(account)};
}

/// Both sides' wishes end, by the pair's ordinary way, which tells the other one.
result<void> eraser::impl::unrelate(const std::string& name, bool& any) {
  for (;;) {
    ErasureRequest ask;
    ask.set_step(ErasureRequest::RELATIONS);
    ask.set_rows(page);
    auto pairs = work(name, std::move(ask));
    if (!pairs) return pairs.error();
    if (pairs->pairs().empty()) return {};
    any = true;
    for (const auto& pair : pairs->pairs()) {
      for (const bool mine : {true, false}) {
        StorageRequest request;
        auto& relate = *request.mutable_relate();
        *relate.mutable_conversation() = pair.conversation();
        relate.set_actor(mine ? account.value : pair.other());
        relate.set_other(mine ? pair.other() : account.value);
        relate.set_change(storage::v1::Relate::REMOVE);
        relate.set_domain(domain);
        auto reply = store(name, std::move(request));
        if (!reply) return reply.error();
        if (reply->code() != 0) return error{static_cast<errc>(reply->code()), "a relation could not be ended"};
      }
    }
    how.progress("relations: " + std::to_string(static_cast<uint64_t>(pairs->pairs_size())) + " ended in " + name);
  }
}

/// The founder cannot leave: the others are put out, then the room is cancelled.
result<void> eraser::impl::cancel_room(uint64_t room) {
  const auto* at = range(maps.storage(), slot_of(room));
  const std::string name = at == nullptr ? std::string{} : at->owner();
  for (;;) {
    StorageRequest request;
    auto& members = *request.mutable_room_members();
    members.set_room(room);
    members.set_reader(account.value);
    members.set_domain(domain);
    members.set_limit(page);
    auto reply = store(name, std::move(request));
    if (!reply) return reply.error();
    size_t put_out = 0;
    for (const auto member : reply->room_members().accounts()) {
      if (member == account.value) continue;
      RoomChange kick;
      kick.set_room(room);
      kick.set_actor(account.value);
      kick.set_target(member);
      kick.set_change(RoomChange::KICK);
      if (auto done = change_room(std::move(kick)); !done) return done.error();
      ++put_out;
    }
    if (put_out == 0) break;
    how.progress("room " + to_node(room_id{room}) + ": " + std::to_string(put_out) + " members put out");
  }
  RoomChange cancel;
  cancel.set_room(room);
  cancel.set_actor(account.value);
  cancel.set_change(RoomChange::CANCEL);
  auto done = change_room(std::move(cancel));
  if (!done) return done.error();
  const auto code = static_cast<errc>(*done);
  if (code != errc::ok && code != errc::cancelled_object)
    return error{code, "room " + to_node(room_id{room}) + " could not be cancelled"};
  return {};
}

result<void> eraser::impl::leave_room(uint64_t room) {
  const auto* at = range(maps.storage(), slot_of(room));
  if (at == nullptr) return error{errc::unavailable, "the storage map has a hole"};
  StorageRequest request;
  request.mutable_room_get()->set_room(room);
  request.mutable_room_get()->set_any_domain(true);
  auto reply = store(at->owner(), std::move(request));
  if (!reply) return reply.error();
  if (reply->code() != 0) return {};  // there is no such room
  const auto& found = reply->room();
  if (found.founder() == account.value) return found.cancelled() ? result<void>{} : cancel_room(room);
  RoomChange leave;
  leave.set_room(room);
  leave.set_actor(account.value);
  leave.set_change(RoomChange::LEAVE);
  auto done = change_room(std::move(leave));  // permission_denied: is no member any more
  return done ? result<void>{} : result<void>{done.error()};
}

result<std::vector<uint64_t>> eraser::impl::leave_rooms() {
  ErasureRequest ask;
  ask.set_step(ErasureRequest::ROOMS);
  auto reply = work(home, std::move(ask));
  if (!reply) return reply.error();
  std::vector<uint64_t> all;
  for (const auto& one : reply->rooms()) {
    all.push_back(one.room());
    if ((one.bits() & storage::v1::ROOM_MEMBER) == 0) continue;
    how.progress("room " + to_node(room_id{one.room()}) + ": leaving");
    if (auto done = leave_room(one.room()); !done) return done.error();
  }
  return all;
}

/// One round in every shard. True: there was nothing left to destroy, and nobody is still being told.
result<bool> eraser::impl::destroy(uint32_t round, const std::vector<uint64_t>& rooms) {
  bool clean = true;
  for (const auto& name : shards()) {
    for (bool done = false; !done;) {
      ErasureRequest ask;
      ask.set_step(ErasureRequest::DESTROY);
      ask.set_round(round);
      ask.set_rows(static_cast<uint32_t>(std::clamp<uint64_t>(how.rows_per_second / 4, 1, page)));
      for (const auto room : rooms) ask.add_rooms(room);
      auto reply = work(name, std::move(ask));
      if (!reply) return reply.error();
      done = reply->done();
      if (reply->changed() > 0 || (done && reply->waiting() > 0)) clean = false;
      looked += reply->looked();
      changed += reply->changed();
      how.progress("round " + std::to_string(round) + ", " + name + ": " + std::to_string(changed) +
                   " rows destroyed, " + std::to_string(looked) + " messages looked at");
      const auto rows = std::max<uint64_t>(1, reply->looked() + reply->changed());
      if (!done) std::this_thread::sleep_for(std::chrono::microseconds(1'000'000 * rows / how.rows_per_second));
    }
  }
  return clean;
}

/// Until a round finds nothing: what was on its way when it began has arrived by then.
result<void> eraser::impl::rounds() {
  for (uint32_t round = 1; round <= rounds_most; ++round) {
    bool related = false;
    if (auto done = log_out(); !done) return done;
    for (const auto& name : shards()) {
      if (auto done = unrelate(name, related); !done) return done;
    }
    auto rooms = leave_rooms();
    if (!rooms) return rooms.error();
    auto clean = destroy(round, *rooms);
    if (!clean) return clean.error();
    if (*clean && !related && round > 1) return {};
    std::this_thread::sleep_for(between_rounds);
  }
  return error{errc::unavailable,
               "there is always something new of the account, or somebody who must be told of its"
               " going is away; nothing is lost: try again"};
}

result<erasing::receipt> eraser::impl::recorded() {
  erasing::receipt out;
  out.account = account;
  bool open = false, any = false;
  for (const auto& name : shards()) {
    ErasureRequest ask;
    ask.set_step(ErasureRequest::LOOK);
    auto reply = work(name, std::move(ask));
    if (!reply) return reply.error();
    if (reply->state() == ErasureReply::NONE) continue;
    open = open || reply->state() != ErasureReply::ERASED;
    out.begun_ns = any ? std::min(out.begun_ns, reply->begun_ns()) : reply->begun_ns();
    out.ended_ns = std::max(out.ended_ns, reply->ended_ns());
    any = true;
    for (const auto& one : reply->destroyed()) out.parts.push_back({name, one.kind(), one.count()});
  }
  out.state = name_of(!any ? ErasureReply::NONE : open ? ErasureReply::ERASING : ErasureReply::ERASED);
  if (open) out.ended_ns = 0;
  return out;
}

// ---- from outside ------------------------------------------------------------------------------------------------

eraser::eraser(rpc::network& over, rpc::peer self, maps_function maps, account_id account, eraser_options options)
    : impl_(std::make_unique<impl>(over, std::move(self), std::move(maps), account, std::move(options))) {}

eraser::~eraser() = default;

result<erasing::receipt> eraser::look() {
  // A cluster that has just started has none for a moment.
  auto known = impl_->patiently<bool>("routing", [&]() -> result<bool> {
    if (auto newest = impl_->refresh(); !newest) return newest.error();
    if (impl_->maps.shards().empty()) return error{errc::unavailable, "there is no shard"};
    return true;
  });
  return known ? impl_->recorded() : known.error();
}

result<erasing::receipt> eraser::run() {
  auto before = look();
  if (!before || before->state == "erased") return before;
  if (auto found = impl_->find(); !found) return found.error();
  auto all = impl_->shards();
  // The account first: from there on nobody logs in.
  std::stable_partition(all.begin(), all.end(), [&](const auto& name) { return name == impl_->home; });
  for (const auto& name : all) {
    ErasureRequest ask;
    ask.set_step(ErasureRequest::BEGIN);
    ask.set_home(name == impl_->home);
    if (auto begun = impl_->work(name, std::move(ask)); !begun) return begun.error();
  }
  if (auto done = impl_->rounds(); !done) return done.error();
  std::reverse(all.begin(), all.end());  // its list of rooms goes last
  for (const auto& name : all) {
    ErasureRequest ask;
    ask.set_step(ErasureRequest::FINISH);
    if (auto ended = impl_->work(name, std::move(ask)); !ended) return ended.error();
  }
  return impl_->recorded();
}

}  // namespace tern::erasing
