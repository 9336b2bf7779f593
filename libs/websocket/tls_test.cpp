// TLS at the client port: what is accepted, what is refused, certificates.
#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/socket.h>

#include <chrono>
#include <fstream>
#include <memory>
#include <string>

#include "libs/websocket/testing/certificate.hpp"
#include "libs/websocket/testing/echo_server.hpp"
#include "libs/websocket/testing/raw_client.hpp"

namespace tern::websocket {
namespace {

using namespace std::chrono_literals;
using testing::certificate;
using testing::echo_server;
using testing::frame;
using testing::raw_client;
using testing::upgrade_request;

server_options options_of(const certificate& files) {
  server_options options;
  options.tls = true;
  options.certificate_file = files.certificate_file();
  options.private_key_file = files.key_file();
  return options;
}

struct tls_settings {
  int least = TLS1_2_VERSION;
  int most = TLS1_3_VERSION;
  std::string alpn;  // in wire form
};

/// A blocking TLS client on a raw_client's socket.
class tls_client {
 public:
  explicit tls_client(uint16_t port, const tls_settings& how = {})
      : raw_(port), context_(SSL_CTX_new(TLS_client_method()), SSL_CTX_free), ssl_(nullptr, SSL_free) {
    SSL_CTX_set_security_level(context_.get(), 0);
    SSL_CTX_set_min_proto_version(context_.get(), how.least);
    SSL_CTX_set_max_proto_version(context_.get(), how.most);
    ssl_.reset(SSL_new(context_.get()));
    if (!how.alpn.empty()) {
      SSL_set_alpn_protos(ssl_.get(), reinterpret_cast<const unsigned char*>(how.alpn.data()),
                          static_cast<unsigned>(how.alpn.size()));
    }
    SSL_set_fd(ssl_.get(), raw_.fd());
    connected_ = SSL_connect(ssl_.get()) == 1;
  }

  bool connected() const { return connected_; }
  SSL* get() { return ssl_.get(); }
  void send(const std::string& bytes) { SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size())); }
  std::string read_some() {
    std::string got(65536, '\0');
    const int n = SSL_read(ssl_.get(), got.data(), static_cast<int>(got.size()));
    got.resize(n > 0 ? static_cast<size_t>(n) : 0);
    return got;
  }
  /// Reads until `bytes` more have come or the connection is over.
  std::string read_bytes(size_t bytes) {
    while (kept_.size() < bytes) {
      const auto got = read_some();
      if (got.empty()) break;
      kept_ += got;
    }
    auto found = kept_.substr(0, bytes);
    kept_.erase(0, bytes);
    return found;
  }
  std::string peer_name() const {
    std::unique_ptr<X509, decltype(&X509_free)> peer(SSL_get1_peer_certificate(ssl_.get()), X509_free);
    char name[64] = "";
    X509_NAME_get_text_by_NID(X509_get_subject_name(peer.get()), NID_commonName, name, sizeof name);
    return name;
  }
  /// Ends its sending side, then makes closing the socket a TCP reset.
  void reset() {
    raw_.shut_write();
    const linger now{1, 0};
    ::setsockopt(raw_.fd(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
  }
  /// Handshakes and echoes one message.
  bool echoes() {
    send(upgrade_request() + frame(2, "over tls"));
    std::string got;
    while (got.find("over tls") == std::string::npos) {
      const auto more = read_some();
      if (more.empty()) return false;
      got += more;
    }
    return got.starts_with("HTTP/1.1 101 ");
  }

 private:
  raw_client raw_;
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_;
  std::unique_ptr<SSL, decltype(&SSL_free)> ssl_;
  std::string kept_;
  bool connected_ = false;
};

TEST(tls, fails_to_listen_without_usable_files_and_never_falls_back) {
  const certificate files("localhost");
  const certificate other("other");
  const auto failure = [](const server_options& options) {
    const auto server = make_server(options, {}, {});
    const auto listening = server->listen();
    EXPECT_EQ(server->port(), 0);
    return listening.code();
  };
  auto options = options_of(files);
  options.certificate_file = "/nonexistent.pem";
  EXPECT_EQ(failure(options), errc::config);
  options = options_of(files);
  options.private_key_file = "";
  EXPECT_EQ(failure(options), errc::config);
  options = options_of(files);
  options.private_key_file = other.key_file();
  EXPECT_EQ(failure(options), errc::config);
  options = options_of(other);
  std::ofstream(other.certificate_file()) << "-----BEGIN CERTIFICATE-----\nrubbish\n-----END CERTIFICATE-----\n";
  EXPECT_EQ(failure(options), errc::config);
}

TEST(tls, serves_1_2_and_1_3_and_refuses_older_ones) {
  const certificate files("localhost");
  echo_server server(options_of(files));
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    tls_client client(server.port(), {version, version, {}});
    ASSERT_TRUE(client.connected()) << version;
    EXPECT_TRUE(client.echoes());
  }
  tls_client old(server.port(), {TLS1_VERSION, TLS1_1_VERSION, {}});
  EXPECT_FALSE(old.connected());
  EXPECT_TRUE(server.wait_stats([](const auto& s) { return s.refused_protocol == 1; }));
}

TEST(tls, does_not_renegotiate) {
  const certificate files("localhost");
  echo_server server(options_of(files));
  tls_client client(server.port(), {TLS1_2_VERSION, TLS1_2_VERSION, {}});
  ASSERT_TRUE(client.echoes());
  SSL_renegotiate(client.get());
  EXPECT_NE(SSL_do_handshake(client.get()), 1);
}

TEST(tls, speaks_http_1_1_in_alpn_and_nothing_else) {
  const certificate files("localhost");
  echo_server server(options_of(files));
  tls_client both(server.port(), {TLS1_2_VERSION, TLS1_3_VERSION, "\x02h2\x08http/1.1"});
  ASSERT_TRUE(both.connected());
  const unsigned char* chosen = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(both.get(), &chosen, &size);
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(chosen), size), "http/1.1");
  tls_client h2(server.port(), {TLS1_2_VERSION, TLS1_3_VERSION, "\x02h2"});
  EXPECT_FALSE(h2.connected());
}

