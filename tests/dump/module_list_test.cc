// Modules of real processes: small programs are compiled, run until they dump core, and their modules compared with
// what the program said about itself.
#include "dump/module_list.h"

#include <elf.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "dump/core_dump.h"
#include "dump/elf_image.h"
#include "tests/support/compiler.h"
#include "tests/support/core_builder.h"
#include "tests/support/run_program.h"

namespace heapwalk {
namespace {

namespace fs = std::filesystem;
using test::compile_c;
using test::run_tool;
using test::TemporaryDirectory;

// Prints "name address" lines, then dumps core.
constexpr const char* kProgram = R"(
#include <stdio.h>
#include <stdlib.h>
#include <fcntl.h>
#include <sys/mman.h>
extern int library_value(void) __attribute__((weak));
int global_value = 4242;
char large_bss[100000];
const char constant_text[] = "this text is only in the file";
_Thread_local long thread_value = 0x1122334455667788;
static _Thread_local char more[40];
int main(int argc, char** argv) {
  if (argc > 1) {  // a library as data, first in the address space or last
    int file = open(argv[1], O_RDONLY);
    printf("data %p\n", mmap((void*)0x10000000, 1 << 16, PROT_READ, MAP_PRIVATE | MAP_FIXED, file, 0));
  }
  more[3] = 1;
  large_bss[5] = 1;
  printf("global_value %p\nlarge_bss %p\nmain %p\nthread_value %p\n", (void*)&global_value, (void*)large_bss,
         (void*)main, (void*)&thread_value);
  if (library_value) printf("library %d\n", library_value());
  fflush(stdout);
  abort();
}
)";

constexpr const char* kLibrary = R"(
_Thread_local int library_tls = 77;
_Thread_local char padding[100] = {1};
int library_data = 5;
int library_value(void) { return library_tls + library_data + padding[1]; }
)";

std::map<std::string, uint64_t> parse_output(const std::string& output) {
  std::map<std::string, uint64_t> values;
  std::istringstream in(output);
  for (std::string name, value; in >> name >> value;) values[name] = std::strtoull(value.c_str(), nullptr, 0);
  return values;
}

std::optional<CoreDump> open_dump(const std::string& path, const CoreOptions& options = {}) {
  auto dump = open_core_dump(path, options);
  if (!dump) {
    ADD_FAILURE() << dump.error().message;
    return std::nullopt;
  }
  return std::optional(*std::move(dump));
}

const Module* program_of(const CoreDump& dump) {
  const Module* program = nullptr;
  for (const Module& module : dump.modules) {
    if (!module.is_executable) continue;
    EXPECT_EQ(program, nullptr) << "two programs: " << module.path << " and " << program->path;
    program = &module;
  }
  return program;
}

size_t count_named(const CoreDump& dump, std::string_view prefix) {
  size_t count = 0;
  for (const Module& module : dump.modules) count += module.name.starts_with(prefix);
  return count;
}

// The laws that hold for every list of modules.
void expect_sound(const CoreDump& dump) {
  EXPECT_TRUE(dump.memory.check());
  AddressRange previous;
  for (const Module& module : dump.modules) {
    EXPECT_FALSE(module.range.empty()) << module.path;
    EXPECT_GE(module.range.begin, previous.end) << module.path;
    previous = module.range;
    EXPECT_TRUE(module.symbols.check()) << module.path;
    Address at = module.range.begin;
    for (const ModuleSegment& segment : module.segments) {
      EXPECT_GE(segment.range.begin, at) << module.path;
      EXPECT_TRUE(module.range.contains(segment.range));
      EXPECT_TRUE(segment.file_backed.empty() || segment.range.contains(segment.file_backed));
      at = segment.range.end;
    }
  }
}

#define RUN_OR_SKIP(run)                                                   \
  do {                                                                     \
    if (!(run).skip_reason().empty()) GTEST_SKIP() << (run).skip_reason(); \
    ASSERT_FALSE((run).core_path().empty()) << (run).error();              \
  } while (false)

struct Linkage {
  const char* name;
  std::vector<std::string> flags;
  bool through_linker = false;  // started as `ld.so program`
};

