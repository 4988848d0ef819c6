// Programs that were not written for this: their live sets under libtruth.so, and malloc in a stripped libc.
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/live_set.h"
#include "tests/support/run_program.h"

namespace heapwalk {
namespace {

namespace fs = std::filesystem;

std::string program(const std::string& name) {
  return std::string(HEAPWALK_PROGRAMS_DIR) + "/" + name;
}

void expect_exact_live_set(const RunOptions& options, size_t least_blocks) {
  ProgramRun run(options);
  if (!run.skip_reason().empty()) GTEST_SKIP() << run.skip_reason();
  ASSERT_FALSE(run.core_path().empty()) << run.error();
  auto dump = open_core_dump(run.core_path(), {});
  ASSERT_TRUE(dump.has_value()) << dump.error().message;
  auto truth = read_truth(*dump);
  ASSERT_TRUE(truth.has_value()) << truth.error().message;
  EXPECT_EQ(truth->in_flight, 0u);
  for (bool use_symbols : {true, false}) {
    DecodedHeap heap = decode_glibc(*dump, {.use_symbols = use_symbols});
    ASSERT_NE(heap.decoder, nullptr);
    LiveSetDifference difference = compare(*truth, heap);
    EXPECT_TRUE(difference.exact()) << difference.text();
    EXPECT_GE(difference.matched, least_blocks);
    EXPECT_EQ(accounting_violation(heap), "");
    EXPECT_EQ(heap.unexplained_bytes(), 0u);
  }
}

RunOptions recorded(std::vector<std::string> arguments) {
  RunOptions options;
  options.arguments = std::move(arguments);
  options.environment = {{"LD_PRELOAD", program("libtruth.so")}};
  return options;
}

constexpr char kPythonThreads[] = R"(
import os, threading, time
table = {i: [str(i)] * 3 for i in range(30000)}
ready = threading.Barrier(5)
def work():
    blocks = [bytes(i) for i in range(3000)]
    ready.wait()
    time.sleep(1000)
for _ in range(4): threading.Thread(target=work, daemon=True).start()
ready.wait()
time.sleep(0.3)
os.abort()
)";

TEST(RealProgramsTest, cpython_with_every_object_in_malloc) {
  if (!fs::exists("/usr/bin/python3")) GTEST_SKIP() << "no /usr/bin/python3";
  RunOptions options = recorded({"/usr/bin/python3", "-c", kPythonThreads});
  options.environment.emplace_back("PYTHONMALLOC", "malloc");
  expect_exact_live_set(options, 100000);
}

TEST(RealProgramsTest, gdb) {
  if (!fs::exists("/usr/bin/gdb")) GTEST_SKIP() << "no /usr/bin/gdb";
  expect_exact_live_set(
      recorded({"/usr/bin/gdb", "-batch", "-nx", "-ex", "python import os; os.abort()", program("alloc_truth_static")}),
      5000);
}

TEST(RealProgramsTest, git) {
  if (!fs::exists("/usr/bin/git")) GTEST_SKIP() << "no /usr/bin/git";
  // An alias that begins with "!" runs in a shell, whose parent is git itself, waiting.
  expect_exact_live_set(recorded({"/usr/bin/git", "-c", "alias.die=!kill -ABRT $PPID; sleep 1", "die"}), 10);
}

TEST(RealProgramsTest, libc_without_symbols_and_build_id) {
  fs::path libraries = fs::path(program("stripped_libc"));
  fs::create_directories(libraries);
  fs::path libc;
  for (const char* candidate :
       {"/lib/x86_64-linux-gnu/libc.so.6", "/lib64/libc.so.6", "/lib/aarch64-linux-gnu/libc.so.6"}) {
    if (fs::exists(candidate)) libc = candidate;
  }
  if (libc.empty()) GTEST_SKIP() << "libc.so.6 is not where it usually is";
  CommandResult stripped =
      run_command({"objcopy", "--strip-all", "--remove-section=.note.gnu.build-id", "--remove-section=.gnu_debuglink",
                   "--remove-section=.gnu_debugdata", libc.string(), (libraries / "libc.so.6").string()});
  if (stripped.status != 0) GTEST_SKIP() << "objcopy: " << stripped.output;
  RunOptions options = recorded({program("alloc_truth_stripped"), "threads"});
  options.environment.emplace_back("LD_LIBRARY_PATH", libraries.string());
  expect_exact_live_set(options, 10000);

  ProgramRun run(options);
  auto dump = open_core_dump(run.core_path(), {});
  ASSERT_TRUE(dump.has_value());
  const Module* module = dump->find_module_by_name("libc.so");
  ASSERT_NE(module, nullptr);
  EXPECT_TRUE(module->debug_file_path.empty());
  EXPECT_FALSE(module->symbol_range("main_arena").has_value());
  DecodedHeap heap = decode_glibc(*dump);
  ASSERT_NE(heap.decoder, nullptr);
  EXPECT_TRUE(heap.decoder->facts().evidence.starts_with("closure of 127 bins")) << heap.decoder->facts().evidence;
}

}  // namespace
}  // namespace heapwalk
