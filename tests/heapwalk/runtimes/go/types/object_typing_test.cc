// The types of the objects of a real Go program, against what the program itself wrote down about each of them.
#include "heapwalk/runtimes/go/types/object_typing.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <deque>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "dwarf/type_reader.h"
#include "heapwalk/roots/find_roots.h"
#include "heapwalk/runtimes/go/go_runtime.h"
#include "heapwalk/runtimes/go/heap/heap_decoder.h"
#include "heapwalk/runtimes/go/heap/heap_pointers.h"
#include "heapwalk/runtimes/go/program/size_classes.h"
#include "tests/support/go_source_run.h"

namespace heapwalk::go {
namespace {

uint64_t hex(const std::string& text) {
  uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value, 16);
  return value;
}

// What is needed to type the objects of a core, and the result.
class Typed {
 public:
  explicit Typed(const CoreDump& dump, size_t threads = 2) : dump_(dump) {
    runtimes_.push_back(detect(dump, diagnostics));
    process_ = find_process(dump, diagnostics);
    if (runtimes_[0] == nullptr || !process_) return;
    heap_ = Heap::read(dump, *process_, diagnostics);
    if (!heap_) return;
    index_objects();
    const ManagedHeap managed = runtimes_[0]->find_pointers(diagnostics);
    const PrivateMemory none;
    const RootSet roots =
        find_roots({&dump, &objects, ranges_, &none, threads, {}, &managed, &builder_, runtimes_}, diagnostics);
    types = std::make_unique<GoTypes>(dump.memory, *process_, builder_);
    types->add_listed(diagnostics);
    functions = std::make_unique<Functions>(dump.memory, process_->layout, process_->modules);
    find_captured_variables();
    typing = type_objects({.dump = dump,
                           .heap = *heap_,
                           .objects = objects,
                           .roots = roots,
                           .functions = *functions,
                           .specials = read_specials(*heap_, diagnostics),
                           .pointer_words = managed.exact_words,
                           .captured = &captured_,
                           .threads = threads},
                          *types, diagnostics);
  }

  bool has_heap() const { return heap_.has_value(); }
  const ObjectKind& kind_of(ObjectId id) const { return typing.kinds[typing.kind_of[index(id)]]; }
  std::string name_of(const ObjectKind& kind) const {
    return types->table().spelled(kind.element) + (kind.is_array ? "[]" : "");
  }
  // Where the first value of the object lies.
  Address first_of(ObjectId id) const { return objects.address(id) + kind_of(id).header_bytes; }

  Diagnostics diagnostics;
  ObjectIndex objects;
  std::unique_ptr<GoTypes> types;
  std::unique_ptr<Functions> functions;
  ObjectTyping typing;

 private:
  void index_objects() {
    const auto decoder = runtimes_[0]->make_heap_decoder();
    std::vector<AllocationSink> sinks;
    for (size_t region = 0; region < decoder->regions().size(); ++region) {
      ranges_.push_back(decoder->regions()[region].range);
      sinks.emplace_back(ranges_.back(), uint8_t{0}, decoder->granule_bytes());
      decoder->walk(region, sinks.back(), diagnostics);
    }
    std::ranges::sort(ranges_);
    objects = ObjectIndex::build(std::move(sinks), diagnostics);
  }

  void find_captured_variables() {
    const Module& module = *process_->module;
    const std::vector<Address> entries = closure_entries(*functions);
    std::vector<uint64_t> pcs;
    for (Address entry : entries) pcs.push_back(module.to_link(entry));
    FrameVariables frames(pcs);
    read_frame_variables(module, 1, builder_, diagnostics, {}, frames);
    for (size_t i = 0; i < entries.size(); ++i) {
      const FrameFunction* function = frames.find(module.to_link(entries[i]));
      if (function != nullptr && !function->captured.empty()) captured_.try_emplace(entries[i], function->captured);
    }
  }

