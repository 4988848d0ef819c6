// A Go heap whose own structures are damaged: the analysis comes to an end in good time, what it says holds together, and
// what was lost is said, never passed over in silence.
//
// The cores are the recorded ones, one per release. Each kind of damage is a row with a name; then come damages at random,
// many at once. With HEAPWALK_DAMAGES=300 there are so many of these (the seed is the number), and the rows are tried
// on all releases.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <map>
#include <memory>
#include <random>

#include "heapwalk/analysis.h"
#include "tests/support/go_patient.h"

namespace heapwalk::go {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kLongest{20};  // what takes a moment takes longer under sanitizers, or on a busy machine
constexpr uint64_t kWild = 0x123456789abcd8;

// What holds of every analysis, however little was found.
void expect_sound(const Analysis& analysis) {
  EXPECT_TRUE(analysis.objects.check());
  EXPECT_TRUE(analysis.roots.check());
  EXPECT_TRUE(analysis.graph.check());
  const Totals& totals = analysis.summary.totals;
  EXPECT_EQ(totals.used_bytes, totals.reachable_bytes + totals.leaked_bytes);
  for (const AllocatorRow& row : analysis.summary.allocators)
    EXPECT_EQ(row.owned_bytes,
              row.used_bytes + row.free_bytes + row.cached_bytes + row.metadata_bytes + row.unexplained_bytes)
        << row.name;
}

std::string texts(const Diagnostics& diagnostics) {
  std::string text;
  for (const Diagnostic& one : diagnostics.all()) text += fmt::format("{} ({}): {}\n", one.code, one.count, one.text);
  return text;
}

bool has_go_diagnostic(const Analysis& analysis, const Analysis& honest) {
  return std::ranges::any_of(analysis.diagnostics.all(), [&](const Diagnostic& one) {
    return one.code.starts_with("go_") && one.count > honest.diagnostics.count(one.code);
  });
}

struct Damage {
  const char* name;
  std::vector<const char*> codes;  // any of them
  std::function<bool(Patient&)> inflict;
  int first = 19;  // the first release that has such a thing
};
bool poke_all(Patient& patient, Address structure, uint64_t value, std::initializer_list<Field> fields) {
  return std::ranges::all_of(
      fields, [&](Field field) { return !patient.layout().has(field) || patient.poke(structure, field, value); });
}

std::vector<Damage> damages_of_spans() {
  using enum Field;
  return {
      {"element_size_0", {"go_spans_unread"}, [](Patient& p) { return p.poke(p.small_span(), mspan_elemsize, 0); }},
      {"element_size_odd", {"go_spans_unread"}, [](Patient& p) { return p.poke(p.small_span(), mspan_elemsize, 7); }},
      {"element_size_of_no_class",
       {"go_spans_doubtful"},
       [](Patient& p) { return p.poke(p.small_span(), mspan_elemsize, 40); }},
      {"element_size_huge",
       {"go_spans_unread"},
       [](Patient& p) { return p.poke(p.small_span(), mspan_elemsize, UINT64_MAX - 7); }},
      {"elements_huge",
       {"go_spans_unread"},
       [](Patient& p) { return p.poke(p.small_span(), mspan_nelems, UINT64_MAX); }},
      {"elements_0", {"go_spans_unread"}, [](Patient& p) { return p.poke(p.small_span(), mspan_nelems, 0); }},
      {"free_index_past_elements",
       {"go_spans_doubtful"},
       [](Patient& p) { return p.poke(p.small_span(), mspan_freeindex, 0xffff); }},
      {"class_out_of_range",
       {"go_spans_doubtful"},
       [](Patient& p) { return p.poke(p.small_span(), mspan_spanclass, 0xfe); }},
      {"class_of_another_size",
       {"go_spans_doubtful"},
       [](Patient& p) { return p.poke(p.small_span(), mspan_spanclass, 40); }},
      {"start_odd", {"go_spans_unread"}, [](Patient& p) { return p.poke(p.small_span(), mspan_startAddr, kWild); }},
      {"start_0", {"go_spans_unread"}, [](Patient& p) { return p.poke(p.small_span(), mspan_startAddr, 0); }},
      {"start_at_the_end_of_memory",
       {"go_spans_unread"},
       [](Patient& p) { return p.poke(p.small_span(), mspan_startAddr, UINT64_MAX - 8191); }},
      {"start_of_another_span",
       {"go_spans_unread"},
       [](Patient& p) {
         return p.poke(p.small_span(), mspan_startAddr, p.number(p.large_span(), mspan_startAddr) + 8192);
       }},
      {"pages_0", {"go_spans_unread"}, [](Patient& p) { return p.poke(p.small_span(), mspan_npages, 0); }},
      {"pages_huge",
       {"go_spans_unread"},
       [](Patient& p) { return p.poke(p.small_span(), mspan_npages, uint64_t{1} << 60); }},
      {"pages_over_others",
       {"go_spans_unread"},
       [](Patient& p) { return p.poke(p.small_span(), mspan_npages, uint64_t{1} << 30); }},
      {"state_unknown", {"go_spans_unread"}, [](Patient& p) { return p.poke(p.small_span(), mspan_state, 77); }},
      {"state_dead", {"go_heap_differs"}, [](Patient& p) { return p.poke(p.large_span(), mspan_state, 0); }},
      {"allocation_bits_wild",
       {"go_alloc_bits_absent"},
       [](Patient& p) {
         return p.poke(p.small_span(), mspan_freeindex, 0) && p.poke(p.small_span(), mspan_allocBits, kWild);
       }},
      {"specials_that_lead_to_themselves",
       {"go_specials_unread"},
       [](Patient& p) { return p.poke(p.special(), special_next, p.special().value); }},
      {"specials_in_a_circle",
       {"go_specials_unread"},
       [](Patient& p) {
         const Address second = p.pointer(p.special() + p.layout().offset(special_next));
         return p.poke(second, special_next, p.special().value);
       }},
      {"specials_wild",
       {"go_specials_unread"},
       [](Patient& p) { return p.poke(p.small_span(), mspan_specials, kWild); }},
      {"special_outside_of_its_span",
       {"go_specials_unread"},
       [](Patient& p) { return p.poke(p.special(), special_offset, 0xfff8); }},
      {"type_of_a_large_object_wild",
       {"go_types_damaged"},
       [](Patient& p) {
         const Address span = p.span_with([](bool noscan, uint64_t size) { return !noscan && size > 40'000; });
         return p.poke(span, mspan_largeType, kWild);
       },
       22},
  };
}

std::vector<Damage> damages_of_the_heap() {
  using enum Field;
  const auto list = [](Patient& p) { return p.at(mheap_allspans); };
  const auto arena = [](Patient& p) {  // the entry of the arena of a span, in the table
    const uint64_t start = p.number(p.small_span(), mspan_startAddr);
    return p.pointer(p.at(mheap_arenas)) + ((start + (uint64_t{1} << 47)) >> 26) * 8;
  };
  return {
      {"spans_nowhere", {"go_heap_unread", "go_spans_unread"}, [=](Patient& p) { return p.poke(list(p), kWild); }},
      {"spans_null", {"go_heap_unread", "go_spans_unread"}, [=](Patient& p) { return p.poke(list(p), 0); }},
      {"spans_more_than_room", {"go_heap_unread"}, [=](Patient& p) { return p.poke(list(p) + 16, 1); }},
      {"spans_absurdly_many",
       {"go_heap_unread"},
       [=](Patient& p) { return p.poke(list(p) + 8, uint64_t{1} << 60) && p.poke(list(p) + 16, uint64_t{1} << 60); }},
      {"spans_many_more",
       {"go_spans_unread"},
       [=](Patient& p) { return p.poke(list(p) + 8, uint64_t{1} << 27) && p.poke(list(p) + 16, uint64_t{1} << 27); }},
      {"spans_cut_short", {"go_heap_differs"}, [=](Patient& p) { return p.poke(list(p) + 8, 3); }},
      {"spans_none", {"go_heap_differs"}, [=](Patient& p) { return p.poke(list(p) + 8, 0); }},
      {"spans_all_the_same",
       {"go_spans_unread"},
       [=](Patient& p) {
         const Address table = p.pointer(list(p));
         for (uint64_t i = 0; i < p.spans().size(); ++i)
           if (!p.poke(table + i * 8, p.small_span().value)) return false;
         return true;
       }},
      {"arenas_nowhere", {"go_heap_unread"}, [](Patient& p) { return p.poke(p.at(mheap_arenas), kWild); }},
      {"arenas_null", {"go_heap_unread"}, [](Patient& p) { return p.poke(p.at(mheap_arenas), 0); }},
      {"arena_missing", {"go_spans_unread", "go_heap_unread"}, [=](Patient& p) { return p.poke(arena(p), 0); }},
      {"arena_wild", {"go_arenas_unread"}, [=](Patient& p) { return p.poke(arena(p), kWild); }},
      {"arena_of_another_address", {"go_arenas_unread"}, [=](Patient& p) { return p.poke(arena(p) + 8, kWild); }},
      {"processors_absurdly_many",
       {"go_counters_unread"},
       [](Patient& p) { return p.poke(p.variable("runtime.allp") + 8, UINT64_MAX); }},
      {"cache_wild",
       {"go_counters_unread"},
       [](Patient& p) { return p.poke(p.pointer(p.pointer(p.variable("runtime.allp"))), p_mcache, kWild); }},
      {"cached_spans_wild",
       {"go_counters_unread"},
       [](Patient& p) {
         const Address processor = p.pointer(p.pointer(p.variable("runtime.allp")));
         const Address cache = p.pointer(processor + p.layout().offset(p_mcache));
         return p.poke(cache + p.layout().offset(mcache_alloc) + 80, kWild);
       }},
      {"counters_absurd",
       {"go_heap_differs"},
       [](Patient& p) {
         return p.poke(p.variable("runtime.memstats") + p.layout().offset(mstats_heapStats) +
                           p.layout().offset(consistentHeapStats_stats) + p.layout().offset(heapStatsDelta_largeAlloc),
                       uint64_t{1} << 50);
       }},
      {"queued_finalizers_in_a_circle",
       {"go_list_endless"},
       [](Patient& p) {
         const Address block = p.pointer(p.variable("runtime.allfin"));
         return p.poke(block, finBlock_alllink, block.value);
       }},
      {"queued_finalizers_wild",
       {"go_roots_unknown"},
       [](Patient& p) { return p.poke(p.variable("runtime.allfin"), kWild); }},
  };
}

std::vector<Damage> damages_of_goroutines() {
  using enum Field;
  return {
      {"goroutines_absurdly_many",
       {"go_goroutines_unread"},
       [](Patient& p) { return p.poke(p.variable("runtime.allgs") + 8, UINT64_MAX); }},
      {"goroutines_absurdly_many_with_room",
       {"go_goroutines_unread"},
       [](Patient& p) {
         const Address list = p.variable("runtime.allgs");
         return p.poke(list + 8, uint64_t{1} << 40) && p.poke(list + 16, uint64_t{1} << 40);
       }},
      {"goroutines_cut_short",
       {"go_goroutines_unread"},
       [](Patient& p) { return p.poke(p.variable("runtime.allgs") + 8, 2); }},
      {"goroutines_nowhere",
       {"go_goroutines_unread"},
       [](Patient& p) { return p.poke(p.variable("runtime.allgs"), kWild); }},
      {"goroutine_wild",
       {"go_goroutine_unread"},
       [](Patient& p) { return p.poke(p.pointer(p.variable("runtime.allgs")) + 16, kWild); }},
      {"goroutine_listed_twice",
       {"go_goroutine_unread"},
       [](Patient& p) {
         const Address list = p.pointer(p.variable("runtime.allgs"));
         return p.poke(list, p.parked_goroutine().value) && p.poke(list + 8, p.parked_goroutine().value);
       }},
      {"goroutine_that_leads_to_itself",
       {"go_broken_stack", "go_goroutine_unread"},
       [](Patient& p) {
         const Address g = p.parked_goroutine();
         return poke_all(p, g, g.value, {g_m, g_waiting, g_defer, g_panic, g_labels, g_startpc, g_gopc}) &&
                p.poke(g + p.layout().offset(g_stack), g.value) && p.poke(g + p.layout().offset(g_stack) + 8, g.value);
       }},
      {"stack_without_end",
       {"go_broken_stack"},
       [](Patient& p) {
         const Address stack = p.parked_goroutine() + p.layout().offset(g_stack);
         return p.poke(stack, 0) && p.poke(stack + 8, UINT64_MAX);
       }},
      {"stack_of_another_goroutine",
       {"go_goroutine_unread"},
       [](Patient& p) {
         const Address stack = p.parked_goroutine() + p.layout().offset(g_stack);
         const Address other = p.goroutine(1) == p.parked_goroutine() ? p.goroutine(2) : p.goroutine(1);
         return p.poke(stack, p.number(other + p.layout().offset(g_stack), stack_lo)) &&
                p.poke(stack + 8, p.number(other + p.layout().offset(g_stack), stack_hi));
       }},
      {"stack_pointer_wild",
       {"go_broken_stack"},
       [](Patient& p) {
         return p.poke(p.parked_goroutine() + p.layout().offset(g_sched) + p.layout().offset(gobuf_pc), kWild);
       }},
  };
}

std::vector<Damage> damages_of_modules() {
  using enum Field;
  const auto module = [](Patient& p) { return p.process().modules.front().address; };
  const auto table = [](Patient& p) { return p.process().modules.front().pc_header; };
  // A structure that has a field of its own type: no such thing can be.
  const auto record = [](Patient& p, uint8_t kind) {
    const auto is_wanted = [&](Address type) {
      return (p.number(type, Type_Kind_) & 31) == kind && p.number(type, Type_Size_) > 0;
    };
    for (Address type : p.types())
      if (is_wanted(type)) return type;
    for (Address type : p.types()) {  // what pointers and slices lead to
      const uint64_t of = p.number(type, Type_Kind_) & 31;
      const Address element = p.pointer(type + p.layout().offset(PtrType_Elem));
      if ((of == 22 || of == 23) && is_wanted(element)) return element;
    }
    return Address{};
  };
  return {
      {"modules_in_a_circle",
       {"go_module_unread"},
       [=](Patient& p) { return p.poke(module(p), moduledata_next, module(p).value); }},
      {"next_module_wild", {"go_module_unread"}, [=](Patient& p) { return p.poke(module(p), moduledata_next, kWild); }},
      {"no_mask_of_variables",
       {"go_mask_absent"},
       [=](Patient& p) { return p.poke(module(p) + p.layout().offset(moduledata_gcbssmask), 0, 4); }},
      {"mask_of_variables_negative",
       {"go_mask_absent"},
       [=](Patient& p) { return p.poke(module(p) + p.layout().offset(moduledata_gcdatamask), 0xffff'fff0, 4); }},
      {"mask_of_variables_nowhere",
       {"go_mask_absent"},
       [=](Patient& p) { return p.poke(module(p) + p.layout().offset(moduledata_gcbssmask) + 8, kWild); }},
      {"line_table_of_another_kind", {"go_broken_stack"}, [=](Patient& p) { return p.poke(table(p), 0); }},
      {"line_table_absurdly_long", {"go_broken_stack"}, [=](Patient& p) { return p.poke(table(p) + 8, UINT64_MAX); }},
      {"structure_in_itself",
       {"go_types_damaged"},
       [=](Patient& p) {
         const Address type = record(p, 25);
         const Address fields = p.pointer(type + p.layout().offset(StructType_Fields));
         return p.poke(fields, StructField_Typ, type.value);
       }},
      {"array_of_itself",
       {"go_types_damaged"},
       [=](Patient& p) {
         const Address type = record(p, 17);
         return p.poke(type, ArrayType_Elem, type.value);
       }},
      {"structure_with_absurdly_many_fields",
       {"go_types_damaged"},
       [=](Patient& p) { return p.poke(record(p, 25) + p.layout().offset(StructType_Fields) + 8, UINT64_MAX); }},
  };
}

// All that one patient is needed for in one test: it takes longer to unpack than to examine.
void expect_said_and_survived(const std::vector<Damage>& damages) {
  const bool is_thorough = getenv("HEAPWALK_DAMAGES") != nullptr;
  const std::vector<int> some = {19, 22, 27}, all = test::recorded_go_minors();
  for (int minor : is_thorough ? all : some) {
    Patient core(minor);
    ASSERT_EQ(core.error(), "");
    ASSERT_TRUE(core.is_ready());
    for (const Damage& damage : damages) {
      if (minor < damage.first) continue;
      SCOPED_TRACE(fmt::format("{}, Go 1.{}", damage.name, minor));
      const bool is_inflicted = damage.inflict(core);
      const auto start = Clock::now();
      const auto analysis = core.analyze();
      core.heal();
      EXPECT_TRUE(is_inflicted);
      EXPECT_LT(Clock::now() - start, kLongest);
      ASSERT_TRUE(analysis) << analysis.error().message;
      expect_sound(*analysis);
      const bool is_said = std::ranges::any_of(damage.codes, [&](const char* code) {
        return analysis->diagnostics.count(code) > core.honest().diagnostics.count(code);
      });
      EXPECT_TRUE(is_said) << texts(analysis->diagnostics);
    }
  }
}

TEST(GoDamage, OfSpans) {
  expect_said_and_survived(damages_of_spans());
}
TEST(GoDamage, OfTheHeap) {
  expect_said_and_survived(damages_of_the_heap());
}
TEST(GoDamage, OfGoroutines) {
  expect_said_and_survived(damages_of_goroutines());
}
TEST(GoDamage, OfModulesAndTypes) {
  expect_said_and_survived(damages_of_modules());
}

// Places that other structures are found by, at random.
std::vector<AddressRange> targets_in(const Patient& core) {
  const Layout& layout = core.layout();
  std::vector<AddressRange> targets;
  auto add = [&](Address at, Field size) {
    if (at) targets.push_back(AddressRange::of(at, layout.offset(size)));
  };
  targets.push_back(AddressRange::of(core.at(Field::mheap_allspans), 24));
  targets.push_back(AddressRange::of(core.at(Field::mheap_arenas), 8));
  for (const char* name : {"runtime.allgs", "runtime.allp", "runtime.allfin", "runtime.allm", "runtime.mbuckets"})
    if (core.variable(name)) targets.push_back(AddressRange::of(core.variable(name), 24));
  targets.push_back(AddressRange::of(core.pointer(core.at(Field::mheap_allspans)), core.spans().size() * 8));
  for (Address span : core.spans()) {
    if (core.number(span, Field::mspan_state) != 1) continue;
    add(span, Field::mspan_size);
    add(core.pointer(span + layout.offset(Field::mspan_specials)), Field::special_size);
    // The headers of slots, heap bits, and what the program wrote.
    targets.push_back(AddressRange::of(Address{core.number(span, Field::mspan_startAddr)}, 8192));
  }
  for (uint64_t i = 0; i < 30; ++i) add(core.goroutine(i), Field::g_size);
  for (const ModuleData& module : core.process().modules) {
    add(module.address, Field::moduledata_size);
    targets.push_back(AddressRange::of(module.pc_header, 1 << 16));
    targets.push_back(module.types);
    targets.push_back(module.bss.range);
    targets.push_back(module.data.range);
  }
  for (Address type : core.types()) targets.push_back(AddressRange::of(type, 96));
  return targets;
}

void damage_at_random(Patient& core, const std::vector<AddressRange>& targets, std::mt19937_64& random) {
  const uint64_t words = 1 + random() % 16;
  for (uint64_t i = 0; i < words; ++i) {
    const AddressRange& target = targets[random() % targets.size()];
    const AddressRange& other = targets[random() % targets.size()];
    const Address at = target.begin + random() % target.size_bytes() / 8 * 8;
    const uint64_t values[] = {0,
                               random(),
                               UINT64_MAX,
                               uint64_t{1} << random() % 64,
                               other.begin.value,
                               other.begin.value + 8 * (random() % 64),
                               at.value,
                               core.memory().read_word(at).value_or(0) + 1 + random() % 64};
    core.poke(at, values[random() % std::size(values)]);
  }
}

TEST(GoDamage, AtRandom) {
  const char* wanted = getenv("HEAPWALK_DAMAGES");
  const uint64_t count = wanted == nullptr ? 45 : strtoull(wanted, nullptr, 10);
  const std::vector<int> all = test::recorded_go_minors();
  std::map<int, std::pair<std::unique_ptr<Patient>, std::vector<AddressRange>>> patients;
  for (uint64_t seed = 0; seed < count; ++seed) {
    const int minor = all[seed % all.size()];
    SCOPED_TRACE(fmt::format("seed {}, Go 1.{}", seed, minor));
    auto& [patient, targets] = patients[minor];
    if (patient == nullptr) {
      patient = std::make_unique<Patient>(minor);
      ASSERT_TRUE(patient->is_ready());
      targets = targets_in(*patient);
    }
    Patient& core = *patient;
    std::mt19937_64 random(seed);
    damage_at_random(core, targets, random);
    const auto start = Clock::now();
    const auto analysis = core.analyze();
    core.heal();
    EXPECT_LT(Clock::now() - start, kLongest);
    ASSERT_TRUE(analysis) << analysis.error().message;
    expect_sound(*analysis);
    const auto honest = static_cast<double>(core.honest().summary.totals.used_bytes);
    const auto found = static_cast<double>(analysis->summary.totals.used_bytes);
    const bool is_near = found > honest * 0.9 && found < honest * 1.1;
    EXPECT_TRUE(is_near || has_go_diagnostic(*analysis, core.honest())) << found << " of " << honest;
  }
}

}  // namespace
}  // namespace heapwalk::go
