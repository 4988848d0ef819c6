// Cores that the kernel and gcore wrote of a program with every kind of stack: initial thread, pthread stacks, a signal
// handler on an allocated stack, a thread that ended and was joined, one that ended and was not.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <sstream>

#include "dump/core_dump.h"
#include "tests/support/compiler.h"
#include "tests/support/run_program.h"
#include "tests/support/temporary_directory.h"

namespace heapwalk {
namespace {

// Prints `name value` lines with the addresses that the test then asks the core about.
constexpr std::string_view kSource = R"(
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/syscall.h>
static pthread_barrier_t ready;
static const char constant[] = "a constant of the program";
long initialised = 0x1122334455667788;
static __thread char tls_buffer[1000];
static void say(const char* name, const void* value) { printf("%s %lx\n", name, (unsigned long)value); }
static void hang(void) { pthread_barrier_wait(&ready); for (;;) pause(); }
static void* worker(void* p) {
  long local = 0x5151;
  flockfile(stdout);
  printf("worker_tid %lx\n", (unsigned long)syscall(SYS_gettid));
  say("worker_local", &local); say("worker_tls", tls_buffer);
  funlockfile(stdout);
  hang();
  return p;
}
static void on_signal(int s) { long local = s; say("handler_local", &local); hang(); }
static void* interrupted(void* p) {
  long local = 0x6161;
  stack_t stack = {.ss_sp = malloc(65536), .ss_size = 65536};
  sigaltstack(&stack, 0);
  flockfile(stdout);
  printf("interrupted_tid %lx\n", (unsigned long)syscall(SYS_gettid));
  say("interrupted_local", &local); say("alternate_stack", stack.ss_sp);
  funlockfile(stdout);
  raise(SIGUSR1);
  return p;
}
static void* brief(void* name) { long local = 0x7171; say(name, &local); return 0; }
int main(int argc, char** argv) {
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
  sigaction(SIGUSR1, &action, 0);
  pthread_barrier_init(&ready, 0, 3);
  pthread_t thread, joined, unjoined;
  pthread_create(&thread, 0, worker, 0);
  pthread_create(&thread, 0, interrupted, 0);
  usleep(100000);
  pthread_create(&joined, 0, brief, "joined_local");
  pthread_create(&unjoined, 0, brief, "unjoined_local");
  pthread_join(joined, 0);
  usleep(100000);
  long local = 0x4141;
  say("main_local", &local); say("argument", argv[0]); say("constant", constant); say("initialised", &initialised);
  say("heap", malloc(100));
  pthread_barrier_wait(&ready);
  usleep(100000);
  fflush(stdout);
  if (argc > 1) { printf("ready\n"); fflush(stdout); pause(); }
  abort();
}
)";

// The program's own words: name → address.
std::map<std::string, uint64_t> said(const std::string& output) {
  std::map<std::string, uint64_t> values;
  std::istringstream lines(output);
  std::string name;
  uint64_t value = 0;
  while (lines >> name && name != "ready" && lines >> std::hex >> value) values[name] = value;
  return values;
}

const Thread* thread_by_id(const CoreDump& dump, uint64_t tid) {
  for (const Thread& thread : dump.threads)
    if (thread.tid == tid) return &thread;
  return nullptr;
}

bool is_dead(const CoreDump& dump, uint64_t address) {
  return std::ranges::any_of(dump.dead_stacks, [&](AddressRange r) { return r.contains(Address{address}); });
}

void expect_stacks(const CoreDump& dump, std::map<std::string, uint64_t>& at) {
  const Thread* initial = thread_by_id(dump, dump.process.pid);
  const Thread* worker = thread_by_id(dump, at["worker_tid"]);
  const Thread* interrupted = thread_by_id(dump, at["interrupted_tid"]);
  ASSERT_TRUE(initial != nullptr && worker != nullptr && interrupted != nullptr);
  EXPECT_EQ(dump.threads.size(), 3U);

  EXPECT_TRUE(initial->stack.contains(Address{at["main_local"]}));
  EXPECT_TRUE(initial->stack.contains(Address{at["argument"]}));
  EXPECT_TRUE(worker->stack.contains(Address{at["worker_local"]}));
  EXPECT_TRUE(worker->stack_mapping.contains(Address{at["worker_tls"]}));
  EXPECT_FALSE(worker->stack.contains(Address{at["worker_tls"]}));
  EXPECT_FALSE(worker->alternate_stack_pointer);
  EXPECT_TRUE(interrupted->stack.contains(Address{at["interrupted_local"]}));
  EXPECT_FALSE(interrupted->stack.contains(Address{at["handler_local"]}));
  EXPECT_EQ(interrupted->alternate_stack_pointer, interrupted->stack_pointer);
  EXPECT_TRUE(AddressRange::of(Address{at["alternate_stack"]}, 65536).contains(interrupted->stack_pointer));

  EXPECT_TRUE(is_dead(dump, at["joined_local"]));
  EXPECT_TRUE(is_dead(dump, at["unjoined_local"]));
  for (const char* alive : {"main_local", "worker_local", "worker_tls", "interrupted_local", "handler_local", "heap"})
    EXPECT_FALSE(is_dead(dump, at[alive])) << alive;
}

void expect_memory(const CoreDump& dump, std::map<std::string, uint64_t>& at) {
  EXPECT_TRUE(dump.memory.check());
  EXPECT_EQ(dump.missing_bytes, 0U);
  EXPECT_EQ(dump.memory.read_word(Address{at["main_local"]}), 0x4141U);
  EXPECT_EQ(dump.memory.read_word(Address{at["worker_local"]}), 0x5151U);
  EXPECT_EQ(dump.memory.read_word(Address{at["initialised"]}), 0x1122334455667788U);
  EXPECT_EQ(dump.memory.read_c_string(Address{at["constant"]}), "a constant of the program");  // from the file
  EXPECT_EQ(dump.memory.find(Address{at["heap"]})->state, ByteState::core);
  const Mapping* heap = dump.find_mapping(Address{at["heap"]});
  ASSERT_NE(heap, nullptr);
  EXPECT_TRUE(heap->writable);
  EXPECT_EQ(heap->path, "");
  const Mapping* program = dump.find_mapping(Address{at["constant"]});
  ASSERT_NE(program, nullptr);
  EXPECT_TRUE(program->path.ends_with("/program"));
}

class RealCore : public testing::Test {
 protected:
  void SetUp() override {
    if (std::string reason = test::why_no_compiler(); !reason.empty()) GTEST_SKIP() << reason;
  }
  std::string compile(const std::vector<std::string>& options) {
    return test::compile_c(directory_, "program", kSource, options);
  }
  test::TemporaryDirectory directory_;
};

TEST_F(RealCore, ByTheKernel) {
  ProgramRun run({.arguments = {compile({"-O1", "-pthread"})}, .environment = {}});
  if (!run.skip_reason().empty()) GTEST_SKIP() << run.skip_reason();
  ASSERT_FALSE(run.core_path().empty()) << run.error();
  auto dump = open_core_dump(run.core_path(), {});
  ASSERT_TRUE(dump) << dump.error().message;
  EXPECT_EQ(dump->process.signal, 6);
  EXPECT_EQ(dump->process.command, "program");
  EXPECT_TRUE(dump->threads.front().crashed);
  EXPECT_EQ(dump->threads.front().tid, dump->process.pid);
  EXPECT_EQ(dump->threads.front().name, "program");
  EXPECT_GT(dump->process.time_seconds, 1'700'000'000);
  EXPECT_NE(dump->auxv_value(25), std::nullopt);
  auto at = said(run.output());
  expect_memory(*dump, at);
  expect_stacks(*dump, at);
}

TEST_F(RealCore, ByGcore) {
  ProgramRun run({.arguments = {compile({"-O1", "-pthread"}), "wait"}, .environment = {}, .use_gcore = true});
  if (!run.skip_reason().empty()) GTEST_SKIP() << run.skip_reason();
  ASSERT_FALSE(run.core_path().empty()) << run.error();
  auto dump = open_core_dump(run.core_path(), {});
  ASSERT_TRUE(dump) << dump.error().message;
  EXPECT_EQ(dump->process.signal, 0);
  EXPECT_TRUE(std::ranges::none_of(dump->threads, &Thread::crashed));
  auto at = said(run.output());
  expect_memory(*dump, at);
  expect_stacks(*dump, at);
}

// No dynamic linker, no libthread_db's descriptors, no symbols at all: what is found is found by its shape.
TEST_F(RealCore, OfAStaticStrippedProgram) {
  ProgramRun run({.arguments = {compile({"-O1", "-pthread", "-static", "-s"})}, .environment = {}});
  if (!run.skip_reason().empty()) GTEST_SKIP() << run.skip_reason();
  ASSERT_FALSE(run.core_path().empty()) << run.error();
  auto dump = open_core_dump(run.core_path(), {});
  ASSERT_TRUE(dump) << dump.error().message;
  auto at = said(run.output());
  expect_memory(*dump, at);
  expect_stacks(*dump, at);
}

TEST_F(RealCore, CutOffByItsLimit) {
  ProgramRun run({.arguments = {compile({"-O1", "-pthread"})}, .environment = {}, .core_limit_bytes = 64 << 10});
  if (!run.skip_reason().empty()) GTEST_SKIP() << run.skip_reason();
  ASSERT_FALSE(run.core_path().empty()) << run.error();
  auto dump = open_core_dump(run.core_path(), {});
  ASSERT_TRUE(dump) << dump.error().message;
  EXPECT_GT(dump->missing_bytes, 0U);
  EXPECT_GT(dump->diagnostics.count("truncated_core"), 0U);
  EXPECT_EQ(dump->threads.size(), 3U);  // the notes come first
  auto at = said(run.output());
  EXPECT_TRUE(dump->memory.read_word(Address{at["heap"]}));  // low addresses come first
  EXPECT_FALSE(dump->memory.read_word(Address{at["main_local"]}));
  EXPECT_NE(dump->find_mapping(Address{at["main_local"]}), nullptr);
}

}  // namespace
}  // namespace heapwalk