class Programs : public testing::TestWithParam<Linkage> {};

TEST_P(Programs, AreWhereTheySaidTheyAre) {
  HEAPWALK_NEEDS_COMPILER();
  TemporaryDirectory directory;
  std::string program_path = compile_c(directory, "program", kProgram, GetParam().flags);
  ASSERT_FALSE(program_path.empty());
  RunOptions run_options{.arguments = {program_path}};
  if (GetParam().through_linker) {
    if (!fs::exists("/lib64/ld-linux-x86-64.so.2")) GTEST_SKIP() << "no /lib64/ld-linux-x86-64.so.2 here";
    run_options.arguments.insert(run_options.arguments.begin(), "/lib64/ld-linux-x86-64.so.2");
  }
  ProgramRun run(run_options);
  RUN_OR_SKIP(run);
  auto dump = open_dump(run.core_path());
  ASSERT_TRUE(dump);
  expect_sound(*dump);
  const Module* program = program_of(*dump);
  ASSERT_NE(program, nullptr);
  EXPECT_EQ(program->name, "program");
  EXPECT_EQ(fs::canonical(program->file_path), fs::canonical(program_path));
  EXPECT_EQ(program->build_id, program->image->build_id());

  auto truth = parse_output(run.output());
  for (const char* name : {"global_value", "large_bss", "main"}) {
    auto range = program->symbol_range(name);
    ASSERT_TRUE(range) << name;
    EXPECT_EQ(range->begin.value, truth[name]) << name;
    ASSERT_NE(program->find_symbol(range->begin), nullptr);
    EXPECT_EQ(program->find_symbol(range->begin)->name, name);
  }
  EXPECT_EQ(dump->memory.read<int32_t>(Address{truth["global_value"]}), 4242);
  // Not in the core, but the file is the same one.
  EXPECT_EQ(dump->memory.read_c_string(program->symbol_range("constant_text")->begin), "this text is only in the file");

  // .bss is writable and not from the file.
  Address bss = program->symbol_range("large_bss")->begin;
  auto segment = std::ranges::find_if(program->segments, [&](const auto& s) { return s.range.contains(bss); });
  ASSERT_NE(segment, program->segments.end());
  EXPECT_TRUE(segment->writable && !segment->relro);
  EXPECT_FALSE(segment->file_backed.contains(bss + 5000));
  EXPECT_TRUE(std::ranges::any_of(program->sections, [&](const ModuleSection& s) {
    return s.name == ".bss" && s.range.contains(bss) && s.writable;
  }));

  ASSERT_TRUE(program->tls);
  EXPECT_EQ(program->tls->module_id, 1u);
  ASSERT_TRUE(program->tls->static_offset);
  if (dump->process.architecture == Architecture::x86_64) {
    const Symbol* value = program->symbols.find_by_name("thread_value");
    ASSERT_NE(value, nullptr);
    Address at = dump->threads[0].thread_pointer - *program->tls->static_offset + value->link_address;
    EXPECT_EQ(at.value, truth["thread_value"]);
    EXPECT_EQ(dump->memory.read_word(at), 0x1122334455667788u);
  }
  EXPECT_EQ(count_named(*dump, "linux-vdso"), 1u);
  EXPECT_EQ(dump->diagnostics.count("missing_module"), 0u);
  EXPECT_EQ(dump->diagnostics.count("build_id_mismatch"), 0u);
}

INSTANTIATE_TEST_SUITE_P(Linkages, Programs,
                         testing::Values(Linkage{"Pie", {"-pie", "-fPIE"}}, Linkage{"FixedAddress", {"-no-pie"}},
                                         Linkage{"Static", {"-static", "-no-pie"}},
                                         Linkage{"StaticPie", {"-static-pie", "-fPIE"}},
                                         Linkage{"StartedByTheLinker", {"-pie", "-fPIE"}, true},
                                         Linkage{"FixedStartedByTheLinker", {"-no-pie"}, true},
                                         Linkage{"NoRelro", {"-pie", "-fPIE", "-Wl,-z,norelro"}},
                                         Linkage{"FewSegments", {"-pie", "-fPIE", "-Wl,-z,noseparate-code"}}),
                         [](const auto& linkage) { return linkage.param.name; });

