// The table of containers, of a program with few of them: what they waste, and that a count which is a lie is noticed.
#include <gtest/gtest.h>

#include "tests/support/compiler.h"
#include "tests/support/heapwalk_command.h"
#include "tests/support/json.h"
#include "tests/support/run_program.h"

namespace heapwalk::test {
namespace {

constexpr std::string_view kSource = R"(
#include <cstdlib>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>
struct Item { long id; };
struct Shelf { std::vector<Item> items; };
std::map<int, long> g_numbers;
std::vector<Shelf*> g_shelves;
std::vector<int> g_empty;
std::string g_text;
std::unordered_map<int, int> g_table;
int main(int argc, char**) {
  for (int i = 0; i < 100; ++i) g_numbers[i] = i;
  for (int i = 0; i < 10; ++i) {
    g_shelves.push_back(new Shelf);
    g_shelves.back()->items.reserve(50);
    g_shelves.back()->items.resize(20);
  }
  g_shelves.shrink_to_fit();
  g_empty.reserve(1000);
  g_text.reserve(500);
  g_text = "a text";
  g_table.rehash(100);
  if (argc > 1) reinterpret_cast<unsigned long*>(&g_numbers)[5] += 7;  // libstdc++'s _M_node_count
  abort();
}
)";

struct Program {
  TemporaryDirectory directory;
  std::string path = compile_cxx(directory, "program", kSource, {"-g", "-O0", "-std=c++17"});

  Json types(const ProgramRun& run) const {
    const CommandOutput result = run_heapwalk({"types", run.core_path(), path, "--format", "json"});
    EXPECT_EQ(result.status, 0) << result.err;
    return parse_json(result.out);
  }
};

Json row_of(const Json& document, const std::string& holder) {
  for (const Json& row : document["containers"].items()) {
    if (row["holder"].text() == holder) return row;
  }
  ADD_FAILURE() << "no containers in " << holder;
  return document["nothing"];
}

uint64_t wrong_counts(const Json& document) {
  for (const Json& row : document["diagnostics"].items()) {
    if (row["code"].text() == "container_count") return row["count"].number();
  }
  return 0;
}

TEST(ContainerCensus, SaysWhatIsInUseAndWhatIsNot) {
  HEAPWALK_NEEDS_COMPILER();
  const Program program;
  const ProgramRun run({.arguments = {program.path}});
  if (!run.skip_reason().empty()) GTEST_SKIP() << run.skip_reason();
  const Json document = program.types(run);
  const Json items = row_of(document, "Shelf.items");
  EXPECT_EQ(items["count"].number(), 10U);
  EXPECT_EQ(items["elements"].number(), 200U);
  EXPECT_EQ(items["unused_bytes"].number(), 10U * 30 * 8);
  EXPECT_EQ(items["empty_with_memory"].number(), 0U);
  const Json empty = row_of(document, "g_empty");
  EXPECT_EQ(empty["unused_bytes"].number(), 4000U);
  EXPECT_EQ(empty["empty_with_memory"].number(), 1U);
  EXPECT_EQ(row_of(document, "g_text")["unused_bytes"].number(), 494U);
  EXPECT_EQ(row_of(document, "g_text")["elements"].number(), 6U);
  EXPECT_EQ(row_of(document, "g_numbers")["elements"].number(), 100U);
  EXPECT_GE(row_of(document, "g_table")["unused_bytes"].number(), 800U);
  EXPECT_EQ(row_of(document, "g_table")["empty_with_memory"].number(), 1U);
  EXPECT_EQ(wrong_counts(document), 0U);
}

TEST(ContainerCensus, NoticesCountsThatAreLies) {
  HEAPWALK_NEEDS_COMPILER();
  const Program program;
  const ProgramRun run({.arguments = {program.path, "lie"}});
  if (!run.skip_reason().empty()) GTEST_SKIP() << run.skip_reason();
  EXPECT_EQ(wrong_counts(program.types(run)), 7U);
}

}  // namespace
}  // namespace heapwalk::test
