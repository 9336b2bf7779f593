// A client that is not ours: Boost.Beast, plain and over TLS. The only unit with Beast: it takes long to compile.
#include <gtest/gtest.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/beast/websocket/ssl.hpp>
#include <random>
#include <string>

#include "libs/websocket/testing/certificate.hpp"
#include "libs/websocket/testing/echo_server.hpp"

namespace tern::websocket {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using tcp = asio::ip::tcp;
using testing::echo_server;

tcp::endpoint endpoint_of(const echo_server& server) { return {asio::ip::address_v4::loopback(), server.port()}; }

// Echoes messages of many sizes, whole and fragmented, with pings between them, then closes.
template <class Stream>
void converse(beast::websocket::stream<Stream>& ws, echo_server& server) {
  beast::websocket::permessage_deflate deflate;
  deflate.client_enable = true;  // offered, and not taken up
  ws.set_option(deflate);
  std::string pongs;
  ws.control_callback([&](beast::websocket::frame_type kind, beast::string_view text) {
    if (kind == beast::websocket::frame_type::pong) pongs += std::string(text);
  });
  beast::websocket::response_type answer;
  ws.handshake(answer, "localhost", "/chat?x=1");
  EXPECT_EQ(answer.result_int(), 101U);
  EXPECT_EQ(answer.count("Sec-WebSocket-Extensions"), 0U);
  std::mt19937 random(7);
  for (const size_t size : {0U, 1U, 125U, 126U, 127U, 4096U, 65535U, 65536U}) {
    std::string payload(size, '\0');
    for (auto& c : payload) c = static_cast<char>(random());
    ws.binary(true);
    ws.auto_fragment(size % 2 == 0);
    ws.write_buffer_bytes(64);
    ws.write(asio::buffer(payload));
    ws.ping(beast::websocket::ping_data("p"));
    beast::flat_buffer got;
    ws.read(got);
    EXPECT_TRUE(ws.got_binary());
    EXPECT_EQ(beast::buffers_to_string(got.data()), payload) << size;
  }
  EXPECT_FALSE(pongs.empty());
  ws.close(beast::websocket::close_reason(static_cast<beast::websocket::close_code>(4000), "done"));
  EXPECT_EQ(ws.reason().code, 4000);
  EXPECT_TRUE(server.events.wait_for("close:client"));
}

TEST(beast_client, converses_over_plain_tcp) {
  echo_server server;
  asio::io_context io;
  beast::websocket::stream<tcp::socket> ws(io);
  ws.next_layer().connect(endpoint_of(server));
  converse(ws, server);
}

TEST(beast_client, converses_over_tls) {
  const testing::certificate files("localhost");
  server_options options;
  options.tls = true;
  options.certificate_file = files.certificate_file();
  options.private_key_file = files.key_file();
  echo_server server(options);
  asio::io_context io;
  asio::ssl::context context(asio::ssl::context::tls_client);
  context.load_verify_file(files.certificate_file());
  context.set_verify_mode(asio::ssl::verify_peer);
  beast::websocket::stream<asio::ssl::stream<tcp::socket>> ws(io, context);
  ws.next_layer().next_layer().connect(endpoint_of(server));
  ws.next_layer().handshake(asio::ssl::stream_base::client);
  converse(ws, server);
}

TEST(beast_client, sees_the_close_the_server_sends) {
  echo_server server;
  asio::io_context io;
  beast::websocket::stream<tcp::socket> ws(io);
  ws.next_layer().connect(endpoint_of(server));
  ws.handshake("localhost", "/");
  ws.text(true);
  ws.write(asio::buffer(std::string("close 4001")));
  beast::flat_buffer got;
  beast::error_code failed;
  ws.read(got, failed);
  EXPECT_EQ(failed, beast::websocket::error::closed);
  EXPECT_EQ(ws.reason().code, 4001);
  EXPECT_EQ(std::string(ws.reason().reason.c_str()), "bye");
  EXPECT_TRUE(server.events.wait_for("close:drain"));
}

TEST(beast_client, gets_answers_to_plain_requests_on_one_connection) {
  echo_server server;
  asio::io_context io;
  tcp::socket socket(io);
  socket.connect(endpoint_of(server));
  beast::flat_buffer buffer;
  for (int i = 0; i < 3; ++i) {
    beast::http::request<beast::http::string_body> request(beast::http::verb::post, "/p", 11);
    request.set(beast::http::field::host, "localhost");
    request.body() = std::string(1000, 'b');
    request.prepare_payload();
    beast::http::write(socket, request);
    beast::http::response<beast::http::string_body> answer;
    beast::http::read(socket, buffer, answer);
    EXPECT_EQ(answer.result_int(), 200U);
    EXPECT_EQ(answer.body(), "POST /p? 1000 127.0.0.1");
    EXPECT_TRUE(answer.keep_alive());
  }
}

}  // namespace
}  // namespace tern::websocket