// A program with a library of its own, run once for all tests.
class WithLibrary : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (!test::why_no_compiler().empty()) return;
    state_ = new State;
    std::string library = compile_c(state_->directory, "libmine.so", kLibrary, {"-shared", "-fPIC", "-g"});
    std::string program = compile_c(state_->directory, "program", kProgram,
                                    {"-Wl,--no-as-needed", library, "-Wl,-rpath," + state_->directory.path().string()});
    state_->run = std::make_unique<ProgramRun>(RunOptions{.arguments = {program, library}});
  }
  static void TearDownTestSuite() {
    delete state_;
    state_ = nullptr;
  }
  void SetUp() override {
    HEAPWALK_NEEDS_COMPILER();
    RUN_OR_SKIP(*state_->run);
    truth_ = parse_output(state_->run->output());
    ASSERT_EQ(truth_["library"], 82u);
  }
  static const std::string& core() { return state_->run->core_path(); }
  static std::string file(std::string_view name) { return state_->directory.file(name); }

  std::map<std::string, uint64_t> truth_;

 private:
  struct State {
    TemporaryDirectory directory;
    std::unique_ptr<ProgramRun> run;
  };
  static inline State* state_ = nullptr;
};

// The inputs of find_modules() as an opened core has them, to be bent by a test.
struct Inputs {
  explicit Inputs(const CoreDump& dump) : core_path(dump.path) {
    for (const Region& region : dump.memory.regions()) {
      if (region.state == ByteState::core) regions.push_back(region);
    }
    for (const Mapping& mapping : dump.mappings) {
      if (!mapping.path.empty()) mappings.push_back({mapping.range, mapping.file_offset, mapping.path});
    }
    auxv = dump.auxv;
    architecture = dump.process.architecture;
  }
  Result<ModuleList> find() {
    memory = AddressSpace(regions);
    diagnostics = {};
    return find_modules({&memory, mappings, auxv, &options, architecture, core_path}, diagnostics);
  }
  Module* named(ModuleList& list, std::string_view prefix) {
    for (Module& module : list.modules) {
      if (module.name.starts_with(prefix)) return &module;
    }
    return nullptr;
  }
  std::vector<Region> regions;
  std::vector<FileMapping> mappings;
  std::vector<std::pair<uint64_t, uint64_t>> auxv;
  Architecture architecture = Architecture::x86_64;
  std::string core_path;
  CoreOptions options;
  AddressSpace memory;
  Diagnostics diagnostics;
};

TEST_F(WithLibrary, FileMappedAsDataIsNotTheModule) {
  auto dump = open_dump(core());
  ASSERT_TRUE(dump);
  expect_sound(*dump);
  EXPECT_EQ(count_named(*dump, "libmine.so"), 1u);
  const Module* library = dump->find_module_by_name("libmine.so");
  ASSERT_NE(library, nullptr);
  EXPECT_TRUE(library->in_link_map);
  EXPECT_NE(library->range.begin.value, truth_["data"]);
  auto data = library->symbol_range("library_data");
  ASSERT_TRUE(data);
  EXPECT_EQ(dump->memory.read<int32_t>(data->begin), 5);
  // The data mapping's bytes come from the file all the same.
  EXPECT_EQ(dump->memory.read<uint32_t>(Address{truth_["data"]}), 0x464c457fu);
  EXPECT_EQ(dump->memory.read_exactly(Address{truth_["data"]} + 0x1000, 256).size(), 256u);
}

TEST_F(WithLibrary, TlsBlocksOfLibraries) {
  auto dump = open_dump(core());
  ASSERT_TRUE(dump);
  const Module* library = dump->find_module_by_name("libmine.so");
  ASSERT_TRUE(library != nullptr && library->tls);
  if (dump->process.architecture != Architecture::x86_64) GTEST_SKIP() << "the test knows x86-64's layout only";
  const Symbol* value = library->symbols.find_by_name("library_tls");
  ASSERT_NE(value, nullptr);
  EXPECT_GE(library->tls->module_id, 2u);
  ASSERT_TRUE(library->tls->static_offset);
  Address at = dump->threads[0].thread_pointer - *library->tls->static_offset + value->link_address;
  EXPECT_EQ(dump->memory.read<int32_t>(at), 77);
}

