#include "heapwalk/summary_builder.h"

#include <algorithm>
#include <map>

#include "dump/base/parallel.h"
#include "heapwalk/accounting.h"
#include "heapwalk/path_description.h"
#include "heapwalk/site_rows.h"
#include "heapwalk/stuck_owners.h"
#include "heapwalk/suspects.h"
#include "heapwalk/type_summary.h"

namespace heapwalk {
namespace {

constexpr size_t kSuspects = 5;

// Allocations retained, by what the rows are about: all nodes that are no objects, and the leak roots.
struct RetainedCounts {
  std::vector<uint64_t> heads;       // by node
  std::vector<uint64_t> leak_roots;  // by position in reachability.leak_roots

  explicit RetainedCounts(const Analysis& analysis) {
    std::vector<NodeId> nodes;
    nodes.reserve(analysis.graph.first_object() + analysis.reachability.leak_roots.size());
    for (uint32_t node = 0; node < analysis.graph.first_object(); ++node) nodes.push_back(NodeId{node});
    nodes.insert(nodes.end(), analysis.reachability.leak_roots.begin(), analysis.reachability.leak_roots.end());
    heads = analysis.dominators.retained_objects(nodes, analysis.reachability, analysis.graph);
    leak_roots.assign(heads.begin() + analysis.graph.first_object(), heads.end());
    heads.resize(analysis.graph.first_object());
  }
  uint64_t operator[](NodeId head) const { return heads[index(head)]; }
};

void add_garbage(const Analysis& analysis, NodeId node, Totals& totals) {
  const ObjectId object = analysis.graph.object_of(node);
  if (!analysis.managed.contains(analysis.objects.address(object))) return;
  totals.garbage_bytes += analysis.objects.size_bytes(object);
  totals.garbage_objects += 1;
}

Totals sum_totals(const Analysis& analysis, const RetainedCounts& counts) {
  Totals totals;
  for (const AllocatorRow& row : analysis.summary.allocators) {
    totals.used_bytes += row.used_bytes;
    totals.used_objects += row.used_objects;
    totals.free_bytes += row.free_bytes;
    totals.cached_bytes += row.cached_bytes;
    totals.cached_objects += row.cached_objects;
    totals.metadata_bytes += row.metadata_bytes;
    totals.unexplained_bytes += row.unexplained_bytes;
  }
  const DominatorTree& dominators = analysis.dominators;
  totals.reachable_bytes = dominators.retained_bytes(kProcessNode);
  totals.reachable_objects = counts[kProcessNode];
  totals.leaked_bytes = dominators.retained_bytes(kUnreachableNode);
  totals.leaked_objects = counts[kUnreachableNode];
  totals.shared_bytes = totals.reachable_bytes;
  totals.shared_objects = totals.reachable_objects;
  for (uint32_t i = 0; i < analysis.roots.roots.size(); ++i) {
    totals.shared_bytes -= dominators.retained_bytes(root_node(analysis.roots, i));
    totals.shared_objects -= counts[root_node(analysis.roots, i)];
  }
  for (uint32_t i = analysis.graph.first_object(); i < analysis.graph.node_count(); ++i) {
    const Stage stage = analysis.reachability.stage_of(NodeId{i});
    if (stage == Stage::leaked && !analysis.managed.empty()) add_garbage(analysis, NodeId{i}, totals);
    if (stage != Stage::conservative && stage != Stage::tainted) continue;
    const bool is_tainted = stage == Stage::tainted;
    (is_tainted ? totals.possibly_live_bytes : totals.conservative_bytes) +=
        analysis.objects.size_bytes(analysis.graph.object_of(NodeId{i}));
    (is_tainted ? totals.possibly_live_objects : totals.conservative_objects) += 1;
  }
  return totals;
}

std::vector<RootRow> root_rows(const Analysis& analysis, const RetainedCounts& counts) {
  std::vector<RootRow> rows;
  for (uint32_t i = 0; i < analysis.roots.roots.size(); ++i) {
    const Root& root = analysis.roots.roots[i];
    const NodeId node = root_node(analysis.roots, i);
    const uint64_t bytes = analysis.dominators.retained_bytes(node);
    if (bytes == 0) continue;
    rows.push_back({.name = root.name,
                    .kind = std::string(to_string(root.kind)),
                    .owner = analysis.roots.owner_name(root),
                    .type = root.type == kNoType ? "" : analysis.types->table().spelled(root.type),
                    .source = root.source,
                    .retained_bytes = bytes,
                    .retained_objects = counts[node]});
  }
  std::ranges::stable_sort(rows, std::greater{}, &RootRow::retained_bytes);
  return rows;
}

// Modules, threads, goroutines by the place that created them, and the unknown mappings; frames are part of their thread.
std::vector<OwnerRow> owner_rows(const Analysis& analysis, const RetainedCounts& counts) {
  std::vector<OwnerRow> rows;
  for (uint32_t i = 0; i < analysis.roots.owners.size(); ++i) {
    const Owner& owner = analysis.roots.owners[i];
    const NodeId node = owner_node(analysis.roots, i);
    const uint64_t bytes = analysis.dominators.retained_bytes(node);
    const bool is_part =
        owner.kind == OwnerKind::frame || (owner.kind == OwnerKind::goroutine && owner.parent != kNoOwner);
    if (is_part || bytes == 0) continue;
    rows.push_back({owner.name, std::string(to_string(owner.kind)), bytes, counts[node]});
  }
  std::ranges::stable_sort(rows, std::greater{}, &OwnerRow::retained_bytes);
  return rows;
}

// Leak roots by type. What several leak roots hold together belongs to none of them and is a row of its own, so that
// the rows sum to the leaked bytes.
std::vector<LeakRow> leak_rows(const Analysis& analysis, const RetainedCounts& counts) {
  std::map<std::pair<std::string, bool>, LeakRow> by_type;
  LeakRow shared{"(shared by several leaks)", 0, 0, 0, {}, false};
  shared.bytes = analysis.dominators.retained_bytes(kUnreachableNode);
  shared.objects = counts[kUnreachableNode];
  for (size_t i = 0; i < counts.leak_roots.size(); ++i) {
    const NodeId root = analysis.reachability.leak_roots[i];
    std::string type = node_name(analysis, root);
    const Address address = analysis.objects.address(analysis.graph.object_of(root));
    const bool is_garbage = analysis.managed.contains(address);
    auto [at, is_new] = by_type.try_emplace({type, is_garbage});
    LeakRow& row = at->second;
    if (is_new) row = {type, 0, 0, 0, address, is_garbage};
    row.roots += 1;
    row.objects += counts.leak_roots[i];
    row.bytes += analysis.dominators.retained_bytes(root);
    shared.objects -= counts.leak_roots[i];
    shared.bytes -= analysis.dominators.retained_bytes(root);
  }
  std::vector<LeakRow> rows;
  rows.reserve(by_type.size() + 1);
  for (auto& [key, row] : by_type) rows.push_back(std::move(row));
  // What several share is garbage if all of it can be: then nothing that malloc gave out is lost.
  shared.is_garbage = analysis.summary.totals.garbage_objects == analysis.summary.totals.leaked_objects;
  if (shared.objects > 0) rows.push_back(std::move(shared));
  std::ranges::stable_sort(rows, std::greater{}, &LeakRow::bytes);
  return rows;
}

// By the owner above them and what they do: the part of a goroutine's name in brackets, less how long.
std::vector<StuckRow> stuck_rows(const Analysis& analysis) {
  std::map<std::pair<std::string, std::string>, StuckRow> rows;
  for (uint32_t owner : find_stuck_owners(analysis.graph, analysis.objects, analysis.roots)) {
    const Owner& stuck = analysis.roots.owners[owner];
    const std::string& above = stuck.parent == kNoOwner ? stuck.name : analysis.roots.owners[stuck.parent].name;
    const size_t by = above.find("created by ");
    const size_t begin = stuck.name.find('[');
    const size_t end = stuck.name.find_first_of(",]", begin);
    const bool has_state = begin != std::string::npos && end != std::string::npos;
    const std::string state = has_state ? stuck.name.substr(begin + 1, end - begin - 1) : "";
    StuckRow& row = rows[{by == std::string::npos ? above : above.substr(by), state}];
    row.count += 1;
    row.retained_bytes += analysis.dominators.retained_bytes(owner_node(analysis.roots, owner));
  }
  std::vector<StuckRow> result;
  for (auto& [key, row] : rows) {
    row.name = key.first;
    row.state = key.second;
    result.push_back(std::move(row));
  }
  std::ranges::stable_sort(result, [](const StuckRow& a, const StuckRow& b) {
    return a.retained_bytes != b.retained_bytes ? a.retained_bytes > b.retained_bytes : a.count > b.count;
  });
  return result;
}

}  // namespace

void build_summary(Analysis& analysis, std::span<const StateTotals> totals, size_t threads) {
  Summary& summary = analysis.summary;
  summary.memory = memory_rows(*analysis.dump, analysis.decoders, analysis.roots, analysis.diagnostics);
  summary.allocators = allocator_rows(analysis.decoders, totals);
  const RetainedCounts counts(analysis);
  summary.totals = sum_totals(analysis, counts);
  summary.roots = root_rows(analysis, counts);
  summary.owners = owner_rows(analysis, counts);
  summary.leaks = leak_rows(analysis, counts);
  summary.suspects = find_suspects(analysis, counts.heads, kSuspects);
  TypeSummary types;
  parallel_for(2, threads, [&](size_t part) {  // a search through the whole graph, and a pass over all objects
    if (part == 0) {
      types = summarize_types(analysis.objects, *analysis.types, analysis.graph, analysis.reachability,
                              analysis.dominators, threads, analysis.diagnostics);
    } else {
      summary.stuck = stuck_rows(analysis);
    }
  });
  summary.types = std::move(types.types);
  summary.sites = site_rows(analysis, analysis.diagnostics);
  summary.evidence = types.evidence;
  summary.graph_nodes = analysis.graph.node_count();
  summary.graph_edges = analysis.graph.edge_count();
}

}  // namespace heapwalk
