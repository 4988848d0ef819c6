// Locals and parameters of frames against gdb: of each thread's frames, the same variables must have the same place and value.
//
//     frame_locals.cc ─ compiler, flags ─► program ─► core ─┬─ Unwinder, read_debug_info, locate ─► lines ─┐
//                                                           └─ gdb's Python ──────────────────────► lines ─┴─ equal
//
// A line: thread, number of the frame (inlined functions count with the one around them), name, what is known. Left out on
// both sides: statics and constants, and records that are not in memory as a whole. What gdb works out from the caller's
// call site (DW_OP_entry_value) is no place; such variables are left out too, and counted.
#include "dwarf/frame_variables.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <sstream>

#include "dwarf/type_reader.h"
#include "dwarf/unwinder.h"
#include "tests/dwarf/compiled_module.h"
#include "tests/support/compiler.h"
#include "tests/support/run_program.h"
#include "tests/support/temporary_directory.h"

namespace heapwalk {
namespace {

using test::TemporaryDirectory;

constexpr const char* kGdbScript = R"(
import gdb
gdb.execute("set pagination off")
def known(value):
    kind = value.type.strip_typedefs().code
    size = value.type.strip_typedefs().sizeof
    if kind in (gdb.TYPE_CODE_REF, gdb.TYPE_CODE_RVALUE_REF):
        return "value %#x" % int(value.referenced_value().address)
    scalar = kind == gdb.TYPE_CODE_PTR or (kind == gdb.TYPE_CODE_INT and size == 8)
    if not scalar and value.address is None: return None
    text = "" if value.address is None else "at %#x" % int(value.address)
    if scalar: text += (" " if text else "") + "value %#x" % (int(value) & (2 ** 64 - 1))
    return text
for thread in gdb.selected_inferior().threads():
    thread.switch()
    frame = gdb.newest_frame()
    number = 0
    while frame:
        try: block = frame.block()
        except RuntimeError: block = None
        while block and frame.type() != gdb.TAILCALL_FRAME:
            for symbol in block:
                if not (symbol.is_variable or symbol.is_argument): continue
                if symbol.addr_class in (gdb.SYMBOL_LOC_STATIC, gdb.SYMBOL_LOC_CONST, gdb.SYMBOL_LOC_CONST_BYTES): continue
                if not symbol.symtab.filename.endswith("frame_locals.cc"): continue
                try:
                    value = frame.read_var(symbol)
                    if value.is_optimized_out: continue
                    text = known(value)
                except Exception: continue
                if text: print("=", thread.ptid[1], number, symbol.name, text)
            if block.function: break
            block = block.superblock
        if frame.type() not in (gdb.INLINE_FRAME, gdb.TAILCALL_FRAME): number += 1
        frame = frame.older()
)";

struct Lines {
  std::multiset<std::string> known;
  std::set<std::string> only_at_entry;  // "thread frame name" of those that were known when the function was called
};

// What is known of a variable, as the script says it; empty: it is left out.
std::string describe(const CoreDump& dump, const TypeTable& types, const FrameVariable& variable,
                     const std::vector<LocationPiece>& pieces) {
  if (variable.type == kNoType || pieces.size() != 1 || pieces[0].size_bytes != 0) return "";
  const Type& type = types[variable.type];
  const bool is_integer =
      type.kind == TypeKind::base && type.size_bytes == 8 &&
      (type.encoding == BaseEncoding::signed_integer || type.encoding == BaseEncoding::unsigned_integer);
  const bool is_scalar = type.kind == TypeKind::pointer || is_integer;
  const bool in_memory = pieces[0].kind == LocationPiece::Kind::memory;
  if (!is_scalar && !in_memory) return "";
  std::string text = in_memory && type.form != PointerForm::reference ? fmt::format("at {:#x}", pieces[0].value) : "";
  if (!is_scalar) return text;
  auto value = in_memory ? dump.memory.read_word(Address{pieces[0].value}) : pieces[0].value;
  if (!value) return "";
  return fmt::format("{}{}value {:#x}", text, text.empty() ? "" : " ", *value);
}

struct Found {
  explicit Found(const CoreDump& dump, size_t workers = 2, bool only_frames = false) {
    auto unwinder = Unwinder::create(dump);
    if (!unwinder) {
      ADD_FAILURE() << unwinder.error().message;
      return;
    }
    const Module& module = *dump.executable();
    std::vector<uint64_t> pcs;
    for (const Thread& thread : dump.threads)
      for (Address pc : unwinder->lookup_pcs(thread))
        if (module.range.contains(pc)) pcs.push_back(module.to_link(pc));
    FrameVariables frames(pcs);
    TypeTableBuilder types;
    if (only_frames) {
      read_frame_variables(module, workers, types, diagnostics, {}, frames);
    } else {
      read_debug_info(module, workers, types, diagnostics, {}, &frames);
    }
    EXPECT_TRUE(types.table().check());
    std::map<uint32_t, const Thread*> threads;  // in the order in which the program made them
    for (const Thread& thread : dump.threads) threads[thread.tid] = &thread;
    size_t number = 0;
    for (const auto& [tid, thread] : threads) add_thread(dump, *thread, number++, *unwinder, frames, types.table());
  }

