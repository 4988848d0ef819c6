#include "dump/module_file.h"

#include <elf.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <vector>

#include "dump/debug_files.h"

namespace heapwalk {
namespace {

bool same_segment(const ElfSegment& a, const ElfSegment& b) {
  return a.type == b.type && a.flags == b.flags && a.offset == b.offset && a.link_address == b.link_address &&
         a.file_size == b.file_size && a.memory_size == b.memory_size;
}

bool same_headers(const ImageHeaders& headers, const ElfImage& file) {
  return headers.entry == file.entry() && headers.position_independent == file.is_position_independent() &&
         std::ranges::equal(headers.segments, file.segments(), same_segment);
}

// For images whose program headers lead to no build id: Go's linker leaves the note's section out of PT_NOTE. The notes
// that the file loads are compared with what lies at their place. Nullopt when there are none, or the core lacks them.
std::optional<bool> same_notes(const AddressSpace& memory, uint64_t bias, const ElfImage& file) {
  std::optional<bool> same;
  for (const ElfSection& section : file.sections()) {
    if (section.type != SHT_NOTE || (section.flags & SHF_ALLOC) == 0 || section.size_bytes > 4096) continue;
    Bytes in_file = file.read(section.link_address, section.size_bytes);
    Bytes in_core = memory.read_exactly(Address{section.link_address + bias}, section.size_bytes);
    if (in_file.empty() || in_core.size() != in_file.size()) continue;
    if (!std::ranges::equal(in_file, in_core)) return false;
    same = true;
  }
  return same;
}

// The linker may have turned addresses of the section into run-time ones in place, and DT_DEBUG is its to write.
bool same_dynamic_section(const AddressSpace& memory, Address dynamic, uint64_t bias, Bytes file_section) {
  size_t compared = 0;
  for (size_t offset = 0; offset + sizeof(Elf64_Dyn) <= file_section.size(); offset += sizeof(Elf64_Dyn)) {
    auto in_file = load<Elf64_Dyn>(file_section.data() + offset);
    auto in_core = memory.read<Elf64_Dyn>(dynamic + offset);
    if (!in_core || in_core->d_tag != in_file.d_tag) return false;
    if (in_file.d_tag == DT_NULL) break;
    if (in_file.d_tag == DT_DEBUG) continue;
    uint64_t value = in_file.d_un.d_val;
    if (in_core->d_un.d_val != value && in_core->d_un.d_val != value + bias) return false;
    ++compared;
  }
  return compared >= 5;
}

std::string build_id_text(const std::string& build_id) {
  return build_id.empty() ? "none" : build_id;
}

std::string core_build_id(const LoadedImage& image) {
  return image.headers ? build_id_text(image.headers->build_id) : "unknown";
}

Result<std::shared_ptr<const ElfImage>> open_users_binary(const LoadedImage& image, const ModuleInputs& inputs,
                                                          Diagnostics& diagnostics) {
  const std::string& path = inputs.options->binary;
  auto file = ElfImage::open(path);
  if (!file) return file;
  if ((*file)->architecture() != inputs.architecture || (*file)->is_core()) {
    return fail("{}: not an executable of the core's architecture", path);
  }
  switch (compare_file(image, **file, inputs)) {
    case FileMatch::different:
      if (!inputs.options->force) {
        return fail("{}: build id {}, but {} in {} has {}: not the same program (--force uses it nevertheless)", path,
                    build_id_text((*file)->build_id()), image.path, inputs.core_path, core_build_id(image));
      }
      diagnostics.add("build_id_mismatch", fmt::format("{}: build id {}, in the core {}: used because of --force", path,
                                                       build_id_text((*file)->build_id()), core_build_id(image)));
      break;
    case FileMatch::unknown:
    case FileMatch::headers:
    case FileMatch::dynamic_section:
      diagnostics.add("unverified_binary",
                      fmt::format("{}: no build id to compare with the core's program: taken on trust", path));
      break;
    case FileMatch::build_id:
      break;
  }
  return file;
}

std::vector<std::string> candidate_paths(const LoadedImage& image, const CoreOptions& options) {
  std::vector<std::string> paths;
  for (const std::string& path : {image.mapped_path, image.path}) {
    if (!path.starts_with('/')) continue;
    std::string here = options.sysroot + path;
    if (std::ranges::find(paths, here) == paths.end()) paths.push_back(std::move(here));
  }
  if (!image.headers) return paths;
  for (std::string& path : build_id_paths(image.headers->build_id, FileKind::executable, options)) {
    paths.push_back(std::move(path));
  }
  return paths;
}

}  // namespace

FileMatch compare_file(const LoadedImage& image, const ElfImage& file, const ModuleInputs& inputs) {
  if (file.architecture() != inputs.architecture || file.is_core()) return FileMatch::different;
  if (image.headers) {
    const std::string& in_core = image.headers->build_id;
    const std::string& in_file = file.build_id();
    if (!in_core.empty() && !in_file.empty()) return in_core == in_file ? FileMatch::build_id : FileMatch::different;
    if (!in_core.empty() && in_file.empty()) return FileMatch::different;
    if (in_core.empty() && !in_file.empty()) {
      auto same = same_notes(*inputs.core_memory, image.headers->bias, file);
      if (same) return *same ? FileMatch::build_id : FileMatch::different;
      if (image.headers->notes_readable) return FileMatch::different;
    }
    return same_headers(*image.headers, file) ? FileMatch::headers : FileMatch::different;
  }
  auto dynamic = std::ranges::find(file.segments(), uint32_t{PT_DYNAMIC}, &ElfSegment::type);
  auto link_base = image_link_base(file.segments());
  bool have_bias = image.bias || (image.base && link_base);
  if (dynamic == file.segments().end() || !have_bias) return FileMatch::unknown;
  uint64_t bias = image.bias ? *image.bias : image.base.value - *link_base;
  Address in_core{dynamic->link_address + bias};
  if (image.dynamic && image.dynamic != in_core) return FileMatch::different;
  if (!inputs.core_memory->read_word(in_core)) return FileMatch::unknown;
  Bytes section = file.read(dynamic->link_address, dynamic->file_size);
  return same_dynamic_section(*inputs.core_memory, in_core, bias, section) ? FileMatch::dynamic_section
                                                                           : FileMatch::different;
}

Result<std::shared_ptr<const ElfImage>> find_module_file(const LoadedImage& image, const ModuleInputs& inputs,
                                                         Diagnostics& diagnostics) {
  const CoreOptions& options = *inputs.options;
  if (image.is_executable && !options.binary.empty()) return open_users_binary(image, inputs, diagnostics);

  std::string mismatch;
  std::string unusable;
  for (const std::string& path : candidate_paths(image, options)) {
    std::error_code ignored;
    if (!std::filesystem::exists(path, ignored)) continue;
    auto file = ElfImage::open(path);
    if (!file) {
      unusable = file.error().message;
      continue;
    }
    FileMatch match = compare_file(image, **file, inputs);
    if (match != FileMatch::different && match != FileMatch::unknown) return file;
    mismatch = match == FileMatch::unknown
                   ? fmt::format("{}: the core holds nothing of it that could prove it to be the same file", path)
                   : fmt::format("{}: build id {}, in the core {}", path, build_id_text((*file)->build_id()),
                                 core_build_id(image));
  }
  if (!mismatch.empty()) {
    diagnostics.add("build_id_mismatch", mismatch + ": its bytes and symbols are not used");
  } else {
    std::string name = image.path.empty() ? fmt::format("image at {:#x}", image.base.value) : image.path;
    diagnostics.add("missing_module",
                    fmt::format("{}: {} (build id {})", name, unusable.empty() ? "not found on this machine" : unusable,
                                core_build_id(image)));
  }
  return nullptr;
}

}  // namespace heapwalk
