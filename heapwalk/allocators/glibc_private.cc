#include "heapwalk/allocators/glibc_private.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <unordered_set>

#include "heapwalk/allocators/glibc_chunk.h"

namespace heapwalk::glibc {
namespace {

constexpr uint64_t kChain = 0x68;
constexpr uint64_t kPreviousChain = 0xb8;
constexpr uint64_t kVtable = 0xd8;
constexpr uint64_t kFileBytes = 0xe0;
constexpr uint64_t kPopenNext = 0xe8;
constexpr uint32_t kMagic = 0xfbad;  // upper half of _flags
constexpr uint64_t kHeadDistance = 0x20;
constexpr size_t kMaxFiles = 1 << 20;
constexpr std::array<std::string_view, 3> kStandardFiles = {"_IO_2_1_stdin_", "_IO_2_1_stdout_", "_IO_2_1_stderr_"};

class FileList {
 public:
  FileList(const CoreDump& dump, const Module& libc, const Heaps& heaps, PrivateWords& result)
      : memory_(dump.memory), libc_(libc), heaps_(heaps), result_(result) {}

  // Follows the list whose head is the pointer variable at `head`; false when that is no list of FILEs.
  bool follow(Address head);
  // The same for popen's list.
  void follow_popen(Address head);

 private:
  bool is_file(Address file) const {
    auto flags = memory_.read<uint32_t>(file);
    auto vtable = memory_.read_pointer(file + kVtable);
    return flags && *flags >> 16 == kMagic && vtable && libc_.range.contains(*vtable);
  }
  bool on_heap(Address address) const {
    auto after = std::ranges::upper_bound(heaps_.regions, address, {},
                                          [](const GlibcRegion& region) { return region.region.range.begin; });
    return after != heaps_.regions.begin() && std::prev(after)->region.range.contains(address);
  }
  void add(Address word) {
    if (on_heap(word))
      result_.words.push_back(word);
    else
      result_.ranges.push_back(AddressRange::of(word, 8));
  }

  const AddressSpace& memory_;
  const Module& libc_;
  const Heaps& heaps_;
  PrivateWords& result_;
};

bool FileList::follow(Address head) {
  auto first = memory_.read_pointer(head);
  if (!first || (*first && !is_file(*first))) return false;
  add(head);
  std::unordered_set<uint64_t> seen;
  Address link = head;  // the word that led to `file`
  for (Address file = *first; file && seen.size() < kMaxFiles && seen.insert(file.value).second;) {
    if (!is_file(file)) break;
    if (memory_.read_pointer(file + kPreviousChain) == link) add(file + kPreviousChain);
    link = file + kChain;
    add(link);
    file = memory_.read_pointer(link).value_or(Address{});
  }
  return true;
}

void FileList::follow_popen(Address head) {
  add(head);
  std::unordered_set<uint64_t> seen;
  Address file = memory_.read_pointer(head).value_or(Address{});
  while (file && is_file(file) && seen.size() < kMaxFiles && seen.insert(file.value).second) {
    add(file + kPopenNext);
    file = memory_.read_pointer(file + kPopenNext).value_or(Address{});
  }
}

// How many FILEs of libc's data the list that begins with `file` has, when it has no others; 0 otherwise.
int standard_files_from(const CoreDump& dump, const Module& libc, Address file) {
  int length = 0;
  for (; length <= 3; ++length) {
    if (!file) return length;
    auto flags = dump.memory.read<uint32_t>(file);
    if (!flags || *flags >> 16 != kMagic || !libc.range.contains(file)) return 0;
    file = dump.memory.read_pointer(file + kChain).value_or(Address{});
  }
  return 0;
}

// Without a symbol: the three standard FILEs are known by their list stderr → stdout → stdin → null, and the list's head
// is a pointer to a FILE that stands just before or behind stderr.
std::optional<Address> list_head_by_shape(const CoreDump& dump, const Module& libc) {
  for (const ModuleSegment& segment : libc.segments) {
    if (!segment.writable) continue;
    Window window = Window::of(dump.memory, segment.range);
    for (uint64_t at = segment.range.begin.align_up(8).value; window.holds(at, kFileBytes); at += 8) {
      if ((window.word(at) & 0xffffffff) >> 16 != kMagic || !libc.range.contains(Address{window.word(at + kVtable)})) {
        continue;
      }
      if (standard_files_from(dump, libc, Address{at}) != 3) continue;
      for (uint64_t word = at - kHeadDistance; word < at + kFileBytes + kHeadDistance; word += 8) {
        bool inside = word >= at && word < at + kFileBytes;
        auto flags =
            !inside && window.holds(word, 8) ? dump.memory.read<uint32_t>(Address{window.word(word)}) : std::nullopt;
        if (flags && *flags >> 16 == kMagic) return Address{word};
      }
    }
  }
  return std::nullopt;
}

void join(std::vector<AddressRange>& ranges) {
  std::ranges::sort(ranges);
  std::vector<AddressRange> joined;
  for (AddressRange range : ranges) {
    if (range.empty()) continue;
    if (!joined.empty() && range.begin <= joined.back().end)
      joined.back().end = std::max(joined.back().end, range.end);
    else
      joined.push_back(range);
  }
  ranges = std::move(joined);
}

}  // namespace

PrivateWords find_private_words(const CoreDump& dump, const std::vector<Instance>& instances, const Heaps& heaps,
                                Diagnostics& diagnostics) {
  PrivateWords result;
  for (const MallocParameters& parameters : heaps.parameters) result.ranges.push_back(parameters.range);
  for (const Instance& instance : instances) {
    for (const Arena& arena : instance.arenas) {
      result.ranges.push_back(AddressRange::of(arena.state, arena.state_bytes));
      for (AddressRange heap : arena.heaps)
        result.ranges.push_back(AddressRange::of(heap.begin, arena.heap_info_bytes));
    }
    if (instance.module == nullptr) continue;
    FileList files(dump, *instance.module, heaps, result);
    auto symbol = instance.module->symbol_range("_IO_list_all");
    std::optional<Address> head = symbol ? std::optional(symbol->begin) : list_head_by_shape(dump, *instance.module);
    if (!head || !files.follow(*head)) {
      diagnostics.add("stdio_list_unknown", fmt::format("{}: stdio's list of open files was not found; a lost FILE may "
                                                        "look reachable",
                                                        instance.place));
    }
    if (auto popen_list = instance.module->symbol_range("proc_file_chain")) files.follow_popen(popen_list->begin);
    for (std::string_view name : kStandardFiles) {
      if (auto file = instance.module->symbol_range(name)) {
        result.ranges.push_back(AddressRange::of(file->begin + kChain, 8));
      }
    }
  }
  join(result.ranges);
  std::ranges::sort(result.words);
  result.words.erase(std::ranges::unique(result.words).begin(), result.words.end());
  return result;
}

}  // namespace heapwalk::glibc
