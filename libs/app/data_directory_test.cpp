#include "libs/app/data_directory.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <iterator>

#include "libs/testing/temp_dir.hpp"

namespace tern::app {
namespace {

std::string content(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(data_directory, is_made_for_its_owner_only) {
  const testing::temp_dir scratch;
  const auto made = data_directory::open(scratch.file("a/b"));
  ASSERT_TRUE(made) << made.error().detail;
  struct stat about {};
  ASSERT_EQ(::stat(made->path().c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777U, 0700U);
}

TEST(data_directory, is_held_by_one_at_a_time) {
  const testing::temp_dir scratch;
  {
    const auto first = data_directory::open(scratch.file("x"));
    ASSERT_TRUE(first);
    const auto second = data_directory::open(scratch.file("x"));
    ASSERT_FALSE(second);
    EXPECT_THAT(second.error().detail, ::testing::HasSubstr("in use by another process"));
  }
  EXPECT_TRUE(data_directory::open(scratch.file("x")));
}

TEST(data_directory, makes_a_secret_once) {
  const testing::temp_dir scratch;
  const auto made = data_directory::open(scratch.file("x"));
  ASSERT_TRUE(made);
  const auto path = made->secret_file("identity.key");
  ASSERT_TRUE(path) << path.error().detail;
  const auto secret = content(*path);
  EXPECT_EQ(secret.size(), 65U);
  struct stat about {};
  ASSERT_EQ(::stat(path->c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777U, 0600U);
  EXPECT_EQ(content(*made->secret_file("identity.key")), secret);
  EXPECT_NE(content(*made->secret_file("other.key")), secret);
}

TEST(data_directory, that_is_a_file_is_refused) {
  const testing::temp_dir scratch;
  std::ofstream(scratch.file("x")) << "x";
  EXPECT_EQ(data_directory::open(scratch.file("x")).code(), errc::config);
}

}  // namespace
}  // namespace tern::app
