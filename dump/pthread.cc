#include "dump/pthread.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <unordered_set>
#include <utility>

namespace heapwalk {
namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kMaxPthreadBytes = 0x1000;    // struct pthread was 0x900 bytes in 2.31, 0x940 in 2.43
constexpr uint64_t kMaxGlobalsBytes = 0x10000;   // ld.so's _rtld_global
constexpr uint64_t kProbeBytes = 0x900;          // where the structure's size is not known
constexpr uint64_t kMaxStackBytes = 1ULL << 40;  // below any pointer to a shared object: a pointer is no size
constexpr uint64_t kMaxUnalignedTail = 0x4000;
constexpr int kMaxRegionsOfStack = 16;
constexpr size_t kMaxThreads = 1U << 20;
constexpr uint64_t kTidAfterList = 16;  // struct pthread: list_t list; pid_t tid;
constexpr uint64_t kHeadsWithin = 64;   // the three list heads are neighbours

// The value of one of libthread_db's exported numbers, from whichever module has the threads library in it.
template <size_t N>
std::optional<std::array<uint32_t, N>> read_descriptor(const CoreDump& dump, std::string_view name) {
  for (const Module* module :
       {dump.find_module_by_name("libc.so"), dump.find_module_by_name("libpthread.so"), dump.executable()}) {
    if (module == nullptr) continue;
    auto range = module->symbol_range(name);
    if (!range) continue;
    if (auto words = dump.memory.read<std::array<uint32_t, N>>(range->begin)) return words;
  }
  return std::nullopt;
}

// A field's descriptor is {size in bits, count, offset}.
std::optional<uint64_t> field_offset(const CoreDump& dump, std::string_view name, uint64_t structure_bytes) {
  auto words = read_descriptor<3>(dump, name);
  if (!words || (*words)[2] >= structure_bytes) return std::nullopt;
  return (*words)[2];
}

// A stack that mprotect split lies in several regions, but not in many.
bool is_mapped(const CoreDump& dump, AddressRange range) {
  Address at = range.begin;
  for (int pieces = 0; pieces < kMaxRegionsOfStack && at < range.end; ++pieces) {
    const Region* region = dump.memory.find(at);
    if (region == nullptr) return false;
    at = region->range.end;
  }
  return at >= range.end;
}

// Do the three words describe a stack block that `inside` lies in?
std::optional<StackBlock> as_stack_block(const CoreDump& dump, const std::array<uint64_t, 3>& words, Address inside) {
  auto [block, size, guard] = words;
  if (block == 0 || size < kPage || size > kMaxStackBytes || block + size < block) return std::nullopt;
  AddressRange range = AddressRange::of(Address{block}, size);
  if (!range.contains(inside) || guard >= size || guard % kPage != 0) return std::nullopt;
  bool aligned = block % kPage == 0 && size % kPage == 0;
  // A stack that the program supplied may have any alignment, and has no guard.
  if (!aligned && (block % 8 != 0 || guard != 0 || range.end - inside > kMaxUnalignedTail)) return std::nullopt;
  if (!is_mapped(dump, {range.begin + guard, range.end})) return std::nullopt;
  return StackBlock{range, guard};
}

std::optional<StackBlock> probe_stack_block(const CoreDump& dump, AddressRange where, Address inside) {
  for (Address at = where.begin; at + 24 <= where.end; at += 8) {
    auto words = dump.memory.read<std::array<uint64_t, 3>>(at);
    if (!words) continue;
    if (auto block = as_stack_block(dump, *words, inside)) return block;
  }
  return std::nullopt;
}

// Where struct pthread may lie, by the thread pointer.
AddressRange pthread_window(const CoreDump& dump, const PthreadLayout& layout, Address thread_pointer) {
  uint64_t size = layout.size_bytes.value_or(kProbeBytes);
  if (arch_of(dump.process.architecture).tls_below_thread_pointer) return AddressRange::of(thread_pointer, size);
  return {thread_pointer - size, thread_pointer};
}

struct Links {
  Address next;
  Address previous;
};

// The links at `node`, when its neighbours agree that it is between them.
std::optional<Links> read_links(const CoreDump& dump, Address node) {
  auto words = dump.memory.read<std::array<uint64_t, 2>>(node);
  if (!words) return std::nullopt;
  Links links{Address{(*words)[0]}, Address{(*words)[1]}};
  if (!links.next || !links.previous) return std::nullopt;
  if (dump.memory.read_pointer(links.next + 8) != node || dump.memory.read_pointer(links.previous) != node)
    return std::nullopt;
  return links;
}

std::optional<Address> find_list_node(const CoreDump& dump, const PthreadLayout& layout, const Thread& thread) {
  if (!thread.thread_pointer) return std::nullopt;
  AddressRange window = pthread_window(dump, layout, thread.thread_pointer);
  if (layout.list_offset && (layout.size_bytes || window.begin == thread.thread_pointer)) {
    Address node = window.begin + *layout.list_offset;
    if (read_links(dump, node)) return node;
  }
  for (Address node = window.begin; node + kTidAfterList + 4 <= window.end; node += 8)
    if (dump.memory.read<uint32_t>(node + kTidAfterList) == thread.tid && read_links(dump, node)) return node;
  return std::nullopt;
}

std::optional<Address> symbol_address(const CoreDump& dump, std::string_view name) {
  for (std::string_view library : {"ld-linux", "libc.so", "libpthread.so", ""}) {
    const Module* module = library.empty() ? dump.executable() : dump.find_module_by_name(library);
    if (module == nullptr) continue;
    if (auto range = module->symbol_range(name)) return range->begin;
  }
  return std::nullopt;
}

// The head of the list of stacks in use, where a symbol or a descriptor names it.
std::optional<Address> named_used_head(const CoreDump& dump) {
  auto globals = symbol_address(dump, "_rtld_global");
  auto offset = field_offset(dump, "_thread_db_rtld_global__dl_stack_used", kMaxGlobalsBytes);
  if (globals && offset) return *globals + *offset;
  if (auto head = symbol_address(dump, "_dl_stack_used")) return head;
  return symbol_address(dump, "stack_used");
}

// Walks the lists, from the threads that are known to the heads, and from the heads to their neighbours.
class StackLists {
 public:
  StackLists(const CoreDump& dump, const PthreadLayout& layout)
      : dump_(dump), layout_(layout), used_head_(named_used_head(dump)) {}

