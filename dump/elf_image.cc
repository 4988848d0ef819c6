#include "dump/elf_image.h"

#include <llvm/BinaryFormat/ELF.h>
#include <llvm/Object/Decompressor.h>
#include <llvm/Object/ELF.h>
#include <llvm/Support/CRC.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "dump/debug_data.h"
#include "dump/mapped_file.h"

namespace heapwalk {
namespace {

namespace elf = llvm::ELF;
using ElfFile = llvm::object::ELFFile<llvm::object::ELF64LE>;

// The largest section that is expanded, and the most that its compressed bytes may grow: zlib's limit is 1032, zstd's
// run-length blocks go further but no debug info does.
constexpr uint64_t kMaxExpandedBytes = uint64_t{16} << 30;
constexpr uint64_t kMaxExpansion = 4096;
constexpr size_t kMaxMiniDebugBytes = size_t{512} << 20;
constexpr size_t kMaxIdBytes = 64;

std::string hex(Bytes bytes) {
  std::string text;
  for (std::byte byte : bytes) text += fmt::format("{:02x}", std::to_integer<unsigned>(byte));
  return text;
}

std::string to_text(llvm::Error error) {
  return llvm::toString(std::move(error));
}

Bytes slice(Bytes bytes, uint64_t offset, uint64_t size) {
  if (offset > bytes.size() || size > bytes.size() - offset) return {};
  return bytes.subspan(offset, size);
}

llvm::StringRef as_string_ref(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// The ElfFile was checked when the image was opened; it is only a pointer and a length, so it is made anew where needed.
llvm::Expected<ElfFile> parse(Bytes bytes) {
  return ElfFile::create(as_string_ref(bytes));
}

SymbolKind kind_of(unsigned type) {
  switch (type) {
    case elf::STT_OBJECT:
    case elf::STT_COMMON:
      return SymbolKind::object;
    case elf::STT_FUNC:
    case elf::STT_GNU_IFUNC:
      return SymbolKind::function;
    case elf::STT_TLS:
      return SymbolKind::tls;
    default:
      return SymbolKind::other;
  }
}

// Sections, files, undefined and absolute symbols name no place in the image.
bool names_a_place(unsigned type, unsigned section_index) {
  if (type == elf::STT_SECTION || type == elf::STT_FILE) return false;
  return section_index != elf::SHN_UNDEF && section_index != elf::SHN_ABS && section_index != elf::SHN_COMMON;
}

std::string_view name_at(llvm::StringRef strings, uint64_t offset) {
  if (offset >= strings.size()) return {};
  const char* begin = strings.data() + offset;
  const void* nul = std::memchr(begin, 0, strings.size() - offset);
  if (nul == nullptr) return {};
  std::string_view name(begin, static_cast<const char*>(nul) - begin);
  return name.substr(0, name.find('@', 1));  // "memcpy@@GLIBC_2.14"
}

}  // namespace

std::string find_build_id(Bytes notes, uint64_t alignment) {
  alignment = alignment == 8 ? 8 : 4;
  ByteReader reader(notes);
  for (;;) {
    auto name_size = reader.read<uint32_t>();
    auto data_size = reader.read<uint32_t>();
    auto type = reader.read<uint32_t>();
    if (!name_size || !data_size || !type) return {};
    auto name = reader.read_bytes(*name_size);
    if (!name || !reader.seek(std::min((reader.offset() + alignment - 1) & ~(alignment - 1), notes.size()))) return {};
    auto data = reader.read_bytes(*data_size);
    if (!data) return {};
    if (*type == elf::NT_GNU_BUILD_ID && *name_size == 4 && std::memcmp(name->data(), "GNU", 4) == 0 &&
        *data_size <= kMaxIdBytes) {
      return hex(*data);
    }
    if (!reader.seek(std::min((reader.offset() + alignment - 1) & ~(alignment - 1), notes.size()))) return {};
  }
}

Result<std::shared_ptr<const ElfImage>> ElfImage::open(const std::string& path) {
  auto file = MappedFile::open(path);
  if (!file) return std::unexpected(file.error());
  Bytes bytes = (*file)->bytes();
  return from_bytes(bytes, path, *std::move(file));
}

Result<std::shared_ptr<const ElfImage>> ElfImage::from_bytes(Bytes bytes, std::string name,
                                                             std::shared_ptr<const void> owner) {
  auto image = parse_image(bytes, std::move(name), std::move(owner));
  if (!image) return std::unexpected(image.error());
  (*image)->open_mini_debug_data();
  return *std::move(image);
}

Result<std::shared_ptr<ElfImage>> ElfImage::parse_image(Bytes bytes, std::string name,
                                                        std::shared_ptr<const void> owner) {
  if (bytes.size() < elf::EI_NIDENT || std::memcmp(bytes.data(), elf::ElfMagic, 4) != 0) {
    return fail("{}: not an ELF file", name);
  }
  if (std::to_integer<int>(bytes[elf::EI_CLASS]) != elf::ELFCLASS64 ||
      std::to_integer<int>(bytes[elf::EI_DATA]) != elf::ELFDATA2LSB) {
    return fail("{}: not a 64-bit little-endian ELF file", name);
  }
  auto file = parse(bytes);
  if (!file) return fail("{}: ELF header: {}", name, to_text(file.takeError()));
  const auto& header = file->getHeader();
  if (header.e_machine != elf::EM_X86_64 && header.e_machine != elf::EM_AARCH64) {
    return fail("{}: ELF header: machine {} is neither x86-64 nor AArch64", name, unsigned{header.e_machine});
  }
  auto program_headers = file->program_headers();
  if (!program_headers) return fail("{}: {}", name, to_text(program_headers.takeError()));

  std::shared_ptr<ElfImage> image(new ElfImage);
  image->path_ = std::move(name);
  image->bytes_ = bytes;
  image->owner_ = std::move(owner);
  image->architecture_ = header.e_machine == elf::EM_X86_64 ? Architecture::x86_64 : Architecture::aarch64;
  image->position_independent_ = header.e_type == elf::ET_DYN;
  image->core_ = header.e_type == elf::ET_CORE;
  image->entry_ = header.e_entry;
  for (const auto& segment : *program_headers) {
    image->segments_.push_back({segment.p_type, segment.p_flags, segment.p_offset, segment.p_vaddr, segment.p_filesz,
                                segment.p_memsz, segment.p_align});
  }
  image->read_sections();
  image->read_build_id();
  return image;
}

void ElfImage::read_sections() {
  auto file = parse(bytes_);
  if (!file) return llvm::consumeError(file.takeError());
  auto sections = file->sections();
  if (!sections) return llvm::consumeError(sections.takeError());
  llvm::StringRef names;
  if (auto table = file->getSectionStringTable(*sections)) {
    names = *table;
  } else {
    llvm::consumeError(table.takeError());
  }
  sections_.reserve(sections->size());
  for (const auto& section : *sections) {  // index 0 too: a symbol table's sh_link counts it
    sections_.push_back({name_at(names, section.sh_name), section.sh_type, section.sh_flags, section.sh_addr,
                         section.sh_offset, section.sh_size, (section.sh_flags & elf::SHF_COMPRESSED) != 0});
  }
}

void ElfImage::read_build_id() {
  for (const ElfSegment& segment : segments_) {
    if (segment.type != elf::PT_NOTE) continue;
    build_id_ = find_build_id(slice(bytes_, segment.offset, segment.file_size), segment.alignment);
    if (!build_id_.empty()) return;
  }
  // A file of debug info alone keeps its program headers, but their offsets mean nothing there.
  for (const ElfSection& section : sections_) {
    if (section.type != elf::SHT_NOTE) continue;
    build_id_ = find_build_id(slice(bytes_, section.offset, section.size_bytes), 4);
    if (!build_id_.empty()) return;
  }
}

void ElfImage::open_mini_debug_data() {
  const ElfSection* section = find_section(".gnu_debugdata");
  if (section == nullptr || section->type == elf::SHT_NOBITS) return;
  auto expanded = expand_xz(slice(bytes_, section->offset, section->size_bytes), kMaxMiniDebugBytes);
  if (!expanded) return;
  auto storage = std::make_shared<const std::vector<std::byte>>(*std::move(expanded));
  auto inner = parse_image(*storage, path_ + " .gnu_debugdata", storage);  // one level deep: a chain would be a bomb
  if (inner) mini_debug_ = *std::move(inner);
}

const ElfSection* ElfImage::find_section(std::string_view name) const {
  auto found = std::ranges::find(sections_, name, &ElfSection::name);
  return found == sections_.end() ? nullptr : &*found;
}

Result<SectionData> ElfImage::section_data(const ElfSection& section) const {
  if (section.type == elf::SHT_NOBITS || section.size_bytes == 0) return SectionData{};
  Bytes bytes = slice(bytes_, section.offset, section.size_bytes);
  if (bytes.empty()) {
    return fail("{}: section {} at {:#x}: wanted {} bytes, the file has {}", path_, section.name, section.offset,
                section.size_bytes, bytes_.size());
  }
  if (!section.compressed) return SectionData{bytes, nullptr};

  auto decompressor =
      llvm::object::Decompressor::create({section.name.data(), section.name.size()}, as_string_ref(bytes), true, true);
  if (!decompressor) return fail("{}: section {}: {}", path_, section.name, to_text(decompressor.takeError()));
  uint64_t size_bytes = decompressor->getDecompressedSize();
  if (size_bytes > kMaxExpandedBytes || size_bytes / kMaxExpansion > bytes.size()) {
    return fail("{}: section {}: {} compressed bytes claim to expand to {}", path_, section.name, bytes.size(),
                size_bytes);
  }
  std::shared_ptr<std::byte[]> expanded(new (std::nothrow) std::byte[size_bytes]);
  if (expanded == nullptr) return fail("{}: section {}: no memory for {} bytes", path_, section.name, size_bytes);
  auto error = decompressor->decompress({reinterpret_cast<uint8_t*>(expanded.get()), size_bytes});
  if (error) return fail("{}: section {}: {}", path_, section.name, to_text(std::move(error)));
  return SectionData{Bytes(expanded.get(), size_bytes), expanded};
}

Result<SectionData> ElfImage::section_data(std::string_view name) const {
  const ElfSection* section = find_section(name);
  if (section == nullptr) return SectionData{};
  return section_data(*section);
}

bool ElfImage::has_debug_info() const {
  const ElfSection* section = find_section(".debug_info");
  return section != nullptr && section->type != elf::SHT_NOBITS && section->size_bytes > 0;
}

Bytes ElfImage::read(uint64_t link_address, uint64_t size) const {
  for (const ElfSegment& segment : segments_) {
    if (segment.type != elf::PT_LOAD || link_address < segment.link_address) continue;
    uint64_t offset = link_address - segment.link_address;
    if (offset >= segment.file_size || segment.offset > bytes_.size()) continue;
    uint64_t available = std::min<uint64_t>(segment.file_size, bytes_.size() - segment.offset);
    if (offset >= available) continue;
    return bytes_.subspan(segment.offset + offset, std::min(size, available - offset));
  }
  return {};
}

std::vector<Symbol> ElfImage::read_symbols(Diagnostics& diagnostics) const {
  std::vector<Symbol> symbols;
  append_symbols(elf::SHT_SYMTAB, symbols, diagnostics);
  // A whole .symtab repeats .dynsym. One that was thinned out has fewer global symbols, and then both are read.
  auto globals = static_cast<size_t>(std::ranges::count_if(symbols, &Symbol::global));
  append_symbols(elf::SHT_DYNSYM, symbols, diagnostics, globals);
  if (mini_debug_ != nullptr) mini_debug_->append_symbols(elf::SHT_SYMTAB, symbols, diagnostics);
  return symbols;
}

// Tables with at most `known` symbols that name a place are skipped.
void ElfImage::append_symbols(uint32_t table_type, std::vector<Symbol>& symbols, Diagnostics& diagnostics,
                              size_t known) const {
  auto report = [&](llvm::Error error) {
    diagnostics.add("unreadable_symbols", fmt::format("{}: symbol table: {}", path_, to_text(std::move(error))));
  };
  auto file = parse(bytes_);
  if (!file) return report(file.takeError());
  auto sections = file->sections();
  if (!sections) return report(sections.takeError());
  for (const auto& section : *sections) {
    if (section.sh_type != table_type) continue;
    auto entries = file->symbols(&section);
    if (!entries) {
      report(entries.takeError());
      continue;
    }
    auto strings = file->getStringTableForSymtab(section, *sections);
    if (!strings) {
      report(strings.takeError());
      continue;
    }
    auto placed = [](const auto& entry) { return names_a_place(entry.getType(), entry.st_shndx); };
    auto count = static_cast<size_t>(std::ranges::count_if(*entries, placed));
    if (count <= known) continue;
    symbols.reserve(symbols.size() + count);
    for (const auto& entry : *entries) {
      if (!placed(entry)) continue;
      std::string_view name = name_at(*strings, entry.st_name);
      if (name.empty()) continue;
      symbols.push_back(
          {entry.st_value, entry.st_size, name, kind_of(entry.getType()), entry.getBinding() != elf::STB_LOCAL});
    }
  }
}

std::optional<DebugLink> ElfImage::debug_link() const {
  auto data = section_data(".gnu_debuglink");
  if (!data) return std::nullopt;
  ByteReader reader(data->bytes);
  auto name = reader.read_c_string();
  if (!name || name->empty() || name->find('/') != std::string_view::npos) return std::nullopt;
  if (!reader.seek(std::min<size_t>((reader.offset() + 3) & ~size_t{3}, data->bytes.size()))) return std::nullopt;
  auto crc = reader.read<uint32_t>();
  if (!crc) return std::nullopt;
  return DebugLink{std::string(*name), *crc};
}

std::optional<AlternateLink> ElfImage::alternate_link() const {
  auto data = section_data(".gnu_debugaltlink");
  if (!data) return std::nullopt;
  if (data->bytes.empty()) return read_supplementary(false);
  ByteReader reader(data->bytes);
  auto name = reader.read_c_string();
  if (!name || name->empty()) return std::nullopt;
  return AlternateLink{std::string(*name), hex(*reader.read_bytes(reader.remaining()))};
}

std::string ElfImage::alternate_id() const {
  if (!build_id_.empty()) return build_id_;
  auto own = read_supplementary(true);
  return own ? own->id : "";
}

// {version, "this is the file", its name, length and bytes of the id}: DWARF 5 §7.3.6.
std::optional<AlternateLink> ElfImage::read_supplementary(bool is_the_file) const {
  auto data = section_data(".debug_sup");
  if (!data) return std::nullopt;
  ByteReader reader(data->bytes);
  const auto version = reader.read<uint16_t>();
  const auto is_supplementary = reader.read<uint8_t>();
  const auto name = reader.read_c_string();
  const auto size = reader.read<uint8_t>();  // a LEB128 number below 128
  if (version != 5 || !is_supplementary || (*is_supplementary != 0) != is_the_file || !name || !size)
    return std::nullopt;
  const auto id = reader.read_bytes(*size);
  if (!id || *size > kMaxIdBytes || (name->empty() && !is_the_file)) return std::nullopt;
  return AlternateLink{std::string(*name), hex(*id)};
}

uint32_t ElfImage::crc32() const {
  return llvm::crc32({reinterpret_cast<const uint8_t*>(bytes_.data()), bytes_.size()});
}

}  // namespace heapwalk
