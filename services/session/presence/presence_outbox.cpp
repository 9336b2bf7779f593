#include "services/session/presence/presence_outbox.hpp"

#include <algorithm>
#include <utility>

namespace tern::session {

void presence_outbox::add(presence_note note) {
  if (note.to.empty()) return;
  size_t replaced = 0;
  size_t left_out = 0;
  bool first = false;
  {
    const std::lock_guard held(mutex_);
    first = senders_.empty();
    sender_state& state = senders_[note.sender];
    const size_t index = state.notes.size();
    state.notes.push_back({std::move(note.domain), std::make_shared<const std::string>(std::move(note.payload))});
    for (const account_id to : note.to) {
      const auto known = state.note_of.find(to);
      if (known != state.note_of.end()) {
        replaced += known->second == index ? 0 : 1;
        known->second = index;
      } else if (recipients_ < most_) {
        state.note_of.emplace(to, index);
        state.order.push_back(to);
        ++recipients_;
      } else {
        ++left_out;
      }
    }
  }
  if (replaced != 0) metrics_.replaced_total.add(static_cast<double>(replaced));
  if (left_out != 0) metrics_.overflow_total.add(static_cast<double>(left_out));
  if (first) wake_();
}

void presence_outbox::address(account_id sender, const sender_state& state, const placement::snapshot& map,
                              by_node& out) {
  // One item per note and node; most senders have one note.
  std::map<std::pair<size_t, std::string>, size_t> item_of;
  for (const account_id to : state.order) {
    const placement::range* range = map.sessions.find(slot_of(to));
    if (range == nullptr || range->owner.empty()) continue;
    const size_t note = state.note_of.at(to);
    auto& items = out[range->owner];
    const auto [known, fresh] = item_of.emplace(std::pair{note, range->owner}, items.size());
    if (fresh) {
      v1::PeerItem& item = items.emplace_back();
      item.set_type(91);
      item.set_sender(sender.value);
      item.set_payload(*state.notes[note].payload);
      item.set_domain(state.notes[note].domain);
    }
    items[known->second].add_accounts(to.value);
  }
}

void presence_outbox::flush(const placement::snapshot& map) {
  std::map<account_id, sender_state> senders;
  {
    const std::lock_guard held(mutex_);
    senders.swap(senders_);
    recipients_ = 0;
  }
  by_node out;
  for (const auto& [sender, state] : senders) address(sender, state, map, out);
  for (auto& [node, items] : out) send_(node, items);
}

}  // namespace tern::session
