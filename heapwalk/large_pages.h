// Large tables on large pages.
//
// Graph algorithms jump about in tables of hundreds of megabytes. With 4 KiB pages nearly every jump also misses the
// address translation cache, which about doubles its cost; with 2 MiB pages few do. The kernel gives such pages to who
// asks before touching the memory (madvise(2), MADV_HUGEPAGE); where it does not, nothing changes but the speed.
#pragma once

#include <malloc.h>
#include <sys/mman.h>

#include <cstddef>
#include <cstdint>

namespace heapwalk {

// Asks for large pages for memory that has not been written yet.
inline void advise_large(void* data, size_t bytes) {
  constexpr uintptr_t kLargePage = uintptr_t{2} << 20;
  const size_t skipped =
      (kLargePage - reinterpret_cast<uintptr_t>(data) % kLargePage) % kLargePage;  // to a page's start
  if (bytes < skipped + kLargePage) return;
  madvise(static_cast<char*>(data) + skipped, (bytes - skipped) / kLargePage * kLargePage, MADV_HUGEPAGE);
}

// Reserves room for `size` elements of an empty vector and asks for large pages for it. Fill it afterwards: only
// elements that are written cost memory.
template <class Vector>
void reserve_large(Vector& vector, size_t size) {
  vector.reserve(size);
  advise_large(vector.data(), size * sizeof(vector[0]));
}

template <class Vector>
void assign_large(Vector& vector, size_t size, typename Vector::value_type value) {
  reserve_large(vector, size);
  vector.assign(size, value);
}

// Gives back to the system what many small tables have left behind when they were freed: malloc keeps it for the next ones,
// and the tables of graphs are too large for it.
inline void release_free_memory() {
  malloc_trim(0);
}

// Shortens the vector and gives the memory behind its new end back to the system, whole pages of it. Worth it by the
// megabyte.
template <class Vector>
void release_tail(Vector& vector, size_t size) {
  constexpr uintptr_t kPage = 4096;
  auto* data = reinterpret_cast<char*>(vector.data());
  const auto base = reinterpret_cast<uintptr_t>(data);
  const size_t last = (base + vector.size() * sizeof(vector[0])) / kPage * kPage - base;
  vector.resize(size);
  const size_t first = (base + size * sizeof(vector[0]) + kPage - 1) / kPage * kPage - base;
  if (base + first < base + last) madvise(data + first, last - first, MADV_DONTNEED);
}

}  // namespace heapwalk
