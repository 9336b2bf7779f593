#include "libs/actor/actor.hpp"

#include <algorithm>
#include <exception>
#include <string>
#include <thread>
#include <typeinfo>

#include "libs/log/log.hpp"

namespace tern::actor {
namespace {

const log::logger logger{"actor"};

/// The type of a message's first element; never its content, which may be private.
std::string first_type(const caf::type_erased_tuple& content) {
  if (content.empty()) return "nothing";
  const auto [number, info] = content.type(0);
  return info != nullptr ? info->name() : "builtin " + std::to_string(number);
}

caf::result<caf::message> drop(caf::scheduled_actor* self, caf::message_view& view) {
  const auto& content = view.content();
  logger.warn("unexpected message dropped",
              {{"actor", self->name()}, {"type", first_type(content)}, {"elements", content.size()}});
  return caf::sec::unexpected_message;
}

caf::error die(caf::scheduled_actor* self, std::exception_ptr& thrown) {
  std::string what = "unknown exception";
  try {
    std::rethrow_exception(thrown);
  } catch (const std::exception& e) {
    what = e.what();
  } catch (...) {  // what() is all that could be said
  }
  logger.error("actor ended by an exception", {{"actor", self->name()}, {"what", what}});
  return caf::make_error(caf::sec::runtime_error, what);
}

}  // namespace

void set_common_handlers(caf::scheduled_actor* self) {
  self->set_default_handler(drop);
  self->set_exception_handler(die);
}

system_config::system_config(size_t threads) {
  if (threads == 0) threads = std::max<size_t>(1, std::thread::hardware_concurrency());
  set("scheduler.policy", caf::atom("sharing"));
  set("scheduler.max-threads", threads);
  set("scheduler.max-throughput", size_t{100});
}

}  // namespace tern::actor
