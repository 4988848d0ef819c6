#include "tests/support/overwritten_file.h"

#include <elf.h>
#include <fcntl.h>
#include <unistd.h>

#include <tuple>

namespace heapwalk::test {

OverwrittenFile::OverwrittenFile(std::string path) : file_(::open(path.c_str(), O_RDWR | O_CLOEXEC)) {
  Elf64_Ehdr header{};
  if (file_ < 0 || ::pread(file_, &header, sizeof header, 0) != sizeof header) return;
  for (size_t i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment{};
    const auto at = static_cast<off_t>(header.e_phoff + i * sizeof segment);
    if (::pread(file_, &segment, sizeof segment, at) != sizeof segment || segment.p_type != PT_LOAD) continue;
    segments_.push_back({AddressRange::of(Address{segment.p_vaddr}, segment.p_filesz), segment.p_offset});
  }
}

OverwrittenFile::~OverwrittenFile() {
  if (file_ >= 0) ::close(file_);
}

std::optional<uint64_t> OverwrittenFile::offset_of(Address address, size_t size_bytes) const {
  const auto range = AddressRange::of(address, size_bytes);
  for (const Segment& segment : segments_)
    if (segment.range.contains(range)) return segment.offset + (address - segment.range.begin);
  return std::nullopt;
}

bool OverwrittenFile::write(Address address, uint64_t value, size_t size_bytes) {
  const auto offset = offset_of(address, size_bytes);
  if (!offset) return false;
  Written before{*offset, 0, size_bytes};
  const auto at = static_cast<off_t>(*offset);
  if (::pread(file_, &before.value, size_bytes, at) != static_cast<ssize_t>(size_bytes)) return false;
  if (::pwrite(file_, &value, size_bytes, at) != static_cast<ssize_t>(size_bytes)) return false;
  written_.push_back(before);
  return true;
}

void OverwrittenFile::restore() {
  for (size_t i = written_.size(); i-- > 0;)
    std::ignore = ::pwrite(file_, &written_[i].value, written_[i].size_bytes, static_cast<off_t>(written_[i].offset));
  written_.clear();
}

}  // namespace heapwalk::test
