// The composition of ternd: all five services in one process, over links that hand objects over.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "libs/app/host.hpp"
#include "services/ternd/config.hpp"

namespace tern::ternd {

/// Called when clients can connect: the gateway's port.
using announcement = std::function<void(uint16_t port)>;

/// The five services in their order of starting. `options` outlives them.
std::vector<app::service_entry> service_entries(ternd_config& options, announcement listening = {});

/// What a person sees at the start: addresses, the page, how to make a first account.
std::string banner(const ternd_config& options, uint16_t port, const std::string& metrics_address);

}  // namespace tern::ternd
