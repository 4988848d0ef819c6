#include "dump/debug_data.h"

#include "dump/archive_stream.h"

namespace heapwalk {

Result<std::vector<std::byte>> expand_xz(Bytes compressed, size_t max_bytes) {
  Result<ArchiveStream> stream = ArchiveStream::open(compressed);
  if (!stream) return fail("xz: {}", stream.error().message);
  // The raw format passes through what no filter recognised, which then is not xz at all.
  if (stream->compressions() == 0) return fail("xz: stream header not found");

  std::vector<std::byte> expanded;
  for (;;) {
    const Result<Bytes> block = stream->next();
    if (!block) return fail("xz: {}", block.error().message);
    if (block->empty()) return expanded;
    if (block->size() > max_bytes - expanded.size()) return fail("xz: expands to more than {} bytes", max_bytes);
    expanded.insert(expanded.end(), block->begin(), block->end());
  }
}

}  // namespace heapwalk
