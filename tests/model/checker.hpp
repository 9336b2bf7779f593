// A small explicit-state checker: breadth first over every reachable state of a model, so that the first violation is
// found by a shortest way; then backwards from the good ends, so that no state is left without a way to one.
//
// A model M has
//   M::state                    trivially copyable, without padding; equal bytes are equal states
//   state initial() const
//   void next(const state&, visitor&) const   calls visitor(state, action) for each step
//   const char* violation(const state&) const null when all is well
//   bool good(const state&) const             an end as it should be
//   std::string describe(const action&) const, std::string describe(const state&) const
// An action whose `fault` is true (a crash, a new plan) is the environment's: nobody may count on it to get on.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

namespace tern::model {

/// One step: which, of whom, with what. `name` is a literal.
struct action {
  const char* name = "";
  uint8_t who = 0;
  uint8_t what = 0;
  bool fault = false;
};

struct report {
  uint64_t states = 0;
  uint64_t steps = 0;
  uint64_t good = 0;               // states that are good ends
  uint32_t depth = 0;              // of the farthest state
  bool complete = false;           // false: the bound of states was reached
  std::string violation;           // empty: none
  std::vector<std::string> trace;  // the way there, one line per step, and the last state
};

/// Where the checker keeps states: in blocks, so that growing copies nothing, with an open hash index.
template <class State>
class state_table {
 public:
  static_assert(std::is_trivially_copyable_v<State> && std::has_unique_object_representations_v<State>);

  state_table() : slots_(1U << 16U, empty) {}

  /// {number, whether it is new}.
  std::pair<uint32_t, bool> add(const State& value) {
    if (2 * (count_ + 1) > slots_.size()) grow();
    const size_t at = place(value);
    if (slots_[at] != empty) return {slots_[at], false};
    if (count_ % block == 0) blocks_.push_back(std::make_unique<State[]>(block));
    blocks_.back()[count_ % block] = value;
    slots_[at] = count_;
    return {count_++, true};
  }
  const State& operator[](uint32_t number) const { return blocks_[number / block][number % block]; }
  uint32_t size() const { return count_; }

 private:
  static constexpr uint32_t empty = UINT32_MAX;
  static constexpr uint32_t block = 1U << 14U;

  static uint64_t hash(const State& value) {
    uint64_t sum = 0x9E3779B97F4A7C15ULL;
    const char* bytes = reinterpret_cast<const char*>(&value);
    size_t left = sizeof value;
    while (left > 0) {
      uint64_t word = 0;
      const size_t take = left < sizeof word ? left : sizeof word;
      std::memcpy(&word, bytes, take);
      sum = (sum ^ word) * 0xFF51AFD7ED558CCDULL;
      sum ^= sum >> 32U;
      bytes += take;
      left -= take;
    }
    return sum;
  }
  size_t place(const State& value) const {
    size_t at = hash(value) & (slots_.size() - 1);
    while (slots_[at] != empty && std::memcmp(&(*this)[slots_[at]], &value, sizeof value) != 0) {
      at = (at + 1) & (slots_.size() - 1);
    }
    return at;
  }
  void grow() {
    slots_.assign(2 * slots_.size(), empty);
    for (uint32_t i = 0; i < count_; ++i) slots_[place((*this)[i])] = i;
  }

  std::vector<std::unique_ptr<State[]>> blocks_;
  std::vector<uint32_t> slots_;
  uint32_t count_ = 0;
};

/// Explores one model. Use once.
template <class M>
class checker {
 public:
  using state = typename M::state;
  explicit checker(const M& what, uint64_t most_states) : model_(what), most_(most_states) {}

  report run() {
    remember(model_.initial(), 0);
    for (uint32_t at = 0; at < states_.size(); ++at) {
      if (states_.size() > most_) return finish(at, "");
      const state here = states_[at];
      if (const char* what = model_.violation(here); what != nullptr) return finish(at, what);
      auto visit = [&](const state& there, const action& how) {
        ++out_.steps;
        const uint32_t number = remember(there, at);
        if (!how.fault) edges_.push_back({number, at});
      };
      model_.next(here, visit);
    }
    out_.complete = true;
    if (const uint32_t lost = without_way_out(); lost != none) return finish(lost, "no good end can be reached");
    return finish(none, "");
  }

 private:
  static constexpr uint32_t none = UINT32_MAX;
  struct edge {
    uint32_t to, from;
  };

  uint32_t remember(const state& value, uint32_t from) {
    const auto [number, fresh] = states_.add(value);
    if (fresh) {
      parents_.push_back(from);
      if (model_.good(value)) ends_.push_back(number);
    }
    return number;
  }

  /// The first state (so one that is reached in the fewest steps) from which no good end is reached without faults.
  uint32_t without_way_out() {
    std::vector<uint32_t> first(states_.size() + 1, 0);
    for (const auto& each : edges_) ++first[each.to + 1];
    for (size_t i = 1; i < first.size(); ++i) first[i] += first[i - 1];
    std::vector<uint32_t> sources(edges_.size());
    auto fill = first;
    for (const auto& each : edges_) sources[fill[each.to]++] = each.from;
    std::vector<bool> saved(states_.size(), false);
    std::vector<uint32_t> todo = ends_;
    for (const uint32_t end : ends_) saved[end] = true;
    while (!todo.empty()) {
      const uint32_t at = todo.back();
      todo.pop_back();
      for (uint32_t i = first[at]; i < first[at + 1]; ++i) {
        if (saved[sources[i]]) continue;
        saved[sources[i]] = true;
        todo.push_back(sources[i]);
      }
    }
    for (uint32_t i = 0; i < states_.size(); ++i) {
      if (!saved[i]) return i;
    }
    return none;
  }

  uint32_t depth_of(uint32_t number) const {
    uint32_t depth = 0;
    for (; number != 0; number = parents_[number]) ++depth;
    return depth;
  }

  /// How `from` becomes `to`.
  std::string step_between(uint32_t from, uint32_t to) const {
    std::string text;
    auto visit = [&](const state& there, const action& how) {
      if (text.empty() && std::memcmp(&there, &states_[to], sizeof there) == 0) text = model_.describe(how);
    };
    model_.next(states_[from], visit);
    return text;
  }

  report finish(uint32_t at, const std::string& violation) {
    out_.states = states_.size();
    out_.good = ends_.size();
    out_.depth = depth_of(states_.size() - 1);
    out_.violation = violation;
    if (violation.empty()) return out_;
    std::vector<uint32_t> way;
    for (uint32_t i = at; i != 0; i = parents_[i]) way.insert(way.begin(), i);
    uint32_t before = 0;
    for (const uint32_t i : way) {
      out_.trace.push_back(step_between(before, i));
      before = i;
    }
    out_.trace.push_back("=> " + violation + ": " + model_.describe(states_[at]));
    return out_;
  }

  const M& model_;
  uint64_t most_;
  state_table<state> states_;
  std::vector<uint32_t> parents_;
  std::vector<uint32_t> ends_;
  std::vector<edge> edges_;
  report out_;
};

}  // namespace tern::model
