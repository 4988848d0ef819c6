#include "tests/support/synthetic_heap.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <numeric>
#include <random>

namespace heapwalk {
namespace {

constexpr Address kBase{0x5555'5000'0000};
constexpr uint64_t kChunk = 48;
constexpr uint64_t kUsable = 40;
constexpr uint32_t kListLength = 1000;
constexpr uint32_t kDoubleListLength = 100;
constexpr uint32_t kTreeNodes = 1023;

class Builder {
 public:
  Builder(uint32_t allocations, bool shuffled) : allocations_(allocations), slots_(allocations) {
    std::iota(slots_.begin(), slots_.end(), 0U);
    if (shuffled) std::shuffle(slots_.begin(), slots_.end(), random_);
    heap_.region = AddressRange::of(kBase, uint64_t{allocations} * kChunk + 16);
    heap_.allocations = allocations;
    capacity_ = heap_.region.size_bytes() + uint64_t{allocations} * 16 + (1 << 20);
    int file = memfd_create("synthetic heap", 0);
    if (file < 0 || ftruncate(file, static_cast<off_t>(capacity_)) != 0) std::abort();
    void* mapping = mmap(nullptr, capacity_, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (mapping == MAP_FAILED) std::abort();
    bytes_ = static_cast<std::byte*>(mapping);
    uint64_t capacity = capacity_;
    heap_.storage = std::shared_ptr<const void>(mapping, [capacity](void* m) { munmap(m, capacity); });
    arrays_begin_ = (heap_.region.end + 4096).align_up(4096);
    arrays_end_ = arrays_begin_ + 16;
  }

  Address address(uint32_t node) const { return kBase + 16 + uint64_t{slots_[node]} * kChunk; }
  void link(uint32_t node, uint32_t word, Address to) { store(address(node) + word * 8, to.value); }
  void link(uint32_t node, uint32_t word, uint32_t to) { link(node, word, address(to)); }
  void store(Address at, uint64_t value) { std::memcpy(bytes_ + (at - kBase), &value, 8); }

  // An allocation of `words` words after all others.
  Address array(uint64_t words) {
    Address at = arrays_end_;
    heap_.array_sizes.push_back(words * 8);
    arrays_end_ = (at + words * 8 + 8).align_up(16);
    return at;
  }
  void array_word(Address array, uint64_t word, Address to) { store(array + word * 8, to.value); }
  void keep(Address structure) { kept_.push_back(structure); }

  SyntheticHeap finish() {
    Address table = array(kept_.size() + 1);
    for (size_t k = 0; k < kept_.size(); ++k) array_word(table, k, kept_[k]);
    heap_.arrays_region = {arrays_begin_, arrays_end_ + 16};
    Address root = heap_.arrays_region.end.align_up(4096);
    store(root, table.value);
    AddressRange all{kBase, root + 4096};
    heap_.dump.memory = AddressSpace({Region{all, ByteState::core, bytes_}});
    Root variable;
    variable.name = variable.stable_name = "table";
    variable.location = AddressRange::of(root, 8);
    heap_.roots.roots.push_back(variable);
    return std::move(heap_);
  }

  std::mt19937_64& random() { return random_; }

 private:
  uint32_t allocations_;
  std::mt19937_64 random_{42};
  std::vector<uint32_t> slots_;
  std::vector<Address> kept_;
  SyntheticHeap heap_;
  uint64_t capacity_ = 0;
  std::byte* bytes_ = nullptr;
  Address arrays_begin_;
  Address arrays_end_;
};

void make_lists(Builder& heap, uint32_t first, uint32_t last) {
  for (uint32_t node = first; node + 1 < last; node += 2) {
    if ((node - first) / 2 % kListLength == 0) {
      heap.keep(heap.address(node));
    } else {
      heap.link(node - 2, 0, node);
    }
    heap.link(node, 1, node + 1);
  }
}

void make_double_lists(Builder& heap, uint32_t first, uint32_t last) {
  for (uint32_t header = first; header < last; header += kDoubleListLength) {
    uint32_t count = std::min(kDoubleListLength, last - header);
    heap.keep(heap.address(header));
    for (uint32_t i = 0; i < count; ++i) {
      heap.link(header + i, 0, header + (i + 1) % count);
      heap.link(header + i, 1, header + (i + count - 1) % count);
    }
  }
}

void make_trees(Builder& heap, uint32_t first, uint32_t last) {
  for (uint32_t header = first; header + 1 < last; header += kTreeNodes + 1) {
    uint32_t count = std::min(kTreeNodes, last - header - 1);
    heap.keep(heap.address(header));
    uint32_t leftmost = 1;
    while (leftmost * 2 <= count) leftmost *= 2;
    heap.link(header, 1, header + 1);
    heap.link(header, 2, header + leftmost);
    heap.link(header, 3, header + std::min(count, leftmost * 2 - 1));
    for (uint32_t i = 1; i <= count; ++i) {
      heap.link(header + i, 1, i == 1 ? header : header + i / 2);
      if (i * 2 <= count) heap.link(header + i, 2, header + i * 2);
      if (i * 2 + 1 <= count) heap.link(header + i, 3, header + i * 2 + 1);
    }
  }
}

void make_hash_maps(Builder& heap, uint32_t first, uint32_t last) {
  for (uint32_t head = first; head + 1 < last; head += 2 * kListLength) {
    uint32_t end = std::min(last, head + 2 * kListLength);
    Address buckets = heap.array(kListLength);
    heap.link(head, 0, buckets);
    heap.keep(heap.address(head));
    std::vector<uint32_t> nodes;
    for (uint32_t node = head + 1; node + 1 < end; node += 2) {
      nodes.push_back(node);
      heap.link(node, 2, node + 1);
    }
    uint32_t before = head;
    for (uint32_t node : nodes) {
      heap.link(before, 1, node);
      heap.array_word(buckets, heap.random()() % kListLength, heap.address(before));
      before = node;
    }
  }
}

void make_random(Builder& heap, uint32_t first, uint32_t last) {
  heap.keep(heap.address(first));
  for (uint32_t node = first; node < last; ++node) {
    for (uint32_t word = 0; word < 2; ++word) {
      heap.link(node, word, first + static_cast<uint32_t>(heap.random()() % (last - first)));
    }
  }
}

}  // namespace

std::string_view to_string(HeapShape shape) {
  constexpr std::string_view kNames[] = {"lists", "double_lists", "trees", "hash_maps", "random", "mixed"};
  return kNames[static_cast<size_t>(shape)];
}

std::vector<AllocationSink> SyntheticHeap::sinks() const {
  std::vector<AllocationSink> result;
  AllocationSink& heap = result.emplace_back(region, uint8_t{0}, 16U);
  for (uint32_t i = 0; i < allocations; ++i) {
    heap.add(region.begin + 16 + uint64_t{i} * kChunk, kUsable, AllocationState::used);
  }
  AllocationSink& arrays = result.emplace_back(arrays_region, uint8_t{0}, 16U);
  Address at = arrays_region.begin + 16;
  for (uint64_t size_bytes : array_sizes) {
    arrays.add(at, size_bytes, AllocationState::used);
    at = (at + size_bytes + 8).align_up(16);
  }
  return result;
}

SyntheticHeap make_heap(HeapShape shape, uint32_t allocations, bool shuffled) {
  Builder heap(allocations, shuffled);
  using Make = void (*)(Builder&, uint32_t, uint32_t);
  constexpr Make kMakers[] = {make_lists, make_double_lists, make_trees, make_hash_maps, make_random};
  if (shape != HeapShape::mixed) {
    kMakers[static_cast<size_t>(shape)](heap, 0, allocations);
  } else {
    for (uint32_t part = 0; part < 5; ++part) {
      kMakers[part](heap, allocations / 5 * part, allocations / 5 * (part + 1));
    }
  }
  return heap.finish();
}

}  // namespace heapwalk
