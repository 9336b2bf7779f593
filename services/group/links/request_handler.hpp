// What the server sides of Exchange and Relay have in common: a batch is posted to the actors of its rooms, what was
// refused is answered at once.
#pragma once

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "libs/actor/inline_run.hpp"
#include "libs/rpc/network.hpp"
#include "services/group/environment.hpp"

namespace tern::group {

/// `Kind`: the stream kind; `Stream`: an incoming_stream of it; `Directory`: of the actors. Calls come one after the
/// other, on a transport thread. `env` outlives it.
template <class Kind, class Stream, class Directory>
class request_handler : public rpc::server_handler<Kind> {
 public:
  using stream_ptr = std::shared_ptr<Stream>;
  /// Told of the end of the stream.
  using watch = std::function<void(const stream_ptr&)>;

  request_handler(const environment& env, stream_ptr stream, watch gone)
      : env_(env), stream_(std::move(stream)), gone_(std::move(gone)) {}

  void on_down() override {
    stream_->up = false;
    gone_(stream_);
  }

 protected:
  using mail_list = std::vector<typename Directory::addressed>;

  void finish(Directory& to, mail_list& mails) {
    if (!mails.empty()) {
      const actor::inline_scope here(env_.actors, mails.size() <= few_items);
      to.post(mails);
    }
    if (refused_.empty()) return;
    if (!stream_->out->send_all(refused_)) stream_->out->close();
    refused_.clear();
  }

  const environment& env_;
  const stream_ptr stream_;
  std::vector<typename Kind::down> refused_;

 private:
  /// A link that brought no more runs the rooms itself.
  static constexpr size_t few_items = 4;

  const watch gone_;
};

/// Makes a Handler for each new stream; `service` is who is at the other end, for the log.
template <class Kind, class Stream, class Handler>
rpc::accept_function<Kind> acceptor_of(const environment& env, const char* service,
                                       std::function<void(const std::shared_ptr<Stream>&)> gone) {
  return [&env, service, gone = std::move(gone)](
             const rpc::peer& who,
             std::shared_ptr<rpc::sink<typename Kind::down>> out) -> std::shared_ptr<rpc::server_handler<Kind>> {
    auto stream = std::make_shared<Stream>();
    stream->node = who.node;
    stream->incarnation = who.incarnation;
    stream->out = std::move(out);
    env.log.info("attached", {{service, stream->node}});
    return std::make_shared<Handler>(env, std::move(stream), gone);
  };
}

}  // namespace tern::group
