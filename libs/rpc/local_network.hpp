// Links inside one process: items are handed over as objects in the sender's thread, without serialisation.
#pragma once

#include <cstddef>
#include <memory>

#include "libs/rpc/network.hpp"

namespace tern::rpc {

struct local_options {
  /// Items a stream direction may hold while its handler is busy; send() is false beyond.
  size_t queue_items = 65536;
};

/// Addresses are any strings that serve() and connect() agree on ("local:session-0"). start() does nothing.
///
/// A handler is never entered twice at once: what is sent while it runs waits in a queue and is delivered by the
/// thread that runs it. Thus items arrive in the order of the calls, and a handler may send on any sink. connect()
/// attaches before it returns when the peer is served already; otherwise serve() attaches in its own thread. After an
/// end or a refusal a timer thread attaches again (backoff 50 ms to 1 s).
std::unique_ptr<network> make_local_network(local_options how = {});

}  // namespace tern::rpc
