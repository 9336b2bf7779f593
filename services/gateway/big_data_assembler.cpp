#include "services/gateway/big_data_assembler.hpp"

#include <algorithm>
#include <utility>

namespace tern::gateway {

big_data_assembler::big_data_assembler(wire::frame_type type, wire::encoding enc, size_t total, size_t most_data)
    : type_(type), enc_(enc), total_(total), most_data_(most_data) {}

size_t big_data_assembler::needed(size_t bytes) const noexcept {
  const size_t size = body_.size() + bytes;
  if (given_up_ || size <= body_.capacity()) return held();
  return std::min(std::max(size, 2 * body_.capacity()), std::max(size, total_ - wire::big_head_bytes));
}

size_t big_data_assembler::held() const noexcept { return given_up_ ? 0 : body_.capacity(); }

big_data_assembler::step big_data_assembler::take(std::string_view bytes) {
  if (bytes.size() > total_ - received_) return step::overrun;
  received_ += bytes.size();
  if (given_up_) return ended() ? step::passed : step::more;
  if (const size_t room = needed(bytes.size()); room > body_.capacity()) {
    std::string grown;  // std::string rounds up when it grows by itself
    grown.reserve(room);
    grown.append(body_);
    body_ = std::move(grown);
  }
  body_.append(bytes);
  if (node_.empty()) {
    const step found = look_for_node();
    if (found != step::more) return found;
  }
  return ended() ? step::complete : step::more;
}

big_data_assembler::step big_data_assembler::look_for_node() {
  const auto big = wire::split_big(type_, body_);
  if (!big) {
    const bool empty = !body_.empty() && wire::is_big_separator(type_, body_.front());
    const bool may_come = !ended() && !empty && body_.size() <= wire::big_node_bytes;
    return may_come ? step::more : step::unreadable;
  }
  const size_t before = big->node.size() + 1;
  if (total_ - wire::big_head_bytes - before > most_data_) return step::too_large;
  node_ = big->node;
  if (type_ == wire::frame_type::bigbinarystream) body_.erase(0, before);
  return step::more;
}

void big_data_assembler::give_up() noexcept {
  given_up_ = true;
  body_ = std::string();
}

}  // namespace tern::gateway