  const CoreDump& dump_;
  std::vector<std::unique_ptr<Runtime>> runtimes_;
  CapturedVariables captured_;
  std::optional<Process> process_;
  std::optional<Heap> heap_;
  std::vector<AddressRange> ranges_;
  TypeTableBuilder builder_;
};

struct Score {
  size_t objects = 0, untyped = 0, shared = 0, wrong = 0;
  std::string first_wrong;
};

// O address type count; M address type; F address function.
void judge(const Typed& typed, const std::vector<std::string>& line, Score& score) {
  const Address address{hex(line[1])};
  const auto id = typed.objects.find_used(address);
  if (!id) return;  // not on the heap: a constant
  ++score.objects;
  const ObjectKind& kind = typed.kind_of(*id);
  if (kind.element == kNoType) {
    ++score.untyped;
    return;
  }
  const Address what{hex(line[2])};
  const TypeTable& table = typed.types->table();
  bool is_right = false;
  if (line[0] == "F") {
    const auto function = typed.functions->find(what);
    is_right = function && table[kind.element].name == "func " + std::string(function->name);
  } else {
    const TypeId said = typed.types->find(what);
    const TypeId wanted = line[0] == "M" ? pointee(table, said) : said;
    const std::string name(wanted == kNoType ? std::string_view() : table[wanted].name);
    const bool is_timer = name == "time.Timer" || name == "time.Ticker";  // the beginning of a runtime.timeTimer
    is_right = kind.element == wanted || (is_timer && table[kind.element].name == "runtime.timeTimer");
    // A slice that begins where the object does has room for as many as there is.
    if (is_right && line[0] == "O" && line[3] != "1" && address == typed.first_of(*id)) {
      const uint64_t bytes = std::stoull(line[3]) * table.size_bytes(wanted);
      is_right = kind.is_array || is_slot_for(table.size_bytes(wanted) + kind.header_bytes, bytes);
    }
  }
  // Small values without pointers share blocks of 16 bytes: the first one names the block.
  if (!is_right && typed.objects.size_bytes(*id) == 16 && kind.strength == Strength::fitting) {
    ++score.shared;
  } else if (!is_right) {
    ++score.wrong;
    score.first_wrong += line[0] + " " + line[1] + ": " + typed.name_of(kind) + "\n";
  }
}

Score score_of(const Typed& typed, const std::vector<std::vector<std::string>>& truth) {
  Score score;
  for (const auto& line : truth) {
    if (line.size() == 4) judge(typed, line, score);
  }
  return score;
}

void expect_all_right(const std::vector<std::string>& flags) {
  const test::GoSourceRun run("typed_heap", flags);
  if (!run.skip_reason().empty()) GTEST_SKIP() << run.skip_reason();
  ASSERT_EQ(run.error(), "");
  const Typed typed(run.dump());
  ASSERT_TRUE(typed.has_heap());
  const Score score = score_of(typed, run.truth());
  EXPECT_GT(score.objects, 40000u);
  EXPECT_LE(score.untyped, score.objects / 1000);
  EXPECT_LE(score.shared, score.objects / 100);
  EXPECT_EQ(score.wrong, 0u) << score.first_wrong.substr(0, 2000);
}

TEST(ObjectTyping, AllObjectsAreWhatTheProgramSays) {
  expect_all_right({});
}

TEST(ObjectTyping, WithoutOptimisationToo) {
  expect_all_right({"-gcflags=-N -l"});
}

TEST(ObjectTyping, StrippedProgramsTellTheSame) {
  expect_all_right({"-ldflags=-s -w"});
}

TEST(ObjectTyping, EvidenceIsTheBestThereIs) {
  const test::GoSourceRun run("typed_heap");
  if (!run.skip_reason().empty()) GTEST_SKIP() << run.skip_reason();
  ASSERT_EQ(run.error(), "");
  const Typed typed(run.dump());
  std::array<uint64_t, kStrengths> objects{};
  uint64_t headers = 0;
  typed.objects.for_each([&](ObjectId id, Address, uint64_t, AllocationState state) {
    if (state != AllocationState::used) return;
    ++objects[static_cast<size_t>(typed.kind_of(id).strength)];
    if (typed.kind_of(id).header_bytes != 0) ++headers;
  });
  EXPECT_EQ(objects, typed.typing.objects);
  EXPECT_GT(objects[static_cast<size_t>(Strength::noted)], 100u);
  EXPECT_GT(headers, 100u);
  EXPECT_GT(objects[static_cast<size_t>(Strength::dynamic)], 1000u);
  EXPECT_GT(objects[static_cast<size_t>(Strength::counted)], 10000u);
  EXPECT_GT(objects[static_cast<size_t>(Strength::exact)], 5000u);
  // What closures hold, the code that makes them shows.
  const auto closure = typed.types->table().find("func main.fill.func1");
  ASSERT_TRUE(closure);
  const auto fields = typed.types->table().fields(*closure);
  ASSERT_EQ(fields.size(), 3u);
  // …, and the debug info what it is called: the counter is shared with the function around, the other one is not changed.
  EXPECT_EQ(fields[1].name, "&counter");
  EXPECT_EQ(typed.types->table().spelled(fields[1].type), "int*");
  EXPECT_EQ(fields[2].name, "captured");
  EXPECT_EQ(typed.types->table().spelled(fields[2].type), "main.Node*");
}

TEST(ObjectTyping, DoesNotDependOnThreads) {
  const test::GoSourceRun run("typed_heap");
  if (!run.skip_reason().empty()) GTEST_SKIP() << run.skip_reason();
  ASSERT_EQ(run.error(), "");
  const Typed one(run.dump(), 1), four(run.dump(), 4);
  EXPECT_EQ(one.typing.kind_of, four.typing.kind_of);
  EXPECT_EQ(one.typing.bytes, four.typing.bytes);
  EXPECT_EQ(one.typing.conflicts, four.typing.conflicts);
}

// A copy of a core's memory in which words are wrong.
class Damaged {
 public:
  Damaged(const CoreDump& dump, uint32_t seed) {
    std::mt19937 random(seed);
    std::vector<Region> regions;
    for (const Region& region : dump.memory.regions()) {
      Region copy = region;
      if (region.data != nullptr && region.range.size_bytes() < (64u << 20)) {
        auto& bytes = copies_.emplace_back(region.data, region.data + region.range.size_bytes());
        for (size_t i = 0; i < bytes.size() >> (9 + seed % 10); ++i) {  // few and many
          const size_t at = random() % (bytes.size() - 7) & ~size_t{7};
          const uint64_t other = load<uint64_t>(bytes.data() + random() % (bytes.size() - 7) / 8 * 8);
          const uint64_t values[] = {0, UINT64_MAX, random(), other, uint64_t{1} << random() % 64, other + 8};
          std::memcpy(bytes.data() + at, &values[random() % 6], 8);
        }
        copy.data = bytes.data();
      }
      regions.push_back(copy);
    }
    memory = AddressSpace(std::move(regions));
  }
  AddressSpace memory;

