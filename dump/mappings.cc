#include "dump/mappings.h"

#include <algorithm>

namespace heapwalk {
namespace {

// The entries of the file table, in address order, that a range at or above all earlier ones may overlap.
class FileCursor {
 public:
  explicit FileCursor(std::span<const FileMapping> files) : files_(files) {}

  // The first file mapping that ends after `address`. Addresses do not decrease from call to call.
  const FileMapping* at_or_after(Address address) {
    while (next_ < files_.size() && files_[next_].range.end <= address) ++next_;
    return next_ < files_.size() ? &files_[next_] : nullptr;
  }

 private:
  std::span<const FileMapping> files_;
  size_t next_ = 0;
};

const Module* module_at(std::span<const Module> modules, Address address) {
  auto after = std::upper_bound(modules.begin(), modules.end(), address,
                                [](Address a, const Module& module) { return a < module.range.begin; });
  if (after == modules.begin()) return nullptr;
  const Module& module = *std::prev(after);
  return module.range.contains(address) ? &module : nullptr;
}

const ModuleSegment* segment_at(const Module& module, Address address) {
  for (const ModuleSegment& segment : module.segments)
    if (segment.range.contains(address)) return &segment;
  return nullptr;
}

// The part of a program header's range from `begin` to `end`, with the file's name where there is one.
Mapping piece_of(const CoreSegment& segment, AddressRange range, const FileMapping* file) {
  Mapping piece{.range = range,
                .readable = segment.readable,
                .writable = segment.writable,
                .executable = segment.executable,
                .path = {},
                .file_offset = 0,
                .bytes_in_core = 0,
                .core_offset = segment.file_offset + (range.begin - segment.range.begin)};
  AddressRange present = AddressRange::of(segment.range.begin, segment.bytes.size());
  piece.bytes_in_core = present.intersect(range).size_bytes();
  if (file != nullptr) {
    piece.path = file->path;
    piece.file_offset = file->file_offset + (range.begin - file->range.begin);
  }
  return piece;
}

void add_segment(std::vector<Mapping>& mappings, const CoreSegment& segment, Address begin, FileCursor& files) {
  for (Address at = begin; at < segment.range.end;) {
    const FileMapping* file = files.at_or_after(at);
    Address end = segment.range.end;
    bool inside = file != nullptr && file->range.begin <= at;
    if (inside) end = std::min(end, file->range.end);
    if (file != nullptr && !inside) end = std::min(end, file->range.begin);
    mappings.push_back(piece_of(segment, {at, end}, inside ? file : nullptr));
    at = end;
  }
}

// What the file table knows and no program header does.
std::vector<Mapping> file_only_mappings(std::span<const Mapping> known, std::span<const FileMapping> files,
                                        std::span<const Module> modules) {
  std::vector<Mapping> result;
  size_t next = 0;
  Address done;
  for (const FileMapping& file : files) {
    for (Address at = std::max(file.range.begin, done); at < file.range.end;) {
      while (next < known.size() && known[next].range.end <= at) ++next;
      Address end = file.range.end;
      if (next < known.size() && known[next].range.begin <= at) {
        at = known[next].range.end;
        continue;
      }
      if (next < known.size()) end = std::min(end, known[next].range.begin);
      Mapping mapping{.range = {at, end},
                      .readable = true,
                      .writable = false,
                      .executable = false,
                      .path = file.path,
                      .file_offset = file.file_offset + (at - file.range.begin),
                      .bytes_in_core = 0,
                      .core_offset = 0};
      if (const Module* module = module_at(modules, at))
        if (const ModuleSegment* segment = segment_at(*module, at)) mapping.executable = segment->executable;
      result.push_back(std::move(mapping));
      at = end;
    }
    done = std::max(done, file.range.end);
  }
  return result;
}

void name_from_modules(std::vector<Mapping>& mappings, std::span<const Module> modules) {
  for (Mapping& mapping : mappings) {
    const Module* module = module_at(modules, mapping.range.begin);
    const ModuleSegment* segment = module == nullptr ? nullptr : segment_at(*module, mapping.range.begin);
    if (segment == nullptr || !segment->file_backed.contains(mapping.range.begin)) continue;
    mapping.path = module->path;
    mapping.file_offset = segment->file_offset + (mapping.range.begin - segment->range.begin);
  }
}

}  // namespace

std::vector<Mapping> make_mappings(std::span<const CoreSegment> segments, std::span<const FileMapping> files,
                                   std::span<const Module> modules) {
  std::vector<const CoreSegment*> order;
  for (const CoreSegment& segment : segments) order.push_back(&segment);
  std::stable_sort(order.begin(), order.end(),
                   [](const CoreSegment* a, const CoreSegment* b) { return a->range.begin < b->range.begin; });

  std::vector<Mapping> mappings;
  FileCursor cursor(files);
  Address done;
  for (const CoreSegment* segment : order) {
    add_segment(mappings, *segment, std::max(segment->range.begin, done), cursor);
    done = std::max(done, segment->range.end);
  }
  std::vector<Mapping> more = file_only_mappings(mappings, files, modules);
  auto middle = static_cast<std::ptrdiff_t>(mappings.size());
  std::move(more.begin(), more.end(), std::back_inserter(mappings));
  std::inplace_merge(mappings.begin(), mappings.begin() + middle, mappings.end(),
                     [](const Mapping& a, const Mapping& b) { return a.range.begin < b.range.begin; });
  if (files.empty()) name_from_modules(mappings, modules);
  return mappings;
}

}  // namespace heapwalk
