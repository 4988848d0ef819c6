#include "heapwalk/allocators/allocator.h"
#include "heapwalk/allocators/glibc.h"

namespace heapwalk {
namespace {

std::unique_ptr<HeapDecoder> glibc_entry(const CoreDump& dump, std::span<const AddressRange> taken,
                                         Diagnostics& diagnostics) {
  return detect_glibc(dump, {.taken = taken}, diagnostics);
}

constexpr AllocatorEntry kRegistry[] = {
    {"glibc", glibc_entry},
};

}  // namespace

std::span<const AllocatorEntry> allocator_registry() {
  return kRegistry;
}

}  // namespace heapwalk
