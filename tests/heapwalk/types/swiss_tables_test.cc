// abseil's hash tables by hand, in the layouts of its versions: which slots are believed, and which tables are not.
#include <gtest/gtest.h>

#include <functional>

#include "tests/support/typed_memory.h"

namespace heapwalk::test {
namespace {

const std::string kInternal = "absl::lts_20240722::container_internal::";
constexpr uint64_t kCapacity = 7;
constexpr uint64_t kControlBytes = kCapacity + 1 + 15;

// A table of pointers to Items with seven slots: the second and the last are in use, the fourth is stale.
struct Scene {
  TypedMemory memory;
  TypeId item = memory.record("Item", 24, {{"id", memory.long_, 0}});
  TypeId byte = memory.types.base("unsigned char", 1, BaseEncoding::unsigned_integer);
  TypeId control_byte = memory.types.enumeration(kInternal + "ctrl_t", 1, byte);
  TypeId to_control = memory.pointer(control_byte);
  TypeId policy = memory.record(kInternal + "NodeHashSetPolicy<Item>", 1, {}, {item});
  std::string name = kInternal + "raw_hash_set<" + kInternal + "NodeHashSetPolicy<Item> >";
  uint64_t first = memory.allocate(24), last = memory.allocate(24), stale = memory.allocate(24);
  uint64_t block = 0, control = 0, slots = 0;

