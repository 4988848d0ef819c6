#include "heapwalk/type_summary.h"

#include <algorithm>
#include <array>
#include <unordered_map>

#include "dump/base/parallel.h"

namespace heapwalk {
namespace {

// Interned sets of types. Set 0 is empty.
class TypeSets {
 public:
  // Hostile input could make a new set at every node; beyond this many the answer is "already there", which loses
  // retained bytes of types but never counts any twice.
  static constexpr size_t kMaxSets = 1 << 20;

  struct Extended {
    uint32_t set;
    bool is_new_member;
  };

  Extended extend(uint32_t set, uint32_t type) {
    const uint64_t key = uint64_t{set} << 32 | type;
    Recent& recent = recent_[(key * 0x9e3779b97f4a7c15ULL) >> 52];
    if (recent.key != key) {
      auto [at, is_new] = extended_.try_emplace(key);
      if (is_new) at->second = make(set, type);
      recent = {key, at->second};
    }
    return recent.answer;
  }
  bool overflowed() const { return overflowed_; }

 private:
  Extended make(uint32_t set, uint32_t type) {
    if (std::ranges::binary_search(sets_[set], type)) return {set, false};
    if (numbers_.size() >= kMaxSets || member_count_ > 16 * kMaxSets) {
      overflowed_ = true;
      return {set, false};
    }
    std::vector<uint32_t> members = sets_[set];
    members.insert(std::ranges::lower_bound(members, type), type);
    uint64_t hash = 0;
    for (uint32_t member : members) hash = (hash ^ member) * 0x9e3779b97f4a7c15ULL + (hash >> 29);
    auto [first, last] = numbers_.equal_range(hash);
    for (; first != last; ++first)
      if (sets_[first->second] == members) return {first->second, true};
    const auto number = static_cast<uint32_t>(sets_.size());
    member_count_ += members.size();
    sets_.push_back(std::move(members));
    numbers_.emplace(hash, number);
    return {number, true};
  }

  std::vector<std::vector<uint32_t>> sets_{{}};
  std::unordered_multimap<uint64_t, uint32_t> numbers_;
  std::unordered_map<uint64_t, Extended> extended_;
  struct Recent {  // the table in front of the table: most questions are asked again and again
    uint64_t key = UINT64_MAX;
    Extended answer{0, false};
  };
  std::vector<Recent> recent_{1 << 12};
  size_t member_count_ = 0;
  bool overflowed_ = false;
};

// Every used object's type into its node's slot, counted by type and evidence; in parallel, by ranges of objects.
void claim_types(const ObjectIndex& objects, const ObjectTypes& types, const RetentionGraph& graph, size_t threads,
                 std::vector<uint32_t>& type_of_node, std::vector<TypeRow>& rows, EvidenceBytes& evidence) {
  constexpr uint32_t kPiece = 1 << 18;
  struct Count {
    uint64_t objects = 0, bytes = 0;
  };
  struct Piece {
    std::vector<Count> counts;
    std::array<uint64_t, 5> evidence{};  // bytes by class
  };
  std::vector<Piece> pieces((objects.size() + kPiece - 1) / kPiece);
  parallel_for(pieces.size(), threads, [&](size_t piece) {
    std::vector<Count>& counts = pieces[piece].counts;
    counts.resize(types.type_count());
    const auto first = static_cast<uint32_t>(piece * kPiece);
    objects.for_each(first, std::min(objects.size() - first, kPiece) + first,
                     [&](ObjectId id, Address, uint64_t size, AllocationState state) {
                       if (state != AllocationState::used) return;
                       const TypeClaim claim = types.type_of(id, size);
                       type_of_node[index(graph.node_of(id))] = claim.type;
                       counts[claim.type].objects += 1;
                       counts[claim.type].bytes += size;
                       pieces[piece].evidence[static_cast<size_t>(claim.evidence)] += size;
                     });
  });
  uint64_t EvidenceBytes::* const by_class[] = {&EvidenceBytes::runtime, &EvidenceBytes::container,
                                                &EvidenceBytes::pointer, &EvidenceBytes::field, &EvidenceBytes::none};
  for (const auto& [counts, bytes] : pieces) {
    for (uint32_t type = 0; type < counts.size(); ++type) {
      rows[type].count += counts[type].objects;
      rows[type].bytes += counts[type].bytes;
    }
    for (size_t i = 0; i < bytes.size(); ++i) evidence.*by_class[i] += bytes[i];
  }
}

}  // namespace

TypeSummary summarize_types(const ObjectIndex& objects, const ObjectTypes& types, const RetentionGraph& graph,
                            const Reachability& reachability, const DominatorTree& dominators, size_t threads,
                            Diagnostics& diagnostics) {
  std::vector<TypeRow> rows(types.type_count());
  TypeSummary summary;
  // First the types, in address order; then, in topological order, each node's type gives way to its set.
  std::vector<uint32_t> type_or_set(graph.node_count(), 0);
  claim_types(objects, types, graph, threads, type_or_set, rows, summary.evidence);
  TypeSets sets;
  constexpr size_t kAhead = 16;  // nodes whose memory is on its way
  const std::vector<NodeId>& order = reachability.order;
  for (size_t i = 0; i < order.size(); ++i) {
    if (i + 2 * kAhead < order.size()) dominators.prefetch(order[i + 2 * kAhead]);
    if (i + kAhead < order.size()) {
      const NodeId above = dominators.immediate_dominator(order[i + kAhead]);
      if (above != kNoNode) __builtin_prefetch(&type_or_set[index(above)]);
      __builtin_prefetch(&type_or_set[index(order[i + kAhead])], 1);
    }
    const NodeId node = order[i];
    if (!graph.is_object(node)) continue;  // owners and roots have the empty set
    const NodeId dominator = dominators.immediate_dominator(node);
    const uint32_t above = dominator == kNoNode ? 0 : type_or_set[index(dominator)];
    const uint32_t type = type_or_set[index(node)];
    const TypeSets::Extended chain = sets.extend(above, type);
    if (chain.is_new_member) rows[type].retained_bytes += dominators.retained_bytes(node);
    type_or_set[index(node)] = chain.set;
  }
  if (sets.overflowed())
    diagnostics.add("type_sets_overflow",
                    "too many combinations of types on dominator chains; retained bytes of types are a lower bound");
  for (uint32_t type = 0; type < rows.size(); ++type) rows[type].name = types.name(type);
  std::erase_if(rows, [](const TypeRow& row) { return row.count == 0; });
  std::ranges::sort(rows, [](const TypeRow& a, const TypeRow& b) {
    return a.bytes != b.bytes ? a.bytes > b.bytes : a.name < b.name;
  });
  summary.types = std::move(rows);
  return summary;
}

}  // namespace heapwalk
