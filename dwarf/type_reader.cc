#include "dwarf/type_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <unordered_set>
#include <vector>

#include "dump/base/parallel.h"
#include "dwarf/split_units.h"
#include "dwarf/type_joiner.h"
#include "dwarf/unit_reader.h"

namespace heapwalk {
namespace {

constexpr uint64_t kBatchBytes = 16 << 20;  // of .debug_info or of .dwo files; what is kept of it is about as large
constexpr size_t kMaxFilesInBatch = 256;

// A .dwo file of a batch, read.
struct SplitContent {
  std::shared_ptr<const ElfImage> image;
  std::unique_ptr<DebugSections> sections;
  std::unique_ptr<UnitReader> reader;  // null when no file is the right one
  std::vector<UnitContent> units;
  Diagnostics losses;
  std::string refused;  // the first file that is not the right one
  SplitLosses::Reason reason = SplitLosses::missing;
};

class DebugInfoReader {
 public:
  DebugInfoReader(const Module& module, size_t threads, TypeTableBuilder& types, Diagnostics& diagnostics)
      : module_(module), threads_(threads), types_(types), diagnostics_(diagnostics) {}

  void want(FrameVariables& frames, bool nothing_else);
  // A file of many units. `alternate`: the file that dwz made of several; its units belong to those that import them.
  void read_whole(UnitReader reader, const UnitReader* alternate = nullptr);
  void read_split(const DebugSections& origin, const CoreOptions& options);
  void report(const DebugSections& origin) const;
  std::vector<Variable> variables() && { return std::move(variables_); }
  const std::vector<std::string>& files_read() const { return split_files_; }  // that were read

 private:
  TypeJoiner joiner_of(const UnitReader& reader, const UnitReader* alternate = nullptr) const;
  void join_imported(std::span<const UnitContent> importers, const UnitReader& alternate, TypeJoiner& joiner);
  void join(std::vector<UnitContent> units, TypeJoiner& joiner);
  void join_functions(std::vector<FoundFunction>& functions, TypeJoiner& joiner);
  void report_damage(const UnitReader& reader) const;
  void read_package(const DebugSections& origin, const CoreOptions& options);
  void read_files(std::span<const SplitFile> files, const DebugSections& origin);
  SplitContent read_file(const SplitFile& file, const DebugSections& origin) const;
  void account(const SplitFile& file, const SplitContent& content);

