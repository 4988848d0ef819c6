#include "dump/debug_files.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <set>

namespace heapwalk {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> debug_directories(const CoreOptions& options) {
  std::vector<std::string> directories = options.debug_dirs;
  if (!options.sysroot.empty()) directories.push_back(options.sysroot + "/usr/lib/debug");
  directories.push_back("/usr/lib/debug");
  return directories;
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string debuginfod_cache() {
  if (std::string cache = environment("DEBUGINFOD_CACHE_PATH"); !cache.empty()) return cache;
  if (std::string cache = environment("XDG_CACHE_HOME"); !cache.empty()) return cache + "/debuginfod_client";
  if (std::string home = environment("HOME"); !home.empty()) return home + "/.cache/debuginfod_client";
  return "";
}

bool is_file(const std::string& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

// The file, when it is a debug file of the build id (or of none).
std::shared_ptr<const ElfImage> open_matching(const std::string& path, const std::string& build_id,
                                              Diagnostics& diagnostics) {
  if (!is_file(path)) return nullptr;
  auto image = ElfImage::open(path);
  if (!image) {
    diagnostics.add("unusable_debug_file", image.error().message);
    return nullptr;
  }
  const std::string& found = (*image)->build_id();
  if (!build_id.empty() && !found.empty() && found != build_id) {
    diagnostics.add("debug_file_mismatch", fmt::format("{}: build id {}, wanted {}", path, found, build_id));
    return nullptr;
  }
  return *image;
}

// Behind links.
fs::path real_path(const std::string& path) {
  std::error_code error;
  fs::path real = fs::canonical(path, error);
  return error ? fs::path(path) : real;
}

// The name below the debug directories, in the folder that stands for the file's own.
void append_mirrored(const fs::path& folder, const std::string& name, const CoreOptions& options,
                     std::vector<std::string>& paths) {
  std::string below = folder.string();
  if (!options.sysroot.empty() && below.starts_with(options.sysroot)) below = below.substr(options.sysroot.size());
  for (const std::string& directory : debug_directories(options)) {
    paths.push_back(directory + (below.starts_with('/') ? "" : "/") + below + "/" + name);
  }
}

std::vector<std::string> debug_link_paths(const std::string& file_path, const std::string& link_name,
                                          const CoreOptions& options) {
  fs::path folder = real_path(file_path).parent_path();
  std::vector<std::string> paths = {(folder / link_name).string(), (folder / ".debug" / link_name).string()};
  append_mirrored(folder, link_name, options, paths);
  for (const std::string& directory : options.debug_dirs) paths.push_back(directory + "/" + link_name);
  return paths;
}

std::shared_ptr<const ElfImage> find_by_debug_link(const ElfImage& image, const CoreOptions& options,
                                                   Diagnostics& diagnostics) {
  auto link = image.debug_link();
  if (!link) return nullptr;
  for (const std::string& path : debug_link_paths(image.path(), link->file_name, options)) {
    std::error_code ignored;
    if (fs::equivalent(path, image.path(), ignored)) continue;
    auto candidate = open_matching(path, image.build_id(), diagnostics);
    if (candidate == nullptr) continue;
    if (!candidate->build_id().empty() && candidate->build_id() == image.build_id()) return candidate;
    if (uint32_t crc = candidate->crc32(); crc != link->crc) {
      diagnostics.add("debug_file_mismatch",
                      fmt::format("{}: CRC {:#010x}, {} wants {:#010x}", path, crc, image.path(), link->crc));
      continue;
    }
    return candidate;
  }
  return nullptr;
}

// Debian's links are absolute, into /usr/lib/debug/.dwz; Fedora's are relative to the debug file.
std::vector<std::string> alternate_paths(const std::string& file_path, const AlternateLink& link,
                                         const CoreOptions& options) {
  const fs::path folder = real_path(file_path).parent_path();
  const fs::path name = link.file_name;
  const size_t store = link.file_name.rfind(".dwz/");
  const std::string below_store =
      store == std::string::npos ? name.filename().string() : link.file_name.substr(store + 5);
  std::vector<std::string> paths;
  for (const fs::path directory : options.debug_dirs) {
    paths.push_back((directory / ".dwz" / below_store).string());
    paths.push_back((directory / name.filename()).string());
  }
  if (name.is_absolute() && !options.sysroot.empty()) paths.push_back(options.sysroot + name.string());
  paths.push_back((folder / name).string());  // an absolute name stands for itself
  paths.push_back((folder / name.filename()).string());
  paths.push_back((folder / ".dwz" / below_store).string());
  for (const std::string& directory : debug_directories(options)) paths.push_back(directory + "/.dwz/" + below_store);
  for (std::string& path : build_id_paths(link.id, FileKind::debug, options)) paths.push_back(std::move(path));
  return paths;
}

}  // namespace

std::shared_ptr<const ElfImage> find_alternate_file(const ElfImage& image, const CoreOptions& options,
                                                    Diagnostics& diagnostics) {
  const auto link = image.alternate_link();
  if (!link) return nullptr;
  std::set<std::string> tried;
  for (const std::string& path : alternate_paths(image.path(), *link, options)) {
    if (!is_file(path) || !tried.insert(real_path(path).string()).second) continue;
    auto candidate = ElfImage::open(path);
    if (!candidate) {
      diagnostics.add("unusable_debug_file", candidate.error().message);
    } else if (const std::string found = (*candidate)->alternate_id(); found != link->id) {
      diagnostics.add("debug_file_mismatch", fmt::format("{}: id {}, {} wants {}", path, found.empty() ? "none" : found,
                                                         image.path(), link->id));
    } else {
      return *candidate;
    }
  }
  diagnostics.add("dwz_debug_info",
                  fmt::format("{}: part of the debug info is in {}, which is not here: types that need it are unknown",
                              image.path(), link->file_name));
  return nullptr;
}

std::vector<std::string> build_id_paths(std::string_view build_id, FileKind kind, const CoreOptions& options) {
  bool plain_hex = build_id.find_first_not_of("0123456789abcdef") == std::string_view::npos;
  if (build_id.size() < 4 || !plain_hex) return {};
  bool debug = kind == FileKind::debug;
  std::string tail =
      fmt::format("/.build-id/{}/{}{}", build_id.substr(0, 2), build_id.substr(2), debug ? ".debug" : "");
  std::vector<std::string> paths;
  for (const std::string& directory : debug_directories(options)) paths.push_back(directory + tail);
  if (!debug) {  // Fedora links the executables below /usr/lib
    if (!options.sysroot.empty()) paths.push_back(options.sysroot + "/usr/lib" + tail);
    paths.push_back("/usr/lib" + tail);
  }
  if (std::string cache = debuginfod_cache(); !cache.empty()) {
    paths.push_back(fmt::format("{}/{}/{}", cache, build_id, debug ? "debuginfo" : "executable"));
  }
  return paths;
}

std::shared_ptr<const ElfImage> find_debug_file(const std::string& build_id, const ElfImage* image,
                                                const CoreOptions& options, Diagnostics& diagnostics) {
  for (const std::string& path : build_id_paths(build_id, FileKind::debug, options)) {
    auto candidate = open_matching(path, build_id, diagnostics);
    if (candidate != nullptr && candidate->build_id() == build_id) return candidate;
  }
  return image == nullptr ? nullptr : find_by_debug_link(*image, options, diagnostics);
}

std::vector<std::string> dwo_paths(std::string_view name, std::string_view directory, const std::string& file,
                                   const CoreOptions& options) {
  if (name.empty()) return {};
  const fs::path folder = real_path(file).parent_path();
  const fs::path compiled = fs::path(directory) / name;  // an absolute name stands for itself
  const fs::path last = compiled.filename();
  std::vector<std::string> paths;
  for (const fs::path below : options.debug_dirs) {
    paths.push_back((below / compiled.relative_path()).string());
    paths.push_back((below / last).string());
  }
  if (compiled.is_absolute()) {
    if (!options.sysroot.empty()) paths.push_back((fs::path(options.sysroot) / compiled.relative_path()).string());
    paths.push_back(compiled.string());
  } else {
    paths.push_back((folder / compiled).string());
  }
  if (!fs::path(name).is_absolute()) paths.push_back((folder / name).string());
  paths.push_back((folder / last).string());
  return paths;
}

std::vector<std::string> dwp_paths(const std::string& file, const CoreOptions& options) {
  const fs::path real = real_path(file);
  std::vector<std::string> paths = {file + ".dwp", real.string() + ".dwp"};
  if (real.extension() == ".debug") paths.push_back(fs::path(real).replace_extension(".dwp").string());
  const std::string name = real.filename().string() + ".dwp";
  for (const std::string& directory : options.debug_dirs) paths.push_back(directory + "/" + name);
  append_mirrored(real.parent_path(), name, options, paths);
  return paths;
}

}  // namespace heapwalk
