#include "services/session/rooms/hub.hpp"

#include <algorithm>
#include <bit>

#include "services/session/directory.hpp"

namespace tern::session {
namespace {

constexpr std::chrono::milliseconds ask_again{500};
constexpr std::chrono::milliseconds read_again{200};
constexpr std::chrono::seconds store_every{5};
constexpr std::chrono::seconds early_for{10};
constexpr size_t early_kept = 4096;           // of a part
constexpr std::chrono::seconds empty_for{5};  // then the owner is told that nobody is here
constexpr size_t parts_per_tick = 32;
constexpr uint32_t page_rows = 200;
constexpr uint32_t page_bytes = 512 << 10;
constexpr size_t gone_kept = 256;

}  // namespace

hub::entry* hub::find(part& in, uint64_t room) {
  const auto at = in.rooms.find(room);
  return at == in.rooms.end() ? nullptr : at->second.get();
}

void hub::run(part& in, lock& held) {
  if (in.running) {
    held.unlock();
    return;
  }
  in.running = true;
  while (!in.effects.empty()) {
    std::deque<std::function<void()>> now;
    now.swap(in.effects);
    held.unlock();
    for (const auto& one : now) one();
    held.lock();
  }
  in.running = false;
  held.unlock();
}

// ---- members ----

room_place hub::join(const membership& who) {
  part& in = part_of(who.room.value);
  lock held(in.mutex);
  auto& made = in.rooms[who.room.value];
  if (!made) made = std::make_unique<entry>(who.room);
  entry& one = *made;
  const auto put_out =
      std::find_if(one.gone.begin(), one.gone.end(), [&](const auto& that) { return that.first == who.account; });
  if (put_out != one.gone.end()) {
    if (who.version <= put_out->second) {
      run(in, held);
      return room_place::live;  // it is not, but nothing is to come either
    }
    one.gone.erase(put_out);
  }
  const room_place place = one.room.join(who.account, who.delivered, who.listed, who.terminals);
  one.room.set_member_since(who.account, who.version);
  take_early(in, one, who.account);
  if (!one.subscribed && !one.asking) subscribe(in, one);
  fill(in, one);
  run(in, held);
  return place;
}

void hub::attach(room_id room, account_id account, const room_terminal& added) {
  part& in = part_of(room.value);
  lock held(in.mutex);
  if (entry* one = find(in, room.value)) {
    one->room.attach(account, added);
    if (one->room.note_position(account)) note(in, room.value, account);
    fill(in, *one);
  }
  run(in, held);
}

void hub::rebind(room_id room, account_id account, const gateway_stream& old, const room_terminal& now) {
  part& in = part_of(room.value);
  lock held(in.mutex);
  if (entry* one = find(in, room.value)) {
    one->room.rebind(account, old, now);
    if (one->room.note_position(account)) note(in, room.value, account);
    fill(in, *one);
  }
  run(in, held);
}

uint64_t hub::detach(room_id room, account_id account, const gateway_stream& gateway, uint64_t conn) {
  part& in = part_of(room.value);
  lock held(in.mutex);
  entry* one = find(in, room.value);
  const uint64_t position = one == nullptr ? 0 : one->room.position(account);
  if (one != nullptr && one->room.has(account) && !one->room.detach(account, gateway, conn))
    remove(in, *one, account);
  run(in, held);
  return position;
}

uint64_t hub::leave(room_id room, account_id account) {
  part& in = part_of(room.value);
  lock held(in.mutex);
  entry* one = find(in, room.value);
  const uint64_t position = one == nullptr ? 0 : one->room.position(account);
  if (one != nullptr) remove(in, *one, account);
  run(in, held);
  return position;
}

void hub::remove(part& in, entry& one, account_id account) {
  if (const uint64_t mid = one.room.take_position(account); mid != 0) store(in, one.room.id().value, account, mid);
  one.room.leave(account);
  if (one.room.empty()) one.empty_since = env_.time.now();
}

uint64_t hub::make_live(room_id room, account_id account, uint64_t reached) {
  part& in = part_of(room.value);
  lock held(in.mutex);
  entry* one = find(in, room.value);
  const uint64_t newer = one == nullptr ? 0 : one->room.make_live(account, reached);
  if (one != nullptr) fill(in, *one);
  run(in, held);
  return newer;
}

hub::standing hub::standing_of(room_id room, account_id account) {
  part& in = part_of(room.value);
  const lock held(in.mutex);
  const entry* one = find(in, room.value);
  if (one == nullptr) return {};
  return {one->room.place_of(account).value_or(room_place::live), one->room.position(account), one->room.newest_ns()};
}

void hub::listed(room_id room, account_id account, const gateway_stream& gateway, uint64_t conn, uint64_t mid) {
  part& in = part_of(room.value);
  const lock held(in.mutex);
  if (entry* one = find(in, room.value)) one->room.listed(account, gateway, conn, mid);
}

bool hub::placed(room_id room, account_id account, const gateway_stream& gateway, uint64_t conn) {
  part& in = part_of(room.value);
  const lock held(in.mutex);
  const entry* one = find(in, room.value);
  return one != nullptr && one->room.placed(account, gateway, conn);
}

bool hub::reaches(room_id room, account_id account, const gateway_stream& gateway, uint64_t conn) {
  part& in = part_of(room.value);
  const lock held(in.mutex);
  const entry* one = find(in, room.value);
  return one != nullptr && one->room.reaches(account, gateway, conn);
}

// ---- subscriptions ----

void hub::subscribe(part& in, entry& one) {
  one.subscribed = false;
  one.asking = true;
  group::v1::GroupRequest request;
  request.set_room(one.room.id().value);
  request.mutable_interest()->set_on(true);
  in.effects.emplace_back([this, request = std::move(request), round = ++one.round] {
    env_.groups->ask(request,
                     [this, room = request.room(), round](group_answer& got) { on_subscribed(room, round, got); });
  });
}

void hub::on_subscribed(uint64_t room, uint64_t round, group_answer& got) {
  part& in = part_of(room);
  lock held(in.mutex);
  entry* one = find(in, room);
  if (one == nullptr || one->round != round) return run(in, held);
  one->asking = false;
  const auto map = env_.cluster->get();
  const placement::range* range = map->groups.find(slot_of(room));
  if (got.code == errc::ok && range != nullptr && range->epoch == got.epoch) {
    one->subscribed = true;
    one->source = got.source;
    one->epoch = got.epoch;
    for (const account_id account : one->room.set_head(got.answer.head())) tell(in, account, {one->room.id(), false});
    fill(in, *one);
  } else {
    if (got.code == errc::no_such_object || got.code == errc::cancelled_object) {
      one->ask_at = env_.time.now() + 10 * ask_again;  // the membership row is on its way out
    } else {
      one->ask_at = env_.time.now() + ask_again;
    }
    // What waits for them in the log can be read without the owner.
    for (const account_id account : one->room.give_up_waiting()) tell(in, account, {one->room.id(), false});
  }
  run(in, held);
}

void hub::apply(const placement::snapshot& map) {
  for (part& in : parts_) {
    lock held(in.mutex);
    for (auto& [id, one] : in.rooms) {
      const placement::range* range = map.groups.find(slot_of(id));
      if (!one->subscribed || one->asking || (range != nullptr && range->epoch == one->epoch)) continue;
      subscribe(in, *one);
    }
    run(in, held);
  }
}

void hub::on_source_down(uint64_t source) {
  for (part& in : parts_) {
    lock held(in.mutex);
    for (auto& [id, one] : in.rooms) {
      if (!one->subscribed || one->source != source) continue;
      subscribe(in, *one);
    }
    run(in, held);
  }
}

// ---- messages ----

void hub::on_frame(uint64_t source, group::v1::RoomFrame& frame) {
  part& in = part_of(frame.room());
  lock held(in.mutex);
  entry* one = find(in, frame.room());
  if (one == nullptr || !one->subscribed || one->source != source) return run(in, held);
  if (!env_.lease_valid()) {
    // Our accounts may be another node's by now. If they are not, the next subscription brings what comes meanwhile.
    one->subscribed = false;
    one->ask_at = env_.time.now();
    return run(in, held);
  }
  if (frame.live()) {
    std::vector<room_send> sends;
    one->room.pass_on(
        {account_id{frame.sender()}, std::move(*frame.mutable_body()), frame.trace(), frame.accepted_ns()}, sends);
    log::trace(frame.trace(), "session", "deliver", {{"gateways", sends.size()}});
    hand_over_live(in, std::move(sends));
    return run(in, held);
  }
  const room_row row{frame.mid(),   account_id{frame.sender()}, frame.timestamp_ns(), frame.body(), frame.target(),
                     frame.trace(), frame.accepted_ns()};
  std::vector<room_send> sends;
  if (one->room.take(row, sends) != live_room::frame_verdict::old) fill(in, *one);
  log::trace(row.trace, "session", "deliver", {{"gateways", sends.size()}});
  hand_over(in, *one, std::move(sends));
  run(in, held);
}

void hub::hand_over(part& in, entry& one, std::vector<room_send> sends) {
  if (!sends.empty()) {
    in.effects.emplace_back([this, sends = std::make_shared<std::vector<room_send>>(std::move(sends))] {
      size_t reached = 0;
      for (room_send& that : *sends) {
        if (!that.gateway->up) continue;
        reached += static_cast<size_t>(that.item.room_out().conns_size());
        // A full queue cannot drop a frame: ending the stream makes the gateway bind anew and say what it has.
        if (!that.gateway->out->send(std::move(that.item))) that.gateway->out->close();
      }
      env_.metrics.room_deliveries_total.add(static_cast<double>(reached));
    });
  }
  for (const account_id sleeper : one.room.take_asleep()) tell(in, sleeper, {one.room.id(), true});
}

void hub::hand_over_live(part& in, std::vector<room_send> sends) {
  if (sends.empty()) return;
  in.effects.emplace_back([this, sends = std::make_shared<std::vector<room_send>>(std::move(sends))] {
    size_t reached = 0;
    for (room_send& that : *sends) {
      if (!that.gateway->up) continue;
      const auto terminals = static_cast<size_t>(that.item.room_out().conns_size());
      if (that.gateway->out->send(std::move(that.item))) {
        reached += terminals;
      } else {
        env_.metrics.live.count(live_drop::gateway, 1);
      }
    }
    env_.metrics.live.count_delivered(live_kind::room_stream, reached);
  });
}

void hub::tell(part& in, account_id to, room_event what) {
  in.effects.emplace_back([this, to, what] { env_.directory->post_if_present(to, what); });
}

void hub::fill(part& in, entry& one) {
  const auto from = one.reading ? std::nullopt : one.room.missing();
  if (!from || env_.time.now() < one.read_at) return;
  one.reading = true;
  one.room.begin_read();
  storage::v1::StorageRequest request;
  storage::v1::Read& read = *request.mutable_read();
  read.mutable_conversation()->set_hi(one.room.id().value);
  read.set_from_mid(*from);
  read.set_limit(page_rows);
  read.set_max_bytes(page_bytes);
  in.effects.emplace_back([this, request = std::move(request)] {
    const uint64_t room = request.read().conversation().hi();
    env_.storage->ask(
        slot_of(room), request, patience::deadline,
        [this, room, after = request.read().from_mid()](storage_answer& got) { on_page(room, after, got); });
  });
}

void hub::on_page(uint64_t room, uint64_t from, storage_answer& got) {
  part& in = part_of(room);
  lock held(in.mutex);
  entry* one = find(in, room);
  if (one == nullptr || !one->reading) return run(in, held);
  one->reading = false;
  bool further = false;
  if (got.code == errc::ok) {
    std::vector<room_row> rows;
    const storage::v1::Page& page = got.reply.page();
    rows.reserve(static_cast<size_t>(page.rows_size()));
    for (const auto& row : page.rows()) {
      rows.push_back({row.mid(), account_id{row.sender()}, row.timestamp_ns(), row.body(), row.target(), 0, 0});
    }
    std::vector<room_send> sends;
    further = one->room.fill(from, rows, page.reached(), sends);
    env_.metrics.room_fills_total.add();
    hand_over(in, *one, std::move(sends));
  }
  // Nobody got further: the reader does not see yet what the owner has told of.
  if (!further) one->read_at = env_.time.now() + read_again;
  fill(in, *one);
  run(in, held);
}

void hub::on_gone(uint64_t, const group::v1::RoomGone& gone) {
  part& in = part_of(gone.room());
  lock held(in.mutex);
  entry* one = find(in, gone.room());
  // From whomever it comes: a former owner tells how the last changes ended that it had asked for. The version
  // decides.
  if (one == nullptr) return run(in, held);
  for (const uint64_t value : gone.accounts()) {
    const account_id account{value};
    if (one->room.member_since(account) > gone.version()) continue;  // told again; it has come back since
    std::erase_if(one->gone, [&](const auto& that) { return that.first == account && that.second < gone.version(); });
    if (std::any_of(one->gone.begin(), one->gone.end(), [&](const auto& that) { return that.first == account; }))
      continue;
    if (one->gone.size() >= gone_kept) one->gone.erase(one->gone.begin());
    one->gone.emplace_back(account, gone.version());
    if (!one->room.has(account)) continue;
    tell(in, account, {one->room.id(), false});  // nothing more is to come
    remove(in, *one, account);
  }
  run(in, held);
}

// ---- acknowledgements ----

void hub::on_acked(const gateway_stream& from, const v1::RoomAcked& what) {
  part& in = part_of(what.room());
  lock held(in.mutex);
  entry* one = find(in, what.room());
  const int count = std::min(what.accounts_size(), what.mids_size());
  for (int i = 0; i < count; ++i) {
    const account_id account{what.accounts(i)};
    if (one != nullptr && one->room.has(account)) {
      if (one->room.acked(account, &from, what.mids(i))) note(in, what.room(), account);
    } else if (in.early.size() < early_kept) {
      early_ack& kept = in.early[{what.room(), account}];
      kept = {&from, std::max(kept.mid, what.mids(i)), env_.time.now()};
    }
  }
  run(in, held);
}

void hub::note(part& in, uint64_t room, account_id account) {
  in.unstored[((room ^ account.value) * 0x9E3779B97F4A7C15ULL) >> (64 - std::bit_width(turns - 1))].emplace_back(
      room, account);
}

void hub::take_early(part& in, entry& one, account_id account) {
  const uint64_t room = one.room.id().value;
  const bool told = one.room.note_position(account);
  const auto early = in.early.find({room, account});
  const bool more = early != in.early.end() && one.room.acked(account, early->second.gateway, early->second.mid);
  if (early != in.early.end()) in.early.erase(early);
  if (told || more) note(in, room, account);
}

void hub::store(part& in, uint64_t room, account_id account, uint64_t mid) {
  storage::v1::StorageRequest request;
  storage::v1::CursorPut& put = *request.mutable_cursor_put();
  put.set_account(account.value);
  put.mutable_conversation()->set_hi(room);
  put.set_delivered(mid);
  put.set_kind(storage::v1::CursorPut::ADVANCE);
  in.effects.emplace_back([this, request = std::move(request)] {
    const account_id who{request.cursor_put().account()};
    env_.storage->ask(slot_of(who), request, patience::until_answered, [this](storage_answer& got) {
      if (got.code == errc::ok || got.code == errc::cancelled) return;
      const auto& failed = got.request.cursor_put();
      const uint64_t of = failed.conversation().hi();
      part& where = part_of(of);
      lock held(where.mutex);
      entry* one = find(where, of);
      const account_id again{failed.account()};
      if (one != nullptr && one->room.store_failed(again, failed.delivered())) note(where, of, again);
      run(where, held);
    });
  });
}

// ---- the supervisor's turn ----

void hub::sweep() {
  const auto now = env_.time.now();
  for (size_t i = 0; i < parts_per_tick; ++i) sweep_part(parts_[next_part_++ % parts_.size()], now);
}

void hub::sweep_part(part& in, clock::time_point now) {
  lock held(in.mutex);
  const int64_t turn = now.time_since_epoch() / (std::chrono::nanoseconds(store_every) / turns);
  in.turn = std::max(in.turn, turn - static_cast<int64_t>(turns));
  while (in.turn < turn) store_due(in, static_cast<size_t>(++in.turn) % turns);
  std::erase_if(in.early, [&](const auto& one) { return now - one.second.at >= early_for; });
  std::erase_if(in.rooms, [&](auto& that) { return watch(in, *that.second, now); });
  run(in, held);
}

void hub::store_due(part& in, size_t turn) {
  for (const auto& [room, account] : std::exchange(in.unstored[turn], {})) {
    entry* one = find(in, room);
    const uint64_t mid = one == nullptr ? 0 : one->room.take_position(account);
    if (mid != 0) store(in, room, account, mid);
  }
}

void hub::store_all() {
  for (part& in : parts_) {
    lock held(in.mutex);
    for (size_t turn = 0; turn < turns; ++turn) store_due(in, turn);
    run(in, held);
  }
}

/// True when the room is given up.
bool hub::watch(part& in, entry& one, clock::time_point now) {
  if (one.room.empty() && !one.asking && now - one.empty_since >= empty_for) {
    group::v1::GroupRequest request;
    request.set_room(one.room.id().value);
    request.mutable_interest()->set_on(false);
    if (one.subscribed) in.effects.emplace_back([this, request] { env_.groups->ask(request, [](group_answer&) {}); });
    return true;
  }
  if (!one.subscribed && !one.asking && now >= one.ask_at && !one.room.empty() && env_.lease_valid()) {
    subscribe(in, one);
  }
  fill(in, one);
  return false;
}

size_t hub::rooms() const {
  size_t sum = 0;
  for (const part& in : parts_) {
    const lock held(in.mutex);
    sum += in.rooms.size();
  }
  return sum;
}

size_t hub::unstored() const {
  size_t sum = 0;
  for (const part& in : parts_) {
    const lock held(in.mutex);
    for (const auto& of_turn : in.unstored) sum += of_turn.size();
  }
  return sum;
}

}  // namespace tern::session