TEST_F(WithLibrary, WithoutFileTableTheLinkMapSuffices) {
  auto dump = open_dump(core());
  ASSERT_TRUE(dump);
  Inputs inputs(*dump);
  inputs.mappings.clear();
  auto list = inputs.find();
  ASSERT_TRUE(list);
  Module* library = inputs.named(*list, "libmine.so");
  ASSERT_NE(library, nullptr);
  EXPECT_NE(library->image, nullptr);
  EXPECT_EQ(library->range, dump->find_module_by_name("libmine.so")->range);
  Module* program = inputs.named(*list, "program");
  ASSERT_NE(program, nullptr);
  EXPECT_TRUE(program->is_executable);
  EXPECT_EQ(list->modules.size(), dump->modules.size());
}

TEST_F(WithLibrary, WithoutLinkMapTheFileTableSuffices) {
  auto dump = open_dump(core());
  ASSERT_TRUE(dump);
  Inputs inputs(*dump);
  // What can be written is lost, and with it the linker's list: a core cut off before it.
  std::erase_if(inputs.regions, [&](const Region& region) {
    const Mapping* mapping = dump->find_mapping(region.range.begin);
    return mapping == nullptr || mapping->writable || mapping->path.empty();
  });
  std::erase_if(inputs.regions, [](const Region& region) { return region.range.size_bytes() != 4096; });
  auto list = inputs.find();
  ASSERT_TRUE(list);
  Module* library = inputs.named(*list, "libmine.so");
  ASSERT_NE(library, nullptr);
  EXPECT_FALSE(library->in_link_map);
  EXPECT_EQ(library->range, dump->find_module_by_name("libmine.so")->range);
  EXPECT_TRUE(inputs.named(*list, "program")->is_executable);
  size_t libraries = 0;
  for (const Module& module : list->modules) libraries += module.name == "libmine.so";
  EXPECT_EQ(libraries, 1u);
}

// Bytes that the process could write and the core does not have are unknown, whatever the file says.
TEST_F(WithLibrary, FilesDoNotSupplyWritableBytes) {
  auto dump = open_dump(core());
  ASSERT_TRUE(dump);
  Inputs inputs(*dump);
  auto list = inputs.find();
  ASSERT_TRUE(list);
  ASSERT_FALSE(list->file_regions.empty());
  for (const Region& region : list->file_regions) {
    EXPECT_EQ(region.state, ByteState::file);
    for (const Module& module : list->modules) {
      for (const ModuleSegment& segment : module.segments) {
        EXPECT_FALSE(segment.writable && segment.range.overlaps(region.range)) << module.path;
      }
    }
  }
}

TEST_F(WithLibrary, MissingFileIsADiagnosticAndTheModuleStays) {
  auto dump = open_dump(core(), {.sysroot = file("nowhere")});
  ASSERT_TRUE(dump);
  const Module* library = dump->find_module_by_name("libmine.so");
  ASSERT_NE(library, nullptr);
  EXPECT_EQ(library->image, nullptr);
  EXPECT_FALSE(library->build_id.empty());
  EXPECT_FALSE(library->segments.empty());
  EXPECT_TRUE(library->symbols.empty());
  EXPECT_GE(dump->diagnostics.count("missing_module"), 3u);
}

TEST_F(WithLibrary, SysrootSuppliesTheFiles) {
  std::string sysroot = file("root");
  std::string below = sysroot + fs::canonical(file(".")).string();
  fs::create_directories(below);
  fs::copy_file(file("libmine.so"), below + "/libmine.so", fs::copy_options::overwrite_existing);
  auto dump = open_dump(core(), {.sysroot = sysroot});
  ASSERT_TRUE(dump);
  EXPECT_EQ(dump->find_module_by_name("libmine.so")->file_path, below + "/libmine.so");
  EXPECT_EQ(dump->executable()->image, nullptr);
}

