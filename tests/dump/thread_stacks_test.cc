#include "dump/thread_stacks.h"

#include <gtest/gtest.h>

#include "tests/support/core_builder.h"

namespace heapwalk {
namespace {

using test::CoreBuilder;

constexpr uint64_t kMainStack = 0x7ffffffde000, kMainStackSize = 0x21000;
constexpr uint64_t kBlock = 0x7f0000000000, kBlockSize = 0x20000, kGuard = 0x1000;
constexpr uint64_t kHeap = 0x600000, kHeapSize = 0x21000;

AddressRange range(uint64_t begin, uint64_t end) {
  return {Address{begin}, Address{end}};
}

// A process with its initial stack, a heap, and one more thread with a pthread stack block.
struct Fixture {
  Fixture() {
    core.process(100, "p").map(kHeap, kHeapSize).map(kMainStack, kMainStackSize);
    core.auxv(25, kMainStack + kMainStackSize - 0x100).auxv(31, kMainStack + kMainStackSize - 0x18);
    thread_pointer = core.pthread_block(kBlock, kBlockSize, kGuard, 101);
  }
  CoreDump open(uint64_t main_sp, uint64_t thread_sp) {
    core.thread({.tid = 100, .sp = main_sp});
    core.thread({.tid = 101, .sp = thread_sp, .thread_pointer = thread_pointer});
    return core.open();
  }
  CoreBuilder core;
  uint64_t thread_pointer = 0;
};

TEST(ThreadStacks, InitialThreadHasTheMappingOfTheArguments) {
  Fixture fixture;
  CoreDump dump = fixture.open(kMainStack + 0x1f000, kBlock + 0x8000);
  EXPECT_EQ(dump.threads[0].stack_mapping, range(kMainStack, kMainStack + kMainStackSize));
  EXPECT_EQ(dump.threads[0].stack, range(kMainStack + 0x1f000 - 128, kMainStack + kMainStackSize));
  EXPECT_FALSE(dump.threads[0].alternate_stack_pointer);
}

TEST(ThreadStacks, PthreadBlockEndsBelowStructPthreadAndBeginsAboveTheGuard) {
  Fixture fixture;
  CoreDump dump = fixture.open(kMainStack + 0x1f000, kBlock + 0x8000);
  EXPECT_EQ(dump.threads[1].stack_mapping, range(kBlock + kGuard, kBlock + kBlockSize));
  EXPECT_EQ(dump.threads[1].stack, range(kBlock + 0x8000 - 128, fixture.thread_pointer));
  EXPECT_FALSE(dump.threads[1].alternate_stack_pointer);
}

// Two stacks without guards touch, and the kernel shows them as one mapping.
TEST(ThreadStacks, BlocksThatShareAMappingAreToldApart) {
  CoreBuilder core;
  core.process(100, "p");
  core.map(kBlock, 2 * kBlockSize);
  uint64_t low = kBlock + kBlockSize - 0x940;
  uint64_t high = kBlock + 2 * kBlockSize - 0x940;
  core.words(low + 0x690, {kBlock, kBlockSize, 0}).words(high + 0x690, {kBlock + kBlockSize, kBlockSize, 0});
  core.thread({.tid = 101, .sp = kBlock + 0x1000, .thread_pointer = low});
  core.thread({.tid = 102, .sp = kBlock + kBlockSize + 0x1000, .thread_pointer = high});
  CoreDump dump = core.open();
  EXPECT_EQ(dump.threads[0].stack_mapping, range(kBlock, kBlock + kBlockSize));
  EXPECT_EQ(dump.threads[0].stack.end, Address{low});
  EXPECT_EQ(dump.threads[1].stack_mapping, range(kBlock + kBlockSize, kBlock + 2 * kBlockSize));
}

TEST(ThreadStacks, RedZoneDoesNotReachBelowTheStack) {
  Fixture fixture;
  CoreDump dump = fixture.open(kMainStack + 8, kBlock + kGuard);
  EXPECT_EQ(dump.threads[0].stack.begin, Address{kMainStack});
  EXPECT_EQ(dump.threads[1].stack.begin, Address{kBlock + kGuard});
}

TEST(ThreadStacks, AHandlerOnAStackInTheHeapDoesNotMakeTheHeapAStack) {
  Fixture fixture;
  CoreDump dump = fixture.open(kHeap + 0x2000, kHeap + 0x8000);
  for (const Thread& thread : dump.threads) {
    EXPECT_EQ(thread.alternate_stack_pointer, thread.stack_pointer);
    EXPECT_FALSE(thread.stack.overlaps(range(kHeap, kHeap + kHeapSize)));
  }
  // The interrupted stacks: nothing of them is lost.
  EXPECT_EQ(dump.threads[0].stack, range(kMainStack, kMainStack + kMainStackSize));
  EXPECT_EQ(dump.threads[1].stack, range(kBlock + kGuard, fixture.thread_pointer));
}

TEST(ThreadStacks, AnOverflowIntoTheGuardIsNoAlternateStack) {
  Fixture fixture;
  CoreDump dump = fixture.open(kMainStack - 0x2000, kBlock + 0x800);
  EXPECT_FALSE(dump.threads[0].alternate_stack_pointer);  // below the stack, where nothing is mapped
  EXPECT_EQ(dump.threads[0].stack, range(kMainStack, kMainStack + kMainStackSize));
  EXPECT_FALSE(dump.threads[1].alternate_stack_pointer);
  EXPECT_EQ(dump.threads[1].stack, range(kBlock + kGuard, fixture.thread_pointer));
}

// fork() in a thread: the child's only thread has the process's id and runs on a pthread stack.
TEST(ThreadStacks, AForkedChildRunsOnAPthreadStack) {
  Fixture fixture;
  fixture.core.thread({.tid = 100, .sp = kBlock + 0x8000, .thread_pointer = fixture.thread_pointer});
  CoreDump dump = fixture.core.open();
  EXPECT_EQ(dump.threads[0].stack_mapping, range(kBlock + kGuard, kBlock + kBlockSize));
}

TEST(ThreadStacks, WithoutStructPthreadTheMappingAroundTheStackPointerServes) {
  CoreBuilder core;
  core.process(100, "p").map(0x10000, 0x4000).map(0x20000, 0x4000);
  core.thread({.tid = 100, .sp = 0x12000});                             // no auxv either
  core.thread({.tid = 101, .sp = 0x22000, .thread_pointer = 0x23000});  // thread pointer in the same mapping
  core.thread({.tid = 102, .sp = 0x21000, .thread_pointer = 0x10100});  // a coroutine's stack in somebody's heap
  core.thread({.tid = 103, .sp = 0x900000});                            // nowhere
  CoreDump dump = core.open();
  EXPECT_EQ(dump.threads[0].stack, range(0x12000 - 128, 0x14000));
  EXPECT_EQ(dump.threads[1].stack, range(0x22000 - 128, 0x23000));
  EXPECT_TRUE(dump.threads[2].stack.empty());
  EXPECT_EQ(dump.threads[2].alternate_stack_pointer, Address{0x21000});
  EXPECT_TRUE(dump.threads[3].stack.empty());
  EXPECT_FALSE(dump.threads[3].alternate_stack_pointer);
}

TEST(ThreadStacks, AStackSplitByProtectionIsOne) {
  CoreBuilder core;
  core.process(100, "p").map(0x7ff000000000, 0x4000).map(0x7ff000004000, 0x2000, {.permissions = "rwx"});
  core.auxv(31, 0x7ff000005ff0).thread({.tid = 100, .sp = 0x7ff000003000});
  CoreDump dump = core.open();
  EXPECT_EQ(dump.threads[0].stack, range(0x7ff000003000 - 128, 0x7ff000006000));
}

TEST(ThreadStacks, Aarch64BlockBelowTheThreadPointer) {
  CoreBuilder core;
  core.architecture(Architecture::aarch64).process(100, "p").map(kBlock, kBlockSize);
  uint64_t thread_pointer = kBlock + kBlockSize - 0x400;  // TLS above, struct pthread below
  core.words(thread_pointer - 0x200, {kBlock, kBlockSize, 0x1000});
  core.thread({.tid = 101, .sp = kBlock + 0x9000, .thread_pointer = thread_pointer});
  CoreDump dump = core.open();
  EXPECT_EQ(dump.threads[0].stack_mapping, range(kBlock + 0x1000, kBlock + kBlockSize));
  EXPECT_EQ(dump.threads[0].stack.begin, Address{kBlock + 0x9000});
}

// The lists as glibc keeps them, here without any symbol: heads of used, user and cached stacks, side by side.
TEST(DeadStacks, CachedAndUnjoinedStacksAreFound) {
  Fixture fixture;
  constexpr uint64_t used = kHeap + 0x100, user = used + 16, cache = used + 32;
  constexpr uint64_t zombie_block = 0x7f0000100000, cached_block = 0x7f0000200000;
  uint64_t zombie = fixture.core.pthread_block(zombie_block, kBlockSize, kGuard, 0);
  uint64_t cached = fixture.core.pthread_block(cached_block, kBlockSize, kGuard, 0);
  uint64_t main_pthread = kHeap + 0x1000;
  fixture.core.word32(main_pthread + CoreBuilder::kPthreadTid, 100);
  constexpr uint64_t list = CoreBuilder::kPthreadList;
  fixture.core.ring({used, fixture.thread_pointer + list, zombie + list});
  fixture.core.ring({user, main_pthread + list});
  fixture.core.ring({cache, cached + list});
  fixture.core.thread({.tid = 100, .sp = kMainStack + 0x1000, .thread_pointer = main_pthread});
  fixture.core.thread({.tid = 101, .sp = kBlock + 0x8000, .thread_pointer = fixture.thread_pointer});
  CoreDump dump = fixture.core.open();

  ASSERT_EQ(dump.dead_stacks.size(), 2U);
  EXPECT_EQ(dump.dead_stacks[0].begin, Address{zombie_block});
  EXPECT_EQ(dump.dead_stacks[1].begin, Address{cached_block});
  EXPECT_FALSE(dump.dead_stacks[0].contains(Address{zombie}));  // the result is still to be fetched
  EXPECT_TRUE(dump.dead_stacks[0].contains(Address{zombie - 0x1000}));
  for (AddressRange dead : dump.dead_stacks)
    for (const Thread& thread : dump.threads) EXPECT_FALSE(dead.overlaps(thread.stack_mapping));
}

TEST(DeadStacks, ADamagedListIsLeftAlone) {
  Fixture fixture;
  constexpr uint64_t list = CoreBuilder::kPthreadList;
  uint64_t other = fixture.core.pthread_block(0x7f0000100000, kBlockSize, kGuard, 0);
  fixture.core.words(fixture.thread_pointer + list, {other + list, other + list});  // the other does not point back
  CoreDump dump = fixture.open(kMainStack + 0x1000, kBlock + 0x8000);
  EXPECT_TRUE(dump.dead_stacks.empty());
}

TEST(DeadStacks, AListOfSomethingElseIsLeftAlone) {
  Fixture fixture;
  constexpr uint64_t list = CoreBuilder::kPthreadList;
  uint64_t dead = fixture.core.pthread_block(0x7f0000100000, kBlockSize, kGuard, 0);
  fixture.core.ring({fixture.thread_pointer + list, kHeap + 0x100, kHeap + 0x200, dead + list});
  CoreDump dump = fixture.open(kMainStack + 0x1000, kBlock + 0x8000);
  EXPECT_TRUE(dump.dead_stacks.empty());
}

TEST(DeadStacks, AnEndlessListEnds) {
  Fixture fixture;
  constexpr uint64_t list = CoreBuilder::kPthreadList;
  uint64_t node = fixture.thread_pointer + list;
  fixture.core.words(node, {node, node});
  CoreDump dump = fixture.open(kMainStack + 0x1000, kBlock + 0x8000);
  EXPECT_TRUE(dump.dead_stacks.empty());
}

}  // namespace
}  // namespace heapwalk
