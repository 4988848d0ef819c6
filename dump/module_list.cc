#include "dump/module_list.h"

#include <elf.h>

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "dump/base/parallel.h"
#include "dump/debug_files.h"
#include "dump/elf_image.h"
#include "dump/loaded_images.h"
#include "dump/module_file.h"
#include "dump/tls_layout.h"

namespace heapwalk {
namespace {

// What one image becomes. Workers fill these side by side.
struct Loaded {
  Module module;
  Diagnostics diagnostics;
  std::optional<Error> error;
};

uint64_t page_size_of(const ModuleInputs& inputs) {
  for (auto [key, value] : inputs.auxv) {
    if (key == AT_PAGESZ && value >= 4096 && value <= (1 << 20) && (value & (value - 1)) == 0) return value;
  }
  return 4096;
}

std::string last_part(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

// The part of a segment that the loader write-protects after relocation is listed as a segment of its own: whole pages
// from the segment's start to the last page boundary inside PT_GNU_RELRO.
void add_segment(Module& module, const ElfSegment& segment, AddressRange relro, uint64_t page_size) {
  Address begin = module.to_runtime(segment.link_address);
  AddressRange exact = AddressRange::of(begin, segment.memory_size);
  AddressRange from_file = AddressRange::of(begin, std::min(segment.file_size, segment.memory_size));
  constexpr uint64_t kMaxSegmentBytes = uint64_t{1} << 40;
  if (exact.empty() || exact.size_bytes() > kMaxSegmentBytes) return;
  AddressRange whole{exact.begin.align_down(page_size), exact.end.align_up(page_size)};
  if (whole.empty()) return;
  uint64_t file_offset = segment.offset - (begin - whole.begin);
  auto add = [&](AddressRange range, bool is_relro) {
    if (range.empty()) return;
    AddressRange backed = AddressRange{whole.begin, from_file.end}.intersect(range);
    module.segments.push_back({range, backed, file_offset + (range.begin - whole.begin), (segment.flags & PF_W) != 0,
                               (segment.flags & PF_X) != 0, is_relro});
  };
  AddressRange protected_part{relro.begin.align_down(page_size), relro.end.align_down(page_size)};
  AddressRange both = protected_part.intersect(whole);
  if (both.empty() || (segment.flags & PF_W) == 0) {
    add(whole, false);
    return;
  }
  add({whole.begin, both.begin}, false);
  add(both, true);
  add({both.end, whole.end}, false);
}

void add_segments(Module& module, std::span<const ElfSegment> segments, uint64_t page_size) {
  AddressRange relro;
  for (const ElfSegment& segment : segments) {
    if (segment.type == PT_GNU_RELRO) {
      relro = AddressRange::of(module.to_runtime(segment.link_address), segment.memory_size);
    }
    if (segment.type == PT_TLS) {
      bool sane = segment.alignment <= (1 << 20) && (segment.alignment & (segment.alignment - 1)) == 0 &&
                  segment.memory_size < (uint64_t{1} << 32);
      if (sane) {
        module.tls = TlsTemplate{segment.memory_size, std::max<uint64_t>(segment.alignment, 1), segment.link_address, 0,
                                 std::nullopt};
      }
    }
  }
  for (const ElfSegment& segment : segments) {
    if (segment.type == PT_LOAD) add_segment(module, segment, relro, page_size);
  }
  std::ranges::sort(module.segments, {}, [](const ModuleSegment& s) { return s.range.begin; });
  if (module.segments.empty()) return;
  module.range.begin = module.segments.front().range.begin;
  for (const ModuleSegment& segment : module.segments) module.range.end = std::max(module.range.end, segment.range.end);
}

void add_sections(Module& module, const ElfImage& file) {
  for (const ElfSection& section : file.sections()) {
    if ((section.flags & SHF_ALLOC) == 0 || section.size_bytes == 0 || section.name.empty()) continue;
    if ((section.flags & SHF_TLS) != 0 && section.type == SHT_NOBITS) continue;  // .tbss takes no addresses
    module.sections.push_back({std::string(section.name),
                               AddressRange::of(module.to_runtime(section.link_address), section.size_bytes),
                               (section.flags & SHF_WRITE) != 0});
  }
  std::ranges::stable_sort(module.sections, {}, [](const ModuleSection& s) { return s.range.begin; });
}

// The vDSO is no file: its image is the core's own bytes, whole.
std::shared_ptr<const ElfImage> vdso_image(const LoadedImage& image, const ModuleInputs& inputs) {
  constexpr uint64_t kMaxBytes = 1 << 20;
  auto parsed = ElfImage::from_bytes(inputs.core_memory->read(image.base, kMaxBytes), image.path, nullptr);
  return parsed ? *parsed : nullptr;
}

void read_symbols(Module& module, Diagnostics& diagnostics) {
  std::vector<Symbol> symbols;
  if (module.image != nullptr) symbols = module.image->read_symbols(diagnostics);
  if (module.debug_image != nullptr) {
    std::vector<Symbol> more = module.debug_image->read_symbols(diagnostics);
    symbols.insert(symbols.end(), more.begin(), more.end());
  }
  module.symbols = SymbolTable(std::move(symbols));
}

void load_module(const LoadedImage& image, const ModuleInputs& inputs, Loaded& loaded) {
  Module& module = loaded.module;
  module.path = image.path;
  module.name = last_part(image.path);
  module.is_executable = image.is_executable;
  module.in_link_map = bool{image.link_map};
  if (image.headers) module.build_id = image.headers->build_id;

  if (image.is_vdso) {
    module.image = vdso_image(image, inputs);
  } else {
    auto file = find_module_file(image, inputs, loaded.diagnostics);
    if (!file) {
      loaded.error = file.error();
      return;
    }
    module.image = *std::move(file);
    if (module.image != nullptr) module.file_path = module.image->path();
  }
  std::span<const ElfSegment> segments;
  if (image.headers) {
    segments = image.headers->segments;
  } else if (module.image != nullptr) {
    segments = module.image->segments();
  }
  if (module.build_id.empty() && module.image != nullptr) module.build_id = module.image->build_id();
  auto link_base = image_link_base(segments);
  module.bias = image.bias ? *image.bias : image.base.value - link_base.value_or(0);
  add_segments(module, segments, page_size_of(inputs));
  module.dynamic = image.dynamic;
  for (const ElfSegment& segment : segments) {
    if (segment.type == PT_DYNAMIC && !module.dynamic) module.dynamic = module.to_runtime(segment.link_address);
  }
  if (!image.is_vdso && (module.image == nullptr || !module.image->has_debug_info())) {
    module.debug_image = find_debug_file(module.build_id, module.image.get(), *inputs.options, loaded.diagnostics);
    if (module.debug_image != nullptr) module.debug_file_path = module.debug_image->path();
  }
  const auto& sections = module.image != nullptr ? module.image : module.debug_image;
  if (sections != nullptr) add_sections(module, *sections);
  read_symbols(module, loaded.diagnostics);
}

// The user's BINARY where the core names no program at all: a program linked to fixed addresses needs no bias.
void add_fixed_program(const ModuleInputs& inputs, std::vector<LoadedImage>& images, Diagnostics& diagnostics) {
  const std::string& binary = inputs.options->binary;
  if (binary.empty() || std::ranges::any_of(images, &LoadedImage::is_executable)) return;
  auto file = ElfImage::open(binary);
  auto link_base = file ? image_link_base((*file)->segments()) : std::nullopt;
  if (!link_base || (*file)->is_position_independent()) {
    diagnostics.add("unplaced_binary", fmt::format("{}: the core does not say where the program was loaded", binary));
    return;
  }
  LoadedImage image;
  image.path = binary;
  image.base = Address{*link_base};
  image.bias = 0;
  image.is_executable = true;
  std::erase_if(images, [&](const LoadedImage& other) { return other.base == image.base; });
  images.push_back(std::move(image));
  std::ranges::stable_sort(images, {}, &LoadedImage::base);
}

void add_region(std::vector<Region>& regions, const ElfImage& file, AddressRange range, uint64_t file_offset) {
  Bytes bytes = file.bytes();
  if (range.empty() || file_offset >= bytes.size()) return;
  uint64_t size_bytes = std::min<uint64_t>(range.size_bytes(), bytes.size() - file_offset);
  regions.push_back({AddressRange::of(range.begin, size_bytes), ByteState::file, bytes.data() + file_offset});
}

// The parts of [range] that no writable segment of any module covers. What the process could write, and the core does
// not have, is unknown, whatever the file says.
std::vector<AddressRange> without_writable(AddressRange range, std::span<const AddressRange> writable) {
  std::vector<AddressRange> parts;
  auto at = std::ranges::lower_bound(writable, range.begin, {}, &AddressRange::begin);
  if (at != writable.begin()) --at;
  for (; at != writable.end() && at->begin < range.end; ++at) {
    if (!at->overlaps(range)) continue;
    if (range.begin < at->begin) parts.push_back({range.begin, at->begin});
    range.begin = std::max(range.begin, at->end);
  }
  if (!range.empty()) parts.push_back(range);
  return parts;
}

std::vector<AddressRange> writable_ranges(std::span<const Module> modules) {
  std::vector<AddressRange> ranges;
  for (const Module& module : modules) {
    for (const ModuleSegment& segment : module.segments) {
      if (segment.writable) ranges.push_back(segment.range);
    }
  }
  std::ranges::sort(ranges);
  std::vector<AddressRange> merged;
  for (AddressRange range : ranges) {
    if (!merged.empty() && range.begin <= merged.back().end) {
      merged.back().end = std::max(merged.back().end, range.end);
    } else {
      merged.push_back(range);
    }
  }
  return merged;
}

std::vector<Region> file_regions(const ModuleInputs& inputs, std::span<const Module> modules,
                                 const std::unordered_map<std::string, const Module*>& by_mapped_path) {
  std::vector<AddressRange> writable = writable_ranges(modules);
  std::vector<Region> regions;
  for (const Module& module : modules) {
    if (module.image == nullptr || module.file_path.empty()) continue;
    for (const ModuleSegment& segment : module.segments) {
      if (!segment.writable) add_region(regions, *module.image, segment.range, segment.file_offset);
    }
  }
  for (const FileMapping& mapping : inputs.file_mappings) {
    auto found = by_mapped_path.find(without_deleted(mapping.path));
    if (found == by_mapped_path.end()) continue;
    for (AddressRange part : without_writable(mapping.range, writable)) {
      add_region(regions, *found->second->image, part, mapping.file_offset + (part.begin - mapping.range.begin));
    }
  }
  return regions;
}

}  // namespace

Result<ModuleList> find_modules(const ModuleInputs& inputs, Diagnostics& diagnostics) {
  std::vector<LoadedImage> images = find_loaded_images(inputs, diagnostics);
  add_fixed_program(inputs, images, diagnostics);
  std::vector<Loaded> loaded(images.size());
  parallel_for(images.size(), inputs.options->threads, [&](size_t i) { load_module(images[i], inputs, loaded[i]); });

  ModuleList list;
  std::vector<Address> link_maps;
  for (size_t i = 0; i < images.size(); ++i) {
    if (const std::optional<Error>& error = loaded[i].error) return std::unexpected(*error);
    diagnostics.merge(loaded[i].diagnostics);
    link_maps.push_back(images[i].link_map);
    list.modules.push_back(std::move(loaded[i].module));
  }
  find_tls_layout(*inputs.core_memory, inputs.architecture, link_maps, list.modules);

  auto storage = std::make_shared<std::vector<std::shared_ptr<const ElfImage>>>();
  std::unordered_map<std::string, const Module*> by_mapped_path;
  for (size_t i = 0; i < images.size(); ++i) {
    const Module& module = list.modules[i];
    if (module.image == nullptr || module.file_path.empty()) continue;
    storage->push_back(module.image);
    if (!images[i].mapped_path.empty()) by_mapped_path.emplace(images[i].mapped_path, &module);
  }
  list.file_regions = file_regions(inputs, list.modules, by_mapped_path);
  list.storage = std::move(storage);
  std::ranges::stable_sort(list.modules, {}, [](const Module& m) { return m.range.begin; });
  return list;
}

}  // namespace heapwalk
