#include "services/session/commands/nodes_profiles.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <utility>

#include "libs/wire/codec.hpp"
#include "services/session/commands/answers.hpp"
#include "services/session/commands/nodes.hpp"
#include "services/session/contact.hpp"

namespace tern::session {
namespace {

constexpr size_t max_nodes = 500;
constexpr size_t accounts_per_request = 64;     // of at most 16 KiB each: far below what a link takes at once
constexpr size_t max_answer_bytes = 512 << 10;  // a client that has this queued is not cut as slow

/// Answers that are still to come; complete or an error.
struct gathering {
  size_t open = 0;
  size_t bytes = 0;
  errc problem = errc::ok;
  std::vector<std::pair<std::string, std::string>> beans;  // node, TimUserBean or TimRoomBean
};
using gathering_ptr = std::shared_ptr<gathering>;

void add(gathering& all, std::string node, std::string bean) {
  all.bytes += node.size() + bean.size();
  if (all.bytes <= max_answer_bytes) all.beans.emplace_back(std::move(node), std::move(bean));
}

/// Decodes what the cluster itself has encoded; a damaged one is left out.
template <class Bean>
std::vector<std::pair<wire::text, Bean>> decoded(const gathering& all, wire::arena& memory) {
  std::vector<std::pair<wire::text, Bean>> out;
  for (const auto& [node, bytes] : all.beans) {
    auto bean = wire::decode<Bean>(wire::encoding::thrift, bytes, memory, wire::trusted_limits);
    if (bytes.empty()) {
      out.emplace_back(node, Bean{});
    } else if (bean) {
      out.emplace_back(node, std::move(*bean));
    }
  }
  return out;
}

/// The last answer ends the command.
void settle(session_state& state, const origin& from, int32_t ntype, const gathering& all) {
  if (all.open != 0) return;
  if (all.problem != errc::ok) return state.refuse(from, all.problem);
  if (all.bytes > max_answer_bytes) {
    state.env().metrics.count(refusal::size);
    return state.refuse(from, errc::bad_parameter);
  }
  wire::arena memory;
  wire::tim_nodes nodes;
  nodes.ntype = ntype;
  if (ntype == user_info) {
    nodes.usermap = decoded<wire::tim_user_bean>(all, memory);
  } else {
    nodes.roommap = decoded<wire::tim_room_bean>(all, memory);
  }
  state.reply(from, wire::frame_type::nodes, wire::encode(wire::encoding::thrift, nodes));
}

/// The ids behind the nodes of a request, each once; unreadable ones are nobody's. Nothing when the list is too long.
std::optional<std::vector<uint64_t>> ids_of(session_state& state, const wire::tim_nodes& req, node_kind kind) {
  std::vector<uint64_t> out;
  if (!req.nodelist) return out;
  if (req.nodelist->size() > max_nodes) {
    state.env().metrics.count(refusal::size);
    return std::nullopt;
  }
  for (const std::string_view node : *req.nodelist) {
    if (const auto id = from_node(kind, node); id && *id != 0) out.push_back(*id);
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

/// By shard, in portions. Where no map is known yet, storage answers for the slot.
std::vector<std::vector<uint64_t>> portions_of(const session_state& state, const std::vector<uint64_t>& accounts) {
  const auto map = state.env().cluster->get();
  std::map<std::string, std::vector<uint64_t>> by_shard;
  for (const uint64_t one : accounts) {
    const placement::range* range = map->storage.find(slot_of(one));
    by_shard[range == nullptr ? std::string{} : range->owner].push_back(one);
  }
  std::vector<std::vector<uint64_t>> out;
  for (auto& [shard, members] : by_shard) {
    for (size_t at = 0; at < members.size(); at += accounts_per_request) {
      const size_t end = std::min(at + accounts_per_request, members.size());
      out.emplace_back(members.begin() + static_cast<std::ptrdiff_t>(at),
                       members.begin() + static_cast<std::ptrdiff_t>(end));
    }
  }
  return out;
}

}  // namespace

void list_users(session_state& state, const origin& from, const wire::tim_nodes& req) {
  const auto accounts = ids_of(state, req, node_kind::account);
  if (!accounts) return state.refuse(from, errc::bad_parameter);
  const auto portions = portions_of(state, *accounts);
  const auto all = std::make_shared<gathering>();
  all->open = portions.size();
  if (portions.empty()) return settle(state, from, req.ntype, *all);
  for (const auto& portion : portions) {
    storage::v1::StorageRequest request;
    request.set_trace(from.trace);
    request.mutable_profile_get()->mutable_accounts()->Assign(portion.begin(), portion.end());
    request.mutable_profile_get()->set_domain(state.domain());
    state.ask(slot_of(portion.front()), std::move(request), patience::deadline,
              [from, all, what = req.ntype](session_state& again, storage_answer& got) {
                --all->open;
                if (got.code != errc::ok) all->problem = got.code;
                for (auto& row : *got.reply.mutable_profiles()->mutable_rows()) {
                  add(*all, to_node(account_id{row.account()}), std::move(*row.mutable_bean()));
                }
                settle(again, from, what, *all);
              });
  }
}

void list_room_profiles(session_state& state, const origin& from, const wire::tim_nodes& req) {
  const auto rooms = ids_of(state, req, node_kind::room);
  if (!rooms) return state.refuse(from, errc::bad_parameter);
  const auto all = std::make_shared<gathering>();
  all->open = rooms->size();
  if (rooms->empty()) return settle(state, from, req.ntype, *all);
  for (const uint64_t room : *rooms) {
    storage::v1::StorageRequest request;
    request.set_trace(from.trace);
    request.mutable_room_get()->set_room(room);
    request.mutable_room_get()->set_domain(state.domain());
    state.ask(slot_of(room), std::move(request), patience::deadline,
              [from, all, what = req.ntype](session_state& again, storage_answer& got) {
                --all->open;
                const bool nowhere = got.code == errc::no_such_object || got.code == errc::not_found;
                if (got.code != errc::ok && !nowhere) all->problem = got.code;
                if (got.code == errc::ok && !got.reply.room().cancelled()) {
                  add(*all, to_node(room_id{got.reply.room().room()}),
                      std::move(*got.reply.mutable_room()->mutable_bean()));
                }
                settle(again, from, what, *all);
              });
  }
}

}  // namespace tern::session
