#include "dump/notes.h"

#include <gtest/gtest.h>

#include <cstring>

#include "dump/core_file.h"
#include "tests/support/core_builder.h"

namespace heapwalk {
namespace {

using test::CoreBuilder;

std::vector<std::byte> words(std::initializer_list<uint64_t> values) {
  std::vector<std::byte> bytes(values.size() * 8);
  std::memcpy(bytes.data(), values.begin(), bytes.size());
  return bytes;
}

CoreBuilder two_threads() {
  CoreBuilder core;
  core.process(100, "server", "server --port 80 ").signal(11, 1, 0xdead0000);
  core.map(0x10000, 0x1000).map(0x20000, 0x1000);
  core.thread({.tid = 102, .sp = 0x10800, .pc = 0x401000, .thread_pointer = 0x10c00, .registers = {{"rbx", 0x1234}}});
  core.thread({.tid = 100, .sp = 0x20800, .pc = 0x402000});
  return core;
}

TEST(Notes, ProcessAndThreadsOfAKernelCore) {
  CoreDump dump = two_threads().open();
  EXPECT_EQ(dump.process.pid, 100U);
  EXPECT_EQ(dump.process.command, "server");
  EXPECT_EQ(dump.process.arguments, "server --port 80");
  EXPECT_EQ(dump.process.signal, 11);
  EXPECT_EQ(dump.process.signal_code, 1);
  EXPECT_EQ(dump.process.fault_address, Address{0xdead0000});

  ASSERT_EQ(dump.threads.size(), 2U);
  const Thread& first = dump.threads[0];
  EXPECT_EQ(first.tid, 102U);
  EXPECT_TRUE(first.crashed);
  EXPECT_EQ(first.name, "");
  EXPECT_EQ(first.program_counter, Address{0x401000});
  EXPECT_EQ(first.stack_pointer, Address{0x10800});
  EXPECT_EQ(first.thread_pointer, Address{0x10c00});
  EXPECT_EQ(first.register_value("rbx"), 0x1234U);
  EXPECT_EQ(first.register_value("rsp"), 0x10800U);
  EXPECT_EQ(first.register_value("fs_base"), 0x10c00U);
  EXPECT_FALSE(first.register_value("x0"));
  EXPECT_FALSE(dump.threads[1].crashed);
  EXPECT_EQ(dump.threads[1].name, "server");  // its id is the process's
  EXPECT_EQ(dump.diagnostics.count("malformed_note"), 0U);
}

TEST(Notes, GcoreOfARunningProcessDidNotCrash) {
  CoreBuilder core = two_threads();
  core.layout(CoreBuilder::Layout::gcore).signal(19, 0);  // gdb stops what it reads
  CoreDump dump = core.open();
  EXPECT_EQ(dump.process.signal, 0);
  EXPECT_FALSE(dump.process.fault_address);
  ASSERT_EQ(dump.threads.size(), 2U);
  EXPECT_FALSE(dump.threads[0].crashed);
}

TEST(Notes, GcoreOfACrashKeepsItsSignal) {
  CoreBuilder core = two_threads();
  CoreDump dump = core.layout(CoreBuilder::Layout::gcore).open();
  EXPECT_EQ(dump.process.signal, 11);
  EXPECT_TRUE(dump.threads[0].crashed);
}

TEST(Notes, AKilledProcessHasNoFaultAddress) {
  CoreBuilder core = two_threads();
  EXPECT_FALSE(core.signal(11, 0, 0x1234).open().process.fault_address);  // kill(): the field is the sender's id
  EXPECT_FALSE(core.signal(11, 0x80, 0).open().process.fault_address);    // general protection: address unknown
  EXPECT_FALSE(core.signal(6, -6, 0x1234).open().process.fault_address);  // abort()
  EXPECT_EQ(core.signal(7, 2, 0x1234).open().process.fault_address, Address{0x1234});
}

TEST(Notes, VectorRegistersWithUpperHalves) {
  CoreBuilder core;
  core.map(0x10000, 0x1000);
  core.thread({.sp = 0x10800, .vector_words = {1, 2, 3}, .ymm_upper_words = {11, 12, 13}});
  core.thread({.sp = 0x10800, .vector_words = {5}});
  CoreDump dump = core.open();
  ASSERT_EQ(dump.threads.size(), 2U);
  EXPECT_EQ(dump.threads[0].vector_registers.size(), 64U);
  EXPECT_EQ(dump.threads[0].register_value("xmm0[1]"), 2U);
  EXPECT_EQ(dump.threads[0].register_value("xmm1[0]"), 3U);
  EXPECT_EQ(dump.threads[0].register_value("ymm0[3]"), 12U);
  EXPECT_EQ(dump.threads[0].register_value("ymm1[2]"), 13U);
  EXPECT_EQ(dump.threads[1].vector_registers.size(), 32U);  // NT_FPREGSET alone
  EXPECT_EQ(dump.threads[1].register_value("xmm0[0]"), 5U);
}

// Intel's and AMD's layouts of the AVX-512 components differ; the size of the area tells.
TEST(Notes, Avx512RegistersOfBothVendors) {
  struct Area {
    size_t size, zmm_upper, zmm_new;
  };
  for (Area area : {Area{2696, 1152, 1664}, Area{2432, 896, 1408}}) {
    std::vector<std::byte> state(area.size);
    auto put = [&](size_t at, uint64_t value) { std::memcpy(state.data() + at, &value, 8); };
    put(512, 0b11100110);  // XSTATE_BV: SSE, AVX, opmask, both ZMM components
    put(area.zmm_upper + 8, 100);
    put(area.zmm_upper + 4 * 8, 101);
    put(area.zmm_new, 102);
    put(area.zmm_new + 15 * 64 + 7 * 8, 103);
    CoreBuilder core;
    core.map(0x10000, 0x1000).thread({.sp = 0x10800}).note("LINUX", 0x202, state);
    CoreDump dump = core.open();
    ASSERT_EQ(dump.threads.size(), 1U);
    const Thread& thread = dump.threads[0];
    EXPECT_EQ(thread.vector_registers.size(), 32U + 32 + 64 + 128);
    EXPECT_EQ(thread.register_value("zmm0[5]"), 100U);
    EXPECT_EQ(thread.register_value("zmm1[4]"), 101U);
    EXPECT_EQ(thread.register_value("zmm16[0]"), 102U);
    EXPECT_EQ(thread.register_value("zmm31[7]"), 103U);
  }
}

TEST(Notes, Aarch64) {
  CoreBuilder core;
  core.architecture(Architecture::aarch64).map(0x10000, 0x1000);
  core.thread({.sp = 0x10800,
               .pc = 0x401000,
               .thread_pointer = 0x10c00,
               .registers = {{"x30", 0x0037000000401234}},
               .vector_words = {7, 8, 9}});
  core.note("LINUX", 0x406, words({0x007f000000000000, 0x007f000000000000}));
  CoreDump dump = core.open();
  EXPECT_EQ(dump.process.architecture, Architecture::aarch64);
  ASSERT_EQ(dump.threads.size(), 1U);
  const Thread& thread = dump.threads[0];
  EXPECT_EQ(thread.registers.size(), 34U);
  EXPECT_EQ(thread.stack_pointer, Address{0x10800});
  EXPECT_EQ(thread.program_counter, Address{0x401000});
  EXPECT_EQ(thread.thread_pointer, Address{0x10c00});
  EXPECT_EQ(thread.register_value("v1[0]"), 9U);
  EXPECT_EQ(thread.strip_code_pointer(*thread.register_value("x30")), Address{0x401234});
  EXPECT_EQ(thread.stack.begin, Address{0x10800});  // no red zone
}

TEST(Notes, UnknownNotesAreSkippedInSilence) {
  CoreBuilder core = two_threads();
  core.note("LINUX", 0x205, words({1, 2})).note("CORE", 0x12345678, {}).note("Vendor", 1, words({3}));
  CoreDump dump = core.open();
  EXPECT_EQ(dump.threads.size(), 2U);
  EXPECT_EQ(dump.diagnostics.count("malformed_note"), 0U);
}

TEST(Notes, MalformedNotesAreDiagnostics) {
  CoreBuilder core = two_threads();
  core.note("CORE", 1, words({1, 2, 3})).note("LINUX", 0x202, words({1}));
  CoreDump dump = core.open();
  EXPECT_EQ(dump.threads.size(), 2U);
  EXPECT_EQ(dump.diagnostics.count("malformed_note"), 2U);
}

TEST(Notes, AFileTableThatLies) {
  CoreBuilder core = two_threads();
  core.without_file_table().note("CORE", 0x46494c45, words({~uint64_t{0} / 8, 4096, 0x400000, 0x401000, 0}));
  CoreDump dump = core.open();
  EXPECT_GT(dump.diagnostics.count("malformed_note"), 0U);
  for (const Mapping& mapping : dump.mappings) EXPECT_EQ(mapping.path, "");
}

TEST(Notes, FileTableEntriesWithoutSense) {
  CoreBuilder core = two_threads();
  std::vector<std::byte> table = words({2, 4096, 0x30000, 0x10000, 0, 0x400000, 0x401000, 5});
  for (char c : std::string_view("backward\0/lib/x.so (deleted)\0", 29)) table.push_back(static_cast<std::byte>(c));
  core.without_file_table().note("CORE", 0x46494c45, table);
  CoreDump dump = core.open();
  const Mapping* mapping = dump.find_mapping(Address{0x400800});
  ASSERT_NE(mapping, nullptr);
  EXPECT_EQ(mapping->path, "/lib/x.so");
  EXPECT_EQ(mapping->file_offset, 5U * 4096);
}

TEST(Notes, NoThreadsIsSaid) {
  Diagnostics diagnostics;
  CoreNotes notes = read_notes("core", x86_64_arch(), {}, diagnostics);
  EXPECT_TRUE(notes.threads.empty());
  EXPECT_EQ(diagnostics.count("no_threads"), 1U);
}

TEST(Notes, SegmentsOfEveryLengthAreSafe) {
  Diagnostics diagnostics;
  CoreBuilder core = two_threads();
  std::vector<std::byte> bytes = core.build();
  auto file = read_core_file("core", bytes, diagnostics);
  ASSERT_TRUE(file);
  Bytes notes = file->notes[0];
  size_t most = 0;
  for (size_t size = 0; size <= notes.size(); ++size) {
    std::vector<std::byte> exact(notes.begin(), notes.begin() + static_cast<std::ptrdiff_t>(size));
    Bytes prefix = exact;
    size_t threads = read_notes("core", x86_64_arch(), {&prefix, 1}, diagnostics).threads.size();
    EXPECT_GE(threads, most);
    most = threads;
  }
  EXPECT_EQ(most, 2U);
}

}  // namespace
}  // namespace heapwalk
