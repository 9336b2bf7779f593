#include "services/session/notify.hpp"

#include "libs/base/big_endian.hpp"
#include "libs/crypto/hash.hpp"
#include "libs/wire/codec.hpp"

namespace tern::session {
namespace {

constexpr int8_t system_to_user = 1;
constexpr int8_t business = 4;
constexpr size_t max_text_bytes = 4096;

std::string compose(const system_notice& what, uint64_t id, int64_t now) {
  const std::string node = to_node(what.to);
  wire::tid to;
  to.node = node;
  if (!what.domain.empty()) to.domain = what.domain;
  wire::tim_message out;
  out.ms_type = system_to_user;
  out.od_type = business;
  out.id = static_cast<int64_t>(id);
  out.to_tid = to;
  out.data_string = what.text;
  out.timestamp = now;
  return wire::encode(wire::encoding::thrift, out);
}

}  // namespace

uint64_t notice_id_of(account_id to, std::string_view key) {
  const std::string hash = crypto::sha256("system notice" + to_node(to) + std::string(key));
  const uint64_t id = read_u64(hash.data()) >> 11U;
  return id == 0 ? 1 : id;
}

void notify_account(storage_port& storage, const clock& time, const system_notice& what,
                    std::function<void(errc)> then) {
  if (what.text.empty() || what.text.size() > max_text_bytes) return then(errc::bad_parameter);
  const uint64_t id = notice_id_of(what.to, what.key);
  storage::v1::StorageRequest request;
  storage::v1::NoticePut& put = *request.mutable_notice_put();
  put.set_account(what.to.value);
  put.set_id(id);
  put.set_body(compose(what, id, time.wall_ns()));
  storage.ask(slot_of(what.to), std::move(request), patience::until_answered,
              [then = std::move(then)](storage_answer& got) { then(got.code); });
}

}  // namespace tern::session
