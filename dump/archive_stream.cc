#include "dump/archive_stream.h"

#include <archive.h>
#include <archive_entry.h>

#include <utility>

namespace heapwalk {
namespace {

archive* as_archive(void* reader) {
  return static_cast<archive*>(reader);
}

std::unexpected<Error> failure(void* reader) {
  const char* text = archive_error_string(as_archive(reader));
  return fail("{}", text != nullptr ? text : "the stream cannot be read");
}

}  // namespace

void ArchiveStream::Closer::operator()(void* reader) const {
  archive_read_free(as_archive(reader));
}

ArchiveStream::ArchiveStream(std::unique_ptr<void, Closer> reader) : reader_(std::move(reader)) {}
ArchiveStream::~ArchiveStream() = default;
ArchiveStream::ArchiveStream(ArchiveStream&&) noexcept = default;
ArchiveStream& ArchiveStream::operator=(ArchiveStream&&) noexcept = default;

Result<ArchiveStream> ArchiveStream::open(Bytes compressed) {
  std::unique_ptr<void, Closer> owner(archive_read_new());
  if (owner == nullptr) return fail("no memory for a reader");
  archive* reader = as_archive(owner.get());
  archive_read_support_filter_zstd(reader);
  archive_read_support_filter_lz4(reader);
  archive_read_support_filter_xz(reader);
  archive_read_support_filter_gzip(reader);
  archive_read_support_filter_bzip2(reader);
  archive_read_support_format_raw(reader);
  archive_entry* entry = nullptr;
  if (archive_read_open_memory(reader, compressed.data(), compressed.size()) != ARCHIVE_OK ||
      archive_read_next_header(reader, &entry) < ARCHIVE_WARN)
    return failure(reader);
  return ArchiveStream(std::move(owner));
}

int ArchiveStream::compressions() const {
  return archive_filter_count(as_archive(reader_.get())) - 1;
}

Result<Bytes> ArchiveStream::next() {
  for (;;) {
    const void* data = nullptr;
    size_t size = 0;
    la_int64_t offset = 0;
    const int status = archive_read_data_block(as_archive(reader_.get()), &data, &size, &offset);
    if (status == ARCHIVE_EOF) return Bytes{};
    if (status < ARCHIVE_WARN) return failure(reader_.get());
    if (size > 0) return Bytes{static_cast<const std::byte*>(data), size};
  }
}

}  // namespace heapwalk