 private:
  std::deque<std::vector<std::byte>> copies_;
};

TEST(ObjectTyping, DamagedMemoryIsReadToItsEnd) {
  const test::GoSourceRun run("typed_heap");
  if (!run.skip_reason().empty()) GTEST_SKIP() << run.skip_reason();
  ASSERT_EQ(run.error(), "");
  size_t heaps = 0;
  for (uint32_t seed = 1; seed <= 20; ++seed) {
    Damaged damaged(run.dump(), seed);
    CoreDump dump = run.dump();
    dump.memory = std::move(damaged.memory);
    const Typed typed(dump);
    if (!typed.has_heap()) continue;
    ++heaps;
    EXPECT_TRUE(typed.types->table().check());
    EXPECT_EQ(typed.typing.kind_of.size(), typed.objects.size());
  }
  EXPECT_GT(heaps, 5u);
}

TEST(SizeClasses, SlotsAreForWhatWouldGetThem) {
  EXPECT_TRUE(is_slot_for(8, 8));
  EXPECT_TRUE(is_slot_for(33, 48));
  EXPECT_TRUE(is_slot_for(48, 48));
  EXPECT_FALSE(is_slot_for(32, 48));
  EXPECT_FALSE(is_slot_for(49, 48));
  EXPECT_FALSE(is_slot_for(0, 8));
  EXPECT_TRUE(is_slot_for(28673, 32768));
  EXPECT_TRUE(is_slot_for(32769, 40960));
  EXPECT_FALSE(is_slot_for(32768, 40960));
  EXPECT_TRUE(is_slot_for(1 << 20, 1 << 20));
  EXPECT_FALSE(is_slot_for((1 << 20) - 8192, 1 << 20));
  EXPECT_FALSE(is_slot_for(UINT64_MAX, 1 << 20));
}

}  // namespace
}  // namespace heapwalk::go
