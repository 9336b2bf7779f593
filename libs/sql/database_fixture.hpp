// An empty database of each kind for tests.
#pragma once

#include <gtest/gtest.h>

#include "libs/sql/connection.hpp"
#include "libs/testing/servers.hpp"
#include "libs/testing/temp_dir.hpp"

namespace tern::sql {

inline testing::postgres_server& test_server() {
  static auto server = testing::postgres_server::start();
  if (!server) throw std::runtime_error(server.error().detail);
  return **server;
}

inline std::string test_database() {
  static int count = 0;
  const auto name = "test_" + std::to_string(++count);
  EXPECT_TRUE(test_server().create_database(name));
  return test_server().dsn(name);
}

/// GetParam(): "sqlite" or "pg".
class database_test : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    dsn_ = GetParam() == "pg" ? test_database() : "sqlite:" + directory_.file("sub/test.db");
    connection_ = connect();
  }
  std::unique_ptr<connection> connect(std::chrono::milliseconds patience = std::chrono::seconds(20)) {
    connect_options options;
    options.statement_timeout = patience;
    auto opened = open(dsn_, options);
    if (!opened) throw std::runtime_error(opened.error().detail);
    return std::move(*opened);
  }
  int64_t count(const std::string& table) {
    auto rows = connection_->query("select count(*) from " + table);
    return rows ? as_int(rows->at(0).at(0)) : -1;
  }

  testing::temp_dir directory_;
  std::string dsn_;
  std::unique_ptr<connection> connection_;
};

}  // namespace tern::sql
