#include "dwarf/unwinder.h"

#include <gtest/gtest.h>

#include "tests/support/compiler.h"
#include "tests/support/core_builder.h"
#include "tests/support/run_program.h"

namespace heapwalk {
namespace {

using test::compile_c;
using test::TemporaryDirectory;

constexpr const char* kThreads = R"(
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
static int ready;
__attribute__((noinline)) int descend(int n) {
  volatile char frame[64];
  frame[0] = (char)n;
  if (n == 0) {
    __atomic_add_fetch(&ready, 1, __ATOMIC_SEQ_CST);
    for (;;) pause();
  }
  return descend(n - 1) + frame[0];
}
static void* worker(void* depth) { descend(*(int*)depth); return depth; }
static void handler(int signal) { (void)signal; abort(); }
__attribute__((noinline)) int interrupted(void) { raise(SIGUSR1); return ready + 1; }
int main(void) {
  static int depths[3] = {5, 10, 20};
  for (int i = 0; i < 3; ++i) {
    pthread_t thread;
    pthread_create(&thread, 0, worker, &depths[i]);
  }
  while (__atomic_load_n(&ready, __ATOMIC_SEQ_CST) < 3) usleep(1000);
  signal(SIGUSR1, handler);
  return interrupted() + 1;
}
)";

size_t count_function(const std::vector<Frame>& frames, std::string_view name) {
  size_t count = 0;
  for (const Frame& frame : frames) count += frame.function == name;
  return count;
}

TEST(Unwinder, FramesOfThreadsAndOfASignalHandler) {
  HEAPWALK_NEEDS_COMPILER();
  for (const char* flags : {"-O0", "-O2"}) {
    TemporaryDirectory directory;
    std::string program =
        compile_c(directory, "program", kThreads, {flags, "-g", "-pthread", "-fno-optimize-sibling-calls"});
    ProgramRun run({.arguments = {program}});
    if (!run.skip_reason().empty()) GTEST_SKIP() << run.skip_reason();
    ASSERT_FALSE(run.core_path().empty()) << run.error();
    auto dump = open_core_dump(run.core_path(), {});
    ASSERT_TRUE(dump) << dump.error().message;
    auto unwinder = Unwinder::create(*dump);
    ASSERT_TRUE(unwinder) << unwinder.error().message;
    ASSERT_EQ(dump->threads.size(), 4u);

    std::vector<size_t> depths;
    for (const Thread& thread : dump->threads) {
      std::vector<Frame> frames = unwinder->unwind(thread);
      ASSERT_FALSE(frames.empty());
      EXPECT_EQ(frames[0].pc, thread.program_counter);
      EXPECT_EQ(frames[0].cfa_or_sp, thread.stack_pointer);
      for (size_t i = 1; i < frames.size(); ++i) EXPECT_GE(frames[i].cfa_or_sp, frames[i - 1].cfa_or_sp);
      if (size_t depth = count_function(frames, "descend"); depth > 0) {
        depths.push_back(depth);
        EXPECT_EQ(count_function(frames, "worker"), 1u);
      } else {
        // abort ← handler ← the kernel's trampoline ← raise ← interrupted ← main
        EXPECT_EQ(count_function(frames, "handler"), 1u);
        EXPECT_EQ(count_function(frames, "interrupted"), 1u);
        EXPECT_EQ(count_function(frames, "main"), 1u);
        size_t signal_frames = 0;
        for (const Frame& frame : frames) signal_frames += frame.signal_frame;
        EXPECT_EQ(signal_frames, 1u);
      }
    }
    std::ranges::sort(depths);
    EXPECT_EQ(depths, (std::vector<size_t>{6, 11, 21})) << flags;
    EXPECT_EQ(unwinder->broken_stacks(), 0u);
    EXPECT_EQ(unwinder->unwind(dump->threads[0], 2).size(), 2u);
  }
}

TEST(Unwinder, WithoutModulesTheInnermostFrameIsKnown) {
  test::CoreBuilder builder;
  builder.map(0x7fff0000, 0x1000).word(0x7fff0800, 0x41414141).thread({.tid = 1, .sp = 0x7fff0800, .pc = 0x1234});
  CoreDump dump = builder.open();
  auto unwinder = Unwinder::create(dump);
  ASSERT_TRUE(unwinder) << unwinder.error().message;
  ASSERT_EQ(dump.threads.size(), 1u);
  std::vector<Frame> frames = unwinder->unwind(dump.threads[0]);
  ASSERT_GE(frames.size(), 1u);
  EXPECT_EQ(frames[0].pc, Address{0x1234});
  EXPECT_EQ(frames[0].cfa_or_sp, Address{0x7fff0800});
  EXPECT_LE(frames.size(), 512u);
}

// A frame pointer that leads to itself.
TEST(Unwinder, EndlessStackIsBounded) {
  test::CoreBuilder builder;
  builder.map(0x7fff0000, 0x1000).words(0x7fff0800, {0x7fff0800, 0x1234});
  builder.thread({.tid = 1, .sp = 0x7fff0800, .pc = 0x1234, .registers = {{"rbp", 0x7fff0800}}});
  CoreDump dump = builder.open();
  auto unwinder = Unwinder::create(dump);
  ASSERT_TRUE(unwinder) << unwinder.error().message;
  EXPECT_LE(unwinder->unwind(dump.threads[0], 100).size(), 100u);
}

}  // namespace
}  // namespace heapwalk