  void add_thread(const CoreDump& dump, const Thread& thread, size_t number, Unwinder& unwinder,
                  const FrameVariables& frames, const TypeTable& types) {
    const Module& module = *dump.executable();
    const std::vector<Frame> stack = unwinder.unwind(thread);
    for (size_t i = 0; i < stack.size(); ++i) {
      const FrameFunction* function = frames.find(module.to_link(stack[i].lookup_pc));
      if (function == nullptr) continue;
      for (const FrameVariable& variable : function->variables) {
        const FrameContext context{&dump.memory, &stack[i].registers, stack[i].cfa, &function->frame_base, module.bias};
        const auto pieces = locate(variable.location, context);
        const std::string key = fmt::format("{} {} {}", thread.tid, i, variable.name);
        if (!pieces) {
          if (pieces.error() == NoLocation::entry_value) lines.only_at_entry.insert(key);
          EXPECT_NE(pieces.error(), NoLocation::damaged) << key;
          continue;
        }
        const std::string text = describe(dump, types, variable, *pieces);
        if (!text.empty() && !variable.name.empty()) lines.known.insert(key + " " + text);
        all += fmt::format("{} {} {} {} {} {} {} {}\n", number, i, variable.name, types.spelled(variable.type),
                           variable.source, variable.function, variable.is_parameter, pieces->size());
      }
    }
  }

