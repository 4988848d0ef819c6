#include "dwarf/type_cache.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <tuple>

#include "dump/elf_image.h"
#include "dwarf/type_reader.h"

namespace heapwalk {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSuffix = ".types";
constexpr std::string_view kTemporary = ".types.";  // and six letters
constexpr auto kAbandoned = std::chrono::hours(1);
constexpr char kFilesFollow = '\0';  // in a key: then files, each with a NUL behind

// Which file this was, not what is in it. A file that is not there has a stamp too.
std::string stamp(const std::string& path) {
  struct stat status = {};
  if (::stat(path.c_str(), &status) != 0) return path + " -\n";
  return fmt::format("{} {} {}.{:09}\n", path, status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
}

const ElfImage* debug_image(const Module& module) {
  const ElfImage* separate = module.debug_image.get();
  return separate != nullptr && separate->has_debug_info() ? separate : module.image.get();
}

bool is_worth_it(const Module& module, const CoreOptions& options) {
  const ElfImage* image = debug_image(module);
  uint64_t bytes = 0;
  if (image == nullptr) return false;
  for (const ElfSection& section : image->sections()) {
    if (section.name.starts_with(".debug_")) bytes += section.size_bytes;
  }
  return bytes >= options.cached_debug_bytes.value_or(kCachedDebugBytes) && image->has_debug_info();
}

std::string key_of(const Module& module, const CoreOptions& options) {
  std::string key = stamp("/proc/self/exe");
  for (const ElfImage* image : {module.image.get(), module.debug_image.get()}) {
    key += image == nullptr ? "-\n" : stamp(image->path()) + image->build_id() + "\n";
  }
  for (const ModuleSegment& segment : module.segments) {
    key += fmt::format("{:x}-{:x} ", module.to_link(segment.range.begin), module.to_link(segment.range.end));
  }
  if (module.tls) key += fmt::format("tls {:x} {:x}", module.tls->link_address, module.tls->size_bytes);
  key += fmt::format("\n{} {} symbols\n", module.symbols.all().size(), module.symbols.tls().size());
  for (const std::string& directory : options.debug_dirs) key += directory + "\n";  // where other files are looked for
  return key + options.sysroot;
}

// By link addresses.
ModuleTypes types_of(const Module& module, const TypeTable& table, const VariableTable& variables) {
  ModuleTypes result;
  for (uint32_t i = 0; i < table.size(); ++i) {
    Type& type = result.types.emplace_back(table[TypeId{i}]);
    const auto fields = table.fields(TypeId{i});
    const auto arguments = table.arguments(TypeId{i});
    type.first_field = static_cast<uint32_t>(result.fields.size());
    type.first_argument = static_cast<uint32_t>(result.arguments.size());
    result.fields.insert(result.fields.end(), fields.begin(), fields.end());
    result.arguments.insert(result.arguments.end(), arguments.begin(), arguments.end());
  }
  for (auto all : {variables.all(), variables.tls()}) {
    for (Variable variable : all) {
      if (!variable.tls) variable.address = Address{module.to_link(variable.address)};
      result.variables.push_back(std::move(variable));
    }
  }
  return result;
}

// One module's types by themselves, with what their names borrow from.
struct OwnTypes {
  ModuleTypes types;
  std::shared_ptr<const MappedFile> file = nullptr;
  std::unique_ptr<TypeTableBuilder> table = nullptr;
};

VariableTable merge(const Module& module, OwnTypes own, TypeTableBuilder& types) {
  TypeMerger merger(own.types.arrays(), types);
  merger.add_definitions();
  for (Variable& variable : own.types.variables) {
    variable.type = merger.id_of(variable.type);
    if (!variable.tls) variable.address = module.to_runtime(variable.address.value);
  }
  merger.fill_added();
  return VariableTable(std::move(own.types.variables));
}

bool write_all(int descriptor, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
    if (written < 0 && errno != EINTR) return false;
    if (written > 0) bytes.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

bool is_plain_hex(const std::string& build_id) {
  return build_id.size() >= 8 && build_id.find_first_not_of("0123456789abcdef") == std::string::npos;
}

OwnTypes load_or_read(const Module& module, size_t threads, Diagnostics& losses, const CoreOptions& options) {
  const bool is_cached = !options.cache_dir.empty() && is_plain_hex(module.build_id);
  const TypeCache cache(options.cache_dir);
  const std::string key = is_cached ? key_of(module, options) : "";
  if (is_cached) {
    if (auto stored = cache.load(module.build_id, key)) return {std::move(stored->types), std::move(stored->file)};
  }
  std::vector<std::string> files;
  auto table = std::make_unique<TypeTableBuilder>();
  const VariableTable variables = read_debug_info(module, threads, *table, losses, options, nullptr, &files);
  ModuleTypes types = types_of(module, table->table(), variables);
  if (is_cached && losses.all().empty()) cache.store(module.build_id, key, files, types);
  return {std::move(types), nullptr, std::move(table)};
}

}  // namespace

VariableTable read_debug_info_cached(const Module& module, size_t threads, TypeTableBuilder& types,
                                     Diagnostics& diagnostics, const CoreOptions& options, FrameVariables* frames) {
  if (!is_worth_it(module, options)) return read_debug_info(module, threads, types, diagnostics, options, frames);
  Diagnostics losses;
  VariableTable variables = merge(module, load_or_read(module, threads, losses, options), types);
  Diagnostics frame_losses;
  if (frames != nullptr && !frames->pcs().empty()) {
    read_frame_variables(module, threads, types, frame_losses, options, *frames);
  }
  diagnostics.merge(losses.all().empty() ? frame_losses : losses);  // not both: most is said twice
  return variables;
}

std::string TypeCache::path_of(const std::string& build_id) const {
  return fmt::format("{}/{}{}", directory_, build_id, kSuffix);
}

std::optional<StoredTypes> TypeCache::load(const std::string& build_id, std::string_view key) const {
  const std::string path = path_of(build_id);
  auto file = MappedFile::open(path);
  if (!file) return std::nullopt;
  const auto stored = read_type_file_key((*file)->bytes());
  if (!stored || !stored->starts_with(key)) return std::nullopt;
  std::string_view rest = stored->substr(key.size());
  if (!rest.starts_with(kFilesFollow)) return std::nullopt;
  for (rest.remove_prefix(1); !rest.empty();) {
    const std::string_view expected = rest.substr(0, rest.find('\0'));
    const std::string_view name = expected.substr(0, expected.find_last_of(' ', expected.find_last_of(' ') - 1));
    if (expected.size() == rest.size() || stamp(std::string(name)) != expected) return std::nullopt;
    rest.remove_prefix(expected.size() + 1);
  }
  auto types = read_type_file((*file)->bytes());
  if (!types) return std::nullopt;
  ::utimensat(AT_FDCWD, path.c_str(), nullptr, 0);  // used now
  return StoredTypes{*std::move(file), *std::move(types)};
}

void TypeCache::store(const std::string& build_id, std::string_view key, std::span<const std::string> files,
                      const ModuleTypes& types) const {
  std::string whole_key(key);
  whole_key += kFilesFollow;
  for (const std::string& file : files) whole_key += stamp(file) + '\0';
  const std::string content = write_type_file(whole_key, types.arrays(), types.variables);
  if (content.empty() || content.size() > max_bytes_) return;
  std::error_code error;
  fs::create_directories(directory_, error);
  std::string temporary = fmt::format("{}/{}{}XXXXXX", directory_, build_id, kTemporary);
  const int descriptor = ::mkstemp(temporary.data());  // readable by its owner only
  if (descriptor < 0) return;
  const bool is_whole = write_all(descriptor, content);
  const bool is_closed = ::close(descriptor) == 0;
  if (!is_whole || !is_closed || ::rename(temporary.c_str(), path_of(build_id).c_str()) != 0) {
    ::unlink(temporary.c_str());
  }
  remove_oldest();
}

// Temporary files that nobody renamed for an hour are of a process that died.
void TypeCache::remove_oldest() const {
  std::vector<std::tuple<fs::file_time_type, uint64_t, fs::path>> files;
  uint64_t total = 0;
  std::error_code error;
  for (fs::directory_iterator at(directory_, error), end; !error && at != end; at.increment(error)) {
    std::error_code ignored;
    if (at->symlink_status(ignored).type() != fs::file_type::regular) continue;
    const std::string name = at->path().filename().string();
    const auto time = at->last_write_time(ignored);
    const uint64_t bytes = at->file_size(ignored);
    if (ignored) continue;
    if (name.find(kTemporary) != std::string::npos) {
      if (time < fs::file_time_type::clock::now() - kAbandoned) fs::remove(at->path(), ignored);
    } else if (name.ends_with(kSuffix)) {
      files.emplace_back(time, bytes, at->path());
      total += bytes;
    }
  }
  std::ranges::sort(files);
  for (const auto& [time, bytes, path] : files) {
    if (total <= max_bytes_) return;
    std::error_code ignored;
    if (fs::remove(path, ignored)) total -= bytes;
  }
}

}  // namespace heapwalk
