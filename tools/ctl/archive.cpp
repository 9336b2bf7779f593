#include "tools/ctl/archive.hpp"

#include <zlib.h>

#include <array>
#include <cstdio>
#include <cstring>

namespace tern::ctl {
namespace {

constexpr size_t block = 512;

std::array<char, block> header(const std::string& path, size_t size, int64_t now) {
  std::array<char, block> out{};
  const auto octal = [&](size_t at, int width, uint64_t value) {
    std::snprintf(out.data() + at, static_cast<size_t>(width), "%0*llo", width - 1,
                  static_cast<unsigned long long>(value));
  };
  std::memcpy(out.data(), path.data(), path.size());
  octal(100, 8, 0600);
  octal(108, 8, 0);
  octal(116, 8, 0);
  octal(124, 12, size);
  octal(136, 12, static_cast<uint64_t>(now));
  std::memset(out.data() + 148, ' ', 8);  // the sum counts its own field as blanks
  out[156] = '0';
  std::memcpy(out.data() + 257, "ustar\00000", 8);
  unsigned sum = 0;
  for (const char c : out) sum += static_cast<unsigned char>(c);
  std::snprintf(out.data() + 148, 8, "%06o", sum);
  return out;
}

result<std::string> gzip(const std::string& plain) {
  z_stream stream{};
  constexpr int with_gzip_head = 15 + 16;
  if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, with_gzip_head, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
    return error{errc::internal, "no memory to compress"};
  }
  std::string out(deflateBound(&stream, plain.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(plain.data()));
  stream.avail_in = static_cast<uInt>(plain.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int ended = deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  if (ended != Z_STREAM_END) return error{errc::internal, "could not compress"};
  return out;
}

}  // namespace

result<std::string> tar_gz(const std::string& directory,
                           const std::vector<std::pair<std::string, std::string>>& files, int64_t now) {
  std::string all;
  for (const auto& [name, content] : files) {
    const auto path = directory + "/" + name;
    if (path.size() > 100) return error{errc::internal, "too long for an archive: " + path};
    const auto head = header(path, content.size(), now);
    all.append(head.data(), head.size());
    all += content;
    all.append((block - content.size() % block) % block, '\0');
  }
  all.append(2 * block, '\0');
  return gzip(all);
}

}  // namespace tern::ctl
