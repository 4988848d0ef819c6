#include "dwarf/split_units.h"

#include <fmt/format.h>

#include <filesystem>
#include <unordered_map>

#include "dump/debug_files.h"

namespace heapwalk {

namespace dw = llvm::dwarf;

std::optional<Skeleton> read_skeleton(const DebugSections& sections, const Die& unit_die) {
  std::string_view name = unit_die.string(dw::DW_AT_dwo_name);
  if (name.empty()) name = unit_die.string(dw::DW_AT_GNU_dwo_name);
  if (name.empty() && unit_die.tag() != dw::DW_TAG_skeleton_unit) return std::nullopt;
  Skeleton skeleton{.dwo_name = name, .lines = LineTable::of(sections, unit_die)};
  skeleton.id = unit_die.unit().getDWOId().value_or(0);
  skeleton.directory = skeleton.lines.compilation_directory;
  skeleton.address_base = unit_die.unit().getAddrOffsetSectionBase();
  skeleton.bases = AddressLists::bases_of(unit_die);
  return skeleton;
}

std::vector<SplitFile> split_files(std::span<const Skeleton> skeletons, const DebugSections& origin,
                                   const CoreOptions& options) {
  std::vector<SplitFile> files;
  std::unordered_map<std::string, size_t> known;
  for (const Skeleton& skeleton : skeletons) {
    std::string key = fmt::format("{}\n{}", skeleton.directory, skeleton.dwo_name);
    auto [at, is_new] = known.try_emplace(std::move(key), files.size());
    if (is_new) {
      files.push_back({dwo_paths(skeleton.dwo_name, skeleton.directory, origin.path(), options), {}});
    }
    files[at->second].skeletons.push_back(skeleton);
  }
  return files;
}

std::shared_ptr<const ElfImage> find_package(const Module& module, const CoreOptions& options,
                                             Diagnostics& diagnostics) {
  for (const ElfImage* beside : {module.image.get(), module.debug_image.get()}) {
    if (beside == nullptr) continue;
    for (const std::string& path : dwp_paths(beside->path(), options)) {
      std::error_code ignored;
      if (!std::filesystem::is_regular_file(path, ignored)) continue;
      auto image = ElfImage::open(path);
      if (image) return *image;
      diagnostics.add("unusable_debug_file", image.error().message);
    }
  }
  return nullptr;
}

void SplitLosses::add(Reason reason, const std::string& file, uint64_t units) {
  if (units == 0) return;
  if (losses_[reason].units == 0) losses_[reason].first = file;
  losses_[reason].units += units;
}

void SplitLosses::report(const std::string& origin, Diagnostics& diagnostics) const {
  struct Line {
    Reason reason;
    const char* code;
    const char* what;
  };
  for (const auto& [reason, code, what] : {Line{missing, "split_debug_info", "that is not here"},
                                           Line{other_build, "debug_file_mismatch", "that is of another build"},
                                           Line{damaged, "damaged_debug_info", "that cannot be read"}}) {
    const Loss& loss = losses_[reason];
    if (loss.units == 0) continue;
    diagnostics.add(
        code, fmt::format("{}: units whose debug info is in a .dwo file {}, the first: {}", origin, what, loss.first),
        loss.units);
  }
}

}  // namespace heapwalk
