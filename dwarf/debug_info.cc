#include "dwarf/debug_info.h"

#include <mutex>

#include "dump/base/byte_reader.h"
#include "dump/base/parallel.h"
#include "dump/debug_files.h"
#include "dwarf/llvm_sections.h"

namespace heapwalk {
namespace {

constexpr uint64_t kMaxUnits = 4'000'000;

// What variables and types are made of; frame and line tables are read elsewhere or not at all.
constexpr std::string_view kSections[] = {".debug_info",     ".debug_abbrev",      ".debug_str",  ".debug_line_str",
                                          ".debug_line",     ".debug_str_offsets", ".debug_addr", ".debug_types",
                                          ".debug_rnglists", ".debug_ranges"};
constexpr std::string_view kSplitSections[] = {".debug_info.dwo",        ".debug_abbrev.dwo", ".debug_str.dwo",
                                               ".debug_str_offsets.dwo", ".debug_types.dwo",  ".debug_rnglists.dwo",
                                               ".debug_cu_index",        ".debug_tu_index"};

// LLVM makes an object of some hundred bytes for each unit header, so that headers of a few bytes each would be a bomb.
bool has_sane_unit_count(Bytes info) {
  ByteReader reader(info);
  for (uint64_t units = 0; reader.remaining() >= 12; ++units) {
    if (units > kMaxUnits) return false;
    uint64_t length = reader.read<uint32_t>().value_or(0);
    if (length == 0xffffffff) length = reader.read<uint64_t>().value_or(0);
    if (!reader.skip(length)) return true;
  }
  return true;
}

// A package's index: {version, columns, units, buckets}, per bucket a signature, per bucket a row number from 1 on, then
// the rows. LLVM trusts the numbers (DWARFUnitIndex::parseImpl): buckets are probed until an empty one is met, every row
// must have a bucket. DWARF 5 §7.3.5.3.
bool is_sane_index(Bytes index) {
  ByteReader reader(index);
  reader.skip(4);
  const uint64_t columns = reader.read<uint32_t>().value_or(0), units = reader.read<uint32_t>().value_or(0),
                 buckets = reader.read<uint32_t>().value_or(0);
  if (columns > 16 || (buckets & (buckets - 1)) != 0 || units > kMaxUnits || (buckets != 0 && units >= buckets))
    return false;
  if (reader.remaining() < buckets * 12 + (2 * units + 1) * columns * 4 || !reader.skip(buckets * 8)) return false;
  std::vector<bool> has_bucket(units + 1);
  uint64_t rows = 0;
  for (uint64_t i = 0; i < buckets; ++i) {
    const uint32_t row = reader.read<uint32_t>().value_or(0);
    if (row == 0) continue;
    if (row > units || has_bucket[row]) return false;
    has_bucket[row] = true;
    ++rows;
  }
  return rows == units;
}

// The sections of the name, which object files may have several of (one per type): one after the other.
Result<SectionData> whole_section(const ElfImage& image, std::string_view name) {
  auto joined = std::make_shared<std::vector<std::byte>>();
  SectionData first;
  for (const ElfSection& section : image.sections()) {
    if (section.name != name) continue;
    auto data = image.section_data(section);
    if (!data) return data;
    if (first.bytes.empty()) {
      first = *std::move(data);
      continue;
    }
    if (joined->empty()) joined->assign(first.bytes.begin(), first.bytes.end());
    joined->insert(joined->end(), data->bytes.begin(), data->bytes.end());
  }
  return joined->empty() ? first : SectionData{*joined, joined};
}

}  // namespace

struct DebugSections::Late {
  std::mutex mutex;
  std::map<std::string, SectionData, std::less<>> sections;
};

DebugSections DebugSections::load(const Module& module, size_t threads, Diagnostics& diagnostics,
                                  const CoreOptions& options) {
  DebugSections result;
  const ElfImage* image = module.image.get();
  if (module.debug_image != nullptr && module.debug_image->has_debug_info()) image = module.debug_image.get();
  if (image == nullptr || !image->has_debug_info()) return result;
  result.load_sections(*image, threads, diagnostics);
  if (auto shared = find_alternate_file(*image, options, diagnostics)) {
    auto alternate = std::make_shared<DebugSections>();
    alternate->is_alternate_ = true;
    alternate->load_sections(*shared, threads, diagnostics);
    alternate->owner_ = std::move(shared);
    result.alternate_ = std::move(alternate);
  }
  return result;
}

DebugSections DebugSections::load_split(const ElfImage& image, const DebugSections& origin, size_t threads,
                                        Diagnostics& diagnostics) {
  DebugSections result;
  result.is_split_ = true;
  result.load_sections(image, threads, diagnostics);
  for (const char* shared : {"debug_addr", "debug_ranges"}) {
    auto section = origin.sections_.find(shared);
    if (section != origin.sections_.end()) result.sections_.insert(*section);
  }
  return result;
}

void DebugSections::load_sections(const ElfImage& image, size_t threads, Diagnostics& diagnostics) {
  path_ = image.path();
  image_ = &image;
  late_ = std::make_shared<Late>();
  const std::span<const std::string_view> names =
      is_split_ ? std::span(kSplitSections) : std::span<const std::string_view>(kSections);
  std::vector<Result<SectionData>> loaded(names.size());
  parallel_for(loaded.size(), threads, [&](size_t i) {
    loaded[i] = is_split_ ? whole_section(image, names[i]) : image.section_data(names[i]);
  });
  for (size_t i = 0; i < loaded.size(); ++i) {
    if (!loaded[i]) {
      diagnostics.add("damaged_debug_info", loaded[i].error().message);
    } else if (!loaded[i]->bytes.empty()) {
      sections_.emplace(names[i].substr(1), *std::move(loaded[i]));
    }
  }
  drop_lies(diagnostics);
}

void DebugSections::drop_lies(Diagnostics& diagnostics) {
  for (const char* units : {"debug_info", "debug_types", "debug_info.dwo", "debug_types.dwo"}) {
    if (has_sane_unit_count(get(units))) continue;
    diagnostics.add("damaged_debug_info", fmt::format("{}: .{}: more than {} units", path_, units, kMaxUnits));
    sections_.clear();
  }
  for (const char* index : {"debug_cu_index", "debug_tu_index"}) {
    if (get(index).empty() || is_sane_index(get(index))) continue;
    diagnostics.add("damaged_debug_info",
                    fmt::format("{}: .{}: the numbers of buckets and rows contradict", path_, index));
    sections_.clear();  // without it, every unit would be read with another's strings
  }
}

uint64_t DebugSections::unit_bytes() const {
  return is_split_ ? get("debug_info.dwo").size() + get("debug_types.dwo").size()
                   : get("debug_info").size() + get("debug_types").size();
}

const llvm::DWARFUnitVector& DebugSections::units(llvm::DWARFContext& context) const {
  return is_split_ ? context.getDWOUnitsVector() : context.getNormalUnitsVector();
}

Bytes DebugSections::get(std::string_view name_without_dot) const {
  auto found = sections_.find(name_without_dot);
  return found == sections_.end() ? Bytes{} : found->second.bytes;
}

Bytes DebugSections::get_late(std::string_view name_without_dot) const {
  if (image_ == nullptr) return {};
  const std::lock_guard lock(late_->mutex);
  auto [at, is_new] = late_->sections.try_emplace(std::string(name_without_dot));
  if (is_new) {
    const std::string name = "." + at->first;
    auto data = is_split_ ? whole_section(*image_, name) : image_->section_data(name);
    if (data) at->second = *std::move(data);
  }
  return at->second.bytes;
}

std::unique_ptr<llvm::DWARFContext> DebugSections::make_context(uint64_t& damage) const {
  auto count = [&damage](llvm::Error error) {
    llvm::consumeError(std::move(error));
    ++damage;
  };
  return std::make_unique<llvm::DWARFContext>(std::make_unique<LlvmSections>(*this, damage), "", count, count);
}

const DebugSections& DebugSections::of(const llvm::DWARFUnit& unit) {
  return LlvmSections::of(unit).sections();
}

}  // namespace heapwalk
