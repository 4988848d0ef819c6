#include "heapwalk/types/descriptor_pointers.h"

#include <algorithm>
#include <set>
#include <vector>

#include "dump/base/parallel.h"

namespace heapwalk {
namespace {

constexpr uint64_t kSearchedBytes = 64;         // a descriptor stands near the beginning
constexpr uint32_t kObjects = 1 << 18;          // per piece of work
constexpr size_t kMaxCandidates = 64;           // of one sort
constexpr size_t kMaxParts = 256;               // of a record, nested ones included
constexpr size_t kMostOf = 20;                  // one in so many may fail to be told
constexpr uint64_t kMaxRecordBytes = 16 << 10;  // larger ones are rarely told by their size

// Whether the first bytes of a record hold a pointer to one of these types. Most records do not, and need no layout.
bool points_to(const TypeTable& types, TypeId record, const std::set<TypeId>& targets) {
  struct Part {
    TypeId type;
    uint64_t offset_bytes;
  };
  std::vector<Part> pending = {{record, 0}};
  for (size_t i = 0; i < pending.size() && i < kMaxParts; ++i) {
    const Part part = pending[i];
    const Type& type = types[part.type];
    if (type.kind == TypeKind::pointer && targets.contains(type.target)) return true;
    if (type.kind == TypeKind::array && type.target != kNoType) pending.push_back({type.target, part.offset_bytes});
    for (const Field& field : types.fields(part.type)) {
      const uint64_t offset_bytes = part.offset_bytes + field.offset_bytes;
      if (field.type != kNoType && offset_bytes < kSearchedBytes) pending.push_back({field.type, offset_bytes});
    }
  }
  return false;
}

}  // namespace

// The first word of each unknown allocation that leads to a typed variable.
DescriptorPointers::Sorts DescriptorPointers::find_members(size_t threads) const {
  struct Hit {
    Sort sort;
    Member member;
  };
  const std::span<const TypedVariable> variables = agreement_.variables();
  const AddressRange all{variables.front().address, variables.back().address + 1};
  std::vector<std::vector<Hit>> pieces((objects_.size() + kObjects - 1) / kObjects);
  parallel_for(pieces.size(), threads, [&](size_t piece) {
    const auto first = static_cast<uint32_t>(piece * kObjects);
    objects_.for_each(first, std::min(objects_.size() - first, kObjects) + first,
                      [&](ObjectId id, Address start, uint64_t size_bytes, AllocationState state) {
                        if (state != AllocationState::used || size_bytes > kMaxRecordBytes) return;
                        if (state_.known_strength(index(id)) < Strength::none) return;
                        const Bytes bytes = dump_.memory.read_exactly(start, std::min(size_bytes, kSearchedBytes));
                        for (uint32_t at = 0; at + 8 <= bytes.size(); at += 8) {
                          const Address word{load<uint64_t>(bytes.data() + at)};
                          if (!all.contains(word)) continue;
                          const TypeId type = agreement_.variable_at(word);
                          if (type == kNoType) continue;
                          pieces[piece].push_back({{type, at, size_bytes}, {index(id), start}});
                          return;
                        }
                      });
  });
  Sorts sorts;
  for (const auto& piece : pieces) {
    for (const Hit& hit : piece) sorts[hit.sort].push_back(hit.member);
  }
  return sorts;
}

// The records of about that size with a pointer to the descriptor's type there.
std::map<DescriptorPointers::Sort, std::vector<TypeId>> DescriptorPointers::find_candidates(const Sorts& sorts) {
  std::map<Sort, std::vector<TypeId>> candidates;
  const TypeTable& types = state_.types->table();
  uint64_t largest = 0;
  std::set<TypeId> descriptors;
  for (const auto& [sort, members] : sorts) {
    largest = std::max(largest, sort.size_bytes);
    descriptors.insert(sort.descriptor);
  }
  for (uint32_t i = 0; i < types.size(); ++i) {
    const Type& type = types[TypeId{i}];
    if (type.kind != TypeKind::record || type.size_bytes < 8 || type.size_bytes > largest) continue;
    if (!points_to(types, TypeId{i}, descriptors)) continue;
    for (const PointerSlot& slot : state_.make_layout(TypeId{i}).slots) {
      if (slot.is_weak || slot.target == kNoType || slot.offset_bytes >= kSearchedBytes) continue;
      auto at = sorts.lower_bound({slot.target, slot.offset_bytes, type.size_bytes});
      for (; at != sorts.end() && at->first.descriptor == slot.target && at->first.offset_bytes == slot.offset_bytes &&
             at->first.size_bytes - type.size_bytes < max_slack(at->first.size_bytes);
           ++at) {
        candidates[at->first].push_back(TypeId{i});
      }
    }
  }
  return candidates;
}

// The only candidate that is not contradicted.
TypeId DescriptorPointers::choose(const std::vector<TypeId>& candidates, const Member& member) const {
  TypeId only = kNoType;
  for (TypeId candidate : candidates) {
    const Agreement agreement = agreement_.of(*state_.find_layout(candidate), member.start);
    if (!agreement.is_possible() || agreement.variables == 0) continue;
    if (only != kNoType) return kNoType;
    only = candidate;
  }
  return only;
}

std::vector<Claim> DescriptorPointers::claims(size_t threads) {
  std::vector<Claim> claims;
  if (agreement_.variables().empty()) return claims;
  const Sorts sorts = find_members(threads);
  if (sorts.empty()) return claims;
  for (const auto& [sort, candidates] : find_candidates(sorts)) {
    if (candidates.size() > kMaxCandidates) continue;
    const std::vector<Member>& members = sorts.at(sort);
    const size_t before = claims.size();
    std::set<TypeId> chosen;
    for (const Member& member : members) {
      const TypeId record = choose(candidates, member);
      if (record == kNoType) continue;
      chosen.insert(record);
      claims.push_back(
          {.object = member.object, .start = member.start, .element = record, .strength = Strength::field});
    }
    const size_t untold = members.size() - (claims.size() - before);
    if (untold * kMostOf > members.size()) claims.resize(before);
    for (TypeId record : chosen) state_.make_layouts(record);
  }
  return claims;
}

}  // namespace heapwalk