  Lines lines;
  std::string all;  // everything, for comparisons among ourselves
  Diagnostics diagnostics;
};

// Half of the flips hit what the functions that frames are in are made of; nothing may crash, hang, or lie out of range.
TEST(FrameVariables, DamagedDebugInfoIsHandled) {
  HEAPWALK_NEEDS_COMPILER();
  for (const char* flags : {"-gdwarf-4", "-gdwarf-5"}) {
    TemporaryDirectory directory;
    std::ifstream file(HEAPWALK_SOURCE_DIR "/testdata/programs/frame_locals.cc");
    const std::string source(std::istreambuf_iterator<char>(file), {});
    const auto image =
        test::open_image(test::compile_cxx(directory, "program", source, {flags, "-O2", "-std=c++20", "-pthread"}));
    ASSERT_NE(image, nullptr);
    const Module whole = test::module_of(image);
    std::vector<uint64_t> pcs;  // eight of each function
    for (const Symbol& symbol : whole.symbols.all())
      for (uint64_t i = 0; i < 8; ++i) pcs.push_back(symbol.link_address + symbol.size_bytes * i / 8);
    const std::vector<std::byte> bytes(image->bytes().begin(), image->bytes().end());
    std::vector<const ElfSection*> sections;
    for (const char* name :
         {".debug_info", ".debug_abbrev", ".debug_loc", ".debug_loclists", ".debug_ranges", ".debug_rnglists"}) {
      if (const ElfSection* section = image->find_section(name)) sections.push_back(section);
    }
    ASSERT_EQ(sections.size(), 4u);
    std::mt19937 random(5);
    size_t noticed = 0, variables = 0;
    for (int round = 0; round < 200; ++round) {
      std::vector<std::byte> damaged = bytes;
      for (int flip = 0; flip < 1 + round % 30; ++flip) {
        const ElfSection& section = *sections[random() % sections.size()];
        damaged[section.offset + random() % section.size_bytes] = static_cast<std::byte>(random());
      }
      auto broken = ElfImage::from_bytes(damaged, "damaged", nullptr);
      ASSERT_TRUE(broken);
      Diagnostics diagnostics;
      TypeTableBuilder types;
      FrameVariables frames(pcs);
      read_frame_variables(test::module_of(*broken), 1, types, diagnostics, {}, frames);
      EXPECT_TRUE(types.table().check());
      noticed += diagnostics.count("damaged_debug_info") > 0;
      const AddressSpace memory;
      FrameRegisters registers;
      for (unsigned i = 0; i < 17; ++i) registers.set(i, 0x7000 + i);
      for (uint64_t pc : frames.pcs()) {
        const FrameFunction* function = frames.find(pc);
        if (function == nullptr) continue;
        for (const FrameVariable& variable : function->variables) {
          EXPECT_TRUE(variable.type == kNoType || index(variable.type) < types.table().size());
          variables += locate(variable.location, {&memory, &registers, 0x8000, &function->frame_base, 0}).has_value();
        }
      }
    }
    EXPECT_GT(noticed, 0u);
    EXPECT_GT(variables, 1000u);
  }
}

struct Variant {
  const char* name;
  const char* compiler;
  std::string flags;
  enum Form { whole, split, packed } form = whole;  // packed: split, and the .dwo file put into a .dwp
  bool is_beyond_gdb = false;  // gdb 13 finds no locals in clang's split units nor in packages of DWARF 5
};

void PrintTo(const Variant& variant, std::ostream* out) {
  *out << variant.compiler << " " << variant.flags;
}

std::string find_tool(std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (run_command({name, "--version"}).status == 0) return name;
  }
  return "";
}

class FrameVariablesOf : public testing::TestWithParam<Variant> {
 protected:
  void SetUp() override {
    const bool is_clang = std::string(GetParam().compiler) == "clang++";
    compiler_ = is_clang ? find_tool({"clang++", "clang++-19", "clang++-16", "clang++-14"}) : find_tool({"g++"});
    if (compiler_.empty()) GTEST_SKIP() << GetParam().compiler << " is not here";
    if (find_tool({"gdb"}).empty()) GTEST_SKIP() << "gdb is not here";
    build("program", GetParam().form == Variant::whole ? "" : "-gsplit-dwarf");
    if (GetParam().form == Variant::packed) {
      const std::string tool = find_tool({"llvm-dwp-19", "llvm-dwp"});
      if (tool.empty()) GTEST_SKIP() << "nothing here packs .dwo files";
      in_directory(tool + " program.dwo -o program.dwp && rm program.dwo");
    }
    run_ = run("program");
    if (!run_->skip_reason().empty()) GTEST_SKIP() << run_->skip_reason();
    dump_ = open("program", *run_);
  }

  void in_directory(const std::string& command) const {
    ASSERT_TRUE(test::run_tool({"sh", "-c", fmt::format("cd '{}' && {}", directory_.path().string(), command)}));
  }
  void build(const std::string& name, const std::string& more) const {
    in_directory(fmt::format("{0} -std=c++20 -pthread {1} {2} -c '{3}' -o {4}.o && {0} -pthread {4}.o -o {4}",
                             compiler_, GetParam().flags, more,
                             HEAPWALK_SOURCE_DIR "/testdata/programs/frame_locals.cc", name));
  }
  std::unique_ptr<ProgramRun> run(const std::string& name) const {
    auto result =
        std::make_unique<ProgramRun>(RunOptions{.arguments = {directory_.file(name), directory_.file("record")}});
    EXPECT_EQ(result->error(), "");
    return result;
  }
  std::unique_ptr<CoreDump> open(const std::string& name, const ProgramRun& run) const {
    auto dump = open_core_dump(run.core_path(), {.binary = directory_.file(name)});
    EXPECT_TRUE(dump) << dump.error().message;
    return dump ? std::make_unique<CoreDump>(*std::move(dump)) : nullptr;
  }

