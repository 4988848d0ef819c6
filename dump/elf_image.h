// An ELF file, opened: the one door to LLVM's Object library.
//
//     [ ELF header ][ program headers ][ segments' bytes … ][ sections' bytes … ][ section headers ]
//       what it is    how it is loaded                        names, debug info    where they are
//
// The file is mapped, not read: everything here borrows from the mapping (or, for the vDSO, from the core's bytes), and
// only a compressed section is expanded, into memory that the caller owns. 64-bit little-endian files only.
// The file may be truncated or hostile. Whatever does not lie wholly inside it is left out, and accessors then return
// less; only a file whose ELF header or program headers cannot be read is an Error.
//
// Source: System V gABI chapters 4–5; the notes and links that GNU tools add (binutils `ld`, gdb "Separate Debug Files").
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dump/base/byte_reader.h"
#include "dump/base/diagnostics.h"
#include "dump/base/result.h"
#include "dump/symbols.h"
#include "dump/thread.h"

namespace heapwalk {

struct ElfSegment {  // a program header, as in the file
  uint32_t type = 0;
  uint32_t flags = 0;  // PF_X 1, PF_W 2, PF_R 4
  uint64_t offset = 0;
  uint64_t link_address = 0;
  uint64_t file_size = 0;
  uint64_t memory_size = 0;
  uint64_t alignment = 0;
};

struct ElfSection {
  std::string_view name;
  uint32_t type = 0;
  uint64_t flags = 0;
  uint64_t link_address = 0;  // 0 where it is not loaded
  uint64_t offset = 0;
  uint64_t size_bytes = 0;  // in the file; compressed sections expand to more
  bool compressed = false;
};

struct SectionData {
  Bytes bytes;
  std::shared_ptr<const void> owner;  // null where the bytes borrow from the image
};

struct DebugLink {  // .gnu_debuglink
  std::string file_name;
  uint32_t crc = 0;
};

// .gnu_debugaltlink, or DWARF 5's .debug_sup: the file with what dwz found in several files.
struct AlternateLink {
  std::string file_name;  // empty in a .debug_sup that says "I am that file"
  std::string id;         // lower-case hex: the file's build id or what its own .debug_sup says
};

class ElfImage {
 public:
  static Result<std::shared_ptr<const ElfImage>> open(const std::string& path);
  // `name` is for messages; `owner` keeps the bytes alive (null: the caller does).
  static Result<std::shared_ptr<const ElfImage>> from_bytes(Bytes bytes, std::string name,
                                                            std::shared_ptr<const void> owner);

  const std::string& path() const { return path_; }
  Bytes bytes() const { return bytes_; }
  const std::shared_ptr<const void>& owner() const { return owner_; }

  Architecture architecture() const { return architecture_; }
  bool is_position_independent() const { return position_independent_; }  // ET_DYN: a PIE or a shared object
  bool is_core() const { return core_; }
  uint64_t entry() const { return entry_; }
  std::span<const ElfSegment> segments() const { return segments_; }
  std::span<const ElfSection> sections() const { return sections_; }
  const std::string& build_id() const { return build_id_; }  // lower-case hex, or empty

  const ElfSection* find_section(std::string_view name) const;
  // The section's bytes, expanded when SHF_COMPRESSED (zlib or zstd). Empty for SHT_NOBITS.
  Result<SectionData> section_data(const ElfSection& section) const;
  // By name; empty data when there is no such section.
  Result<SectionData> section_data(std::string_view name) const;
  bool has_debug_info() const;  // a .debug_info with bytes

  // The bytes of the file that a PT_LOAD puts at a link address, at most `size`; fewer where the segment's file part ends.
  Bytes read(uint64_t link_address, uint64_t size) const;

  // .symtab, .dynsym and the symbols of .gnu_debugdata. Unreadable tables are counted, not fatal. Not cached. The names
  // borrow from this image.
  std::vector<Symbol> read_symbols(Diagnostics& diagnostics) const;

  std::optional<DebugLink> debug_link() const;
  std::optional<AlternateLink> alternate_link() const;
  // What links to this file as the alternate one must name: its build id, or the id in its .debug_sup.
  std::string alternate_id() const;
  uint32_t crc32() const;  // of the whole file, as .gnu_debuglink counts it

 private:
  ElfImage() = default;
  static Result<std::shared_ptr<ElfImage>> parse_image(Bytes bytes, std::string name,
                                                       std::shared_ptr<const void> owner);
  void read_sections();
  void read_build_id();
  void append_symbols(uint32_t table_type, std::vector<Symbol>& symbols, Diagnostics& diagnostics,
                      size_t known = 0) const;
  void open_mini_debug_data();
  std::optional<AlternateLink> read_supplementary(bool is_the_file) const;

  std::string path_;
  Bytes bytes_;
  std::shared_ptr<const void> owner_;
  Architecture architecture_ = Architecture::x86_64;
  bool position_independent_ = false;
  bool core_ = false;
  uint64_t entry_ = 0;
  std::vector<ElfSegment> segments_;
  std::vector<ElfSection> sections_;
  std::string build_id_;
  std::shared_ptr<const ElfImage> mini_debug_;  // the ELF file inside .gnu_debugdata
};

// The NT_GNU_BUILD_ID among the notes of a PT_NOTE or SHT_NOTE, as lower-case hex; empty when there is none. `alignment`
// is p_align: 4, or 8 for segments that hold properties.
std::string find_build_id(Bytes notes, uint64_t alignment);

}  // namespace heapwalk
