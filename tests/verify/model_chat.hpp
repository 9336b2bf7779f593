// A small model of a correct chat that writes histories, with bugs to be planted: what the history checker is tested
// on.
#pragma once

#include <cstdint>

#include "tests/verify/history.hpp"

namespace tern::verify {

enum class planted_bug : uint8_t {
  none,
  lose_stored,            // a message vanishes from the history after its receipt
  lose_delivery,          // a stored message is never delivered
  lose_delivery_unknown,  // the same for one whose sender got no answer
  store_retry_twice,
  store_refused,
  skip_mid,
  readers_differ,
  swap_sender_order,
  swap_delivery_order,
  deliver_twice,
  repeat_acknowledged,
  repeat_without_offline,
  repeat_too_many,
  wrong_recipient,
  forge_sender,
  echo_as_delivery,
  stale_pull,
  stall,
  room_lose_stored,
  room_lose_delivery,          // to one member of many
  room_lose_delivery_unknown,  // the same, and the sender got no answer
  room_store_refused,
  room_skip_mid,
  room_readers_differ,
  room_swap_order,  // one member sees two messages the other way round
  room_deliver_twice,
  room_repeat_acknowledged,
  room_to_stranger,
  room_after_removal,
  room_before_joining,
  room_in_another,
  room_stale_pull,
  recall_then_body,
  recall_then_connect,
  recall_in_history,
  recall_then_pull,
  recall_by_another,
  recall_by_nobody,
  recall_untold_author,
  recall_untold_reader,
  lose_echo,  // one of the sender's terminals never shows the message
};

/// A history of `messages` messages between a few accounts and in rooms whose members come and go, with retries,
/// unknown outcomes, refusals, reconnects, redeliveries and recalls, all legal; then the bug, if any.
history make_history(uint64_t seed, int messages, planted_bug bug);

/// The bug and the name of the check that must find it.
struct planted {
  planted_bug bug;
  const char* check;
};
const std::vector<planted>& all_planted_bugs();

/// Changes a green history, made or recorded, as the bug would have. False when it has no place to plant it in.
bool plant(history& seen, planted_bug bug);

}  // namespace tern::verify