  const Module& module_;
  size_t threads_;
  TypeTableBuilder& types_;
  Diagnostics& diagnostics_;
  std::vector<Variable> variables_;
  std::vector<Skeleton> skeletons_;
  std::unordered_set<uint64_t> found_;   // ids of the split units that were read
  std::unordered_set<size_t> imported_;  // units of the alternate file that were read
  SplitLosses split_losses_;
  std::vector<std::string> split_files_;
  uint64_t damage_ = 0;
  FrameVariables* frames_ = nullptr;
  FrameWish wish_;
  FrameEffort frame_effort_;
};

TypeJoiner DebugInfoReader::joiner_of(const UnitReader& reader, const UnitReader* alternate) const {
  const uint64_t bytes =
      reader.sections().unit_bytes() + (alternate == nullptr ? 0 : alternate->sections().unit_bytes());
  auto read_unit = [&reader, alternate](EntryKey key) {
    const bool is_alternate = alternate != nullptr && (key & kInAlternateFile) != 0;
    return (is_alternate ? *alternate : reader).read_types_at(key);
  };
  return {types_, read_unit, 2 * bytes};
}

void DebugInfoReader::want(FrameVariables& frames, bool nothing_else) {
  frames_ = &frames;
  wish_ = {&frames, nothing_else, &frame_effort_};
}

void DebugInfoReader::read_whole(UnitReader reader, const UnitReader* alternate) {
  reader.want(wish_);
  TypeJoiner joiner = joiner_of(reader, alternate);
  for (size_t begin = 0, end = 0; begin < reader.count(); begin = end) {
    for (uint64_t bytes = 0; end < reader.count() && bytes < kBatchBytes; ++end) bytes += reader.size_bytes(end);
    std::vector<UnitContent> units = reader.read(begin, end);
    if (alternate != nullptr) join_imported(units, *alternate, joiner);
    join(std::move(units), joiner);
  }
  damage_ += joiner.damage();
  report_damage(reader);
  if (alternate != nullptr) report_damage(*alternate);
}

// The units of the alternate file that these import and nobody before, and those that they import in turn.
void DebugInfoReader::join_imported(std::span<const UnitContent> importers, const UnitReader& alternate,
                                    TypeJoiner& joiner) {
  std::vector<size_t> wanted;
  std::vector<std::string_view> directories;  // of whoever wants it: it does not say where it was compiled
  auto want = [&](const UnitContent& unit) {
    for (EntryKey key : unit.imports) {
      const auto at = alternate.find(key);
      if (!at || !imported_.insert(*at).second) continue;
      wanted.push_back(*at);
      directories.push_back(unit.directory);
    }
  };
  for (const UnitContent& unit : importers) want(unit);
  for (size_t begin = 0, end = 0; begin < wanted.size(); begin = end) {
    for (uint64_t bytes = 0; end < wanted.size() && bytes < kBatchBytes; ++end)
      bytes += alternate.size_bytes(wanted[end]);
    std::vector<UnitContent> units = alternate.read(std::span(wanted).subspan(begin, end - begin));
    for (size_t i = 0; i < units.size(); ++i) {
      units[i].directory = directories[begin + i];
      for (FoundVariable& each : units[i].variables) {
        each.variable.source = below(units[i].directory, std::move(each.variable.source));
      }
      want(units[i]);
    }
    join(std::move(units), joiner);
  }
}

void DebugInfoReader::join(std::vector<UnitContent> units, TypeJoiner& joiner) {
  for (UnitContent& content : units) joiner.add(std::move(content.types));
  joiner.add_definitions();
  for (UnitContent& content : units) {
    if (content.skeleton) skeletons_.push_back(*content.skeleton);
    if (content.split_id) found_.insert(*content.split_id);
    for (auto& [variable, type] : content.variables) {
      variable.type = joiner.resolve(type);
      if (variable.size_bytes == 0) variable.size_bytes = types_.table().size_bytes(variable.type);
      variables_.push_back(std::move(variable));
    }
  }
  if (frames_ != nullptr) {
    for (UnitContent& content : units) join_functions(content.functions, joiner);
  }
  joiner.fill_queued();
  joiner.drop_batch();
}

void DebugInfoReader::join_functions(std::vector<FoundFunction>& functions, TypeJoiner& joiner) {
  for (FoundFunction& found : functions) {
    if (frames_->has(found.pc)) continue;
    for (size_t i = 0; i < found.types.size(); ++i) found.function.variables[i].type = joiner.resolve(found.types[i]);
    for (size_t i = 0; i < found.captured_types.size(); ++i)
      found.function.captured[i].type = joiner.resolve(found.captured_types[i]);
    frames_->add(found.pc, std::move(found.function));
  }
}

// How often LLVM complains depends on how many contexts looked: that it did is all that counts.
void DebugInfoReader::report_damage(const UnitReader& reader) const {
  if (!reader.is_damaged()) return;
  diagnostics_.add("damaged_debug_info",
                   fmt::format("{}: part of the debug info cannot be read, its variables have no names, its types are "
                               "unknown",
                               reader.sections().path()));
}

void DebugInfoReader::read_split(const DebugSections& origin, const CoreOptions& options) {
  if (wish_.nothing_else) {
    std::erase_if(skeletons_, [](const Skeleton& skeleton) { return !skeleton.has_frames; });
  }
  if (skeletons_.empty()) return;
  read_package(origin, options);
  std::erase_if(skeletons_, [&](const Skeleton& skeleton) { return found_.contains(skeleton.id); });
  read_files(split_files(skeletons_, origin, options), origin);
}

void DebugInfoReader::read_package(const DebugSections& origin, const CoreOptions& options) {
  auto image = find_package(module_, options, diagnostics_);
  if (image == nullptr) return;
  DebugSections sections = DebugSections::load_split(*image, origin, threads_, diagnostics_);
  read_whole(UnitReader(module_, sections, types_, threads_, skeletons_));
  split_files_.push_back(image->path());
  if (found_.empty()) {
    diagnostics_.add("debug_file_mismatch",
                     fmt::format("{}: none of its units belongs to {}", image->path(), origin.path()));
  }
}

// The size of the first file that is there: what a batch of them takes, before they are opened.
uint64_t size_of(const SplitFile& file) {
  for (const std::string& path : file.paths) {
    std::error_code error;
    const uint64_t size_bytes = std::filesystem::file_size(path, error);
    if (!error) return size_bytes;
  }
  return 0;
}

void DebugInfoReader::read_files(std::span<const SplitFile> files, const DebugSections& origin) {
  for (size_t begin = 0, end = 0; begin < files.size(); begin = end) {
    for (uint64_t bytes = 0; end < files.size() && end - begin < kMaxFilesInBatch && bytes < kBatchBytes; ++end) {
      bytes += size_of(files[end]);
    }
    std::vector<SplitContent> batch(end - begin);
    parallel_for(batch.size(), threads_, [&](size_t i) { batch[i] = read_file(files[begin + i], origin); });
    for (size_t i = 0; i < batch.size(); ++i) {
      SplitContent& content = batch[i];
      diagnostics_.merge(content.losses);
      if (content.reader != nullptr) {
        TypeJoiner joiner = joiner_of(*content.reader);
        join(std::move(content.units), joiner);
        damage_ += joiner.damage();
        report_damage(*content.reader);
      }
      account(files[begin + i], content);
      content = {};
    }
  }
}

// The first file at hand that has one of the skeletons' units.
SplitContent DebugInfoReader::read_file(const SplitFile& file, const DebugSections& origin) const {
  SplitContent content;
  auto refuse = [&](const std::string& path, SplitLosses::Reason reason) {
    if (!content.refused.empty()) return;
    content.refused = path;
    content.reason = reason;
  };
  for (const std::string& path : file.paths) {
    std::error_code ignored;
    if (!std::filesystem::is_regular_file(path, ignored)) continue;
    auto image = ElfImage::open(path);
    if (!image) {
      refuse(path, SplitLosses::damaged);
      continue;
    }
    auto sections = std::make_unique<DebugSections>(DebugSections::load_split(**image, origin, 1, content.losses));
    auto reader = std::make_unique<UnitReader>(module_, *sections, types_, 1, file.skeletons);
    reader->want(wish_);
    std::vector<UnitContent> units = reader->read(0, reader->count());
    if (std::ranges::any_of(units, [](const UnitContent& unit) { return unit.split_id.has_value(); })) {
      content.image = *std::move(image);
      content.sections = std::move(sections);
      content.reader = std::move(reader);
      content.units = std::move(units);
      break;
    }
    refuse(path, sections->empty() || reader->is_damaged() ? SplitLosses::damaged : SplitLosses::other_build);
  }
  return content;
}

// Says which of the file's skeletons have no unit.
void DebugInfoReader::account(const SplitFile& file, const SplitContent& content) {
  const auto lost = static_cast<uint64_t>(
      std::ranges::count_if(file.skeletons, [&](const Skeleton& skeleton) { return !found_.contains(skeleton.id); }));
  if (content.reader != nullptr) {
    split_files_.push_back(content.reader->sections().path());
    split_losses_.add(SplitLosses::other_build, content.reader->sections().path(), lost);
  } else if (!content.refused.empty()) {
    split_losses_.add(content.reason, content.refused, lost);
  } else {
    split_losses_.add(SplitLosses::missing, std::string(file.skeletons.front().dwo_name), lost);
  }
}

void DebugInfoReader::report(const DebugSections& origin) const {
  if (frame_effort_.is_too_much()) {
    *frames_ = {};
    diagnostics_.add(
        "damaged_debug_info",
        fmt::format("{}: more locals of frames, or longer lists of their places, than any program has: none is "
                    "used",
                    origin.path()));
  }
  if (damage_ > 0) {
    diagnostics_.add("damaged_debug_info",
                     fmt::format("{}: types, fields or references in the debug info that make no sense", origin.path()),
                     damage_);
  }
  split_losses_.report(origin.path(), diagnostics_);
}

VariableTable read(const Module& module, size_t threads, TypeTableBuilder& types, Diagnostics& diagnostics,
                   const CoreOptions& options, FrameVariables* frames, bool only_frames,
                   std::vector<std::string>* files) {
  const DebugSections sections = DebugSections::load(module, threads, diagnostics, options);
  if (sections.empty()) return {};
  DebugInfoReader reader(module, threads, types, diagnostics);
  if (frames != nullptr && !frames->pcs().empty()) reader.want(*frames, only_frames);
  std::optional<UnitReader> alternate;
  if (sections.alternate() != nullptr) alternate.emplace(module, *sections.alternate(), types, threads);
  reader.read_whole(UnitReader(module, sections, types, threads), alternate ? &*alternate : nullptr);
  reader.read_split(sections, options);
  reader.report(sections);
  if (files != nullptr) {
    if (alternate) files->push_back(sections.alternate()->path());
    files->insert(files->end(), reader.files_read().begin(), reader.files_read().end());
  }
  return VariableTable(std::move(reader).variables());
}

}  // namespace

VariableTable read_debug_info(const Module& module, size_t threads, TypeTableBuilder& types, Diagnostics& diagnostics,
                              const CoreOptions& options, FrameVariables* frames, std::vector<std::string>* files) {
  return read(module, threads, types, diagnostics, options, frames, false, files);
}

void read_frame_variables(const Module& module, size_t threads, TypeTableBuilder& types, Diagnostics& diagnostics,
                          const CoreOptions& options, FrameVariables& frames) {
  read(module, threads, types, diagnostics, options, &frames, true, nullptr);
}

}  // namespace heapwalk
