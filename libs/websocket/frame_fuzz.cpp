// Fuzz entry of the HTTP head and frame parsers. The first byte chooses the parser and, with the second, a cut: the
// input given in two pieces must mean the same as in one. Every access outside the input is the sanitizer's to find.
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "libs/websocket/frame_parser.hpp"
#include "libs/websocket/handshake.hpp"
#include "libs/websocket/http_parser.hpp"
#include "libs/websocket/utf8.hpp"

namespace {

using namespace tern::websocket;

void check(bool holds) {
  if (!holds) std::abort();
}

// A buffer of exactly the size of `bytes`, so that reading one byte beyond is seen.
struct exact {
  explicit exact(std::string_view bytes) : data(new char[bytes.size()]), size(bytes.size()) {
    bytes.copy(data.get(), size);
  }
  std::unique_ptr<char[]> data;
  size_t size;
};

std::string read_frames(std::string_view bytes, size_t cut) {
  constexpr size_t limit = 4096;
  frame_parser parser(limit);
  std::string told;
  size_t from = 0;
  for (size_t end : {cut, bytes.size()}) {
    while (from < end) {
      exact piece(bytes.substr(from, end - from));
      const auto step = parser.next(piece.data.get(), piece.size);
      if (step.event == frame_event::need_more) break;
      if (step.event == frame_event::error) return told + "error " + std::to_string(step.code);
      check(step.consumed > 0 && step.consumed <= piece.size && step.payload.size() <= limit);
      if (step.event == frame_event::message && !step.binary) check(valid_utf8(step.payload));
      told += std::to_string(static_cast<int>(step.event)) + ":" + std::string(step.payload) + ";";
      from += step.consumed;
    }
  }
  return told;
}

void check_head(const std::string& bytes, size_t cut) {
  const exact whole(bytes);
  const std::string_view view(whole.data.get(), whole.size);
  head_scanner scanner;
  const auto found = scanner.feed(view, 8192);
  head_scanner pieces;
  auto again = pieces.feed(view.substr(0, cut), 8192);
  if (again == head_scanner::outcome::more) again = pieces.feed(view, 8192);
  check(again == found && pieces.end() == scanner.end());
  if (found != head_scanner::outcome::complete) return;
  check(scanner.begin() < scanner.end() && scanner.end() <= view.size());
  http_head head;
  const auto refused = parse_head(view.substr(scanner.begin(), scanner.end() - scanner.begin()), {}, head);
  if (refused) {
    check(refused->status >= 400 && refused->status < 600);
    return;
  }
  check(head.what.fields.size() <= 100 && head.content_length <= 65536 && !head.what.path.empty());
  if (!wants_websocket(head.what) || check_upgrade(head)) return;
  std::string answer;
  append_switching_protocols(answer, head.what.field("sec-websocket-key"));
  check(head.what.field("host") != "" && answer.size() > 100);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const std::string bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  const size_t cut = bytes.size() * data[1] / 255;
  if (data[0] % 2 == 0) {
    check_head(bytes, cut);
  } else {
    check(read_frames(bytes, cut) == read_frames(bytes, bytes.size()));
  }
  return 0;
}
