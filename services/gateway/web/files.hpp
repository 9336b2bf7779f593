// The files of the web page, embedded at build time (web/embed.cmake writes files.cpp).
#pragma once

#include <span>
#include <string_view>

namespace tern::gateway::web {

struct file {
  std::string_view path;  // as requested; the page itself is "/"
  std::string_view content_type;
  std::string_view bytes;
};

std::span<const file> files() noexcept;

}  // namespace tern::gateway::web
