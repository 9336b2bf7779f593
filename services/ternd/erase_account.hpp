// Erasure of an account in a ternd: there ternctl reaches nobody.
#pragma once

#include <memory>
#include <string>

#include "libs/app/service.hpp"

namespace tern::ternd {

/// Once started it erases `account` (a node, or 0x…), writes the receipt to standard output and ends the process;
/// with exit code 1 when it did not work out.
std::unique_ptr<app::service> make_account_eraser(app::context& with, const std::string& account);

}  // namespace tern::ternd
