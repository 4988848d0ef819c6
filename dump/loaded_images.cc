#include "dump/loaded_images.h"

#include <elf.h>

#include <algorithm>
#include <set>
#include <utility>

#include "dump/link_map.h"

namespace heapwalk {
namespace {

constexpr uint64_t kPage = 4096;

class ImageFinder {
 public:
  ImageFinder(const ModuleInputs& inputs, Diagnostics& diagnostics)
      : inputs_(inputs), memory_(*inputs.core_memory), diagnostics_(diagnostics) {}

  std::vector<LoadedImage> run();

 private:
  std::optional<uint64_t> auxv_value(uint64_t type) const;
  const FileMapping* mapping_at(Address address) const;
  const FileMapping* image_start(const FileMapping& part) const;
  void read_file_table();
  void find_program();
  std::vector<LinkMapEntry> find_link_map();
  std::optional<Address> debug_structure_of_linker_file() const;
  void add_listed(const LinkMapEntry& entry, bool first);
  void add_vdso();
  void add_unlisted();
  bool is_laid_out_by_a_loader(const ImageHeaders& headers, std::string_view path) const;
  LoadedImage image_at(Address base) const;
  Address base_by_scanning(Address dynamic);
  LoadedImage* find_image(Address base);

  const ModuleInputs& inputs_;
  const AddressSpace& memory_;
  Diagnostics& diagnostics_;
  std::vector<const FileMapping*> by_address_;
  std::vector<ImageHeaders> table_images_;  // what the file table maps from offset 0 and is an ELF image, by address
  std::optional<ImageHeaders> program_;     // of AT_PHDR
  std::vector<LoadedImage> images_;
  uint64_t pages_to_scan_ = 1 << 20;  // for all entries together: a hostile list has thousands
};

std::optional<uint64_t> ImageFinder::auxv_value(uint64_t type) const {
  for (auto [key, value] : inputs_.auxv) {
    if (key == type) return value;
  }
  return std::nullopt;
}

const FileMapping* ImageFinder::mapping_at(Address address) const {
  auto after = std::ranges::upper_bound(by_address_, address, {}, [](const FileMapping* m) { return m->range.begin; });
  if (after == by_address_.begin()) return nullptr;
  const FileMapping* mapping = *std::prev(after);
  return mapping->range.contains(address) ? mapping : nullptr;
}

// The nearest mapping of the same file, from its offset 0, at or below the given part of it.
const FileMapping* ImageFinder::image_start(const FileMapping& part) const {
  auto at =
      std::ranges::upper_bound(by_address_, part.range.begin, {}, [](const FileMapping* m) { return m->range.begin; });
  constexpr int kMaxParts = 1024;  // an image has a handful
  for (int i = 0; i < kMaxParts && at != by_address_.begin(); ++i) {
    const FileMapping* mapping = *--at;
    if (mapping->file_offset == 0 && mapping->path == part.path) return mapping;
  }
  return nullptr;
}

void ImageFinder::read_file_table() {
  for (const FileMapping& mapping : inputs_.file_mappings) {
    if (!mapping.range.empty()) by_address_.push_back(&mapping);
  }
  std::ranges::sort(by_address_, {}, [](const FileMapping* m) { return m->range.begin; });
  for (const FileMapping* mapping : by_address_) {
    if (mapping->file_offset != 0) continue;
    if (auto headers = read_image_headers(memory_, mapping->range.begin)) table_images_.push_back(*std::move(headers));
  }
}

void ImageFinder::find_program() {
  auto program_headers = auxv_value(AT_PHDR);
  if (program_headers && *program_headers != 0) {
    program_ = read_image_headers_around(memory_, Address{*program_headers});
  }
}

// A list must lead somewhere: DT_DEBUG of the program, or of any other image (ld.so fills it in for the program that it
// was told to start), or the linker's own variable.
std::vector<LinkMapEntry> ImageFinder::find_link_map() {
  std::vector<const ImageHeaders*> candidates;
  if (program_) candidates.push_back(&*program_);
  for (const ImageHeaders& headers : table_images_) candidates.push_back(&headers);
  for (const ImageHeaders* headers : candidates) {
    Address dynamic = headers->dynamic();
    auto r_debug = dynamic ? find_debug_structure(memory_, dynamic) : std::nullopt;
    if (r_debug && is_debug_structure(memory_, *r_debug)) return read_link_map(memory_, *r_debug, diagnostics_);
  }
  if (auto r_debug = debug_structure_of_linker_file()) return read_link_map(memory_, *r_debug, diagnostics_);
  return {};
}

std::optional<Address> ImageFinder::debug_structure_of_linker_file() const {
  for (uint64_t type : {uint64_t{AT_BASE}, uint64_t{AT_PHDR}}) {
    auto value = auxv_value(type);
    const FileMapping* part = value && *value != 0 ? mapping_at(Address{*value}) : nullptr;
    const FileMapping* start = part == nullptr ? nullptr : image_start(*part);
    if (start == nullptr) continue;
    auto image = ElfImage::open(inputs_.options->sysroot + without_deleted(start->path));
    auto link_base = image ? image_link_base((*image)->segments()) : std::nullopt;
    if (!link_base) continue;
    Diagnostics ignored;  // the file is looked at again, and complained about, as a module
    for (const Symbol& symbol : (*image)->read_symbols(ignored)) {
      if (symbol.name != "_r_debug") continue;
      Address r_debug{symbol.link_address + (start->range.begin.value - *link_base)};
      if (is_debug_structure(memory_, r_debug)) return r_debug;
    }
  }
  return std::nullopt;
}

LoadedImage* ImageFinder::find_image(Address base) {
  auto found = std::ranges::find(images_, base, &LoadedImage::base);
  return found == images_.end() ? nullptr : &*found;
}

LoadedImage ImageFinder::image_at(Address base) const {
  LoadedImage image;
  image.base = base;
  image.headers = read_image_headers(memory_, base);
  if (image.headers) {
    image.bias = image.headers->bias;
    image.dynamic = image.headers->dynamic();
  }
  if (const FileMapping* mapping = mapping_at(base)) image.mapped_path = without_deleted(mapping->path);
  image.path = image.mapped_path;
  return image;
}

// Without a file table: the ELF header below a dynamic section, page by page.
Address ImageFinder::base_by_scanning(Address dynamic) {
  constexpr uint64_t kMaxPages = 1 << 15;
  Address page = dynamic.align_down(kPage);
  for (uint64_t i = 0; i < kMaxPages && pages_to_scan_ > 0 && page.value >= kPage; ++i, page = page - kPage) {
    --pages_to_scan_;
    auto magic = memory_.read<uint32_t>(page);
    if (!magic || *magic != 0x464c457f) continue;
    auto headers = read_image_headers(memory_, page);
    if (headers && headers->dynamic() == dynamic) return page;
  }
  return Address{};
}

void ImageFinder::add_listed(const LinkMapEntry& entry, bool first) {
  Address base;
  auto vdso = auxv_value(AT_SYSINFO_EHDR);
  auto vdso_headers = vdso ? read_image_headers(memory_, Address{*vdso}) : std::nullopt;
  if (vdso_headers && vdso_headers->dynamic() == entry.dynamic) {
    base = Address{*vdso};
  } else if (program_ && program_->dynamic() == entry.dynamic) {
    base = program_->base;
  } else if (const FileMapping* part = mapping_at(entry.dynamic)) {
    if (const FileMapping* start = image_start(*part)) base = start->range.begin;
  } else {
    base = base_by_scanning(entry.dynamic);
  }
  LoadedImage* image = base ? find_image(base) : nullptr;
  if (image == nullptr) {
    images_.push_back(image_at(base));
    image = &images_.back();
  }
  if (image->link_map) return;  // the same image in a second namespace
  image->link_map = entry.address;
  image->bias = entry.bias;
  image->dynamic = entry.dynamic;
  image->is_executable = first;
  if (!entry.name.empty()) image->path = without_deleted(entry.name);
}

void ImageFinder::add_vdso() {
  auto vdso = auxv_value(AT_SYSINFO_EHDR);
  if (!vdso || *vdso == 0) return;
  LoadedImage* image = find_image(Address{*vdso});
  if (image == nullptr) {
    LoadedImage found = image_at(Address{*vdso});
    if (!found.headers) return;
    images_.push_back(std::move(found));
    image = &images_.back();
  }
  image->is_vdso = true;
  if (image->path.empty()) image->path = "linux-vdso.so.1";
}

bool ImageFinder::is_laid_out_by_a_loader(const ImageHeaders& headers, std::string_view path) const {
  std::set<const FileMapping*> parts;
  for (const ElfSegment& segment : headers.segments) {
    if (segment.type != PT_LOAD || segment.file_size == 0) continue;
    Address begin{segment.link_address + headers.bias};
    const FileMapping* mapping = mapping_at(begin);
    if (mapping == nullptr || mapping->path != path) return false;
    if (mapping->file_offset + (begin - mapping->range.begin) != segment.offset) return false;
    parts.insert(mapping);
  }
  return parts.size() >= 2;
}

// Images that the list does not name: all of them when there is no list, else those of namespaces that an older glibc
// does not publish, and of loaders other than the system's.
void ImageFinder::add_unlisted() {
  bool have_program = std::ranges::any_of(images_, &LoadedImage::is_executable);
  if (program_ && find_image(program_->base) == nullptr) {
    images_.push_back(image_at(program_->base));
    images_.back().is_executable = !have_program;
  }
  auto program_headers = auxv_value(AT_PHDR);
  if (!program_ && !have_program && program_headers) {
    const FileMapping* part = mapping_at(Address{*program_headers});
    const FileMapping* start = part == nullptr ? nullptr : image_start(*part);
    if (start != nullptr && find_image(start->range.begin) == nullptr) {
      images_.push_back(image_at(start->range.begin));
      images_.back().is_executable = true;
    }
  }
  auto linker = auxv_value(AT_BASE);
  if (linker && *linker != 0 && find_image(Address{*linker}) == nullptr) {
    LoadedImage image = image_at(Address{*linker});
    if (image.headers || !image.mapped_path.empty()) images_.push_back(std::move(image));
  }
  for (const ImageHeaders& headers : table_images_) {
    if (find_image(headers.base) != nullptr) continue;
    if (is_laid_out_by_a_loader(headers, mapping_at(headers.base)->path)) images_.push_back(image_at(headers.base));
  }
}

std::vector<LoadedImage> ImageFinder::run() {
  read_file_table();
  find_program();
  std::vector<LinkMapEntry> listed = find_link_map();
  for (size_t i = 0; i < listed.size(); ++i) add_listed(listed[i], i == 0);
  add_vdso();
  add_unlisted();
  for (LoadedImage& image : images_) {
    if (!image.is_executable || !image.path.empty()) continue;
    auto name = auxv_value(AT_EXECFN);
    if (name) image.path = memory_.read_c_string(Address{*name}).value_or("");
  }
  std::ranges::stable_sort(images_, {}, &LoadedImage::base);
  return std::move(images_);
}

}  // namespace

std::string without_deleted(std::string_view path) {
  constexpr std::string_view kDeleted = " (deleted)";
  if (path.ends_with(kDeleted)) path.remove_suffix(kDeleted.size());
  return std::string(path);
}

std::vector<LoadedImage> find_loaded_images(const ModuleInputs& inputs, Diagnostics& diagnostics) {
  return ImageFinder(inputs, diagnostics).run();
}

}  // namespace heapwalk
