// Clients of one io thread by the slot of their account, so that a new map costs what it changes and not what is
// open.
#pragma once

#include <algorithm>
#include <vector>

#include "libs/base/ids.hpp"

namespace tern::gateway {

/// Base of what is indexed; leaves the index when it is destroyed.
class slot_member {
 public:
  slot_member() = default;
  slot_member(const slot_member&) = delete;
  slot_member& operator=(const slot_member&) = delete;
  ~slot_member() { leave_slot(); }
  void leave_slot() noexcept {
    if (back_ == nullptr) return;
    *back_ = next_;
    if (next_ != nullptr) next_->back_ = back_;
    next_ = nullptr;
    back_ = nullptr;
  }

 private:
  friend class slot_index;
  slot_member* next_ = nullptr;
  slot_member** back_ = nullptr;  // what points here; null: in no index
};

/// Not thread-safe.
class slot_index {
 public:
  /// Slots that share a list: the smallest piece the maps usually move.
  static constexpr slot_type slots_per_list = 64;

  slot_index() : heads_(slot_count / slots_per_list, nullptr) {}
  ~slot_index() {
    for (slot_member* head : heads_) {
      while (head != nullptr) {
        slot_member* const next = head->next_;
        head->next_ = nullptr;
        head->back_ = nullptr;
        head = next;
      }
    }
  }
  slot_index(const slot_index&) = delete;
  slot_index& operator=(const slot_index&) = delete;

  void enter(slot_type slot, slot_member& who) noexcept {
    who.leave_slot();
    slot_member*& head = heads_[slot / slots_per_list];
    who.next_ = head;
    who.back_ = &head;
    if (head != nullptr) head->back_ = &who.next_;
    head = &who;
  }

  /// Calls `visit` for the members of slots first..last and some of their neighbours: it looks at the slot itself.
  /// `visit` may let the member it is given leave.
  template <class Visit>
  void visit(slot_type first, slot_type last, Visit visit) const {
    last = std::min<slot_type>(last, slot_count - 1);
    for (size_t list = first / slots_per_list; list <= last / slots_per_list; ++list) {
      for (slot_member* each = heads_[list]; each != nullptr;) {
        slot_member* const next = each->next_;
        visit(*each);
        each = next;
      }
    }
  }

 private:
  std::vector<slot_member*> heads_;
};

}  // namespace tern::gateway
