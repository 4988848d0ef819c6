// The scan on memory made by hand: what counts as a reference, what does not, and that nothing depends on the threads.
#include "heapwalk/reference_scan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>

namespace heapwalk {
namespace {

constexpr Address kHeap{0x5555'0000'0000};
constexpr Address kData{0x4000'0000};

// A heap region and a data region with bytes of their own; words are written by address.
class Memory {
 public:
  explicit Memory(uint64_t heap_bytes, uint64_t data_bytes = 4096) : heap_(heap_bytes), data_(data_bytes) {}

  void word(Address at, uint64_t value) {
    bool on_heap = at >= kHeap;
    std::vector<std::byte>& bytes = on_heap ? heap_ : data_;
    std::memcpy(bytes.data() + (at - (on_heap ? kHeap : kData)), &value, 8);
  }
  void object(uint64_t offset, uint64_t size_bytes, AllocationState state = AllocationState::used) {
    blocks_.push_back({kHeap + offset, size_bytes, state, 0});
  }
  uint32_t global(uint64_t offset, uint64_t size_bytes, uint32_t owner = kNoOwner) {
    Root root;
    root.owner = owner;
    root.location = AddressRange::of(kData + offset, size_bytes);
    roots.roots.push_back(root);
    return static_cast<uint32_t>(roots.roots.size() - 1);
  }
  // Takes `range` out of the core.
  void hide(AddressRange range) { hidden_ = range; }

  RetentionGraph scan(size_t threads = 1) {
    dump.memory = AddressSpace(regions());
    AllocationSink sink(AddressRange::of(kHeap, heap_.size()), 0, 16);
    for (const Allocation& block : blocks_) sink.add(block.address, block.size_bytes, block.state);
    std::vector<AllocationSink> sinks;
    sinks.push_back(std::move(sink));
    objects = ObjectIndex::build(std::move(sinks), diagnostics);
    auto graph = scan_references(dump, objects, roots, ObjectTypes(), private_memory, {}, threads, diagnostics);
    EXPECT_TRUE(graph.has_value());
    EXPECT_TRUE(graph->check());
    return std::move(*graph);
  }

  // "0>1 0>2": edges between objects, and from roots as r0>1.
  std::string edges(const RetentionGraph& graph) const {
    std::string text;
    for (uint32_t node = 2 + static_cast<uint32_t>(roots.owners.size()); node < graph.node_count(); ++node) {
      bool is_object = node >= graph.first_object();
      uint64_t from = is_object ? node - graph.first_object() : node - 2 - roots.owners.size();
      graph.for_each_edge(NodeId{node}, [&](NodeId to, EdgeKind kind) {
        EXPECT_EQ(kind, EdgeKind::conservative);
        text += (text.empty() ? "" : " ") + std::string(is_object ? "" : "r") + std::to_string(from) + ">" +
                std::to_string(index(graph.object_of(to)));
      });
    }
    return text;
  }
  std::string scanned() { return edges(scan()); }

  CoreDump dump;
  ObjectIndex objects;
  RootSet roots;
  PrivateMemory private_memory;
  Diagnostics diagnostics;

 private:
  std::vector<Region> regions() const {
    std::vector<Region> all{{AddressRange::of(kData, data_.size()), ByteState::core, data_.data()}};
    AddressRange heap = AddressRange::of(kHeap, heap_.size());
    if (hidden_.empty()) {
      all.push_back({heap, ByteState::core, heap_.data()});
    } else {
      all.push_back({{heap.begin, hidden_.begin}, ByteState::core, heap_.data()});
      all.push_back({hidden_, ByteState::absent, nullptr});
      all.push_back({{hidden_.end, heap.end}, ByteState::core, heap_.data() + (hidden_.end - heap.begin)});
    }
    return all;
  }

  std::vector<std::byte> heap_;
  std::vector<std::byte> data_;
  std::vector<Allocation> blocks_;
  AddressRange hidden_;
};

TEST(ReferenceScan, EveryAlignedWordIntoAUsedAllocation) {
  Memory memory(4096);
  memory.object(0x10, 40);
  memory.object(0x40, 24, AllocationState::free);
  memory.object(0x60, 24);
  memory.object(0x80, 24, AllocationState::cached);
  memory.object(0xa0, 24);
  memory.global(0, 8);
  memory.word(kData, kHeap.value + 0x10);
  memory.word(kHeap + 0x10, kHeap.value + 0x60);  // first word, exact
  memory.word(kHeap + 0x18, kHeap.value + 0xb7);  // interior: the last byte of object 4
  memory.word(kHeap + 0x20, kHeap.value + 0xb8);  // one past its end
  memory.word(kHeap + 0x28, kHeap.value + 0x40);  // a free block
  memory.word(kHeap + 0x30, kHeap.value + 0x10);  // itself
  memory.word(kHeap + 0x38, kHeap.value + 0x60);  // behind the usable bytes
  memory.word(kHeap + 0x60, kHeap.value + 0x80);  // a cached block
  memory.word(kHeap + 0x40, kHeap.value + 0x60);  // from a free block
  memory.word(kHeap + 0xa0, kHeap.value + 0x10);
  memory.word(kHeap + 0xa8, kHeap.value + 0x30);  // the same object twice
  EXPECT_EQ(memory.scanned(), "r0>0 0>2 0>4 4>0");
  EXPECT_TRUE(memory.diagnostics.all().empty());
}

TEST(ReferenceScan, UnalignedLocationsAndRegisters) {
  Memory memory(4096);
  memory.object(0x10, 24);
  memory.object(0x30, 24);
  memory.word(kData + 0x08, kHeap.value + 0x10);
  memory.word(kData + 0x10, kHeap.value + 0x30);
  memory.global(0x04, 0x10);  // the word at 8 is inside, the one at 0x10 is not wholly
  memory.global(0x18, 3);
  Root rbx;
  rbx.kind = RootKind::register_;
  rbx.value = kHeap.value + 0x40;
  memory.roots.roots.push_back(rbx);
  rbx.value = 0xdead;
  memory.roots.roots.push_back(rbx);
  EXPECT_EQ(memory.scanned(), "r0>0 r2>1");
}

TEST(ReferenceScan, OwnersAreATree) {
  Memory memory(4096);
  memory.object(0x10, 24);
  memory.roots.owners = {{OwnerKind::thread, kNoOwner, "thread"}, {OwnerKind::frame, 0, "frame"}};
  memory.global(0, 8, 1);
  memory.global(8, 8);
  memory.word(kData, kHeap.value + 0x10);
  RetentionGraph graph = memory.scan();
  auto row = [&](uint32_t node) {
    std::vector<uint32_t> targets;
    graph.for_each_edge(NodeId{node}, [&](NodeId to, EdgeKind kind) {
      EXPECT_EQ(kind, node < 4 ? EdgeKind::exact : EdgeKind::conservative);
      targets.push_back(index(to));
    });
    return targets;
  };
  EXPECT_EQ(row(0), (std::vector<uint32_t>{2, 5}));
  EXPECT_TRUE(row(1).empty());
  EXPECT_EQ(row(2), std::vector<uint32_t>{3});
  EXPECT_EQ(row(3), std::vector<uint32_t>{4});
  EXPECT_EQ(row(4), std::vector<uint32_t>{6});
  EXPECT_EQ(first_object_node(memory.roots), 6U);
  EXPECT_EQ(owner_node(memory.roots, 1), NodeId{3});
  EXPECT_EQ(root_node(memory.roots, 1), NodeId{5});
}

TEST(ReferenceScan, PrivateRangesAndWordsAreSkipped) {
  Memory memory(4096);
  memory.object(0x10, 104);
  for (uint64_t i = 0; i < 6; ++i) memory.object(0x80 + i * 0x20, 16);
  for (uint64_t i = 0; i < 6; ++i) memory.word(kHeap + 0x10 + i * 8, kHeap.value + 0x80 + i * 0x20);
  memory.global(0, 16);
  memory.word(kData, kHeap.value + 0x10);
  memory.word(kData + 8, kHeap.value + 0xa0);
  memory.private_memory.words = {kData + 8, kHeap + 0x20};
  memory.private_memory.ranges = {{kHeap, kHeap + 0x18}, {kHeap + 0x2c, kHeap + 0x34}};
  // Words 0, 2, and 3 and 4 (each touched by the second range) are hidden.
  EXPECT_EQ(memory.scanned(), "r0>0 0>2 0>6");
}

TEST(ReferenceScan, AbsentBytesAreCounted) {
  Memory memory(0x4000);
  memory.object(0x10, 0x2ff0);
  memory.object(0x3010, 24);
  memory.word(kHeap + 0x10, kHeap.value + 0x3010);
  memory.word(kHeap + 0x1800, kHeap.value + 0x3010);
  memory.hide({kHeap + 0x1000, kHeap + 0x2000});
  EXPECT_EQ(memory.scanned(), "0>1");
  EXPECT_EQ(memory.diagnostics.count("absent_bytes"), 0x1000U);

  Memory outside(4096);  // a root of which the core knows nothing at all
  outside.object(0x10, 24);
  outside.roots.roots.emplace_back().location = {Address{0x10'0000}, Address{0x10'0100}};
  EXPECT_EQ(outside.scanned(), "");
  EXPECT_EQ(outside.diagnostics.count("absent_bytes"), 0x100U);
}

TEST(ReferenceScan, RandomHeapsAgreeWithAPlainLoop) {
  for (uint64_t seed = 0; seed < 40; ++seed) {
    std::mt19937_64 random(seed);
    const uint64_t count = seed < 36 ? 1 + random() % 200 : 40'000;  // the last ones have several blocks of nodes
    Memory memory(count * 0x60 + 0x1000);
    std::vector<AddressRange> used;
    uint64_t at = 0x10;
    for (uint64_t i = 0; i < count; ++i) {
      uint64_t size = 8 * (1 + random() % (random() % 50 == 0 ? 100 : 8));
      if (at + size > count * 0x60) break;
      bool is_used = random() % 5 != 0;
      memory.object(at, size, is_used ? AllocationState::used : AllocationState::free);
      used.push_back(is_used ? AddressRange::of(kHeap + at, size) : AddressRange{});
      for (uint64_t w = 0; w < size; w += 8) {
        uint64_t value = random() % 3 == 0 ? random() : kHeap.value + random() % (count * 0x60);
        memory.word(kHeap + at + w, value);
      }
      at = (at + size + 8 + 15) & ~uint64_t{15};
    }
    RetentionGraph graph = memory.scan(1);
    RetentionGraph parallel = memory.scan(3);
    for (uint32_t node = 0; node < graph.node_count(); ++node) {
      ASSERT_TRUE(std::ranges::equal(graph.targets(NodeId{node}), parallel.targets(NodeId{node})));
    }
    for (uint32_t from = 0; from < used.size(); ++from) {
      std::vector<NodeId> expected;
      for (Address word = used[from].begin; word < used[from].end; word += 8) {
        Address value{memory.dump.memory.read_word(word).value_or(0)};
        auto after = std::upper_bound(used.begin(), used.end(), value, [&](Address a, const AddressRange& range) {
          return a < memory.objects.address(ObjectId{static_cast<uint32_t>(&range - used.data())});
        });
        if (after == used.begin()) continue;
        auto to = static_cast<uint32_t>(after - used.begin() - 1);
        if (to != from && used[to].contains(value)) expected.push_back(graph.node_of(ObjectId{to}));
      }
      std::sort(expected.begin(), expected.end());
      expected.erase(std::unique(expected.begin(), expected.end()), expected.end());
      ASSERT_TRUE(std::ranges::equal(graph.targets(graph.node_of(ObjectId{from})), expected)) << seed << " " << from;
    }
  }
}

}  // namespace
}  // namespace heapwalk
