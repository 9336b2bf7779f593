// What an idle logged-in connection costs the gateway's heap.
#include <malloc.h>

#include "services/gateway/client.hpp"
#include "tests/protocol/fake_cluster.hpp"

namespace tern::testing {
namespace {

class edge_memory : public edge_test {
 protected:
  /// A connection that keeps nothing on our side but its descriptor.
  raw_socket idle_terminal(int number) {
    raw_socket out(port());
    out.write(
        "GET /tim HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    std::string input;
    while (input.find("\r\n\r\n") == std::string::npos && out.read_some(input, patience)) {
    }
    const std::string auth = R"({"name":"u)" + std::to_string(number) + R"(","pwd":"secret","resource":"phone"})";
    const std::string message = client_frame(wire::frame_type::auth, wire::encoding::json, auth);
    out.write(std::string("\x82") + static_cast<char>(0x80U | message.size()) + std::string(4, '\0') + message);
    input.clear();
    while (input.find('}') == std::string::npos && out.read_some(input, patience)) {
    }
    return out;
  }
};

TEST_F(edge_memory, of_an_idle_terminal_is_below_1800_bytes_in_all) {
  start();
  constexpr int warm = 200, count = 2000;
  std::vector<raw_socket> sockets;
  sockets.reserve(warm + count);
  for (int i = 0; i < warm; ++i) sockets.push_back(idle_terminal(i));
  session.forget();
  const size_t before = mallinfo2().uordblks;
  for (int i = 0; i < count; ++i) sockets.push_back(idle_terminal(warm + i));
  session.forget();
  const size_t each = (mallinfo2().uordblks - before) / count;
  RecordProperty("bytes", static_cast<int>(each));
  std::printf("%zu bytes of heap per idle terminal, %zu of them the client object\n", each, sizeof(gateway::client));
  EXPECT_LE(each, 1800U);
  EXPECT_LE(sizeof(gateway::client), 448U);
}

/// All of the heap in use: small blocks and those mapped one by one.
size_t heap_in_use() {
  const auto info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

TEST_F(edge_memory, of_big_data_grows_with_what_came_and_not_with_what_was_announced) {
  start();
  constexpr size_t announced = 1'000'000, terminals = 40;
  const auto head = [&](wire::frame_type type) {
    std::string out(1, static_cast<char>(type));
    for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(announced >> static_cast<unsigned>(shift));
    return out;
  };
  std::vector<tim_client> clients;
  clients.reserve(terminals);
  for (size_t i = 0; i < terminals; ++i) {
    uint64_t conn = 0;
    clients.push_back(logged_on(wire::encoding::json, conn, "user" + std::to_string(i)));
  }
  session.forget();
  const size_t before = heap_in_use();
  for (size_t i = 0; i < terminals; ++i) {
    const auto type = i % 2 == 0 ? wire::frame_type::bigstring : wire::frame_type::bigbinary;
    clients[i].ws().send(head(type) + (i % 2 == 0 ? "node|a few bytes" : "node\x83 a few bytes"));
    clients[i].send_bytes(wire::frame_type::ping, {});
  }
  for (auto& one : clients) ASSERT_TRUE(one.next(wire::frame_type::ping)) << "a PING between the pieces";
  const size_t headers = heap_in_use();
  EXPECT_LT(headers, before + terminals * 32 * 1024) << "the announced length was allocated";
  const std::string piece(20'000, 'x');
  for (auto& one : clients) {
    for (int i = 0; i < 5; ++i) one.ws().send(piece);
    one.send_bytes(wire::frame_type::ping, {});
  }
  for (auto& one : clients) ASSERT_TRUE(one.next(wire::frame_type::ping));
  const size_t grown = heap_in_use();
  EXPECT_GT(grown, headers + terminals * 100'000) << "the pieces are not there";
  EXPECT_LT(grown, headers + terminals * 400'000);
  EXPECT_EQ(session.frames(), 0U) << "nothing is passed on before it is complete";
  clients.clear();
}

}  // namespace
}  // namespace tern::testing
