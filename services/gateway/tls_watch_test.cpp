// When new certificate files are taken.
#include "services/gateway/tls_watch.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace tern::gateway {
namespace {

/// Counts how often it is asked to read the files again.
class fake_server final : public websocket::server {
 public:
  result<void> listen() override { return {}; }
  void start() override {}
  uint16_t port() const noexcept override { return 0; }
  std::vector<websocket::io_thread*> threads() override { return {}; }
  void stop_accepting() override {}
  void resume_accepting() override {}
  void stop() override {}
  websocket::server_stats stats() const override { return {}; }
  result<void> reload_certificates() override {
    ++reloads;
    if (!usable) return error{errc::config, "the key does not belong to the certificate"};
    return {};
  }
  int reloads = 0;
  bool usable = true;
};

class tls_watch_test : public testing::Test {
 protected:
  tls_watch_test()
      : directory_(std::filesystem::temp_directory_path() / ("tern-tls-watch-" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(directory_);
    write("certificate", "one");
    write("key", "one");
  }
  ~tls_watch_test() override { std::filesystem::remove_all(directory_); }
  std::string path(const std::string& name) const { return (directory_ / name).string(); }
  void write(const std::string& name, const std::string& text) const { std::ofstream(path(name)) << text; }

  std::filesystem::path directory_;
  fake_server server;
};

TEST_F(tls_watch_test, takes_changed_files_once) {
  tls_watch watch(server, path("certificate"), path("key"));
  EXPECT_FALSE(*watch.look());
  write("certificate", "another");
  EXPECT_TRUE(*watch.look());
  EXPECT_FALSE(*watch.look());
  EXPECT_EQ(server.reloads, 1);
}

TEST_F(tls_watch_test, notices_a_file_that_took_the_place_of_another_of_the_same_size) {
  tls_watch watch(server, path("certificate"), path("key"));
  write("key.new", "two");
  std::filesystem::last_write_time(path("key.new"), std::filesystem::last_write_time(path("key")));
  std::filesystem::rename(path("key.new"), path("key"));
  EXPECT_TRUE(*watch.look());
}

TEST_F(tls_watch_test, tries_again_until_both_files_fit) {
  tls_watch watch(server, path("certificate"), path("key"));
  write("certificate", "another");
  server.usable = false;
  EXPECT_EQ(watch.look().code(), errc::config);
  EXPECT_EQ(watch.look().code(), errc::config);
  server.usable = true;
  EXPECT_TRUE(*watch.look());
  EXPECT_FALSE(*watch.look());
}

}  // namespace
}  // namespace tern::gateway
