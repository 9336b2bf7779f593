// Acknowledgements that come after their session has gone to another node.
#pragma once

#include "services/session/environment.hpp"
#include "services/session/links/streams.hpp"

namespace tern::session {

/// Messages and lists need nothing: the terminal's Bind tells the next owner. A notice is a row that would be sent
/// again: it is dropped here, which any node may do at any time.
void late_notices(const environment& env, const v1::Acked& acked);

}  // namespace tern::session
