// The composition of ternd: all five services in one process, over links that hand objects over.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "libs/app/host.hpp"
#include "services/ternd/config.hpp"

namespace tern::ternd {

/// The five services in their order of starting. `options` outlives them.
std::vector<app::service_entry> service_entries(ternd_config& options);

/// The port for clients of a ternd that has been started.
uint16_t client_port(app::host& started);

/// What a person sees at the start: addresses, the page, how to make a first account.
std::string banner(const ternd_config& options, uint16_t port, const std::string& metrics_address);

}  // namespace tern::ternd
