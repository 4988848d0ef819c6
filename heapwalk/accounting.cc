#include "heapwalk/accounting.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

namespace heapwalk {
namespace {

struct Claim {
  AddressRange range;
  uint32_t label = 0;  // smaller wins where two claims overlap
};

// (kind, name) pairs in claim order.
class Labels {
 public:
  uint32_t add(std::string kind, std::string name) {
    rows_.push_back({std::move(kind), std::move(name), 0, 0});
    return static_cast<uint32_t>(rows_.size() - 1);
  }
  MemoryRow& operator[](uint32_t label) { return rows_[label]; }
  std::vector<MemoryRow> take() { return std::move(rows_); }

 private:
  std::vector<MemoryRow> rows_;
};

uint64_t bytes_in_core(const AddressSpace& memory, AddressRange range) {
  uint64_t bytes = 0;
  auto regions = memory.regions();
  auto at = std::ranges::upper_bound(regions, range.begin, {}, [](const Region& r) { return r.range.end; });
  for (; at != regions.end() && at->range.begin < range.end; ++at)
    if (at->state == ByteState::core) bytes += at->range.intersect(range).size_bytes();
  return bytes;
}

std::vector<Claim> collect_claims(const CoreDump& dump, std::span<const std::unique_ptr<HeapDecoder>> decoders,
                                  const RootSet& roots, Labels& labels) {
  std::vector<Claim> claims;
  for (const auto& decoder : decoders) {
    std::map<std::string, uint32_t> rows;  // regions of one name are one row: 60,000 mmapped chunks, say
    for (const HeapRegion& region : decoder->regions()) {
      auto [at, is_new] = rows.try_emplace(region.name, 0);
      if (is_new) at->second = labels.add("heap", decoder->facts().name + " " + region.name);
      claims.push_back({region.range, at->second});
    }
  }
  const uint32_t tls = labels.add("tls", "thread-local storage");
  for (AddressRange range : roots.tls_ranges) claims.push_back({range, tls});
  for (const Thread& thread : dump.threads)
    claims.push_back({thread.stack_mapping, labels.add("stack", fmt::format("thread {}", thread.tid))});
  const uint32_t dead = labels.add("stack", "cached stacks of dead threads");
  for (AddressRange range : dump.dead_stacks) claims.push_back({range, dead});
  for (const Module& module : dump.modules) {
    const uint32_t label = labels.add("module", module.name);
    for (const ModuleSegment& segment : module.segments) claims.push_back({segment.range, label});
  }
  return claims;
}

// Adds every byte of every writable mapping to the best claim around it: one sweep over the edges of both.
void sweep(const CoreDump& dump, std::span<const Claim> claims, uint32_t anonymous, uint32_t mapped_files,
           Labels& labels) {
  std::vector<Address> edges;
  for (const Claim& claim : claims) edges.insert(edges.end(), {claim.range.begin, claim.range.end});
  for (const Mapping& mapping : dump.mappings)
    if (mapping.writable) edges.insert(edges.end(), {mapping.range.begin, mapping.range.end});
  std::ranges::sort(edges);
  edges.erase(std::ranges::unique(edges).begin(), edges.end());

  std::multimap<uint32_t, Address> open;  // label → end of the claims around the current piece
  size_t next_claim = 0;
  size_t mapping = 0;
  for (size_t i = 0; i + 1 < edges.size(); ++i) {
    const AddressRange piece{edges[i], edges[i + 1]};
    for (; next_claim < claims.size() && claims[next_claim].range.begin <= piece.begin; ++next_claim)
      open.emplace(claims[next_claim].label, claims[next_claim].range.end);
    std::erase_if(open, [&](const auto& claim) { return claim.second <= piece.begin; });
    while (mapping < dump.mappings.size() && dump.mappings[mapping].range.end <= piece.begin) ++mapping;
    if (mapping == dump.mappings.size()) break;
    const Mapping& around = dump.mappings[mapping];
    if (!around.writable || !around.range.contains(piece)) continue;
    MemoryRow& row = labels[!open.empty() ? open.begin()->first : around.path.empty() ? anonymous : mapped_files];
    row.bytes += piece.size_bytes();
    row.resident_in_core_bytes += bytes_in_core(dump.memory, piece);
  }
}

}  // namespace

std::vector<MemoryRow> memory_rows(const CoreDump& dump, std::span<const std::unique_ptr<HeapDecoder>> decoders,
                                   const RootSet& roots, Diagnostics& diagnostics) {
  Labels labels;
  std::vector<Claim> claims = collect_claims(dump, decoders, roots, labels);
  const uint32_t anonymous = labels.add("unknown", "anonymous mappings");
  const uint32_t mapped_files = labels.add("unknown", "mapped files");
  std::erase_if(claims, [](const Claim& claim) { return claim.range.empty(); });
  std::ranges::sort(claims, {}, [](const Claim& claim) { return claim.range.begin; });

  sweep(dump, claims, anonymous, mapped_files, labels);

  uint64_t owned = 0;
  for (const auto& decoder : decoders)
    for (const HeapRegion& region : decoder->regions()) owned += region.range.size_bytes();
  std::vector<MemoryRow> rows = labels.take();
  uint64_t heap = 0;
  for (const MemoryRow& row : rows)
    if (row.kind == "heap") heap += row.bytes;
  if (heap != owned)
    diagnostics.add("heap_outside_mappings",
                    fmt::format("{} bytes of the allocators lie outside the process's writable mappings",
                                owned > heap ? owned - heap : heap - owned));
  std::erase_if(rows, [](const MemoryRow& row) { return row.bytes == 0; });
  return rows;
}

std::vector<AllocatorRow> allocator_rows(std::span<const std::unique_ptr<HeapDecoder>> decoders,
                                         std::span<const StateTotals> totals) {
  std::vector<AllocatorRow> rows;
  for (size_t i = 0; i < decoders.size(); ++i) {
    const AllocatorFacts& facts = decoders[i]->facts();
    AllocatorRow row{.name = facts.name, .version = facts.version, .evidence = facts.evidence};
    for (const HeapRegion& region : decoders[i]->regions()) row.owned_bytes += region.range.size_bytes();
    auto bytes = [&](AllocationState state) { return totals[i].bytes[static_cast<size_t>(state)]; };
    auto objects = [&](AllocationState state) { return totals[i].objects[static_cast<size_t>(state)]; };
    row.used_bytes = bytes(AllocationState::used);
    row.used_objects = objects(AllocationState::used);
    row.free_bytes = bytes(AllocationState::free) + bytes(AllocationState::top);
    row.cached_bytes = bytes(AllocationState::cached);
    row.cached_objects = objects(AllocationState::cached);
    row.unexplained_bytes = totals[i].unexplained_bytes;
    // The allocator's own blocks, and what lies between the blocks: chunk headers, arena headers, padding.
    row.metadata_bytes = row.owned_bytes - row.used_bytes - row.free_bytes - row.cached_bytes - row.unexplained_bytes;
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace heapwalk