  TypeId table(uint64_t size_bytes, const std::vector<TypedMemory::Member>& members) {
    return memory.record(name, size_bytes, members, {policy});
  }
  // `before`: of the block, what goes before the control bytes.
  void fill(uint64_t before) {
    block = memory.allocate((before + kControlBytes + 7) / 8 * 8 + kCapacity * 8);
    control = block + before;
    slots = (control + kControlBytes + 7) / 8 * 8;
    set_control(0xff);
    memory.put(slots + 8, {first});
    memory.put(slots + 24, {stale});
    memory.put(slots + 48, {last});
  }
  void set_control(uint64_t sentinel) { memory.put(control, {sentinel << 56 | 0x31808080802280}); }
  // Types of the table's block, of what the used slots and of what the stale one leads to.
  std::string found() {
    const auto process = memory.infer();
    return process->name_at(block) + ", " + process->name_at(first) + " and " + process->name_at(last) + ", " +
           process->name_at(stale);
  }
};
const std::string kRight = "Item*[], Item and Item, [24 B]";
const std::string kNothing = "[80 B], [24 B] and [24 B], [24 B]";

// 2022: the members are the table's own.
void make_plain(Scene& scene, uint64_t capacity = kCapacity, uint64_t slots_more = 0, uint64_t control_more = 0) {
  const TypeId table = scene.table(32, {{"ctrl_", scene.to_control, 0},
                                        {"slots_", scene.memory.pointer(kNoType), 8},
                                        {"size_", scene.memory.long_, 16},
                                        {"capacity_", scene.memory.long_, 24}});
  scene.memory.put(scene.memory.variable("table", table),
                   {scene.control + control_more, scene.slots + slots_more, 2, capacity});
}

// Since summer 2024: an element may lie where the pointers would. `data` is what the table says about itself.
TypeId heap_or_inside(Scene& scene, bool has_slots) {
  TypedMemory& memory = scene.memory;
  const TypeId heap =
      has_slots ? memory.record(kInternal + "HeapPtrs", 16,
                                {{"control", scene.to_control, 0}, {"slot_array", memory.pointer(kNoType), 8}})
                : memory.record(kInternal + "HeapPtrs", 8, {{"control", scene.to_control, 0}});
  const uint64_t size_bytes = has_slots ? 16 : 8;
  const TypeId both = memory.types.open(TypeKind::union_, kInternal + "HeapOrSoo", size_bytes).id;
  memory.types.fill(
      both,
      {{.name = "heap", .type = heap}, {.name = "soo_data", .type = memory.types.array_of(scene.byte, size_bytes)}},
      {});
  return both;
}

TypeId summer_2024(Scene& scene) {
  return scene.table(32, {{"capacity_", scene.memory.long_, 0},
                          {"size_", scene.memory.long_, 8},
                          {"heap_or_soo_", heap_or_inside(scene, true), 16}});
}

TEST(SwissTables, OfAllVersionsLeadToTheirSlotsInUse) {
  {
    Scene scene;
    scene.fill(0);
    make_plain(scene);
    EXPECT_EQ(scene.found(), kRight) << "2022";
  }
  {
    Scene scene;
    scene.fill(8);
    const TypeId common = scene.memory.record(kInternal + "CommonFields", 32,
                                              {{"control_", scene.to_control, 0},
                                               {"slots_", scene.memory.pointer(kNoType), 8},
                                               {"capacity_", scene.memory.long_, 16},
                                               {"size_", scene.memory.long_, 24}});
    const TypeId table = scene.table(32, {{"settings_", common, 0}});
    scene.memory.put(scene.memory.variable("table", table), {scene.control, scene.slots, kCapacity, 2 << 1});
    EXPECT_EQ(scene.found(), "Item*[], Item and Item, [24 B]") << "January 2024";
  }
  {
    Scene scene;
    scene.fill(8);
    const TypeId table = summer_2024(scene);
    scene.memory.put(scene.memory.variable("table", table), {kCapacity, 2 << 1, scene.control, scene.slots});
    EXPECT_EQ(scene.found(), kRight) << "summer 2024";
  }
  {
    Scene scene;
    scene.fill(8);
    const TypeId size = scene.memory.record(kInternal + "HashtableSize", 8, {{"data_", scene.memory.long_, 0}});
    const TypeId table = scene.table(
        32,
        {{"capacity_", scene.memory.long_, 0}, {"size_", size, 8}, {"heap_or_soo_", heap_or_inside(scene, true), 16}});
    scene.memory.put(scene.memory.variable("table", table), {kCapacity, 2 << 17 | 0x8123, scene.control, scene.slots});
    EXPECT_EQ(scene.found(), kRight) << "summer 2025";
  }
  for (const bool has_slots : {true, false}) {
    Scene scene;
    scene.fill(has_slots ? 8 : 1);
    const TypeId data =
        scene.memory.record(kInternal + "HashtableInlineDataImpl", 8, {{"word", scene.memory.long_, 0}});
    const TypeId table = scene.table(
        has_slots ? 24 : 16, {{"inline_data_", data, 0}, {"heap_or_soo_", heap_or_inside(scene, has_slots), 8}});
    const uint64_t at = scene.memory.variable("table", table);
    if (has_slots) scene.memory.put(at, {2 << 17 | 0xab << 8 | 3, scene.control, scene.slots});
    if (!has_slots) scene.memory.put(at, {2 << 15 | 0x15 << 6 | 3, scene.control});
    EXPECT_EQ(scene.found(), kRight) << "2026, " << has_slots;
  }
}

// The last version says how many of the last slots were not even allocated.
TEST(SwissTables, BlockedSlotsTakeNoRoom) {
  Scene scene;
  scene.fill(1);
  const TypeId data = scene.memory.record(kInternal + "HashtableInlineDataImpl", 8, {{"word", scene.memory.long_, 0}});
  const TypeId table = scene.table(16, {{"inline_data_", data, 0}, {"heap_or_soo_", heap_or_inside(scene, false), 8}});
  const uint64_t wider = scene.memory.allocate(1 + 16 + 15 + 8 * 8);  // 15 slots, of which 7 are left out
  scene.memory.put(wider + 1, {0x8080808080802280, 0xffffffffffffff80, 0});
  scene.memory.put(wider + 1 + 31 + 8, {scene.first});
  scene.memory.put(scene.memory.variable("table", table), {1 << 15 | 7 << 12 | 4, wider + 1});
  const auto process = scene.memory.infer();
  EXPECT_EQ(process->name_at(wider), "Item*[]");
  EXPECT_EQ(process->name_at(scene.first), "Item");
}

TEST(SwissTables, OneElementMayLieInside) {
  for (const uint64_t size : {0, 1}) {
    Scene scene;
    scene.fill(8);
    const TypeId table = summer_2024(scene);
    scene.memory.put(scene.memory.variable("table", table), {1, size << 1, scene.first, scene.stale});
    const auto process = scene.memory.infer();
    EXPECT_EQ(process->name_at(scene.first), size == 1 ? "Item" : "[24 B]");
    EXPECT_EQ(process->name_at(scene.stale), "[24 B]");
  }
}

TEST(SwissTables, WhatDoesNotAddUpIsNotBelieved) {
  const std::vector<std::pair<std::string, std::function<void(Scene&)>>> lies = {
      {"no sentinel",
       [](Scene& scene) {
         scene.set_control(0x11);
         make_plain(scene);
       }},
      {"a capacity that is no power of two less one", [](Scene& scene) { make_plain(scene, 6); }},
      {"a capacity that is too large", [](Scene& scene) { make_plain(scene, 15); }},
      {"an absurd capacity", [](Scene& scene) { make_plain(scene, UINT64_MAX); }},
      {"slots that begin elsewhere", [](Scene& scene) { make_plain(scene, kCapacity, 16); }},
      {"control bytes that begin elsewhere", [](Scene& scene) { make_plain(scene, kCapacity, 0, 4); }},
      {"control bytes in another block",
       [](Scene& scene) { make_plain(scene, kCapacity, 0, scene.first - scene.control); }},
  };
  for (const auto& [what, lie] : lies) {
    Scene scene;
    scene.fill(0);
    lie(scene);
    EXPECT_EQ(scene.found(), kNothing) << what;
  }
}

// The bytes are no elements, whatever begins there.
TEST(SwissTables, ControlBytesAreNotTheBlocksType) {
  Scene scene;
  scene.fill(0);
  const TypeId other = scene.memory.record(kInternal + "OtherPolicy<Item>", 1, {}, {scene.item});
  const TypeId table = scene.memory.record(kInternal + "raw_hash_set<OtherPolicy<Item> >", 32,
                                           {{"ctrl_", scene.to_control, 0},
                                            {"slots_", scene.memory.pointer(kNoType), 8},
                                            {"size_", scene.memory.long_, 16},
                                            {"capacity_", scene.memory.long_, 24}},
                                           {other});
  scene.memory.put(scene.memory.variable("table", table), {scene.control, scene.slots, 2, kCapacity});
  EXPECT_EQ(scene.found(), kNothing);
}

}  // namespace
}  // namespace heapwalk::test
