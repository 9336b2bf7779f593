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

}  // namespace
}  // namespace tern::testing
