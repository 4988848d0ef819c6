// Programs without debug info: what there is to say of a block is its class, where it has a vtable, else its size and shape.
// The programs say themselves what each of their blocks is.
#include <gtest/gtest.h>

#include <map>
#include <sstream>

#include "tests/support/compiler.h"
#include "tests/support/heapwalk_command.h"
#include "tests/support/run_program.h"

namespace heapwalk::test {
namespace {

// Each line of output: a block's address, then the name that its words deserve.
constexpr std::string_view kC = R"(
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
struct ops { void (*run)(void); };
void walk(void) {}
void bark(void) {}
const struct ops dog_ops = {bark};
struct tree { struct tree *left, *right; long key, weight, depth; };
struct animal { const struct ops* ops; void (*hook)(void); char* name; long age, legs; };
struct number { long words[7]; };
struct wide { void* first; long numbers[24]; };
struct tree* g_tree; struct animal* g_animals[100]; struct number* g_numbers[40]; void** g_table; struct wide* g_wide[20];
struct animal* g_odd;
static struct tree* plant(long depth) {
  struct tree* t = calloc(1, sizeof *t);
  *t = (struct tree){depth ? plant(depth - 1) : NULL, depth > 1 && depth % 2 ? plant(depth - 2) : NULL, depth, 7, depth};
  printf("%p [40 B **...]\n", (void*)t);
  return t;
}
int main(void) {
  g_tree = plant(12);
  g_table = calloc(2000, sizeof *g_table);
  printf("%p [8KB..16KB pointers]\n", (void*)g_table);
  for (int i = 0; i < 100; ++i) {
    struct animal* a = g_animals[i] = malloc(sizeof *a + 16);
    *a = (struct animal){&dog_ops, i % 3 ? walk : NULL, malloc(40), 11 + i, 4};
    memset(a + 1, 0x5a, 16);
    sprintf(a->name, "an animal with the number %d", i);
    printf("%p [56 B &&*.... dog_ops]\n%p [text]\n", (void*)a, (void*)a->name);
    g_table[i * 7] = a;
    g_table[i] = a;
  }
  for (int i = 0; i < 40; ++i) {
    struct number* n = g_numbers[i] = malloc(sizeof *n);
    for (int k = 0; k < 7; ++k) n->words[k] = 0x0101 * (k + i);
    printf("%p [56 B data]\n", (void*)n);
  }
  for (int i = 0; i < 20; ++i) {
    struct wide* w = g_wide[i] = calloc(1, sizeof *w);
    w->first = g_tree;
    printf("%p [200 B *...............+]\n", (void*)w);
  }
  g_odd = malloc(72);  // the only one of its shape: named by its size
  memset(g_odd, 1, 72);
  g_odd->hook = walk;
  printf("%p [72 B]\n", (void*)g_odd);
  fflush(stdout);
  abort();
}
)";

constexpr std::string_view kCxx = R"(
#include <cstdio>
#include <cstdlib>
#include <new>
namespace zoo {
struct Named { virtual ~Named() = default; virtual const char* name() const = 0; long number = 1; };
struct Swims { virtual ~Swims() = default; virtual void swim() {} long depth = 2; };
struct Dog : Named { const char* name() const override { return "dog"; } };
struct Duck : Named, Swims { const char* name() const override { return "duck"; } };
struct Otter : virtual Named, virtual Swims { const char* name() const override { return "otter"; } long fur = 3; };
template <class T> struct Cage : T { T* neighbour = nullptr; };
namespace { struct Hidden : Dog {}; }
}
zoo::Named* g_all[80];
template <class T> zoo::Named* make(const char* name) {
  T* t = new T;
  printf("%p %s\n", static_cast<void*>(t), name);
  return t;
}
int main() {
  for (int i = 0; i < 80; i += 5) {
    g_all[i] = make<zoo::Dog>("zoo::Dog");
    g_all[i + 1] = make<zoo::Duck>("zoo::Duck");
    g_all[i + 2] = make<zoo::Otter>("zoo::Otter");
    g_all[i + 3] = make<zoo::Cage<zoo::Dog>>("zoo::Cage<zoo::Dog>");
    g_all[i + 4] = make<zoo::Hidden>("zoo::(anonymous namespace)::Hidden");
  }
  fflush(stdout);
  abort();
}
)";

// `address → type` of every used block, as heapwalk has it.
std::map<std::string, std::string> types_of(const ProgramRun& run, const std::string& program) {
  const CommandOutput out = run_heapwalk({"objects", run.core_path(), program, "--format", "tsv"});
  EXPECT_EQ(out.status, 0) << out.err;
  std::map<std::string, std::string> types;
  std::istringstream lines(out.out);
  for (std::string line; std::getline(lines, line);) {
    std::vector<std::string> cells;
    std::istringstream row(line);
    for (std::string cell; std::getline(row, cell, '\t');) cells.push_back(cell);
    if (cells.size() > 4) types[cells[0]] = cells[4];
  }
  return types;
}

void check(const std::string& program, size_t least) {
  const ProgramRun run({.arguments = {program}});
  if (!run.skip_reason().empty()) GTEST_SKIP() << run.skip_reason();
  ASSERT_EQ(run.error(), "");
  const auto types = types_of(run, program);
  std::istringstream lines(run.output());
  size_t blocks = 0;
  std::string address, name;
  for (; lines >> address && std::getline(lines >> std::ws, name); ++blocks) {
    const auto at = types.find(address);
    ASSERT_NE(at, types.end()) << address;
    EXPECT_EQ(at->second, name) << address;
  }
  EXPECT_GE(blocks, least);
}

TEST(BlockShapes, NameBlocksOfProgramsWithoutDebugInfo) {
  HEAPWALK_NEEDS_COMPILER();
  const TemporaryDirectory directory;
  for (const char* flags : {"-pie", "-no-pie"}) {
    SCOPED_TRACE(flags);
    check(compile_c(directory, std::string("shapes") + flags, kC, {"-O1", "-g0", "-fPIE", flags}), 350);
  }
}

TEST(BlockShapes, RunTimeTypesNameClassesOfStrippedPrograms) {
  HEAPWALK_NEEDS_COMPILER();
  const TemporaryDirectory directory;
  const std::vector<std::vector<std::string>> builds = {
      {"-fPIE", "-pie", "-s"}, {"-fno-pie", "-no-pie", "-s"}, {"-static", "-s"}, {"-fPIE", "-pie"}};
  for (size_t i = 0; i < builds.size(); ++i) {
    SCOPED_TRACE(i);
    std::vector<std::string> flags = {"-O1", "-g0", "-std=c++17"};
    flags.insert(flags.end(), builds[i].begin(), builds[i].end());
    check(compile_cxx(directory, "zoo" + std::to_string(i), kCxx, flags), 80);
  }
}

}  // namespace
}  // namespace heapwalk::test
