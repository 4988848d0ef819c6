#include "heapwalk/runtimes/go/stacks/semaphore_waiters.h"

#include "heapwalk/runtimes/go/program/record.h"

namespace heapwalk::go {

std::vector<SemaphoreWaiter> read_semaphore_waiters(const CoreDump& dump, const Layout& layout, Address table,
                                                    size_t limit) {
  constexpr uint64_t kRoots = 251;
  constexpr uint64_t kTreap = 8;                                                          // behind the root's lock
  const uint64_t stride = dump.process.architecture == Architecture::aarch64 ? 128 : 64;  // padded to a cache line
  std::vector<SemaphoreWaiter> waiters;
  std::vector<Address> subtrees;
  for (uint64_t root = 0; root < kRoots; ++root)
    if (const auto top = dump.memory.read_pointer(table + root * stride + kTreap); top && *top)
      subtrees.push_back(*top);
  while (!subtrees.empty() && waiters.size() < limit) {
    const Address top = subtrees.back();
    subtrees.pop_back();
    const Record first(dump.memory, layout, top);
    if (!first.pointer(Field::sudog_g)) continue;
    const Address semaphore = first.pointer_or_null(Field::sudog_elem);
    for (Field child : {Field::sudog_prev, Field::sudog_next})
      if (const Address subtree = first.pointer_or_null(child)) subtrees.push_back(subtree);
    for (Address at = top; at && waiters.size() < limit;) {
      const Record sudog(dump.memory, layout, at);
      const auto g = sudog.pointer(Field::sudog_g);
      if (!g) break;
      waiters.push_back({*g, at, semaphore});
      at = sudog.pointer_or_null(Field::sudog_waitlink);
    }
  }
  return waiters;
}

}  // namespace heapwalk::go
