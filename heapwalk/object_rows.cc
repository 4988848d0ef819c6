#include "heapwalk/object_rows.h"

#include <algorithm>
#include <vector>

namespace heapwalk {
namespace {

constexpr std::array<std::string_view, kAllocationStates> kStateNames = {"used", "free", "cached", "metadata", "top"};
constexpr uint32_t kNoRoot = UINT32_MAX;

// By node: the index of the root above it in the tree of shortest paths, or kNoRoot.
std::vector<uint32_t> find_roots_above(const Analysis& analysis) {
  const Reachability& reachability = analysis.reachability;
  std::vector<uint32_t> above(analysis.graph.node_count(), kNoRoot);
  uint32_t first_root = index(root_node(analysis.roots, 0));
  uint32_t first_object = analysis.graph.first_object();
  for (NodeId node : reachability.order) {
    uint32_t i = index(node);
    NodeId parent = reachability.parent[i];
    if (i >= first_root && i < first_object) {
      above[i] = i - first_root;
    } else if (i >= first_object && parent != kNoNode) {
      above[i] = above[index(parent)];
    }
  }
  return above;
}

class RowMaker {
 public:
  explicit RowMaker(const Analysis& analysis) : analysis_(analysis), root_above_(find_roots_above(analysis)) {
    for (const auto& decoder : analysis.decoders) allocator_names_.push_back(decoder->facts().name);
  }

  // Nothing when the query does not want the allocation.
  std::optional<ObjectRow> make(ObjectId id, const Allocation& allocation, const ObjectQuery& query) const {
    if (!query.states[static_cast<size_t>(allocation.state)]) return std::nullopt;
    if (allocation.size_bytes < query.min_size_bytes) return std::nullopt;
    ObjectRow row;
    row.address = allocation.address;
    row.size_bytes = allocation.size_bytes;
    row.state = allocation.state;
    if (allocation.allocator < allocator_names_.size()) row.allocator = allocator_names_[allocation.allocator];
    if (allocation.state == AllocationState::used) describe(id, allocation, row);
    if (query.reachable && *query.reachable != row.reachable) return std::nullopt;
    if (!query.type.empty() && query.type != row.type) return std::nullopt;
    return row;
  }

 private:
  void describe(ObjectId id, const Allocation& allocation, ObjectRow& row) const {
    NodeId node = analysis_.graph.node_of(id);
    TypeClaim claim = analysis_.types->type_of(id, allocation.size_bytes);
    row.type = analysis_.types->name(claim.type);
    row.evidence = claim.evidence;
    row.reachable = analysis_.reachability.is_reachable(node);
    row.retained_bytes = analysis_.dominators.retained_bytes(node);
    uint32_t root = root_above_[index(node)];
    if (row.reachable && root != kNoRoot) row.root = analysis_.roots.roots[root].name;
  }

  const Analysis& analysis_;
  std::vector<uint32_t> root_above_;
  std::vector<std::string_view> allocator_names_;
};

// The wanted allocations in the order of the query's sort key, at most `limit` of them.
std::vector<ObjectId> sort_objects(const Analysis& analysis, const ObjectQuery& query, const RowMaker& maker) {
  struct Keyed {
    uint64_t key;
    ObjectId id;
  };
  auto before = [](const Keyed& a, const Keyed& b) {
    return a.key != b.key ? a.key > b.key : index(a.id) < index(b.id);
  };
  size_t limit = query.limit == 0 ? SIZE_MAX : query.limit;
  std::vector<Keyed> kept;
  analysis.objects.for_each(
      0, analysis.objects.size(), [&](ObjectId id, Address address, uint64_t size_bytes, AllocationState state) {
        if (!query.states[static_cast<size_t>(state)]) return;
        Allocation allocation{address, size_bytes, state, analysis.objects.allocator(id)};
        std::optional<ObjectRow> row = maker.make(id, allocation, query);
        if (!row) return;
        kept.push_back({query.sort == ObjectQuery::Sort::size ? row->size_bytes : row->retained_bytes, id});
        if (kept.size() / 2 > limit) {  // keep the best half; amortised O(1) per object
          std::nth_element(kept.begin(), kept.begin() + static_cast<std::ptrdiff_t>(limit), kept.end(), before);
          kept.resize(limit);
        }
      });
  std::sort(kept.begin(), kept.end(), before);
  if (kept.size() > limit) kept.resize(limit);
  std::vector<ObjectId> ids;
  ids.reserve(kept.size());
  for (const Keyed& keyed : kept) ids.push_back(keyed.id);
  return ids;
}

}  // namespace

std::string_view to_string(AllocationState state) {
  return kStateNames[static_cast<size_t>(state)];
}

std::optional<AllocationState> parse_allocation_state(std::string_view name) {
  for (size_t i = 0; i < kStateNames.size(); ++i) {
    if (kStateNames[i] == name) return static_cast<AllocationState>(i);
  }
  return std::nullopt;
}

void for_each_object_row(const Analysis& analysis, const ObjectQuery& query,
                         const std::function<bool(const ObjectRow&)>& visit) {
  RowMaker maker(analysis);
  if (query.sort != ObjectQuery::Sort::address) {
    for (ObjectId id : sort_objects(analysis, query, maker)) {
      std::optional<ObjectRow> row = maker.make(id, analysis.objects.at(id), query);
      if (row && !visit(*row)) return;
    }
    return;
  }
  uint64_t rows = 0;
  bool more = true;
  analysis.objects.for_each(0, analysis.objects.size(),
                            [&](ObjectId id, Address address, uint64_t size_bytes, AllocationState state) {
                              if (!more || !query.states[static_cast<size_t>(state)]) return;
                              Allocation allocation{address, size_bytes, state, analysis.objects.allocator(id)};
                              std::optional<ObjectRow> row = maker.make(id, allocation, query);
                              if (!row) return;
                              more = visit(*row) && (query.limit == 0 || ++rows < query.limit);
                            });
}

}  // namespace heapwalk
