#include "tests/verify/workload.hpp"

#include <algorithm>
#include <future>

#include "tests/verify/person.hpp"

namespace tern::verify {

using namespace std::chrono_literals;

namespace {

constexpr auto tick_every = 20ms;
constexpr size_t registering_threads = 4;
constexpr int register_attempts = 50;
constexpr size_t guests = 2;  // of each room: they come and go

bool poll_until(const std::function<bool()>& done, std::chrono::milliseconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!done()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(20ms);
  }
  return true;
}

}  // namespace

workload::workload(workload_options how) : how_(std::move(how)), shared_(std::make_unique<shared>()) {
  shared_->random.seed(how_.seed);
}

workload::~workload() {
  if (!thread_.joinable()) return;
  run_on_loop([this] {
    shared_->ending = true;
    people_.clear();
  });
  shared_->loop.stop();
  thread_.join();
}

void workload::run_on_loop(std::function<void()> work) {
  std::promise<void> done;
  shared_->loop.post([&] {
    work();
    done.set_value();
  });
  done.get_future().wait();
}

bool workload::all(const std::function<bool(person&)>& holds) {
  bool result = true;
  run_on_loop(
      [&] { result = std::all_of(people_.begin(), people_.end(), [&](const auto& each) { return holds(*each); }); });
  return result;
}

result<void> workload::register_all() {
  for (size_t i = 0; i < how_.accounts; ++i) people_.push_back(std::make_unique<person>(*this, i));
  std::atomic<size_t> next{0};
  std::atomic<int32_t> failure{0};
  const auto register_some = [&] {
    for (size_t i = next++; i < people_.size(); i = next++) {
      auto& who = people_[i]->who();
      result<std::string> node = errc::unavailable;
      for (int tries = 0; tries < register_attempts && !node; ++tries) {
        if (tries > 0) std::this_thread::sleep_for(100ms);
        node = client::register_account(how_.gateways[i % how_.gateways.size()], who, wire::encoding::thrift);
        // An answer that was lost: the account is there and its node unknown, so another name.
        if (!node && tries > 0 && node.code() == errc::exists) who.name += "r";
      }
      if (node) {
        who.node = *node;
      } else {
        failure = static_cast<int32_t>(node.code());
      }
    }
  };
  std::vector<std::thread> threads;
  for (size_t i = 0; i < registering_threads; ++i) threads.emplace_back(register_some);
  for (auto& each : threads) each.join();
  if (failure != 0) return error{errc::unavailable, "REGISTER failed: " + std::to_string(failure)};
  return {};
}

result<void> workload::make_friends() {
  const auto count = people_.size();
  const auto end = std::chrono::steady_clock::now() + 60s;
  while (std::chrono::steady_clock::now() < end) {
    run_on_loop([this, count] {
      for (size_t i = 0; i < count; ++i) {
        for (const size_t step : {size_t{1}, size_t{2}}) {
          person& other = *people_[(i + step) % count];
          people_[i]->ask_friend(other);
          // Asking back may have been refused as overload, of which only the one who did it hears.
          if (other.knows(*people_[i])) other.ask_friend(*people_[i]);
        }
      }
    });
    if (poll_until([this] { return all([](person& p) { return p.is_friend_of_all(); }); }, 5s)) return {};
  }
  size_t missing = 0;
  run_on_loop([&] {
    missing = static_cast<size_t>(
        std::count_if(people_.begin(), people_.end(), [](const auto& each) { return !each->is_friend_of_all(); }));
  });
  return error{errc::deadline, "not all became friends: " + std::to_string(missing) + " people miss some"};
}

