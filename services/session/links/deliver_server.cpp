#include "services/session/links/deliver_server.hpp"

#include <map>
#include <utility>
#include <vector>

#include "services/session/directory.hpp"

namespace tern::session {
namespace {

class deliver_handler final : public rpc::server_handler<rpc::deliver_stream> {
 public:
  deliver_handler(const environment& env, std::shared_ptr<rpc::sink<v1::DeliveryReply>> out)
      : env_(env), out_(std::move(out)) {}

  void on_items(std::vector<v1::Delivery>& items) override {
    const auto map = env_.cluster->get();
    std::vector<directory::addressed> mails;
    mails.reserve(items.size());
    std::map<source_ptr, v1::DeliveryReply> refused;
    for (v1::Delivery& item : items) {
      const source_ptr& source = source_of(item);
      const account_id account{item.account()};  // read before the move below
      if (owned_range(env_, *map, slot_of(account)) != nullptr) {
        mails.emplace_back(account, delivery_event{source, std::move(item)});
        continue;
      }
      env_.metrics.wrong_owner_total.add();
      v1::DeliveryReply& reply = refused[source];
      reply.set_shard(source->shard);
      reply.set_epoch(source->epoch);
      reply.add_wrong_owner(item.entry());
    }
    if (!mails.empty()) env_.directory->post(mails);
    for (auto& [source, reply] : refused) {
      if (!out_->send(std::move(reply))) out_->close();
    }
  }

  void on_down() override {}

 private:
  /// One object per shard and epoch, shared by all entries that wait.
  const source_ptr& source_of(const v1::Delivery& item) {
    source_ptr& known = sources_[item.shard()];
    if (!known || known->epoch != item.epoch()) {
      known = std::make_shared<delivery_source>(delivery_source{item.shard(), item.epoch(), out_});
    }
    return known;
  }

  const environment& env_;
  const std::shared_ptr<rpc::sink<v1::DeliveryReply>> out_;
  std::map<std::string, source_ptr> sources_;
};

}  // namespace

rpc::accept_function<rpc::deliver_stream> deliver_acceptor(const environment& env) {
  return [&env](const rpc::peer&, std::shared_ptr<rpc::sink<v1::DeliveryReply>> out)
             -> std::shared_ptr<rpc::server_handler<rpc::deliver_stream>> {
    return std::make_shared<deliver_handler>(env, std::move(out));
  };
}

}  // namespace tern::session
