// One whole ternd in this process, for all tests of a binary, and what most tests of a command begin with. Each test
// runs in both encodings. The names are those of the command table: NN_<command>_<case>.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>

#include "libs/base/ids.hpp"
#include "tests/protocol/client.hpp"

namespace tern::testing {

/// Starts at the first use, stops after the last test: before main() ends, because the actor library's own statics go
/// then. Device limit 2 per account; no pause between logins.
class shared_ternd {
 public:
  static shared_ternd& get();
  static void stop();
  shared_ternd();
  ~shared_ternd();
  uint16_t port() const noexcept { return port_; }

 private:
  struct parts;
  std::unique_ptr<parts> parts_;
  uint16_t port_ = 0;
};

class protocol : public ::testing::TestWithParam<wire::encoding> {
 protected:
  using client_ptr = std::unique_ptr<tim_client>;

  uint16_t port() const { return shared_ternd::get().port(); }
  wire::encoding enc() const { return GetParam(); }
  /// A name nobody else uses.
  std::string fresh_name(std::string_view stem);
  /// Registers `name` with the password "secret"; its node.
  std::string register_account(const std::string& name, std::string_view domain = {});
  /// Logs a registered account on.
  client_ptr log_in(const std::string& name);
  client_ptr anonymous() { return std::make_unique<tim_client>(port(), enc()); }
  /// A new account, logged on; its name in `name` if wanted.
  client_ptr new_user(std::string_view stem, std::string* name = nullptr);
  /// Both ask for friendship; both have got their notices when this returns.
  void befriend(tim_client& one, tim_client& other);
  void business(tim_client& who, int32_t what, std::string_view node = {}, std::string_view text = {});
  /// Sends a text and waits for the receipt; its mid.
  int64_t send_text(tim_client& from, std::string_view to, std::string_view text, int64_t id = 0);
  /// The next MESSAGE with odType 1 and this text.
  void expect_text(tim_client& at, std::string_view from, std::string_view text, int64_t mid);
  /// The next MESSAGE is a notice of this bnType from `from`.
  void expect_notice(tim_client& at, std::string_view from, int32_t bn_type);
  /// The next ACK refuses `type` with `code`.
  void expect_refused(tim_client& at, wire::frame_type type, int code);
  static wire::tim_message text_message(std::string_view to, std::string_view text, int64_t id = 0);
};

/// For INSTANTIATE_TEST_SUITE_P.
std::string encoding_name(const ::testing::TestParamInfo<wire::encoding>& info);

}  // namespace tern::testing