TEST(tls, tells_plain_http_that_tls_is_spoken) {
  const certificate files("localhost");
  echo_server server(options_of(files));
  raw_client client(server.port());
  client.send(upgrade_request());
  EXPECT_EQ(client.read_status(), 400);
  client.shut_write();
  EXPECT_TRUE(client.at_end());
}

TEST(tls, cuts_rubbish_and_slow_handshakes) {
  const certificate files("localhost");
  auto options = options_of(files);
  options.head_timeout = 200ms;
  echo_server server(options);
  raw_client rubbish(server.port());
  rubbish.send(std::string(100, '\xFF'));
  rubbish.read_to_end();
  raw_client silent(server.port());
  raw_client started(server.port());
  started.send("\x16\x03\x01");
  EXPECT_TRUE(silent.at_end());
  EXPECT_TRUE(started.at_end());
  tls_client idle(server.port());
  ASSERT_TRUE(idle.connected());
  EXPECT_EQ(idle.read_some(), "");  // no request: cut as well
  EXPECT_TRUE(server.wait_stats([](const auto& s) { return s.open == 0 && s.half_open == 0; }));
}

TEST(tls, carries_messages_of_many_records_both_ways) {
  const certificate files("localhost");
  auto options = options_of(files);
  options.max_message_bytes = 4'000'000;
  echo_server server(options);
  tls_client client(server.port());
  ASSERT_TRUE(client.echoes());
  std::string big;
  for (size_t i = 0; i < 3'000'000; ++i) big += static_cast<char>(i * 31 % 251);
  client.send(frame(2, big));
  EXPECT_EQ(client.read_bytes(10).substr(0, 2), "\x82\x7F");
  EXPECT_EQ(client.read_bytes(big.size()), big);
}

TEST(tls, loses_nothing_when_the_peer_reads_slowly) {
  const certificate files("localhost");
  echo_server server(options_of(files));
  tls_client client(server.port());
  ASSERT_TRUE(client.echoes());
  client.send(frame(1, "flood 20000000"));
  EXPECT_TRUE(server.wait_stats([](const auto& s) { return s.queued_bytes > 0; }));
  const size_t frames = 20'000'000 / 16384 + 1;
  EXPECT_EQ(client.read_bytes(frames * (16384 + 4)).size(), frames * (16384 + 4));
  client.send(frame(2, "done"));
  EXPECT_EQ(client.read_bytes(6).substr(2), "done");
}

TEST(tls, tells_when_a_full_socket_has_taken_all) {
  const certificate files("localhost");
  echo_server server(options_of(files));
  tls_client client(server.port());
  ASSERT_TRUE(client.echoes());
  const std::string text(50'000, 'z');
  client.send(frame(1, "limit 100000") + frame(1, "held 300 " + text));
  EXPECT_TRUE(server.wait_stats([](const auto& s) { return s.queued_bytes > 0; }));
  for (int i = 1; i <= 300; ++i) {
    ASSERT_LE(server.one->stats().queued_bytes, text.size() + 20);
    const std::string wanted = std::to_string(i) + "-" + text;
    ASSERT_EQ(client.read_bytes(4 + wanted.size()).substr(4), wanted) << i;
  }
  EXPECT_GE(server.events.count("drained"), 1U);
}

TEST(tls, survives_writing_to_a_peer_that_is_gone) {
  const certificate files("localhost");
  echo_server server(options_of(files));
  {
    tls_client client(server.port());
    ASSERT_TRUE(client.echoes());
    client.send(frame(1, "pause"));  // so that the end is not seen by reading
    ASSERT_TRUE(server.events.wait_for("text:pause"));
    client.reset();
  }
  server.run([](io_thread& thread) { thread.for_each([](connection& one) { one.send({}, "to nobody"); }); });
  EXPECT_TRUE(server.events.wait_for("close:error"));
}

TEST(tls, closes_with_a_close_frame_and_close_notify) {
  const certificate files("localhost");
  echo_server server(options_of(files));
  tls_client client(server.port());
  ASSERT_TRUE(client.echoes());
  client.send(testing::close_frame(1000));
  EXPECT_EQ(client.read_bytes(4), std::string("\x88\x02\x03\xE8"));
  EXPECT_EQ(client.read_some(), "");
  EXPECT_EQ(SSL_get_shutdown(client.get()) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
  EXPECT_TRUE(server.events.wait_for("close:client"));
}

TEST(tls, reloads_certificates_for_connections_to_come) {
  certificate files("first");
  echo_server server(options_of(files));
  tls_client before(server.port());
  ASSERT_TRUE(before.connected());
  EXPECT_EQ(before.peer_name(), "first");
  files.renew("second");
  ASSERT_TRUE(server.one->reload_certificates());
  tls_client after(server.port());
  ASSERT_TRUE(after.connected());
  EXPECT_EQ(after.peer_name(), "second");
  EXPECT_TRUE(before.echoes());
  std::ofstream(files.key_file()) << "rubbish";
  EXPECT_EQ(server.one->reload_certificates().code(), errc::config);
  tls_client still(server.port());
  ASSERT_TRUE(still.connected());
  EXPECT_EQ(still.peer_name(), "second");
}

}  // namespace
}  // namespace tern::websocket
