// Sending more than a stream has places for.
#pragma once

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <vector>

#include "libs/rpc/network.hpp"

namespace tern::rpc {

/// Items given to a stream at once: far below the places it has.
constexpr size_t most_at_once = 1024;

/// Sends from the first on, in pieces, until one is refused; true when all are sent. What was sent is removed from
/// `all`, the rest stays in order. For whoever keeps what is refused and tries again: what gathers while a stream
/// does not keep up may be more than its queue ever takes, and as one piece would be refused for ever.
template <class Item>
bool send_in_pieces(sink<Item>& out, std::vector<Item>& all) {
  if (all.size() <= most_at_once) return out.send_all(all);
  auto next = all.begin();
  while (next != all.end()) {
    const auto end = next + std::min(all.end() - next, static_cast<std::ptrdiff_t>(most_at_once));
    std::vector<Item> piece(std::make_move_iterator(next), std::make_move_iterator(end));
    if (!out.send_all(piece)) {
      std::move(piece.begin(), piece.end(), next);
      break;
    }
    next = end;
  }
  all.erase(all.begin(), next);
  return all.empty();
}

}  // namespace tern::rpc
