#include "services/storage/shard_slot.hpp"

#include <utility>

#include "services/storage/convert.hpp"
#include "services/storage/logic/reads.hpp"

namespace tern::storage {
namespace {

bool is_login(const v1::StorageRequest& message) {
  return message.has_account_create() || message.has_token_issue() || message.has_token_login() ||
         message.has_password_login() || message.has_password_change();
}

}  // namespace

shard_slot::shard_slot(std::string name, std::shared_ptr<store_holder> from, slot_options how, const clock& time,
                       std::shared_ptr<login_desk> logins, std::shared_ptr<storage_metrics> all_metrics)
    : store(std::move(from)),
      metrics(std::make_shared<shard_metrics>(all_metrics->registry, name)),
      service_metrics(std::move(all_metrics)),
      how_(how),
      time_(time),
      logins_(std::move(logins)) {
  port = std::make_shared<shard_port>(
      std::move(name), how_.port, time_,
      [this](v1::StorageRequest&& message, const std::shared_ptr<reply_sink>& to, clock::time_point arrived) {
        if (is_login(message)) {
          log_in(std::move(message), to, arrived);
        } else {
          read(std::move(message), to, arrived);
        }
      });
  readers = std::make_shared<reader_pool>(
      how_.readers, time_, [this] { return store->reader(); },
      [this](double seconds) { metrics->pool_wait_seconds.observe(seconds); });
}

void shard_slot::respond(const std::shared_ptr<reply_sink>& to, v1::StorageRequest::OpCase op,
                         clock::time_point arrived, v1::StorageReply reply) const {
  service_metrics->operations.observe(op, reply.code(), std::chrono::duration<double>(time_.now() - arrived).count());
  if (!to->send(std::move(reply))) to->close();
}

void shard_slot::read(v1::StorageRequest&& message, const std::shared_ptr<reply_sink>& from,
                      clock::time_point arrived) {
  const auto request = std::make_shared<const v1::StorageRequest>(std::move(message));
  const auto answer_with = [this, request, from, arrived](errc code) {
    respond(from, request->op_case(), arrived, reply_to(*request, code));
  };
  read_job job{arrived, arrived + how_.port.request_timeout, {}, answer_with};
  job.run = [this, request, from, arrived, answer_with](reader_store& in) {
    // Looked at when it runs, not when it came: the shard may have moved meanwhile.
    if (!port->serves(request->epoch())) {
      answer_with(errc::wrong_owner);
      return errc::ok;
    }
    if (port->door_of(*request) != slot_door::open) {
      std::vector<answer> refused;
      port->admit_again(v1::StorageRequest(*request), from, arrived, refused);
      service_metrics->operations.observe(refused, time_.now());
      send_answers(refused);
      return errc::ok;
    }
    auto reply = execute_read(in, *request);
    if (reply) {
      respond(from, request->op_case(), arrived, std::move(*reply));
      return errc::ok;
    }
    if (reply.code() == errc::unavailable || reply.code() == errc::deadline) return reply.code();
    answer_with(errc::database);
    return errc::ok;
  };
  if (!readers->submit(std::move(job))) answer_with(errc::overload);
}

void shard_slot::log_in(v1::StorageRequest&& message, const std::shared_ptr<reply_sink>& from,
                        clock::time_point arrived) {
  auto job = std::make_shared<login_job>();
  job->message = std::move(message);
  job->arrived = arrived;
  job->deadline = arrived + how_.port.request_timeout;
  job->answer = [this, from, arrived, op = job->message.op_case()](v1::StorageReply reply) {
    respond(from, op, arrived, std::move(reply));
  };
  job->write = [this](write_request item) { return port->admit_own(std::move(item)); };
  job->read = [this](read_job one) { return readers->submit(std::move(one)); };
  logins_->start(job);
}

}  // namespace tern::storage
