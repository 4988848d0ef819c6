// Goroutines of a core against what the program itself said about them: each frame's function, file, line, pc and extent,
// each goroutine's state and creator, all from the text that the run-time printed while it died; and the pointer slots of
// each frame against debug.WriteHeapDump; and what the collector had freed against what the maps hold live.
//
// The program is testdata/programs/go_stacks.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <sstream>

#include "heapwalk/runtimes/go/heap/heap_pointers.h"
#include "heapwalk/runtimes/go/stacks/goroutines.h"
#include "heapwalk/runtimes/go/stacks/stack_scan.h"
#include "heapwalk/runtimes/go/stacks/stack_walk.h"
#include "tests/support/go_heap_dump.h"
#include "tests/support/go_toolchain.h"
#include "tests/support/go_traceback.h"
#include "tests/support/patched_core.h"
#include "tests/support/run_program.h"
#include "tests/support/temporary_directory.h"

namespace heapwalk::test {
namespace {

struct Build {
  std::string toolchain;
  std::string flags;
};

void PrintTo(const Build& build, std::ostream* out) {
  *out << build.toolchain << " " << build.flags;
}

std::vector<Build> builds() {
  std::vector<Build> all;
  for (const std::string& toolchain : go_toolchains())
    for (const char* flags : {"", "-gcflags='all=-N -l'", "-buildmode=pie", "-ldflags='-s -w'", "-tags foreign"})
      all.push_back({toolchain, flags});
  return all;
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// A core of the program, and what the program wrote.
struct Recording {
  explicit Recording(const Build& build) {
    const std::string program = directory.file("go_stacks");
    error = build_go_program(build.toolchain, HEAPWALK_SOURCE_DIR "/testdata/programs/go_stacks", program, build.flags);
    if (!error.empty()) return;
    run = std::make_unique<ProgramRun>(
        RunOptions{.arguments = {program, directory.path().string()}, .environment = {{"GOTRACEBACK", "crash"}}});
    error = run->error();
    if (run->core_path().empty()) return;
    auto opened = open_core_dump(run->core_path(), {.binary = program});
    if (!opened) {
      error = opened.error().message;
      return;
    }
    dump = std::make_unique<CoreDump>(std::move(*opened));
    process = go::find_process(*dump, diagnostics);
    if (!process) {
      error = "no Go process found";
      return;
    }
    functions = std::make_unique<go::Functions>(dump->memory, process->layout, process->modules);
    goroutines = go::read_goroutines(*dump, *process, *functions, diagnostics);
    traceback = parse_go_traceback(read_file(directory.file("traceback.txt")));
  }

  TemporaryDirectory directory;
  std::unique_ptr<ProgramRun> run;
  std::string error;
  std::unique_ptr<CoreDump> dump;
  Diagnostics diagnostics;
  std::optional<go::Process> process;
  std::unique_ptr<go::Functions> functions;
  go::Goroutines goroutines;
  std::map<uint64_t, TracebackGoroutine> traceback;
};

class GoStacks : public testing::TestWithParam<Build> {
 protected:
  void SetUp() override {
    static std::map<std::string, std::unique_ptr<Recording>> recordings;  // one run serves all tests
    auto& recording = recordings[GetParam().toolchain + GetParam().flags];
    if (recording == nullptr) recording = std::make_unique<Recording>(GetParam());
    if (recording->run != nullptr && !recording->run->skip_reason().empty())
      GTEST_SKIP() << recording->run->skip_reason();
    ASSERT_EQ(recording->error, "");
    core_ = recording.get();
  }

  std::vector<go::LogicalFrame> lines_of(const go::Frame& frame) const {
    std::vector<go::LogicalFrame> lines;
    frame.function().table->logical_frames(frame.function(), frame.call_pc(), lines);
    return lines;
  }

  Recording* core_ = nullptr;
};

std::string printed_name(std::string_view name) {
  return name == "runtime.gopanic" ? "panic" : go::printed_function_name(name);
}

TEST_P(GoStacks, GoroutinesAreAsTheProgramPrintedThem) {
  std::map<uint64_t, const go::Goroutine*> found;
  for (const go::Goroutine& goroutine : core_->goroutines.all) found[goroutine.id] = &goroutine;
  size_t compared = 0;
  for (const auto& [id, truth] : core_->traceback) {
    if (id == 0 || truth.state == "idle") continue;  // a thread's own stack
    SCOPED_TRACE(fmt::format("goroutine {}", id));
    ASSERT_TRUE(found.contains(id));
    const go::Goroutine& goroutine = *found[id];
    ++compared;
    if (truth.g != 0) {
      EXPECT_EQ(goroutine.g.value, truth.g);
    }
    // Who runs changes while the run-time prints.
    if (truth.state != "running" && truth.state != "runnable") {
      EXPECT_EQ(std::string(goroutine.state()), truth.state);
    }
    if (truth.parent != 0) {
      EXPECT_EQ(goroutine.parent_id, truth.parent);
    }
    if (truth.created_by.empty()) continue;
    std::vector<go::LogicalFrame> lines;
    core_->functions->logical_frames(goroutine.created_at - 1, lines);
    ASSERT_FALSE(lines.empty());
    EXPECT_EQ(printed_name(lines.back().function), truth.created_by);
    EXPECT_EQ(std::string(lines.front().file), truth.created_file);
    EXPECT_EQ(lines.front().line, truth.created_line);
  }
  EXPECT_GE(compared, 45U);
  EXPECT_LE(found.size(), compared + 1);  // the traceback leaves out whoever died
}

TEST_P(GoStacks, FramesAreAsTheProgramPrintedThem) {
  go::StackWalker walker(*core_->dump, *core_->process, *core_->functions);
  go::GoroutineStack stack;
  size_t goroutines = 0, frames = 0;
  for (const go::Goroutine& goroutine : core_->goroutines.all) {
    const auto truth = core_->traceback.find(goroutine.id);
    if (truth == core_->traceback.end() || truth->second.frames.empty()) continue;
    SCOPED_TRACE(fmt::format("goroutine {} [{}]", goroutine.id, goroutine.state()));
    walker.walk(goroutine, stack);
    EXPECT_TRUE(stack.complete);
    struct Line {
      go::LogicalFrame logical;
      const go::Frame* frame;
    };
    std::vector<Line> lines;
    for (const go::Frame& frame : stack.frames)
      for (const go::LogicalFrame& line : lines_of(frame)) lines.push_back({line, &frame});
    size_t at = 0;
    for (const TracebackFrame& wanted : truth->second.frames) {
      at += wanted.elided_before;
      ASSERT_LT(at, lines.size()) << "no frame for " << wanted.function;
      const auto& [line, frame] = lines[at++];
      ASSERT_EQ(printed_name(line.function), wanted.function);
      EXPECT_EQ(std::string(line.file), wanted.file);
      // Through 1.20 the run-time named the line before the one where asynchronous preemption struck.
      if (!frame->interrupted || core_->process->layout.minor() > 20) {
        EXPECT_EQ(line.line, wanted.line) << wanted.function;
      }
      EXPECT_EQ(line.inlined, wanted.inlined) << wanted.function;
      ++frames;
      if (wanted.inlined) continue;
      EXPECT_EQ(frame->pc - frame->function().entry(), wanted.offset) << wanted.function;
      if (wanted.sp == 0) continue;
      EXPECT_EQ(frame->pc.value, wanted.pc) << wanted.function;
      EXPECT_EQ(frame->sp.value, wanted.sp) << wanted.function;
      EXPECT_EQ(frame->fp.value, wanted.fp) << wanted.function;
    }
    if (!truth->second.truncated) {
      EXPECT_EQ(at, lines.size());
    }
    ++goroutines;
  }
  RecordProperty("frames", static_cast<int>(frames));
  EXPECT_GE(goroutines, 45U);
  EXPECT_GE(frames, 300U);
}

// Nonzero pointer slots by the dump's frames.
std::set<uint64_t> dumped_slots(const GoHeapDump::Goroutine& goroutine) {
  std::set<uint64_t> slots;
  for (const GoHeapDump::Frame& frame : goroutine.frames)
    for (const uint64_t offset : frame.pointer_offsets)
      if (load<uint64_t>(frame.contents.data() + offset) != 0) slots.insert(frame.stack_pointer.value + offset);
  return slots;
}

// The dump goes by where a frame was left, not by where it goes on, and takes all words of frames without a map: those of
// functions that faulted, were interrupted, or are called through reflect.
bool is_dumped_by_maps(const go::GoroutineStack& stack) {
  return std::ranges::none_of(stack.frames, [](const go::Frame& frame) {
    const go::Function& function = frame.function();
    return function.kind == go::FunctionKind::sigpanic || function.kind == go::FunctionKind::async_preempt ||
           function.arguments_bytes == go::kArgumentsUnknown;
  });
}

TEST_P(GoStacks, SlotsOfFramesAreAsTheRunTimeDumpedThem) {
  const auto dump = read_go_heap_dump(core_->directory.file("heap.dump"));
  ASSERT_TRUE(dump) << dump.error().message;
  go::StackWalker walker(*core_->dump, *core_->process, *core_->functions);
  go::StackScanner scanner(*core_->dump, *core_->process);
  go::GoroutineStack stack;
  std::vector<go::StackPointer> pointers;
  size_t goroutines = 0, slots = 0;
  for (const GoHeapDump::Goroutine& truth : dump->goroutines) {
    const go::Goroutine* goroutine = core_->goroutines.find(truth.address);
    if (goroutine == nullptr || goroutine->id != truth.id || truth.id == 1) continue;  // the main one went on
    if (goroutine->status != go::GoroutineStatus::waiting && goroutine->status != go::GoroutineStatus::syscall)
      continue;
    SCOPED_TRACE(fmt::format("goroutine {} [{}]", truth.id, goroutine->state()));
    EXPECT_EQ(goroutine->is_system, truth.is_system);
    EXPECT_EQ(goroutine->created_at.value, truth.created_at);
    if (goroutine->is_system) continue;  // they go on by themselves
    EXPECT_EQ(goroutine->defers, truth.deferred);
    EXPECT_EQ(goroutine->panics, truth.panicking);
    EXPECT_EQ(static_cast<uint64_t>(goroutine->wait_since_ns), truth.waiting_since);
    if (!goroutine->wait_reason.empty()) {
      EXPECT_EQ(std::string(goroutine->wait_reason), truth.wait_reason);
    }
    walker.walk(*goroutine, stack);
    if (!is_dumped_by_maps(stack)) continue;
    ASSERT_EQ(stack.frames.size(), truth.frames.size());
    for (size_t i = 0; i < stack.frames.size(); ++i) {
      EXPECT_EQ(stack.frames[i].sp, truth.frames[i].stack_pointer);
      EXPECT_EQ(stack.frames[i].pc, truth.frames[i].pc);
    }
    scanner.scan(*goroutine, stack, walker, pointers);
    std::set<uint64_t> found;
    for (const go::StackPointer& pointer : pointers)
      if (pointer.kind == go::SlotKind::local || pointer.kind == go::SlotKind::argument) found.insert(pointer.at.value);
    const std::set<uint64_t> wanted = dumped_slots(truth);
    EXPECT_EQ(found, wanted);
    ++goroutines;
    slots += wanted.size();
  }
  EXPECT_GE(goroutines, 30U);
  EXPECT_GE(slots, 60U);
}

struct Plant {
  std::string name;
  uint64_t address = 0;
  bool live = false;
};

std::vector<Plant> read_plants(const std::string& path) {
  std::vector<Plant> plants;
  std::ifstream file(path);
  std::string name, address, state;
  while (file >> name >> address >> state) plants.push_back({name, std::stoull(address, nullptr, 16), state == "live"});
  return plants;
}

// Every heap object that the given pointers reach, by exact pointers; whether by an exact one in the first place.
std::map<uint64_t, bool> reach(const CoreDump& dump, const go::Heap& heap, const std::vector<go::StackPointer>& roots) {
  go::HeapPointers reader(heap);
  std::map<uint64_t, bool> reached;  // by the object's first byte
  std::vector<std::pair<Address, bool>> left;
  for (const bool exact : {true, false}) {
    for (const go::StackPointer& root : roots)
      if (root.exact == exact) left.emplace_back(Address{root.value}, exact);
    while (!left.empty()) {
      const Address at = left.back().first;
      left.pop_back();
      const go::Span* span = heap.find(at);
      const auto index = span == nullptr ? std::nullopt : span->slot_of(at);
      if (!index || span->state != go::SpanState::in_use) continue;
      const AddressRange slot = span->slot(*index);
      if (!reached.emplace(slot.begin.value, exact).second) continue;
      std::vector<Address> words;
      reader.read(slot, slot, words);
      for (const Address word : words)
        if (const auto value = dump.memory.read_pointer(word); value && *value) left.emplace_back(*value, exact);
    }
  }
  return reached;
}

// What no map holds any more; some word that is read conservatively may have kept it.
bool is_abandoned(const std::string& plant) {
  for (const char* name : {"local_not_used_after", "argument_not_used_after", "stack_object_forgotten",
                           "stack_object_overwritten", "fault_local", "fault_argument"})
    if (plant == name) return true;
  return plant.starts_with("spinning");  // in a running function: nothing says exactly
}

// The collector itself is the truth: what it freed no map may hold, and what it kept a stack must.
TEST_P(GoStacks, PointersAreLiveWhereTheCollectorSaysSo) {
  go::StackWalker walker(*core_->dump, *core_->process, *core_->functions);
  go::StackScanner scanner(*core_->dump, *core_->process);
  go::GoroutineStack stack;
  std::vector<go::StackPointer> pointers, roots;
  for (const go::Goroutine& goroutine : core_->goroutines.all) {
    walker.walk(goroutine, stack);
    scanner.scan(goroutine, stack, walker, pointers);
    roots.insert(roots.end(), pointers.begin(), pointers.end());
  }
  EXPECT_EQ(scanner.frames_without_maps(), 0U);
  const auto heap = go::Heap::read(*core_->dump, *core_->process, core_->diagnostics);
  ASSERT_TRUE(heap);
  const std::map<uint64_t, bool> reached = reach(*core_->dump, *heap, roots);
  const std::vector<Plant> plants = read_plants(core_->directory.file("plants.txt"));
  ASSERT_GE(plants.size(), 25U);
  size_t dead = 0;
  for (const Plant& plant : plants) {
    SCOPED_TRACE(plant.name);
    const auto found = reached.find(plant.address);
    const bool exact = found != reached.end() && found->second;
    if (plant.live) {
      EXPECT_NE(found, reached.end());
      EXPECT_TRUE(exact || is_abandoned(plant.name));
    } else {
      EXPECT_FALSE(exact);
      ++dead;
    }
  }
  EXPECT_GE(dead, 2U);
}

TEST_P(GoStacks, StacksInPiecesHoldTheSamePointers) {
  go::StackWalker whole(*core_->dump, *core_->process, *core_->functions);
  go::StackScanner scanner(*core_->dump, *core_->process);
  go::GoroutineStack stack;
  std::vector<go::StackPointer> wanted, found;
  auto key = [](const go::StackPointer& pointer) {
    return std::tuple(pointer.at.value, pointer.value, pointer.exact, pointer.kind);
  };
  for (const size_t size : {1, 2, 7}) {
    go::StackWalker pieces(*core_->dump, *core_->process, *core_->functions, size);
    for (const go::Goroutine& goroutine : core_->goroutines.all) {
      whole.walk(goroutine, stack);
      const size_t frames = stack.frames.size();
      scanner.scan(goroutine, stack, whole, wanted);
      pieces.walk(goroutine, stack);
      EXPECT_EQ(stack.more.has_value(), frames > size);
      scanner.scan(goroutine, stack, pieces, found);
      EXPECT_TRUE(std::ranges::equal(found, wanted, {}, key, key)) << goroutine.id;
    }
  }
}

// Words of the run-time's own data replaced by others, at random: whatever is then found, the reading ends, and stays within
// the stacks.
TEST_P(GoStacks, DamagedRunTimeDataIsSurvived) {
  std::vector<AddressRange> targets;
  size_t read = 0;
  const go::Layout& layout = core_->process->layout;
  for (const go::ModuleData& module : core_->process->modules) {
    targets.push_back(AddressRange::of(module.address, layout.offset(go::Field::moduledata_size)));
    targets.push_back(AddressRange::of(module.pc_header, 1 << 20));
  }
  for (const go::Goroutine& goroutine : core_->goroutines.all) {
    targets.push_back(AddressRange::of(goroutine.g, layout.offset(go::Field::g_size)));
    targets.push_back({std::max(goroutine.stack.begin, goroutine.stack.end - 512), goroutine.stack.end});
    for (const go::Blocker& blocker : goroutine.blocked_on)
      targets.push_back(AddressRange::of(blocker.sudog, layout.offset(go::Field::sudog_size)));
  }
  for (unsigned seed = 0; seed < 12; ++seed) {
    std::mt19937_64 random(seed);
    PatchedCore patched(*core_->dump);
    const size_t first = seed % 4 == 0 ? 0 : 1;  // without the module data nothing else is found
    for (int i = 0; i < 400; ++i) {
      const AddressRange& target = targets[first + random() % (targets.size() - first)];
      const Address at = target.begin + random() % target.size_bytes() / 8 * 8;
      const AddressRange& other = targets[random() % targets.size()];
      const uint64_t values[] = {
          0, random(), UINT64_MAX, other.begin.value, other.begin.value + 8 * (random() % 64), 1 + random() % 4096};
      patched.poke(at, values[random() % std::size(values)]);
    }
    Diagnostics diagnostics;
    const auto process = go::find_process(patched.dump(), diagnostics);
    if (!process) continue;
    ++read;
    const go::Functions functions(patched.dump().memory, process->layout, process->modules);
    const go::Goroutines goroutines = go::read_goroutines(patched.dump(), *process, functions, diagnostics);
    go::StackWalker walker(patched.dump(), *process, functions);
    go::StackScanner scanner(patched.dump(), *process);
    go::GoroutineStack stack;
    std::vector<go::StackPointer> pointers;
    for (const go::Goroutine& goroutine : goroutines.all) {
      walker.walk(goroutine, stack);
      Address last;
      for (const go::Frame& frame : stack.frames) {
        EXPECT_TRUE(last <= frame.sp && frame.sp <= frame.fp && frame.fp <= goroutine.stack.end);
        last = frame.fp;
        EXPECT_FALSE(lines_of(frame).empty());
      }
      scanner.scan(goroutine, stack, walker, pointers);
    }
  }
  EXPECT_GE(read, 9U);
}

INSTANTIATE_TEST_SUITE_P(Builds, GoStacks, testing::ValuesIn(builds()));
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(GoStacks);

}  // namespace
}  // namespace heapwalk::test