  std::multiset<std::string> ask_gdb() const {
    const std::string script = directory_.write("locals.py", kGdbScript);
    const CommandResult result = run_command({"gdb", "-nx", "-q", "-batch", "-iex", "set debuginfod enabled off", "-x",
                                              script, directory_.file("program"), run_->core_path()});
    std::multiset<std::string> lines;
    std::istringstream output(result.output);
    for (std::string line; std::getline(output, line);)
      if (line.starts_with("= ")) lines.insert(line.substr(2));
    return lines;
  }

  TemporaryDirectory directory_;
  std::string compiler_;
  std::unique_ptr<ProgramRun> run_;
  std::unique_ptr<CoreDump> dump_;
};

std::string lines_without(std::multiset<std::string> lines, const std::multiset<std::string>& others,
                          const std::set<std::string>& left_out) {
  for (const std::string& other : others)
    if (auto at = lines.find(other); at != lines.end()) lines.erase(at);
  std::string text;
  for (const std::string& line : lines) {
    const bool is_left_out =
        std::ranges::any_of(left_out, [&](const std::string& key) { return line.starts_with(key + " "); });
    if (!is_left_out) text += line + "\n";
  }
  return text;
}

TEST_P(FrameVariablesOf, AreWhereGdbFindsThem) {
  if (GetParam().is_beyond_gdb) GTEST_SKIP() << "gdb 13 finds no locals there";
  const Found found(*dump_);
  EXPECT_TRUE(found.diagnostics.all().empty()) << found.diagnostics.all()[0].text;
  const std::multiset<std::string> gdb = ask_gdb();
  fmt::print("{} variables with a value, {} by gdb; {} known at the call only\n", found.lines.known.size(), gdb.size(),
             found.lines.only_at_entry.size());
  EXPECT_GE(found.lines.known.size(), 30U);
  EXPECT_EQ(lines_without(found.lines.known, gdb, {}), "");
  EXPECT_EQ(lines_without(gdb, found.lines.known, found.lines.only_at_entry), "");
}

TEST_P(FrameVariablesOf, OfSplitUnitsAreThoseOfWholeOnes) {
  if (GetParam().form == Variant::whole) return;
  build("whole", "");
  const auto whole_run = run("whole");
  const auto whole = open("whole", *whole_run);
  ASSERT_NE(whole, nullptr);
  EXPECT_EQ(Found(*dump_).all, Found(*whole).all);
}

TEST_P(FrameVariablesOf, AreTheSameForAnyNumberOfThreadsAndWithoutTheOtherUnits) {
  const std::string all = Found(*dump_).all;
  EXPECT_NE(all.find("local"), std::string::npos);
  EXPECT_EQ(Found(*dump_, 1).all, all);
  EXPECT_EQ(Found(*dump_, 5).all, all);
  EXPECT_EQ(Found(*dump_, 2, true).all, all);
}

INSTANTIATE_TEST_SUITE_P(BuiltBy, FrameVariablesOf,
                         testing::Values(Variant{"gcc_O0", "g++", "-g -O0"}, Variant{"gcc_O2", "g++", "-g -O2"},
                                         Variant{"gcc4_O0", "g++", "-gdwarf-4 -O0"},
                                         Variant{"gcc4_O2", "g++", "-gdwarf-4 -O2"},
                                         Variant{"gcc_split", "g++", "-g -O2", Variant::split},
                                         Variant{"gcc4_split", "g++", "-gdwarf-4 -O2", Variant::split},
                                         Variant{"gcc_packed", "g++", "-g -O2", Variant::packed, true},
                                         Variant{"clang_O0", "clang++", "-g -O0"},
                                         Variant{"clang_O2", "clang++", "-g -O2"},
                                         Variant{"clang4_O2", "clang++", "-gdwarf-4 -O2"},
                                         Variant{"clang_split", "clang++", "-g -O2", Variant::split, true},
                                         Variant{"clang4_split", "clang++", "-gdwarf-4 -O2", Variant::split},
                                         Variant{"clang_packed", "clang++", "-g -O2", Variant::packed, true}),
                         [](const auto& each) { return std::string(each.param.name); });

}  // namespace
}  // namespace heapwalk
