// tern-codec-bench: nanoseconds to encode and decode one chat message of 124 bytes, ours against libthrift's
// generated code. Not a test. `--json` prints one JSON object, `--seconds S` sets the time per figure (default 1).
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <vector>

#include "libs/wire/codec.hpp"
#include "libs/wire/message.hpp"
#include "libs/wire/oracle.hpp"

namespace {

using namespace tern::wire;

constexpr size_t message_bytes = 124;

/// Keeps the compiler from dropping work whose result nobody reads.
template <class T>
void keep(T& value) {
  asm volatile("" : : "g"(&value) : "memory");
}

/// An ordinary message between two users as the store has it; `data_string` fills it up to the wanted size.
tim_message sample(std::string& body) {
  tim_message message;
  message.ms_type = 2;
  message.od_type = 1;
  message.id = 7302847593021;
  message.mid = 48211;
  message.timestamp = 1'760'000'000'123'456'789;
  message.from_tid.emplace().node = "4Tq9sXb2Kd7";
  message.from_tid->termtyp = int8_t{1};
  message.to_tid.emplace().node = "8ZmW3vLr5Hc";
  body.clear();
  message.data_string = body;
  while (encode(encoding::thrift, message).size() < message_bytes) {
    body.push_back(static_cast<char>('a' + body.size() % 26));
    message.data_string = body;
  }
  return message;
}

/// CPU time of this thread: other load on the machine must not count.
double cpu_ns() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

/// CPU ns per call, the best of several rounds (the rounds differ by what else the caches and the core have to do).
template <class Work>
double measure(double seconds, Work&& work) {
  constexpr int rounds = 15;
  const auto timed = [&](size_t calls) {
    const double start = cpu_ns();
    for (size_t i = 0; i < calls; ++i) work();
    return (cpu_ns() - start) / static_cast<double>(calls);
  };
  const double each = timed(20'000);
  const size_t calls = std::max<size_t>(1000, static_cast<size_t>(seconds * 1e9 / rounds / each));
  double best = timed(calls);
  for (int i = 1; i < rounds; ++i) best = std::min(best, timed(calls));
  return best;
}

struct figure {
  const char* name;
  double ns;
};

std::vector<figure> run(double seconds, size_t& bytes) {
  std::string body;
  const tim_message message = sample(body);
  const std::string thrift = encode(encoding::thrift, message);
  const std::string json = encode(encoding::json, message);
  std::string stored;
  encode_stored(message, stored);
  bytes = thrift.size();

  oracle libthrift;
  tim::TimMessage generated;
  libthrift.decode(thrift, generated);
  std::string out;
  arena memory;
  std::vector<figure> figures;
  const auto add = [&](const char* name, auto&& work) { figures.push_back({name, measure(seconds, work)}); };

  add("encode_thrift_ns", [&] { out.clear(), encode(encoding::thrift, message, out), keep(out); });
  add("decode_thrift_ns", [&] {
    tim_message decoded;
    auto done = decode_into(encoding::thrift, thrift, memory, decoded);
    keep(done), keep(decoded);
  });
  add("decode_result_thrift_ns", [&] {
    auto decoded = decode<tim_message>(encoding::thrift, thrift, memory);
    keep(decoded);
  });
  add("compose_stored_ns", [&] {
    out.clear();
    auto done = compose_message(stored, 48211, 1'760'000'000'123'456'789, {}, out);
    keep(done), keep(out);
  });
  add("libthrift_encode_ns", [&] { libthrift.encode_only(generated); });
  add("libthrift_decode_ns", [&] {
    tim::TimMessage decoded;
    libthrift.decode(thrift, decoded);
    keep(decoded);
  });
  add("encode_json_ns", [&] { out.clear(), encode(encoding::json, message, out), keep(out); });
  add("decode_json_ns", [&] {
    memory.clear();
    tim_message decoded;
    auto done = decode_into(encoding::json, json, memory, decoded);
    keep(done), keep(decoded);
  });
  return figures;
}

}  // namespace

int main(int argc, char** argv) {
  bool as_json = false;
  double seconds = 1;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--json") == 0) {
      as_json = true;
    } else if (std::strcmp(argv[i], "--seconds") == 0 && i + 1 < argc) {
      seconds = std::atof(argv[++i]);
    } else {
      std::fprintf(stderr, "usage: tern-codec-bench [--json] [--seconds S]\n");
      return 2;
    }
  }
  size_t bytes = 0;
  const auto figures = run(seconds, bytes);
  if (as_json) std::printf("{\"bytes\":%zu", bytes);
  for (const figure& f : figures) std::printf(as_json ? ",\"%s\":%.1f" : "%-26s %8.1f\n", f.name, f.ns);
  if (as_json) std::printf("}\n");
  return 0;
}
