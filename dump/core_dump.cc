#include "dump/core_dump.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "dump/core_file.h"
#include "dump/mappings.h"
#include "dump/module_list.h"
#include "dump/notes.h"
#include "dump/thread_stacks.h"

namespace heapwalk {
namespace {

// What the core itself has, and what its program headers and file table say was mapped without giving the bytes.
std::vector<Region> core_regions(const CoreFile& core, std::span<const FileMapping> files) {
  std::vector<Region> regions;
  regions.reserve(2 * core.segments.size() + files.size());
  for (const CoreSegment& segment : core.segments) {
    Address known_end = segment.range.begin + segment.bytes.size();
    if (!segment.bytes.empty())
      regions.push_back({{segment.range.begin, known_end}, ByteState::core, segment.bytes.data()});
    if (known_end < segment.range.end) regions.push_back({{known_end, segment.range.end}, ByteState::absent, nullptr});
  }
  for (const FileMapping& file : files) regions.push_back({file.range, ByteState::absent, nullptr});
  return regions;
}

// "libc.so" names "libc.so.6", and "libc-2.31.so" too: the file that older versions of glibc install it as.
bool name_matches(std::string_view name, std::string_view prefix) {
  if (name.starts_with(prefix)) return true;
  size_t so = prefix.find(".so");
  if (so == std::string_view::npos) return false;
  std::string_view stem = prefix.substr(0, so);
  return name.starts_with(stem) && name.size() > stem.size() + 1 && name[stem.size()] == '-' &&
         std::isdigit(static_cast<unsigned char>(name[stem.size() + 1])) != 0 && name.ends_with(".so");
}

}  // namespace

Result<CoreDump> open_core_dump(const std::string& path, const CoreOptions& options) {
  CoreDump dump;
  dump.path = path;
  auto core = open_core_file(path, dump.diagnostics);
  if (!core) return std::unexpected(core.error());
  dump.file_size_bytes = core->size_bytes;
  dump.missing_bytes = core->missing_bytes;

  CoreNotes notes = read_notes(path, *core->arch, core->notes, dump.diagnostics);
  dump.process = std::move(notes.process);
  dump.process.time_seconds = core->modified_seconds;
  dump.threads = std::move(notes.threads);
  dump.auxv = std::move(notes.auxv);

  std::vector<Region> regions = core_regions(*core, notes.file_mappings);
  AddressSpace core_memory(regions);
  auto modules = find_modules({.core_memory = &core_memory,
                               .file_mappings = notes.file_mappings,
                               .auxv = dump.auxv,
                               .options = &options,
                               .architecture = core->arch->architecture,
                               .core_path = path},
                              dump.diagnostics);
  if (!modules) return std::unexpected(modules.error());
  dump.modules = std::move(modules->modules);
  dump.storage = std::make_shared<const std::array<std::shared_ptr<const void>, 2>>(
      std::array<std::shared_ptr<const void>, 2>{core->storage, modules->storage});

  // From here on no byte of the process becomes known that is not known now.
  regions.insert(regions.end(), modules->file_regions.begin(), modules->file_regions.end());
  dump.memory = AddressSpace(std::move(regions));
  dump.mappings = make_mappings(core->segments, notes.file_mappings, dump.modules);
  find_thread_stacks(dump);
  return dump;
}

const Module* CoreDump::find_module(Address address) const {
  auto after = std::upper_bound(modules.begin(), modules.end(), address,
                                [](Address a, const Module& module) { return a < module.range.begin; });
  if (after == modules.begin()) return nullptr;
  const Module& module = *std::prev(after);
  return module.range.contains(address) ? &module : nullptr;
}

const Module* CoreDump::executable() const {
  for (const Module& module : modules)
    if (module.is_executable) return &module;
  return nullptr;
}

const Module* CoreDump::find_module_by_name(std::string_view prefix) const {
  const Module* found = nullptr;
  for (const Module& module : modules) {
    if (!name_matches(module.name, prefix)) continue;
    if (module.in_link_map) return &module;
    if (found == nullptr) found = &module;  // a file mapped as data: only when nothing better is there
  }
  return found;
}

const Mapping* CoreDump::find_mapping(Address address) const {
  auto after = std::upper_bound(mappings.begin(), mappings.end(), address,
                                [](Address a, const Mapping& mapping) { return a < mapping.range.begin; });
  if (after == mappings.begin()) return nullptr;
  const Mapping& mapping = *std::prev(after);
  return mapping.range.contains(address) ? &mapping : nullptr;
}

std::optional<uint64_t> CoreDump::auxv_value(uint64_t type) const {
  for (const auto& [key, value] : auxv)
    if (key == type) return value;
  return std::nullopt;
}

}  // namespace heapwalk
