// Writable memory that nobody claims: not heap, not module, not stack, not TLS. A custom arena, a JIT's heap, a shared
// segment, ld.so's own early allocations: whatever it is, it may hold the only pointer to something, so it is a root.
// Cached stacks of dead threads are left out: what they hold is garbage by definition.
#include "heapwalk/bytes_text.h"
#include "heapwalk/roots/find_roots.h"
#include "heapwalk/roots/word_scan.h"

namespace heapwalk {
namespace {

std::string mapping_name(const Mapping& mapping, AddressRange part) {
  std::string what = mapping.path.empty() ? "anonymous mapping" : mapping.path;
  return fmt::format("{} {:#x} ({})", what, part.begin.value, bytes_text(part.size_bytes()));
}

}  // namespace

void add_mapping_roots(const RootInputs& inputs, RootSet& set) {
  std::vector<AddressRange> claimed(inputs.heap_ranges.begin(), inputs.heap_ranges.end());
  const std::span<const AddressRange> known[] = {set.module_ranges, set.stack_ranges, set.tls_ranges,
                                                 inputs.dump->dead_stacks};
  for (std::span<const AddressRange> ranges : known) claimed.insert(claimed.end(), ranges.begin(), ranges.end());
  for (const Root& root : set.roots) claimed.push_back(root.location);
  claimed = merged(std::move(claimed));

  uint32_t owner = kNoOwner;
  for (const Mapping& mapping : inputs.dump->mappings) {
    if (!mapping.writable) continue;
    for (AddressRange part : subtract(mapping.range, claimed)) {
      bool refers_to_heap = false;
      for_each_heap_word(inputs, part, [&](Address) { refers_to_heap = true; });
      if (!refers_to_heap) continue;
      if (owner == kNoOwner) {
        owner = static_cast<uint32_t>(set.owners.size());
        set.owners.push_back({OwnerKind::mappings, kNoOwner, "unknown mappings"});
      }
      set.roots.push_back({.kind = RootKind::mapping,
                           .owner = owner,
                           .name = mapping_name(mapping, part),
                           .stable_name = mapping.path.empty() ? "anonymous" : mapping.path,
                           .source = {},
                           .location = part});
    }
  }
}

}  // namespace heapwalk
