#include "tools/ctl/archive.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

#include "libs/testing/temp_dir.hpp"

namespace tern::ctl {
namespace {

std::string content(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(archive, tar_unpacks_it_as_it_was) {
  testing::temp_dir dir("archive");
  const std::string large(100'000, 'x');
  const auto packed = tar_gz("top", {{"a.txt", "one\n"}, {"sub/b.bin", large}, {"empty", ""}}, 1'700'000'000);
  ASSERT_TRUE(packed) << packed.error().detail;
  EXPECT_LT(packed->size(), 5000U);
  std::ofstream(dir.file("x.tar.gz"), std::ios::binary) << *packed;
  ASSERT_EQ(std::system(("tar -C " + dir.path().string() + " -xzf " + dir.file("x.tar.gz")).c_str()), 0);
  EXPECT_EQ(content(dir.file("top/a.txt")), "one\n");
  EXPECT_EQ(content(dir.file("top/sub/b.bin")), large);
  EXPECT_EQ(content(dir.file("top/empty")), "");
}

TEST(archive, refuses_names_that_do_not_fit) { EXPECT_FALSE(tar_gz("top", {{std::string(100, 'a'), ""}}, 0)); }

}  // namespace
}  // namespace tern::ctl
