#include "services/session/links/peer_server.hpp"

#include <memory>
#include <utility>

#include "libs/actor/inline_run.hpp"
#include "services/session/directory.hpp"

namespace tern::session {
namespace {

class peer_handler final : public rpc::server_handler<rpc::peer_stream> {
 public:
  explicit peer_handler(const environment& env) : env_(env) {}
  void on_items(std::vector<v1::PeerItem>& items) override { deliver_here(env_, items); }
  void on_down() override {}

 private:
  const environment& env_;
};

}  // namespace

void deliver_here(const environment& env, std::vector<v1::PeerItem>& items) {
  const actor::inline_scope here(env.actors, items.size() <= few_items);
  std::vector<directory::addressed> mails;
  for (v1::PeerItem& one : items) {
    const auto item = std::make_shared<v1::PeerItem>(std::move(one));
    for (const uint64_t account : item->accounts()) mails.emplace_back(account_id{account}, peer_event{item});
  }
  items.clear();
  const size_t missed = env.directory->post_if_present(mails);
  if (missed != 0) env.metrics.presence.missed_total.add(static_cast<double>(missed));
}

rpc::accept_function<rpc::peer_stream> peer_acceptor(const environment& env) {
  return [&env](const rpc::peer&,
                std::shared_ptr<rpc::sink<v1::PeerReply>>) -> std::shared_ptr<rpc::server_handler<rpc::peer_stream>> {
    return std::make_shared<peer_handler>(env);
  };
}

}  // namespace tern::session
