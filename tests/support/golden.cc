#include "tests/support/golden.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace heapwalk::test {

void expect_golden(std::string_view source_dir, std::string_view name, const std::string& text) {
  std::filesystem::path path = std::filesystem::path(source_dir) / "testdata" / "golden" / name;
  const char* update = std::getenv("HEAPWALK_UPDATE_GOLDEN");
  if (update != nullptr && *update != '\0') {
    std::ofstream file(path, std::ios::binary);
    file << text;
    ASSERT_TRUE(file.flush()) << "cannot write " << path;
    return;
  }
  std::ifstream file(path, std::ios::binary);
  ASSERT_TRUE(file) << path << " is missing: run once with HEAPWALK_UPDATE_GOLDEN=1 and review it";
  std::stringstream expected;
  expected << file.rdbuf();
  EXPECT_EQ(expected.str(), text) << "differs from " << path;
}

}  // namespace heapwalk::test