result<void> workload::make_rooms() {
  if (how_.rooms == 0) return {};
  std::vector<size_t> order(people_.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  run_on_loop([&] {
    for (size_t i = 0; i < how_.rooms; ++i) {
      auto& room = shared_->rooms.emplace_back();
      room.name = how_.prefix + "-room-" + std::to_string(i);
      room.closed = i % 3 == 2;
      std::shuffle(order.begin(), order.end(), shared_->random);
      const auto members = std::min(how_.room_members, order.size() - std::min(order.size(), guests));
      room.members.assign(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(members));
      room.founder = room.members.front();
      for (size_t guest = members; guest < std::min(order.size(), members + guests); ++guest) {
        room.churners.push_back({order[guest], false, false, {}});
      }
    }
    for (size_t i = 0; i < how_.rooms; ++i) {
      auto& room = shared_->rooms[i];
      people_[room.founder]->ask_room(person::move::create, i, room.founder);
      for (size_t m = 1; m < room.members.size(); ++m) {
        people_[room.founder]->ask_room(person::move::pull_in, i, room.members[m]);
      }
    }
  });
  if (!poll_until([this] { return all([](person& p) { return p.open_ops() == 0; }); }, 60s)) {
    return error{errc::deadline, "not all rooms have their members"};
  }
  run_on_loop([this] {
    for (size_t i = 0; i < shared_->rooms.size(); ++i) {
      for (const auto member : shared_->rooms[i].members) people_[member]->stay_in(i);
    }
    shared_->rooms_ready = true;
  });
  return {};
}

void workload::move_members() {
  auto& random = shared_->random;
  for (size_t i = 0; i < shared_->rooms.size(); ++i) {
    auto& room = shared_->rooms[i];
    for (auto& each : room.churners) {
      if (each.moving || shared_->loop.now() < each.next) continue;
      each.moving = true;
      const bool by_founder = room.closed || std::uniform_int_distribution<int>(0, 1)(random) == 0;
      const auto what = each.inside ? (by_founder ? person::move::kick : person::move::leave)
                                    : (by_founder ? person::move::pull_in : person::move::apply);
      people_[by_founder ? room.founder : each.person]->ask_room(what, i, each.person);
    }
  }
}

double workload::tick(double carried) {
  auto& random = shared_->random;
  const double seconds = std::chrono::duration<double>(tick_every).count();
  std::uniform_int_distribution<size_t> pick(0, people_.size() - 1);
  double due = carried;
  if (shared_->writing) {
    due += how_.messages_per_second * seconds;
    move_members();
    if (std::uniform_real_distribution<>(0, 1)(random) < how_.naps_per_second * seconds) people_[pick(random)]->nap();
  }
  for (; due >= 1; due -= 1) {
    auto& who = *people_[pick(random)];
    if (std::uniform_int_distribution<int>(0, 19)(random) == 0) who.pull();
    who.write();
  }
  for (auto& each : people_) each->tick();
  return due;
}

result<void> workload::start() {
  if (auto done = register_all(); !done) return done;
  const auto count = people_.size();
  for (size_t i = 0; i < count; ++i) {
    people_[i]->set_friends({people_[(i + 1) % count].get(), people_[(i + 2) % count].get(),
                             people_[(i + count - 1) % count].get(), people_[(i + count - 2) % count].get()});
    terminal_count_ += i % 5 == 0 ? 2 : 1;
  }
  thread_ = std::thread([this] { shared_->loop.run(); });
  run_on_loop([this] {
    for (size_t i = 0; i < people_.size(); ++i) people_[i]->connect(i % 5 == 0 ? 2 : 1);
    // One ticking chain writes, pulls and retries for everybody.
    const auto next = std::make_shared<std::function<void(double)>>();
    *next = [this, next](double carried) {
      if (shared_->ending) return;
      const double due = tick(carried);
      shared_->loop.after(tick_every, [next, due] { (*next)(due); });
    };
    (*next)(0);
  });
  if (!wait_all_online(60s)) return error{errc::deadline, "not all terminals logged in: " + std::to_string(online_)};
  if (auto done = make_friends(); !done) return done;
  if (auto done = make_rooms(); !done) return done;
  run_on_loop([this] { shared_->writing = true; });
  return {};
}

bool workload::wait_receipts(uint64_t more, std::chrono::milliseconds limit) const {
  const auto wanted = receipts_ + more;
  return poll_until([&] { return receipts_ >= wanted; }, limit);
}

bool workload::wait_all_online(std::chrono::milliseconds limit) const {
  return poll_until([this] { return online_ >= terminal_count_; }, limit);
}

history workload::finish(std::chrono::milliseconds limit) {
  run_on_loop([this] { shared_->writing = false; });
  std::vector<std::string> late;
  if (!poll_until([&] { return all([](person& p) { return p.open_ops() == 0; }); }, limit)) {
    late.emplace_back("some messages had no answer at the end");
  }
  if (!wait_all_online(limit)) late.emplace_back("some terminals did not come back");
  // Twice: what was on its way to the backlog when the first drain ended comes with the second.
  for (int i = 0; i < 2; ++i) {
    run_on_loop([this] {
      for (auto& each : people_) each->request_offline();
    });
    if (!poll_until([&] { return all([](person& p) { return p.drained(); }); }, limit)) {
      late.emplace_back("some terminals never got OFFLINEMSGEND");
    }
  }
  run_on_loop([this] {
    for (auto& each : people_) each->read_histories();
  });
  if (!poll_until([&] { return all([](person& p) { return p.histories_read(); }); }, limit)) {
    late.emplace_back("some histories could not be read");
  }
  run_on_loop([this] {
    shared_->ending = true;
    for (auto& each : people_) each->disconnect();
  });
  shared_->loop.stop();
  thread_.join();
  auto seen = std::move(shared_->seen);
  seen.stalls.insert(seen.stalls.end(), late.begin(), late.end());
  people_.clear();
  return seen;
}

}  // namespace tern::verify
