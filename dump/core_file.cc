#include "dump/core_file.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <string_view>

#include "dump/decompress.h"
#include "dump/mapped_file.h"

namespace heapwalk {
namespace {

constexpr size_t kHeaderSize = 64;
constexpr size_t kProgramHeaderSize = 56;
constexpr size_t kSectionHeaderSize = 64;
constexpr uint16_t kTypeCore = 4;
constexpr uint16_t kCountElsewhere = 0xffff;  // PN_XNUM
constexpr uint32_t kLoad = 1;
constexpr uint32_t kNote = 4;
constexpr uint32_t kExecutable = 1, kWritable = 2, kReadable = 4;

struct Header {
  uint16_t type = 0;
  uint16_t machine = 0;
  uint64_t phoff = 0;
  uint64_t shoff = 0;
  uint16_t phentsize = 0;
  uint16_t phnum = 0;
};

struct ProgramHeader {
  uint32_t type = 0;
  uint32_t flags = 0;
  uint64_t offset = 0;
  uint64_t vaddr = 0;
  uint64_t filesz = 0;
  uint64_t memsz = 0;
};

uint64_t add_saturating(uint64_t a, uint64_t b) {
  uint64_t sum = a + b;
  return sum < a ? std::numeric_limits<uint64_t>::max() : sum;
}

std::string hex_bytes(Bytes bytes) {
  std::string text;
  for (std::byte b : bytes) text += fmt::format("{}{:02x}", text.empty() ? "" : " ", static_cast<unsigned>(b));
  return text;
}

std::string_view type_name(uint16_t type) {
  switch (type) {
    case 1:
      return "a relocatable object";
    case 2:
      return "an executable";
    case 3:
      return "a shared object or position-independent executable";
    default:
      return "a type unknown to ELF";
  }
}

// The identification bytes: is this an ELF file of the kind that can be read here?
Result<void> check_identification(const std::string& path, Bytes bytes) {
  if (bytes.empty()) return fail("{}: the file is empty: wanted an ELF core file, found 0 bytes", path);
  constexpr std::array<std::byte, 4> magic = {std::byte{0x7f}, std::byte{'E'}, std::byte{'L'}, std::byte{'F'}};
  Bytes start = bytes.first(std::min<size_t>(4, bytes.size()));
  if (!std::equal(start.begin(), start.end(), magic.begin()))
    return fail("{}: not an ELF file: wanted the bytes 7f 45 4c 46 at 0x0, found {}", path, hex_bytes(start));
  if (bytes.size() < kHeaderSize)
    return fail("{}: ELF header at 0x0: wanted {} bytes, found {}", path, kHeaderSize, bytes.size());
  auto elf_class = static_cast<unsigned>(bytes[4]);
  if (elf_class == 1) return fail("{}: ELF class at 0x4: wanted 2 (64-bit), found 1 (32-bit)", path);
  if (elf_class != 2) return fail("{}: ELF class at 0x4: wanted 2 (64-bit), found {}", path, elf_class);
  auto byte_order = static_cast<unsigned>(bytes[5]);
  if (byte_order == 2) return fail("{}: byte order at 0x5: wanted 1 (little-endian), found 2 (big-endian)", path);
  if (byte_order != 1) return fail("{}: byte order at 0x5: wanted 1 (little-endian), found {}", path, byte_order);
  return {};
}

Result<Header> read_header(const std::string& path, Bytes bytes) {
  if (auto ok = check_identification(path, bytes); !ok) return std::unexpected(ok.error());
  const std::byte* data = bytes.data();
  Header header{.type = load<uint16_t>(data + 16),
                .machine = load<uint16_t>(data + 18),
                .phoff = load<uint64_t>(data + 32),
                .shoff = load<uint64_t>(data + 40),
                .phentsize = load<uint16_t>(data + 54),
                .phnum = load<uint16_t>(data + 56)};
  if (header.type != kTypeCore)
    return fail("{}: not a core file: ELF type at 0x10: wanted 4 (core), found {} ({})", path, header.type,
                type_name(header.type));
  if (find_arch(header.machine) == nullptr)
    return fail("{}: CPU at 0x12: wanted 62 (x86-64) or 183 (AArch64), found machine number {}", path, header.machine);
  if (header.phentsize != kProgramHeaderSize)
    return fail("{}: program header size at 0x36: wanted {}, found {}", path, kProgramHeaderSize, header.phentsize);
  if (header.phoff > bytes.size())
    return fail("{}: program headers: wanted them at 0x{:x}, found the end of the file at 0x{:x}", path, header.phoff,
                bytes.size());
  return header;
}

// `index` lies within the file.
ProgramHeader program_header(const Header& header, Bytes bytes, uint64_t index) {
  const std::byte* data = bytes.data() + header.phoff + index * kProgramHeaderSize;
  return {.type = load<uint32_t>(data),
          .flags = load<uint32_t>(data + 4),
          .offset = load<uint64_t>(data + 8),
          .vaddr = load<uint64_t>(data + 16),
          .filesz = load<uint64_t>(data + 32),
          .memsz = load<uint64_t>(data + 40)};
}

// The kernel writes section header 0, which has the count, at the very end: a truncated core has lost it. But it also
// writes what the first program header (the notes) refers to right behind the last program header.
std::optional<uint64_t> count_from_layout(const Header& header, Bytes bytes) {
  if (bytes.size() - header.phoff < kProgramHeaderSize) return std::nullopt;
  ProgramHeader first = program_header(header, bytes, 0);
  if (first.type != kNote || first.offset <= header.phoff) return std::nullopt;
  uint64_t table_size = first.offset - header.phoff;
  if (table_size % kProgramHeaderSize != 0) return std::nullopt;
  return table_size / kProgramHeaderSize;
}

uint64_t count_program_headers(const std::string& path, const Header& header, Bytes bytes, Diagnostics& diagnostics) {
  if (header.phnum != kCountElsewhere) return header.phnum;
  if (header.shoff != 0 && header.shoff <= bytes.size() && bytes.size() - header.shoff >= kSectionHeaderSize)
    return load<uint32_t>(bytes.data() + header.shoff + 44);
  if (auto count = count_from_layout(header, bytes)) return *count;
  diagnostics.add(
      "truncated_core",
      fmt::format("{}: section header 0 at 0x{:x}, which counts the program headers, is past the end of the "
                  "file at 0x{:x}: the first {} are used",
                  path, header.shoff, bytes.size(), kCountElsewhere));
  return kCountElsewhere;
}

void add_segment(CoreFile& core, const ProgramHeader& header, Bytes present, uint64_t index, Diagnostics& diagnostics) {
  uint64_t size = header.memsz;
  if (header.vaddr + size < header.vaddr) {
    diagnostics.add("malformed_segment",
                    fmt::format("{}: program header {}: 0x{:x} bytes at 0x{:x} pass the end of the address space",
                                core.path, index, header.memsz, header.vaddr));
    return;
  }
  if (size == 0) return;
  uint64_t promised = std::min(header.filesz, size);
  core.segments.push_back({.range = AddressRange::of(Address{header.vaddr}, size),
                           .file_offset = header.offset,
                           .promised_bytes = promised,
                           .bytes = present.first(std::min<size_t>(present.size(), promised)),
                           .readable = (header.flags & kReadable) != 0,
                           .writable = (header.flags & kWritable) != 0,
                           .executable = (header.flags & kExecutable) != 0});
}

}  // namespace

Result<CoreFile> read_core_file(const std::string& path, Bytes bytes, Diagnostics& diagnostics) {
  auto header = read_header(path, bytes);
  if (!header) return std::unexpected(header.error());
  CoreFile core;
  core.path = path;
  core.size_bytes = bytes.size();
  core.arch = find_arch(header->machine);

  uint64_t count = count_program_headers(path, *header, bytes, diagnostics);
  uint64_t count_in_file = std::min(count, (bytes.size() - header->phoff) / kProgramHeaderSize);
  if (count_in_file < count)
    diagnostics.add("truncated_core",
                    fmt::format("{}: program headers at 0x{:x}: wanted {}, found {}: what the others describe is lost",
                                path, header->phoff, count, count_in_file));

  uint64_t promised_total = 0;
  for (uint64_t i = 0; i < count_in_file; ++i) {
    ProgramHeader segment = program_header(*header, bytes, i);
    if (segment.type != kLoad && segment.type != kNote) continue;
    uint64_t offset = std::min<uint64_t>(segment.offset, bytes.size());
    Bytes present = bytes.subspan(offset, std::min<uint64_t>(segment.filesz, bytes.size() - offset));
    core.missing_bytes = add_saturating(core.missing_bytes, segment.filesz - present.size());
    promised_total = add_saturating(promised_total, segment.filesz);
    if (segment.type == kNote) {
      core.notes.push_back(present);
    } else {
      add_segment(core, segment, present, i, diagnostics);
    }
  }
  if (core.missing_bytes > 0)
    diagnostics.add("truncated_core",
                    fmt::format("{}: the core file is cut off at file offset 0x{:x}: {} of {} bytes are missing", path,
                                bytes.size(), core.missing_bytes, promised_total));
  return core;
}

Result<CoreFile> open_core_file(const std::string& path, Diagnostics& diagnostics) {
  auto file = MappedFile::open(path);
  if (!file) return std::unexpected(file.error());
  int64_t modified_seconds = (*file)->modified_seconds();
  if (is_compressed((*file)->bytes())) {
    auto decompressed = decompress(path, (*file)->bytes(), diagnostics);
    if (!decompressed) return std::unexpected(decompressed.error());
    file = *std::move(decompressed);
  }
  auto core = read_core_file(path, (*file)->bytes(), diagnostics);
  if (!core) return core;
  core->modified_seconds = modified_seconds;
  core->storage = *std::move(file);
  return core;
}

}  // namespace heapwalk
