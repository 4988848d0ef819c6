#include "dump/debug_data.h"

#include <archive.h>
#include <archive_entry.h>

#include <memory>

namespace heapwalk {

Result<std::vector<std::byte>> expand_xz(Bytes compressed, size_t max_bytes) {
  std::unique_ptr<archive, int (*)(archive*)> reader(archive_read_new(), archive_read_free);
  if (reader == nullptr) return fail("xz: no memory for a reader");
  auto problem = [&] {
    const char* text = archive_error_string(reader.get());
    return fail("xz: {}", text == nullptr ? "damaged stream" : text);
  };
  if (archive_read_support_filter_xz(reader.get()) != ARCHIVE_OK) return problem();
  if (archive_read_support_format_raw(reader.get()) != ARCHIVE_OK) return problem();
  if (archive_read_open_memory(reader.get(), compressed.data(), compressed.size()) != ARCHIVE_OK) return problem();
  archive_entry* entry = nullptr;
  if (archive_read_next_header(reader.get(), &entry) != ARCHIVE_OK) return problem();

  // The raw format passes through what no filter recognised, which then is not xz at all.
  if (archive_filter_code(reader.get(), 0) != ARCHIVE_FILTER_XZ) return fail("xz: stream header not found");

  std::vector<std::byte> expanded;
  for (;;) {
    const void* block = nullptr;
    size_t size_bytes = 0;
    la_int64_t offset = 0;
    int status = archive_read_data_block(reader.get(), &block, &size_bytes, &offset);
    if (status == ARCHIVE_EOF) return expanded;
    if (status != ARCHIVE_OK) return problem();
    if (size_bytes > max_bytes - expanded.size()) return fail("xz: expands to more than {} bytes", max_bytes);
    const auto* begin = static_cast<const std::byte*>(block);
    expanded.insert(expanded.end(), begin, begin + size_bytes);
  }
}

}  // namespace heapwalk
