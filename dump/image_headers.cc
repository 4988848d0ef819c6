#include "dump/image_headers.h"

#include <elf.h>

#include <algorithm>
#include <cstring>

namespace heapwalk {
namespace {

constexpr uint64_t kMaxProgramHeaders = 256;
constexpr uint64_t kMaxNoteBytes = 1 << 16;

void read_build_id(const AddressSpace& memory, ImageHeaders& headers) {
  headers.notes_readable = true;
  for (const ElfSegment& segment : headers.segments) {
    if (segment.type != PT_NOTE) continue;
    uint64_t size_bytes = std::min(segment.memory_size, kMaxNoteBytes);
    Bytes notes = memory.read(Address{segment.link_address + headers.bias}, size_bytes);
    if (notes.size() < size_bytes) headers.notes_readable = false;
    std::string id = find_build_id(notes, segment.alignment);
    if (id.empty()) continue;
    headers.build_id = std::move(id);
    headers.notes_readable = true;
    return;
  }
}

}  // namespace

const ElfSegment* ImageHeaders::find_segment(uint32_t type) const {
  auto found = std::ranges::find(segments, type, &ElfSegment::type);
  return found == segments.end() ? nullptr : &*found;
}

Address ImageHeaders::dynamic() const {
  const ElfSegment* segment = find_segment(PT_DYNAMIC);
  return segment == nullptr ? Address{} : Address{segment->link_address + bias};
}

std::optional<uint64_t> image_link_base(std::span<const ElfSegment> segments) {
  std::optional<uint64_t> base;
  uint64_t lowest = UINT64_MAX;
  for (const ElfSegment& segment : segments) {
    if (segment.type != PT_LOAD || segment.link_address > lowest) continue;
    lowest = segment.link_address;
    base = segment.link_address - segment.offset;
  }
  return base;
}

std::optional<ImageHeaders> read_image_headers(const AddressSpace& memory, Address base) {
  auto header = memory.read<Elf64_Ehdr>(base);
  if (!header || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0) return std::nullopt;
  if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB) return std::nullopt;
  if (header->e_type != ET_EXEC && header->e_type != ET_DYN) return std::nullopt;
  if (header->e_phentsize != sizeof(Elf64_Phdr) || header->e_phnum == 0) return std::nullopt;
  if (header->e_phnum > kMaxProgramHeaders) return std::nullopt;
  Bytes table = memory.read_exactly(base + header->e_phoff, uint64_t{header->e_phnum} * sizeof(Elf64_Phdr));
  if (table.empty()) return std::nullopt;

  ImageHeaders headers;
  headers.base = base;
  headers.position_independent = header->e_type == ET_DYN;
  headers.entry = header->e_entry;
  for (size_t i = 0; i < header->e_phnum; ++i) {
    auto segment = load<Elf64_Phdr>(table.data() + i * sizeof(Elf64_Phdr));
    headers.segments.push_back({segment.p_type, segment.p_flags, segment.p_offset, segment.p_vaddr, segment.p_filesz,
                                segment.p_memsz, segment.p_align});
  }
  auto link_base = image_link_base(headers.segments);
  if (!link_base) return std::nullopt;
  headers.bias = base.value - *link_base;
  read_build_id(memory, headers);
  return headers;
}

std::optional<ImageHeaders> read_image_headers_around(const AddressSpace& memory, Address program_headers) {
  constexpr uint64_t kPage = 4096;
  constexpr int kMaxPages = 16;  // patchelf and friends move the table behind the first page
  Address page = program_headers.align_down(kPage);
  for (int i = 0; i < kMaxPages && page.value >= kPage; ++i, page = page - kPage) {
    auto headers = read_image_headers(memory, page);
    if (!headers) continue;
    auto table_offset = memory.read<uint64_t>(page + offsetof(Elf64_Ehdr, e_phoff));
    const ElfSegment* self = headers->find_segment(PT_PHDR);
    Address by_segment = self == nullptr ? Address{} : Address{self->link_address + headers->bias};
    if (by_segment == program_headers || page + table_offset.value_or(0) == program_headers) return headers;
  }
  return std::nullopt;
}

}  // namespace heapwalk
