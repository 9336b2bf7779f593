#include "libs/app/certificates.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "libs/testing/temp_dir.hpp"

namespace tern::app {
namespace {

using ::testing::HasSubstr;

class certificates_test : public ::testing::Test {
 protected:
  void SetUp() override {
    make(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 30 -subj '/CN=the ca' "
        "-keyout ca.key -out ca.pem");
    make(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 30 -subj '/CN=other ca' "
        "-keyout other.key -out other.pem");
    make(
        "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -subj '/CN=storage' -keyout a.key "
        "-out a.req && openssl x509 -req -in a.req -CA ca.pem -CAkey ca.key -CAcreateserial -days 10 -out a.pem");
    make("openssl x509 -req -in a.req -CA ca.pem -CAkey ca.key -CAcreateserial -days -1 -out old.pem");
  }
  void make(const std::string& command) const {
    const auto all = "cd " + dir.path().string() + " && (" + command + ") > /dev/null 2>&1";
    ASSERT_EQ(std::system(all.c_str()), 0) << command;
  }
  std::string file(const std::string& name) const { return dir.file(name); }

  testing::temp_dir dir;
};

TEST_F(certificates_test, one_that_others_take_has_no_problem) {
  const auto it = inspect_certificate(file("a.pem"), file("ca.pem"), file("a.key"));
  EXPECT_EQ(it.problem, "");
  EXPECT_EQ(it.subject, "storage");
  EXPECT_EQ(it.issuer, "the ca");
  EXPECT_EQ(it.fingerprint.size(), 16U);
  const auto days = static_cast<double>(it.not_after - ::time(nullptr)) / 86400;
  EXPECT_NEAR(days, 10, 0.1);
}

TEST_F(certificates_test, problems_are_told) {
  EXPECT_THAT(inspect_certificate(file("old.pem"), file("ca.pem"), file("a.key")).problem, HasSubstr("expired"));
  EXPECT_THAT(inspect_certificate(file("a.pem"), file("other.pem"), file("a.key")).problem, HasSubstr("other.pem"));
  EXPECT_THAT(inspect_certificate(file("a.pem"), file("ca.pem"), file("ca.key")).problem,
              HasSubstr("not of the key"));
  EXPECT_THAT(inspect_certificate(file("a.key")).problem, HasSubstr("no certificate"));
  EXPECT_THAT(inspect_certificate("/nowhere").problem, HasSubstr("cannot be read"));
}

}  // namespace
}  // namespace tern::app
