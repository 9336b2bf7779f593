#include "services/storage/logic/write_request.hpp"

#include <utility>

#include "services/storage/convert.hpp"

namespace tern::storage {

answer make_answer(write_request& item, v1::StorageReply reply) {
  return {std::move(item.from), std::move(reply), item.message.op_case(), item.arrived};
}

answer make_answer(write_request& item, errc code) { return make_answer(item, reply_to(item.message, code)); }

void send_answers(std::vector<answer>& answers) {
  std::vector<std::pair<std::shared_ptr<reply_sink>, std::vector<v1::StorageReply>>> streams;
  for (auto& one : answers) {
    if (!one.to) continue;
    auto at = streams.begin();
    while (at != streams.end() && at->first != one.to) ++at;
    if (at == streams.end()) at = streams.emplace(streams.end(), one.to, std::vector<v1::StorageReply>{});
    at->second.push_back(std::move(one.reply));
  }
  answers.clear();
  for (auto& [to, replies] : streams) {
    if (!to->send_all(replies)) to->close();
  }
}

}  // namespace tern::storage
