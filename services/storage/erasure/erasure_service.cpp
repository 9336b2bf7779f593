#include "services/storage/erasure/erasure_service.hpp"

#include <algorithm>
#include <utility>

#include "libs/log/log.hpp"
#include "services/storage/erasure/erasure_job.hpp"
#include "services/storage/repositories/sealing/key_ring.hpp"

namespace tern::storage {
namespace {

using erasure::v1::ErasureReply;
using erasure::v1::ErasureRequest;
using reply_out = rpc::sink<ErasureReply>;

const log::logger logger{"storage"};
constexpr std::chrono::seconds longest_wait{10};  // for a reader
constexpr uint32_t rows_most = 2000;

void put(const erasure_record& record, ErasureReply& to) {
  to.set_state(static_cast<ErasureReply::State>(record.state));
  to.set_begun_ns(record.begun_ns);
  to.set_ended_ns(record.ended_ns);
  for (const auto& [kind, count] : record.destroyed) {
    auto& one = *to.add_destroyed();
    one.set_kind(kind);
    one.set_count(count);
  }
}

result<void> keep(const result<erasure_record>& record, ErasureReply& to) {
  if (!record) return record.error();
  put(*record, to);
  return {};
}

result<void> look(erasure_job& job, ErasureReply& to) {
  auto domain = job.domain();
  if (!domain) return domain.error();
  to.set_here(domain->has_value());
  to.set_domain(domain->value_or(""));
  return keep(job.look(), to);
}

result<void> relations(erasure_job& job, size_t rows, ErasureReply& to) {
  auto pairs = job.relations(rows);
  if (!pairs) return pairs.error();
  for (const auto& pair : *pairs) {
    auto& one = *to.add_pairs();
    one.mutable_conversation()->set_hi(pair.conversation.hi);
    one.mutable_conversation()->set_lo(pair.conversation.lo);
    one.set_other(pair.other.value);
  }
  return {};
}

result<void> rooms(erasure_job& job, ErasureReply& to) {
  auto found = job.rooms();
  if (!found) return found.error();
  for (const auto& room : *found) {
    auto& one = *to.add_rooms();
    one.set_room(room.room.value);
    one.set_bits(room.bits);
  }
  return {};
}

result<void> destroy(erasure_job& job, const ErasureRequest& ask, size_t rows, ErasureReply& to) {
  std::vector<room_id> in;
  for (const auto room : ask.rooms()) in.push_back({room});
  auto done = job.destroy(ask.round(), std::move(in), rows);
  if (!done) return done.error();
  put(done->record, to);
  to.set_changed(done->changed);
  to.set_looked(done->looked);
  to.set_done(done->done);
  to.set_waiting(done->waiting);
  return {};
}

result<void> step(erasure_job& job, const ErasureRequest& ask, ErasureReply& to) {
  const size_t rows = std::clamp<uint32_t>(ask.rows(), 1, rows_most);
  switch (ask.step()) {
    case ErasureRequest::LOOK: return look(job, to);
    case ErasureRequest::BEGIN: return keep(job.begin(ask.home()), to);
    case ErasureRequest::RELATIONS: return relations(job, rows, to);
    case ErasureRequest::ROOMS: return rooms(job, to);
    case ErasureRequest::DESTROY: return destroy(job, ask, rows, to);
    case ErasureRequest::FINISH: return keep(job.finish(), to);
    default: return error{errc::bad_interface, "unknown step"};
  }
}

result<void> run(shard_slot& slot, const ErasureRequest& ask, int64_t now_ns, ErasureReply& to) {
  if (!slot.port->serving()) return error{errc::wrong_owner, "the shard is not served here"};
  auto ring = slot.store->keys();
  if (!ring) return error{errc::unavailable, "the shard is not open"};
  auto database = ring->connect();
  if (!database) return database.error();
  // Pages of a file keep pieces of rows that once were there, wherever they were moved to: it is written anew. Before
  // the end is recorded, so that it is done again should it be cut short.
  if ((*database)->dialect() == sql::dialect::sqlite && ask.step() == ErasureRequest::FINISH) {
    if (auto anew = (*database)->script("vacuum"); !anew) return anew.error();
    if (auto kept = (*database)->script("pragma wal_checkpoint(truncate)"); !kept) return kept.error();
  }
  const account_id account{ask.account()};
  erasure_job job(**database, account, now_ns);
  auto done = step(job, ask, to);
  if (done && (ask.step() == ErasureRequest::BEGIN || ask.step() == ErasureRequest::FINISH)) {
    logger.info(ask.step() == ErasureRequest::BEGIN ? "account is being erased" : "account is erased",
                {{"account", to_node(account)}, {"shard", slot.name()}});
  }
  return done;
}

class work_handler final : public rpc::server_handler<rpc::erasure_stream> {
 public:
  work_handler(std::shared_ptr<const shard_slots> shards, const clock& time, std::shared_ptr<reply_out> out)
      : shards_(std::move(shards)), time_(time), out_(std::move(out)) {}

  void on_items(std::vector<ErasureRequest>& items) override {
    for (auto& item : items) take(std::make_shared<const ErasureRequest>(std::move(item)));
  }
  void on_down() override {}

 private:
  static void answer(const std::shared_ptr<reply_out>& to, const ErasureRequest& ask, const result<void>& how,
                     ErasureReply reply = {}) {
    reply.set_call(ask.call());
    if (!how) {
      reply.set_code(static_cast<int32_t>(how.code()));
      reply.set_text(how.error().detail);
    }
    if (!to->send(std::move(reply))) to->close();
  }

  void take(const std::shared_ptr<const ErasureRequest>& ask) {
    const auto shard = shards_->find(ask->shard());
    if (!shard) return answer(out_, *ask, error{errc::wrong_owner, "the shard is not served here"});
    const auto give_up = [out = out_, ask](errc code) {
      answer(out, *ask, error{code, "the shard's readers are busy or its database does not answer"});
    };
    read_job job{time_.now(), time_.now() + longest_wait, {}, give_up};
    job.run = [slot = shard.get(), out = out_, ask, &time = time_](reader_store&) {
      ErasureReply reply;
      const auto done = run(*slot, *ask, time.wall_ns(), reply);
      answer(out, *ask, done, std::move(reply));
      return errc::ok;
    };
    if (!shard->readers->submit(std::move(job))) give_up(errc::overload);
  }

  const std::shared_ptr<const shard_slots> shards_;
  const clock& time_;
  const std::shared_ptr<reply_out> out_;
};

}  // namespace

rpc::accept_function<rpc::erasure_stream> make_erasure_acceptor(std::shared_ptr<const shard_slots> shards,
                                                                const clock& time) {
  return [shards = std::move(shards), &time](
             const rpc::peer& from,
             std::shared_ptr<reply_out> out) -> std::shared_ptr<rpc::server_handler<rpc::erasure_stream>> {
    if (from.service != "ternctl") return nullptr;
    return std::make_shared<work_handler>(shards, time, std::move(out));
  };
}

}  // namespace tern::storage
