// The search for the run-time's variables, against the symbols of programs that have them: with the machine's go, and with the
// releases that HEAPWALK_GO_TOOLCHAINS names.
#include "heapwalk/runtimes/go/program/variable_search.h"

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <set>

#include "dump/elf_image.h"
#include "heapwalk/runtimes/go/program/record.h"
#include "heapwalk/runtimes/go/program/variable_clues.h"
#include "tests/support/go_program.h"
#include "tests/support/go_toolchain.h"
#include "tests/support/patched_core.h"
#include "tests/support/recorded_core.h"
#include "tests/support/temporary_directory.h"

namespace heapwalk::go {
namespace {

using Variables = std::map<std::string, Address>;

bool is_used(const Process& process, const VariableRule& rule) {
  return std::ranges::any_of(rule.clues, [&](const Clue& clue) {
    const std::string function(clue.function);
    return process.module->symbol_range(function) || process.module->symbol_range(function + ".abi0");
  });
}

// What the rules look for and the program has and uses, by its symbols.
Variables symbols_of(const Process& process) {
  Variables variables;
  for (const VariableRule& rule : variable_rules())
    if (const auto range = process.module->symbol_range(rule.variable); range && rule.is_of(process.layout.minor()))
      if (is_used(process, rule)) variables[std::string(rule.variable)] = range->begin;
  return variables;
}

std::string text_of(const Variables& variables) {
  std::string text;
  for (const auto& [name, at] : variables) text += fmt::format("{} {:#x}\n", name, at.value);
  return text;
}

Variables variables_of(const FoundVariables& found) {
  return {found.all().begin(), found.all().end()};
}

struct Opened {
  std::optional<CoreDump> dump;
  std::optional<Process> process;
  Diagnostics diagnostics;
};

void open(const std::string& core, const std::string& binary, Opened& opened, bool force = false) {
  auto dump = open_core_dump(core, {.binary = binary, .force = force});
  ASSERT_TRUE(dump) << dump.error().message;
  opened.dump.emplace(std::move(*dump));
  opened.process = find_process(*opened.dump, opened.diagnostics);
  ASSERT_TRUE(opened.process);
}

std::string go_diagnostics(const Diagnostics& diagnostics) {
  std::string text;
  for (const Diagnostic& each : diagnostics.all())
    if (each.code.starts_with("go_")) text += each.text + "\n";
  return text;
}

// The program's core with its own file: the search finds what symbols say. With a stripped copy of it: the process knows
// the same variables.
void expect_all(const std::string& core, const std::string& binary) {
  Opened whole;
  open(core, binary, whole);
  ASSERT_TRUE(whole.process->has_symbols);
  const Variables wanted = symbols_of(*whole.process);
  EXPECT_GE(wanted.size(), 20u);
  const VariableSearch search = search_variables(*whole.dump, *whole.process);
  EXPECT_EQ(text_of(variables_of(search.found)), text_of(wanted));
  EXPECT_TRUE(search.unknown.empty()) << testing::PrintToString(search.unknown);

  const test::TemporaryDirectory directory;
  const std::string stripped = directory.file("stripped");
  const CommandResult strip = run_command({"strip", "-o", stripped, binary});
  if (strip.status != 0) GTEST_SKIP() << "strip: " << strip.output;
  Opened bare;
  open(core, stripped, bare, true);  // before Go 1.24 programs have no build id
  EXPECT_FALSE(bare.process->has_symbols);
  EXPECT_EQ(bare.process->mheap, whole.process->mheap);
  EXPECT_EQ(text_of(variables_of(bare.process->found)), text_of(wanted));
  EXPECT_EQ(go_diagnostics(bare.diagnostics), "");
}

class GoVariableSearch : public testing::TestWithParam<const char*> {};

TEST_P(GoVariableSearch, FindsWhatSymbolsSay) {
  test::GoRun run(GetParam(), {"end=fork", "spin=0"});
  if (!run.skip_reason().empty()) GTEST_SKIP() << run.skip_reason();
  ASSERT_EQ(run.error(), "");
  expect_all(run.core_path(), run.binary());
}

INSTANTIATE_TEST_SUITE_P(Builds, GoVariableSearch, testing::Values("go_heap", "go_heap_unoptimized", "go_heap_pie"),
                         [](const auto& param) { return std::string(param.param); });

// Threads run, the collector marks, the run-time itself is not optimized.
class GoVariableSearchBuilt : public testing::TestWithParam<std::string> {};

TEST_P(GoVariableSearchBuilt, FindsWhatSymbolsSay) {
  for (const char* flags : {"-tags=small", "-gcflags=all=-N -l"}) {
    const test::TemporaryDirectory directory;
    const std::string program = directory.file("go_heap");
    const CommandResult build =
        run_command({"env", "GO=" + GetParam(), "CGO_ENABLED=0", HEAPWALK_SOURCE_DIR "/testdata/programs/go/build",
                     "go_heap", program, flags});
    ASSERT_EQ(build.status, 0) << build.output;
    for (const char* collect : {"collect=done", "collect=mark"}) {
      SCOPED_TRACE(fmt::format("{} {} {}", GetParam(), flags, collect));
      const ProgramRun run(RunOptions{.arguments = {program, "end=abort", "spin=1", "list_kb=20000", collect}});
      if (!run.skip_reason().empty()) GTEST_SKIP() << run.skip_reason();
      ASSERT_EQ(run.error(), "");
      expect_all(run.core_path(), program);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Toolchains, GoVariableSearchBuilt, testing::ValuesIn(test::go_toolchains()),
                         [](const auto& param) { return fmt::format("toolchain_{}", param.index); });
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(GoVariableSearchBuilt);

// Linked without symbols, as programs are shipped: everything that the same program has with symbols is found.
TEST(GoVariableSearchStripped, KnowsWhatTheSameProgramWithSymbolsHas) {
  test::GoRun stripped("go_heap_stripped", {"end=fork", "spin=0"}), whole("go_heap", {"end=fork", "spin=0"});
  if (!stripped.skip_reason().empty()) GTEST_SKIP() << stripped.skip_reason();
  ASSERT_EQ(stripped.error() + whole.error(), "");
  Opened with, without;
  open(stripped.core_path(), stripped.binary(), without);
  open(whole.core_path(), whole.binary(), with);
  EXPECT_EQ(go_diagnostics(without.diagnostics), "");
  std::set<std::string> names, wanted;
  for (const auto& [name, at] : without.process->found.all()) names.insert(name);
  for (const auto& [name, at] : symbols_of(*with.process)) wanted.insert(name);
  EXPECT_EQ(names, wanted);
}

// What is not proved is not taken.
TEST(GoVariableSearchDamage, RefusesWhatDoesNotHoldTogether) {
  test::GoRun run("go_heap", {"end=fork", "spin=0"});
  if (!run.skip_reason().empty()) GTEST_SKIP() << run.skip_reason();
  ASSERT_EQ(run.error(), "");
  Opened opened;
  open(run.core_path(), run.binary(), opened);
  const Process& process = *opened.process;
  const AddressSpace& memory = opened.dump->memory;
  auto at = [&](const char* variable, Field field) {
    return *process.variable(variable) + process.layout.offset(field);
  };
  auto behind = [&](const char* variable, Field field) {
    return *memory.read_pointer(*process.variable(variable)) + process.layout.offset(field);
  };
  const std::vector<std::tuple<const char*, Address, uint64_t>> damages = {
      {"runtime.mbuckets", behind("runtime.mbuckets", Field::bucket_typ), 4},
      {"runtime.allm", behind("runtime.allm", Field::m_g0), 0},
      {"runtime.allp", *memory.read_pointer(behind("runtime.allp", Field::p_id)), 7},
      {"runtime.allgs", *process.variable("runtime.allgs") + 8, 0},
      {"runtime.itabTable", behind("runtime.itabTable", Field::itabTableType_size), 1000},
      {"runtime.gcController", at("runtime.gcController", Field::gcControllerState_heapInUse), uint64_t{1} << 40},
      {"runtime.memstats", at("runtime.memstats", Field::mstats_gcMiscSys), 0},
      {"runtime.work", at("runtime.work", Field::workType_cycles), 12345},
      {"runtime.semtable", *process.variable("runtime.semtable") + 32, 1},
      {"runtime.waitReasonStrings", *process.variable("runtime.waitReasonStrings") + 16, 0},
      {"runtime.fingStatus", *process.variable("runtime.fingStatus"), 0xff},
      {"runtime.mProfCycle", *process.variable("runtime.mProfCycle"), 0xfffff},
      {"runtime.blockprofilerate", *process.variable("runtime.blockprofilerate"), UINT64_MAX},
  };
  const Variables wanted = symbols_of(process);
  for (const auto& [variable, where, value] : damages) {
    PatchedCore patched(*open_core_dump(run.core_path(), {.binary = run.binary()}));
    ASSERT_TRUE(patched.poke(where, value)) << variable;
    const VariableSearch search = search_variables(patched.dump(), process);
    EXPECT_EQ(search.found.find(variable), std::nullopt) << variable;
    EXPECT_NE(std::ranges::find(search.unknown, variable), search.unknown.end()) << variable;
    for (const auto& [name, found] : search.found.all()) EXPECT_EQ(found, wanted.at(name)) << name;
  }
}

// No core: the program's file alone, its variables zero where they begin as zero.
class ProgramFile {
 public:
  explicit ProgramFile(std::shared_ptr<const ElfImage> image) : image_(std::move(image)) {
    std::vector<Region> regions;
    for (const ElfSegment& segment : image_->segments()) {
      if (segment.type != 1 || segment.memory_size == 0) continue;  // PT_LOAD
      auto& bytes = contents_.emplace_back(segment.memory_size);
      const Bytes file = image_->bytes().subspan(segment.offset, segment.file_size);
      std::ranges::copy(file, bytes.begin());
      regions.push_back(
          {AddressRange::of(Address{segment.link_address}, segment.memory_size), ByteState::file, bytes.data()});
    }
    memory_ = AddressSpace(std::move(regions));
    Diagnostics ignored;
    symbols_ = SymbolTable(image_->read_symbols(ignored));
  }
  const AddressSpace& memory() const { return memory_; }
  std::optional<Address> symbol(std::string_view name) const {
    const Symbol* symbol = symbols_.find_by_name(name);
    return symbol == nullptr ? std::nullopt : std::optional(Address{symbol->link_address});
  }

 private:
  std::shared_ptr<const ElfImage> image_;
  std::deque<std::vector<std::byte>> contents_;
  AddressSpace memory_;
  SymbolTable symbols_;
};

// No arm64 machine is needed to see that the code of a program for it leads to the right places.
TEST_P(GoVariableSearchBuilt, Arm64CodeLeadsToThem) {
  const test::TemporaryDirectory directory;
  const std::string program = directory.file("go_heap");
  const CommandResult build =
      run_command({"env", "GO=" + GetParam(), "CGO_ENABLED=0", "GOARCH=arm64",
                   HEAPWALK_SOURCE_DIR "/testdata/programs/go/build", "go_heap", program, "-tags=small"});
  ASSERT_EQ(build.status, 0) << build.output;
  auto image = ElfImage::open(program);
  ASSERT_TRUE(image) << image.error().message;
  ASSERT_EQ((*image)->architecture(), Architecture::aarch64);
  const ProgramFile file(*image);
  const std::string version = test::go_version(GetParam());  // go1.26.8
  const int minor = std::stoi(version.substr(version.find('.') + 1));
  const auto layout = Layout::of(minor, Architecture::aarch64);
  ASSERT_TRUE(layout) << version;
  const auto module =
      read_module_data(file.memory(), *layout, file.symbol("runtime.firstmoduledata").value_or(Address{}), nullptr);
  ASSERT_TRUE(module);
  ClueReader clues(file.memory(), Architecture::aarch64, *layout, *module);
  FoundVariables found;
  size_t variables = 0;
  for (const VariableRule& rule : variable_rules()) {
    const auto at = file.symbol(rule.variable == "runtime.debug" ? "runtime.dbgvars" : rule.variable);
    if (!rule.is_of(minor) || !at || found.find(rule.variable)) continue;
    const auto candidates = clues.candidates(rule, found);
    found.add(rule.variable, *at);
    if (!candidates) continue;
    ++variables;
    EXPECT_NE(std::ranges::find(*candidates, *at), candidates->end()) << rule.variable;
    EXPECT_LE(candidates->size(), 4u) << rule.variable;  // lists that may be empty, and words next to each other
  }
  EXPECT_GE(variables, 18u);
}

// Recorded cores have no machine code: nothing is found, and nothing wrong.
TEST(GoVariableSearchDamage, FindsNothingWithoutCode) {
  for (int minor : test::recorded_go_minors()) {
    test::RecordedCore core(minor);
    ASSERT_EQ(core.error(), "");
    Opened opened;
    open(core.core_path(), core.binary(), opened);
    const VariableSearch search = search_variables(*opened.dump, *opened.process);
    EXPECT_TRUE(search.found.all().empty()) << minor;
  }
}

}  // namespace
}  // namespace heapwalk::go