TEST_F(WithLibrary, FileOfAnotherBuildIsNotUsed) {
  std::string sysroot = file("other");
  std::string below = sysroot + fs::canonical(file(".")).string();
  fs::create_directories(below);
  fs::copy_file(file("program"), below + "/libmine.so", fs::copy_options::overwrite_existing);
  auto dump = open_dump(core(), {.sysroot = sysroot});
  ASSERT_TRUE(dump);
  EXPECT_EQ(dump->find_module_by_name("libmine.so")->image, nullptr);
  EXPECT_EQ(dump->diagnostics.count("build_id_mismatch"), 1u);
}

TEST_F(WithLibrary, DebugFileByBuildId) {
  auto plain = open_dump(core());
  ASSERT_TRUE(plain);
  std::string id = plain->find_module_by_name("libmine.so")->build_id;
  ASSERT_GT(id.size(), 4u);
  std::string folder = file("store/.build-id/") + id.substr(0, 2);
  std::string debug = folder + "/" + id.substr(2) + ".debug";
  std::string sysroot = file("stripped");
  std::string below = sysroot + fs::canonical(file(".")).string();
  fs::create_directories(folder);
  fs::create_directories(below);
  ASSERT_TRUE(run_tool({"objcopy", "--only-keep-debug", file("libmine.so"), debug}));
  ASSERT_TRUE(run_tool({"strip", file("libmine.so"), "-o", below + "/libmine.so"}));
  auto dump = open_dump(core(), {.sysroot = sysroot, .debug_dirs = {file("store")}});
  ASSERT_TRUE(dump);
  const Module* library = dump->find_module_by_name("libmine.so");
  EXPECT_EQ(library->debug_file_path, debug);
  ASSERT_NE(library->debug_image, nullptr);
  EXPECT_TRUE(library->debug_image->has_debug_info());
}

TEST_F(WithLibrary, UsersBinaryMustBeTheCoresProgram) {
  auto right = open_dump(core(), {.binary = file("program")});
  ASSERT_TRUE(right);
  EXPECT_EQ(right->executable()->file_path, file("program"));

  auto wrong = open_core_dump(core(), {.binary = file("libmine.so")});
  ASSERT_FALSE(wrong);
  EXPECT_NE(wrong.error().message.find("not the same program"), std::string::npos) << wrong.error().message;

  auto forced = open_dump(core(), {.binary = file("libmine.so"), .force = true});
  ASSERT_TRUE(forced);
  EXPECT_EQ(forced->diagnostics.count("build_id_mismatch"), 1u);

  EXPECT_FALSE(open_core_dump(core(), {.binary = file("missing")}));
  EXPECT_FALSE(open_core_dump(core(), {.binary = file("program.c")}));
}

TEST(ModuleList, ProgramsWithoutBuildIdAreComparedByTheirHeaders) {
  HEAPWALK_NEEDS_COMPILER();
  TemporaryDirectory directory;
  std::string program = compile_c(directory, "program", kProgram, {"-Wl,--build-id=none"});
  ProgramRun run({.arguments = {program}});
  RUN_OR_SKIP(run);
  auto dump = open_dump(run.core_path());
  ASSERT_TRUE(dump);
  EXPECT_NE(dump->executable()->image, nullptr);
  EXPECT_EQ(dump->executable()->build_id, "");
  auto named = open_dump(run.core_path(), {.binary = program});
  ASSERT_TRUE(named);
  EXPECT_EQ(named->diagnostics.count("unverified_binary"), 1u);

  fs::remove(program);  // the compiler writes a new file; the process had the old one
  compile_c(directory, "program", std::string(kProgram) + "\nchar other[5000] = {1};", {"-Wl,--build-id=none"});
  auto changed = open_dump(run.core_path());
  ASSERT_TRUE(changed);
  EXPECT_EQ(changed->executable()->image, nullptr);
  EXPECT_EQ(changed->diagnostics.count("build_id_mismatch"), 1u);
}

