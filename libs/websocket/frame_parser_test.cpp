#include "libs/websocket/frame_parser.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "libs/websocket/testing/raw_client.hpp"
#include "libs/websocket/utf8.hpp"

namespace tern::websocket {
namespace {

using testing::client_frame;
using testing::close_frame;
using testing::frame;

// What a stream of frames means, independent of how it was cut.
struct reading {
  std::vector<std::string> events;
  uint16_t error = 0;
  size_t left = 0;
  bool operator==(const reading&) const = default;
};

void note(reading& all, const frame_step& step) {
  const std::string payload(step.payload);
  switch (step.event) {
    case frame_event::message: all.events.push_back((step.binary ? "binary:" : "text:") + payload); break;
    case frame_event::ping: all.events.push_back("ping:" + payload); break;
    case frame_event::pong: all.events.push_back("pong:" + payload); break;
    case frame_event::close: all.events.push_back("close:" + std::to_string(step.code) + ":" + payload); break;
    case frame_event::error: all.error = step.code; break;
    default: break;
  }
}

// Gives the bytes to one parser in pieces cut at `cuts`, keeping what is incomplete as a connection does.
reading read_in_pieces(const std::string& bytes, const std::vector<size_t>& cuts, size_t limit = 65536) {
  reading all;
  frame_parser parser(limit);
  std::string kept;
  size_t from = 0;
  auto ends = cuts;
  ends.push_back(bytes.size());
  for (const size_t end : ends) {
    kept.append(bytes, from, end - from);
    from = end;
    while (all.error == 0) {
      const auto step = parser.next(kept.data(), kept.size());
      if (step.event == frame_event::need_more) break;
      note(all, step);
      kept.erase(0, step.consumed);
    }
  }
  all.left = all.error == 0 ? kept.size() : 0;
  return all;
}

reading read_all(const std::string& bytes, size_t limit = 65536) { return read_in_pieces(bytes, {}, limit); }

std::string header(unsigned first, unsigned second, const std::string& more = {}) {
  return std::string{static_cast<char>(first), static_cast<char>(second)} + more;
}

TEST(frame_parser, reads_the_masked_text_of_the_rfc) {
  const std::string hello("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", 11);
  EXPECT_EQ(read_all(hello).events, std::vector<std::string>{"text:Hello"});
}

TEST(frame_parser, reads_each_form_of_length) {
  for (const size_t size : {0U, 1U, 125U, 126U, 127U, 65535U, 65536U}) {
    const std::string payload(size, 'p');
    EXPECT_EQ(read_all(frame(2, payload)).events, std::vector<std::string>{"binary:" + payload}) << size;
  }
}

TEST(frame_parser, unmasks_at_every_offset) {
  for (size_t size = 0; size < 40; ++size) {
    std::string payload;
    for (size_t i = 0; i < size; ++i) payload += static_cast<char>(i * 7);
    EXPECT_EQ(read_all(frame(2, payload)).events.front(), "binary:" + payload);
  }
}

struct bad_frame {
  const char* what;
  std::string bytes;
  uint16_t code;
};

std::vector<bad_frame> bad_frames() {
  std::vector<bad_frame> all = {
      {"unmasked", client_frame{0x82, "x", false}.bytes(), 1002},
      {"unmasked, first two bytes only", header(0x82, 0x01), 1002},
      {"RSV1, as of deflate that was not agreed", client_frame{0xC1, "x"}.bytes(), 1002},
      {"RSV2", client_frame{0xA1, "x"}.bytes(), 1002},
      {"RSV3", client_frame{0x91, "x"}.bytes(), 1002},
      {"RSV1 in a control frame", client_frame{0xC9, "x"}.bytes(), 1002},
      {"ping of 126 bytes", client_frame{0x89, std::string(126, 'p')}.bytes(), 1002},
      {"close of 126 bytes", header(0x88, 0xFE), 1002},
      {"fragmented ping", client_frame{0x09, "x"}.bytes(), 1002},
      {"fragmented close", client_frame{0x08, ""}.bytes(), 1002},
      {"continuation without a start", frame(0, "x"), 1002},
      {"continuation after a finished message", frame(1, "x") + frame(0, "y"), 1002},
      {"text inside a fragmented message", client_frame{0x01, "a"}.bytes() + frame(1, "b"), 1002},
      {"binary inside a fragmented message", client_frame{0x02, "a"}.bytes() + client_frame{0x02, "b"}.bytes(), 1002},
      {"16 bit length for 0", client_frame{0x82, "", true, 126}.bytes(), 1002},
      {"16 bit length for 125", client_frame{0x82, std::string(125, 'x'), true, 126}.bytes(), 1002},
      {"64 bit length for 126", client_frame{0x82, std::string(126, 'x'), true, 127}.bytes(), 1002},
      {"64 bit length for 65535", client_frame{0x82, std::string(65535, 'x'), true, 127}.bytes(), 1002},
      {"length with the top bit", header(0x82, 0xFF, "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"), 1002},
      {"top bit seen with the third byte", header(0x82, 0xFF, "\x80"), 1002},
      {"length 2^63-1", header(0x82, 0xFF, "\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF"), 1009},
      {"one byte more than the limit", client_frame{0x82, std::string(65537, 'x')}.bytes(), 1009},
      {"declared too long, payload not sent", header(0x82, 0xFF, std::string("\0\0\0\0\0\1\0\1", 8)), 1009},
      {"text not UTF-8", frame(1, "\xC3\x28"), 1007},
      {"text cut inside a code point", frame(1, "abc\xE2\x82"), 1007},
      {"fragments that together are not UTF-8", client_frame{0x01, "\xE2\x82"}.bytes() + frame(0, "\x28"), 1007},
      {"close with one byte", frame(8, "x"), 1002},
      {"close reason not UTF-8", close_frame(1000, "\xFF"), 1007},
  };
  for (unsigned code : {3U, 4U, 5U, 6U, 7U, 11U, 12U, 13U, 14U, 15U}) {
    all.push_back({"reserved opcode", frame(code, "x"), 1002});
    all.push_back({"reserved opcode, first byte only", std::string(1, static_cast<char>(0x80U | code)), 1002});
  }
  for (unsigned code : {0U, 999U, 1004U, 1005U, 1006U, 1015U, 1016U, 1100U, 2000U, 2999U, 5000U, 65535U}) {
    all.push_back({"close code not allowed", close_frame(static_cast<uint16_t>(code)), 1002});
  }
  return all;
}

TEST(frame_parser, refuses_bad_frames_with_the_right_code_however_they_are_cut) {
  for (const auto& bad : bad_frames()) {
    EXPECT_EQ(read_all(bad.bytes).error, bad.code) << bad.what;
    for (size_t cut = 0; cut <= std::min<size_t>(bad.bytes.size(), 200); ++cut) {
      EXPECT_EQ(read_in_pieces(bad.bytes, {cut}).error, bad.code) << bad.what << " cut at " << cut;
    }
  }
}

TEST(frame_parser, accepts_the_close_codes_a_peer_may_send) {
  for (unsigned code :
       {1000U, 1001U, 1002U, 1003U, 1007U, 1008U, 1009U, 1010U, 1011U, 1012U, 1014U, 3000U, 3999U, 4000U, 4999U}) {
    EXPECT_EQ(read_all(close_frame(static_cast<uint16_t>(code), "why")).events.front(),
              "close:" + std::to_string(code) + ":why");
  }
  EXPECT_EQ(read_all(frame(8, "")).events.front(), "close:1005:");
  EXPECT_EQ(read_all(close_frame(1000, std::string(123, 'r'))).error, 0);
}

TEST(frame_parser, lets_control_frames_interrupt_a_message) {
  const auto bytes = client_frame{0x01, "Hel"}.bytes() + frame(9, "p") + client_frame{0x00, "l"}.bytes() +
                     frame(10, "q") + frame(0, "o");
  EXPECT_EQ(read_all(bytes).events, (std::vector<std::string>{"ping:p", "pong:q", "text:Hello"}));
}

TEST(frame_parser, joins_text_whose_code_points_are_split_over_fragments) {
  const auto bytes = client_frame{0x01, "\xE2"}.bytes() + client_frame{0x00, "\x82"}.bytes() + frame(0, "\xAC");
  EXPECT_EQ(read_all(bytes).events, std::vector<std::string>{"text:\xE2\x82\xAC"});
}

TEST(frame_parser, does_not_look_at_the_text_of_binary_messages) {
  EXPECT_EQ(read_all(frame(2, "\xFF\xFE")).events, std::vector<std::string>{"binary:\xFF\xFE"});
}

TEST(frame_parser, messages_with_a_certain_first_byte_may_be_larger) {
  const auto is_large = [](uint8_t first) { return first == 'L'; };
  const auto outcome = [&](std::string payload, size_t cut) {
    frame_parser parser(100);
    parser.set_large_messages(300, is_large);
    std::string bytes = client_frame{0x82, std::move(payload)}.bytes();
    frame_step step = parser.next(bytes.data(), cut);
    if (step.event == frame_event::need_more) step = parser.next(bytes.data(), bytes.size());
    return std::tuple{step.event, step.code, std::string(step.payload)};
  };
  using result = std::tuple<frame_event, uint16_t, std::string>;
  const std::string large = "L" + std::string(299, 'x');
  constexpr size_t header = 8;
  const result taken{frame_event::message, 0, large}, refused{frame_event::error, 1009, ""};
  EXPECT_EQ(outcome(large, header), taken) << "not judged before its first byte is there";
  EXPECT_EQ(outcome(large, header + 1), taken);
  EXPECT_EQ(outcome(large + "x", header), refused) << "too large for any";
  EXPECT_EQ(outcome("S" + std::string(100, 'x'), header + 1), refused) << "an ordinary one";
}

TEST(frame_parser, limits_a_message_by_the_sum_of_its_fragments) {
  std::string bytes = client_frame{0x02, std::string(60, 'a')}.bytes();
  EXPECT_EQ(read_all(bytes + frame(0, std::string(40, 'b')), 100).error, 0);
  EXPECT_EQ(read_all(bytes + frame(0, std::string(41, 'b')), 100).error, 1009);
  EXPECT_EQ(read_all(frame(2, ""), 0).events.size(), 1U);
}

TEST(frame_parser, bounds_empty_fragments) {
  std::string bytes = client_frame{0x02, "a"}.bytes();
  for (int i = 0; i < frame_parser::max_empty_fragments; ++i) bytes += client_frame{0x00, ""}.bytes();
  EXPECT_EQ(read_all(bytes + frame(0, "b")).events, std::vector<std::string>{"binary:ab"});
  EXPECT_EQ(read_all(bytes + client_frame{0x00, ""}.bytes()).error, 1008);
}

TEST(frame_parser, keeps_no_memory_of_a_message_once_it_is_released) {
  frame_parser parser(1000);
  auto bytes = client_frame{0x02, "a"}.bytes();
  EXPECT_EQ(parser.next(bytes.data(), bytes.size()).event, frame_event::fragment);
  EXPECT_TRUE(parser.in_message());
  parser.release();  // not over yet: kept
  bytes = frame(0, "b");
  const auto step = parser.next(bytes.data(), bytes.size());
  EXPECT_EQ(step.payload, "ab");
  EXPECT_FALSE(parser.in_message());
  parser.release();
}

TEST(frame_parser, takes_every_frame_cut_at_every_byte_as_the_whole_one) {
  const auto bytes = frame(1, "Hello") + client_frame{0x82, std::string(130, 'f')}.bytes() + frame(9, "ping") +
                     client_frame{0x01, "a\xC3"}.bytes() + frame(10, "") + frame(0, "\xA4z") + frame(2, "") +
                     close_frame(1000, "bye");
  const auto whole = read_all(bytes);
  ASSERT_EQ(whole.error, 0);
  ASSERT_EQ(whole.events.size(), 7U);
  for (size_t cut = 0; cut <= bytes.size(); ++cut) EXPECT_EQ(read_in_pieces(bytes, {cut}), whole) << cut;
  std::vector<size_t> each;
  for (size_t i = 1; i < bytes.size(); ++i) each.push_back(i);
  EXPECT_EQ(read_in_pieces(bytes, each), whole);
}

// Random messages, fragmented and interleaved with control frames at random, cut at random places, read as they were.
TEST(frame_parser, reads_random_fragmentations_as_the_messages_they_are) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const auto pick = [&](size_t below) { return static_cast<size_t>(random()) % below; };
  for (int round = 0; round < 300; ++round) {
    std::string bytes;
    std::vector<std::string> want;
    for (size_t message = 0; message < 1 + pick(5); ++message) {
      std::string payload;
      const size_t size = pick(3) == 0 ? pick(70000) : pick(300);
      for (size_t i = 0; i < size; ++i) payload += static_cast<char>(pick(128));
      const bool binary = pick(2) == 0;
      const size_t parts = 1 + pick(6);
      size_t from = 0;
      for (size_t part = 0; part < parts; ++part) {
        const size_t end = part + 1 == parts ? size : from + pick(size - from + 1);
        const unsigned first = (part == 0 ? (binary ? 2U : 1U) : 0U) | (part + 1 == parts ? 0x80U : 0U);
        bytes += client_frame{first, std::string_view(payload).substr(from, end - from)}.bytes();
        from = end;
        if (part + 1 == parts) want.push_back((binary ? "binary:" : "text:") + payload);
        if (pick(4) == 0) {
          bytes += frame(9, "p");
          want.push_back("ping:p");
        }
      }
    }
    std::vector<size_t> cuts;
    for (size_t i = 0; i < pick(20); ++i) cuts.push_back(pick(bytes.size() + 1));
    std::sort(cuts.begin(), cuts.end());
    const auto got = read_in_pieces(bytes, cuts, 70000);
    ASSERT_EQ(got.error, 0);
    ASSERT_EQ(got.events, want);
    ASSERT_EQ(got.left, 0U);
  }
}

TEST(frame_writer, writes_unmasked_final_frames_with_the_shortest_length) {
  std::string out;
  append_frame(out, opcode::binary, "He", "llo");
  EXPECT_EQ(out, std::string("\x82\x05Hello"));
  out.clear();
  append_frame(out, opcode::binary, std::string(100, 'a'), std::string(26, 'b'));
  EXPECT_EQ(out.substr(0, 4), std::string("\x82\x7E\x00\x7E", 4));
  out.clear();
  append_frame(out, opcode::binary, {}, std::string(65536, 'a'));
  EXPECT_EQ(out.substr(0, 10), std::string("\x82\x7F\0\0\0\0\0\1\0\0", 10));
}

TEST(frame_writer, writes_close_frames_that_a_peer_must_accept) {
  std::string out;
  append_close(out, 1000, "bye");
  EXPECT_EQ(out, std::string("\x88\x05\x03\xE8") + "bye");
  out.clear();
  append_close(out, close_code::none, "never sent");
  EXPECT_EQ(out, std::string("\x88\x00", 2));
  out.clear();
  append_close(out, 1001, std::string(122, 'a') + "\xC3\xA4");  // the code point does not fit: left out whole
  EXPECT_EQ(out.size(), 2 + 2 + 122U);
  out.clear();
  append_close(out, 1001, "\xFF");
  EXPECT_EQ(out, std::string("\x88\x02\x03\xE9"));
}

TEST(utf8, accepts_what_is_well_formed) {
  for (const std::string text : {"", "plain", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF", "\xEE\x80\x80",
                                 "\xEF\xBF\xBF", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF", "0123456\xC3\xA4"}) {
    EXPECT_TRUE(valid_utf8(text)) << text;
  }
}

TEST(utf8, refuses_what_is_not) {
  for (const std::string text :
       {"\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xC2", "\xC2\x41", "\xE0\x9F\xBF", "\xE0\xA0", "\xED\xA0\x80",
        "\xED\xBF\xBF", "\xF0\x8F\xBF\xBF", "\xF0\x90\x80", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFE", "\xFF",
        "01234567\xFF", "0123456\xC3"}) {
    EXPECT_FALSE(valid_utf8(text)) << text;
  }
}

// Every sequence of up to four bytes from a set that has both ends of each class, against a decoder by arithmetic.
TEST(utf8, agrees_with_decoding_by_arithmetic) {
  const std::string bytes =
      "\x01\x7F\x80\x8F\x90\x9F\xA0\xBF\xC1\xC2\xDF\xE0\xE1\xEC\xED\xEE\xEF\xF0\xF1\xF3\xF4\xF5\xFF";
  const auto decodes = [](const std::string& text) {
    for (size_t i = 0; i < text.size();) {
      const auto c = static_cast<unsigned char>(text[i]);
      const size_t n = c < 0x80                ? 1
                       : c >= 0xF0 && c < 0xF8 ? 4
                       : c >= 0xE0 && c < 0xF0 ? 3
                       : c >= 0xC0 && c < 0xE0 ? 2
                                               : 0;
      if (n == 0 || i + n > text.size()) return false;
      uint32_t point = n == 1 ? c : c & (0x7FU >> n);
      for (size_t k = 1; k < n; ++k) {
        const auto next = static_cast<unsigned char>(text[i + k]);
        if ((next & 0xC0U) != 0x80U) return false;
        point = point << 6 | (next & 0x3FU);
      }
      static constexpr uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
      if (point < least[n] || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF)) return false;
      i += n;
    }
    return true;
  };
  for (const char a : bytes) {
    for (const char b : bytes) {
      for (const char c : bytes) {
        for (const char d : bytes) {
          const std::string text{a, b, c, d};
          ASSERT_EQ(valid_utf8(text), decodes(text));
        }
      }
    }
  }
}

}  // namespace
}  // namespace tern::websocket
