#include "libs/app/version.hpp"

namespace tern::app {

std::string_view version() noexcept { return TERN_VERSION; }
std::string_view commit() noexcept { return TERN_COMMIT; }
std::string_view build_type() noexcept { return TERN_BUILD_TYPE; }

}  // namespace tern::app