  std::vector<AddressRange> find_dead();

 private:
  struct Ring {
    bool has_live_thread = false;
    std::optional<Address> head;                       // the node that is no thread
    std::vector<std::pair<Address, StackBlock>> dead;  // list nodes of threads that have ended
  };

  void walk(Address node);
  void visit(Address node, Ring& ring) const;
  void add_dead(const Ring& ring);

  const CoreDump& dump_;
  const PthreadLayout& layout_;
  std::optional<Address> used_head_;
  std::unordered_set<Address> live_;  // list nodes of threads that the core describes
  std::unordered_set<Address> seen_;
  std::vector<Address> heads_;
  std::vector<AddressRange> dead_;
};

void StackLists::visit(Address node, Ring& ring) const {
  if (live_.contains(node)) {
    ring.has_live_thread = true;
    return;
  }
  auto block = probe_stack_block(dump_, AddressRange::of(node + kTidAfterList, kMaxPthreadBytes), node);
  if (!block) {
    ring.head = node;
    return;
  }
  auto tid = dump_.memory.read<int32_t>(node + kTidAfterList);
  if (tid && *tid <= 0) ring.dead.emplace_back(node, *block);
  if (tid && *tid > 0) ring.has_live_thread = true;
}

// The stack and, on x86-64, TLS lie below struct pthread. The structure of a thread that nobody has joined holds the
// result that pthread_join will return. In the cache, it is garbage but for one word, the pointer to the thread's dtv:
// that one is an allocation, and the next thread that gets the stack will use it.
void StackLists::add_dead(const Ring& ring) {
  bool is_cache = ring.head && used_head_ && ring.head != used_head_ && !ring.has_live_thread;
  for (const auto& [node, block] : ring.dead) {
    Address begin = layout_.list_offset ? node - *layout_.list_offset : node.align_down(kPage);
    if (begin > block.range.begin) dead_.push_back({block.range.begin, begin});
    if (!is_cache || !layout_.list_offset || !arch_of(dump_.process.architecture).tls_below_thread_pointer) continue;
    Address behind_dtv = std::max(begin, block.range.begin) + 16;
    if (behind_dtv < block.range.end) dead_.push_back({behind_dtv, block.range.end});
  }
}

void StackLists::walk(Address node) {
  Ring ring;
  while (seen_.size() < kMaxThreads && seen_.insert(node).second) {
    auto links = read_links(dump_, node);
    if (!links) break;
    auto head_before = ring.head;
    visit(node, ring);
    if (head_before && ring.head != head_before) return;  // two nodes that are no threads: a list of something else
    node = links->next;
  }
  if (ring.head) heads_.push_back(*ring.head);
  add_dead(ring);
}

std::vector<AddressRange> StackLists::find_dead() {
  std::vector<Address> nodes;
  for (const Thread& thread : dump_.threads)
    if (auto node = find_list_node(dump_, layout_, thread)) nodes.push_back(*node);
  live_.insert(nodes.begin(), nodes.end());
  for (Address node : nodes) walk(node);
  std::vector<Address> heads = heads_;
  for (std::string_view name : {"stack_cache", "_dl_stack_cache"})  // where there is a full symbol table
    if (auto head = symbol_address(dump_, name)) heads.push_back(*head);
  if (used_head_) heads.push_back(*used_head_);
  std::sort(heads.begin(), heads.end());
  heads.erase(std::unique(heads.begin(), heads.end()), heads.end());
  for (Address head : heads) {
    for (Address node = head - kHeadsWithin; node <= head + kHeadsWithin; node += 8) walk(node);
  }

  std::sort(dead_.begin(), dead_.end());
  std::vector<AddressRange> disjoint;
  for (AddressRange range : dead_) {
    if (!disjoint.empty() && range.begin < disjoint.back().end) continue;  // hostile input only
    disjoint.push_back(range);
  }
  return disjoint;
}

}  // namespace

PthreadLayout read_pthread_layout(const CoreDump& dump) {
  PthreadLayout layout;
  if (auto size = read_descriptor<1>(dump, "_thread_db_sizeof_pthread"))
    if ((*size)[0] >= 0x100 && (*size)[0] <= kMaxPthreadBytes) layout.size_bytes = (*size)[0];
  layout.list_offset = field_offset(dump, "_thread_db_pthread_list", kMaxPthreadBytes);
  return layout;
}

std::optional<StackBlock> find_stack_block(const CoreDump& dump, const PthreadLayout& layout, Address thread_pointer) {
  if (!thread_pointer) return std::nullopt;
  return probe_stack_block(dump, pthread_window(dump, layout, thread_pointer), thread_pointer);
}

std::vector<AddressRange> find_dead_stacks(const CoreDump& dump, const PthreadLayout& layout) {
  return StackLists(dump, layout).find_dead();
}

}  // namespace heapwalk