TEST(ModuleList, DeletedProgramKeepsItsName) {
  HEAPWALK_NEEDS_COMPILER();
  TemporaryDirectory directory;
  std::string program = compile_c(directory, "program",
                                  "#include <stdlib.h>\n#include <unistd.h>\n"
                                  "int main(int c, char** v) { (void)c; unlink(v[0]); abort(); }",
                                  {});
  ProgramRun run({.arguments = {program}});
  RUN_OR_SKIP(run);
  auto dump = open_dump(run.core_path());
  ASSERT_TRUE(dump);
  ASSERT_NE(dump->executable(), nullptr);
  EXPECT_EQ(dump->executable()->name, "program");
  EXPECT_EQ(dump->executable()->image, nullptr);
  EXPECT_EQ(dump->diagnostics.count("missing_module"), 1u);
}

TEST(ModuleList, TruncatedCoreStillHasItsProgram) {
  HEAPWALK_NEEDS_COMPILER();
  TemporaryDirectory directory;
  std::string program = compile_c(directory, "program", kProgram, {});
  ProgramRun run({.arguments = {program}, .core_limit_bytes = 64 << 10});
  RUN_OR_SKIP(run);
  auto dump = open_dump(run.core_path());
  ASSERT_TRUE(dump);
  EXPECT_GT(dump->missing_bytes, 0u);
  const Module* module = dump->executable();
  ASSERT_NE(module, nullptr);
  EXPECT_EQ(module->name, "program");
  ASSERT_NE(module->image, nullptr);
  EXPECT_EQ(module->to_runtime(module->symbols.find_by_name("main")->link_address).value,
            parse_output(run.output())["main"]);
}

TEST(ModuleList, SystemProgram) {
  ProgramRun run({.arguments = {"/bin/sh", "-c", "kill -ABRT $$"}});
  RUN_OR_SKIP(run);
  auto dump = open_dump(run.core_path());
  ASSERT_TRUE(dump);
  expect_sound(*dump);
  ASSERT_NE(dump->executable(), nullptr);
  EXPECT_NE(dump->executable()->image, nullptr);
  const Module* libc = dump->find_module_by_name("libc.so");
  ASSERT_NE(libc, nullptr);
  EXPECT_TRUE(libc->symbol_range("malloc"));
}

// Lists that lead in circles or nowhere, at every place of the list's structures.
TEST_F(WithLibrary, CorruptLinkMapIsHandled) {
  auto dump = open_dump(core());
  ASSERT_TRUE(dump);
  auto r_debug = dump->executable()->dynamic;
  ASSERT_TRUE(r_debug);
  uint64_t debug_address = 0;
  for (uint64_t i = 0; i < 64; ++i) {
    if (dump->memory.read_word(r_debug + 16 * i) == uint64_t{DT_DEBUG}) {
      debug_address = *dump->memory.read_word(r_debug + 16 * i + 8);
    }
  }
  uint64_t first_entry = dump->memory.read_word(Address{debug_address} + 8).value_or(0);
  ASSERT_NE(first_entry, 0u);
  for (uint64_t target : {debug_address, first_entry}) {
    for (uint64_t field = 0; field < 40; field += 8) {
      for (uint64_t value : {uint64_t{0}, first_entry, debug_address, uint64_t{1}, UINT64_MAX}) {
        Inputs inputs(*dump);
        auto region = std::ranges::find_if(inputs.regions,
                                           [&](const Region& r) { return r.range.contains(Address{target + field}); });
        ASSERT_NE(region, inputs.regions.end());
        std::vector<std::byte> copy(region->data, region->data + region->range.size_bytes());
        std::memcpy(copy.data() + (Address{target + field} - region->range.begin), &value, 8);
        region->data = copy.data();
        auto list = inputs.find();
        ASSERT_TRUE(list);
        EXPECT_GE(list->modules.size(), 3u);
        EXPECT_LE(list->modules.size(), 8u);
        Module* library = inputs.named(*list, "libmine.so");
        EXPECT_NE(library, nullptr) << field << " " << value;
      }
    }
  }
}

}  // namespace
}  // namespace heapwalk
