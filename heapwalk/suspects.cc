#include "heapwalk/suspects.h"

#include <algorithm>
#include <map>
#include <unordered_map>

#include <fmt/ranges.h>

#include "heapwalk/bytes_text.h"
#include "heapwalk/path_description.h"
#include "heapwalk/path_finder.h"
#include "heapwalk/readable_names.h"

namespace heapwalk {
namespace {

constexpr double kNotableShare = 0.01;   // of the used bytes
constexpr double kKeepsNearlyAll = 0.8;  // a child with this share of its parent's retained bytes is walked into
constexpr size_t kMaxDescent = 8;
constexpr size_t kFew = 1024;       // objects of a type that are looked into, for what they hold
constexpr uint64_t kSpreads = 8;    // so many times as many objects are news
constexpr size_t kMaxHolders = 64;  // counted exactly up to here

struct Part {  // the objects of one type among the children of some nodes
  NodeId heaviest = kNoNode;
  uint64_t count = 0;
  uint64_t bytes = 0;         // retained by them
  std::vector<NodeId> nodes;  // all if they are few
};

struct Candidate {
  NodeId top;            // the root or shared object
  NodeId point;          // the accumulation point below it
  Part part = {};        // what the point holds most of
  uint64_t objects = 0;  // retained by the top
};

std::string holding_text(const Analysis& analysis, uint64_t bytes, uint64_t objects) {
  const auto used = static_cast<double>(std::max<uint64_t>(1, analysis.summary.totals.used_bytes));
  return fmt::format("{} in {} allocation{}, {:.1f} % of the heap", bytes_text(bytes), count_text(objects),
                     objects == 1 ? "" : "s", 100 * static_cast<double>(bytes) / used);
}

bool is_owner(const Analysis& analysis, NodeId node) {
  return !analysis.graph.is_object(node) && index(node) < index(root_node(analysis.roots, 0));
}

// The roots, and the objects that no single root holds: children of the process, of owners, of nobody else.
std::vector<Candidate> top_candidates(const Analysis& analysis, size_t limit) {
  std::vector<NodeId> parents = {kProcessNode};
  std::vector<Candidate> candidates;
  for (uint32_t i = 0; i < analysis.roots.owners.size(); ++i) {
    const uint32_t parent = analysis.roots.owners[i].parent;
    if (is_group(analysis.roots.owners, i)) {  // one suspect, since each of them may hold little
      const NodeId group = owner_node(analysis.roots, i);
      if (analysis.dominators.retained_bytes(group) > 0) candidates.push_back({group, group});
    } else if (parent == kNoOwner || !is_group(analysis.roots.owners, parent)) {
      parents.push_back(owner_node(analysis.roots, i));
    }
  }
  for (const auto& children : analysis.dominators.children_of(parents, limit + analysis.roots.owners.size())) {
    for (NodeId child : children) {
      if (!is_owner(analysis, child) && analysis.dominators.retained_bytes(child) > 0)
        candidates.push_back({child, child});
    }
  }
  std::ranges::sort(candidates, [&](const Candidate& a, const Candidate& b) {
    const uint64_t x = analysis.dominators.retained_bytes(a.top);
    const uint64_t y = analysis.dominators.retained_bytes(b.top);
    return x != y ? x > y : index(a.top) < index(b.top);
  });
  if (candidates.size() > limit) candidates.resize(limit);
  return candidates;
}

void count_objects(const Analysis& analysis, std::span<const uint64_t> head_objects,
                   std::vector<Candidate>& candidates) {
  std::vector<NodeId> shared;
  for (Candidate& candidate : candidates) {
    if (analysis.graph.is_object(candidate.top)) {
      shared.push_back(candidate.top);
    } else {
      candidate.objects = head_objects[index(candidate.top)];
    }
  }
  if (shared.empty()) return;
  const auto counts = analysis.dominators.retained_objects(shared, analysis.reachability, analysis.graph);
  auto count = counts.begin();
  for (Candidate& candidate : candidates) {
    if (analysis.graph.is_object(candidate.top)) candidate.objects = *count++;
  }
}

// Walks all candidates down together, one pass over the nodes per level.
void descend(const Analysis& analysis, std::vector<Candidate>& candidates) {
  std::vector<bool> done(candidates.size(), false);
  for (size_t level = 0; level < kMaxDescent; ++level) {
    std::vector<NodeId> parents;
    parents.reserve(candidates.size());
    for (const Candidate& candidate : candidates) parents.push_back(candidate.point);
    const auto children = analysis.dominators.children_of(parents, 1);
    for (size_t i = 0; i < candidates.size(); ++i) {
      if (done[i]) continue;
      done[i] = true;
      if (children[i].empty()) continue;
      const NodeId child = children[i].front();
      const auto retained = static_cast<double>(analysis.dominators.retained_bytes(candidates[i].point));
      if (static_cast<double>(analysis.dominators.retained_bytes(child)) < kKeepsNearlyAll * retained) continue;
      // The second node of a list says nothing that the first did not.
      if (node_name(analysis, child) == node_name(analysis, candidates[i].point)) continue;
      candidates[i].point = child;
      done[i] = false;
    }
    if (std::ranges::find(done, false) == done.end()) break;
  }
}

// What each of some sets of nodes holds most of, by retained bytes: one pass over the nodes for all.
std::vector<Part> heaviest_parts(const Analysis& analysis, const std::vector<std::vector<NodeId>>& sets) {
  std::vector<bool> wanted(analysis.graph.node_count());
  std::unordered_map<uint32_t, size_t> set_of;
  for (size_t i = 0; i < sets.size(); ++i) {
    for (NodeId node : sets[i]) {
      wanted[index(node)] = true;
      set_of.emplace(index(node), i);
    }
  }
  std::vector<std::map<uint32_t, Part>> parts(sets.size());  // by type
  for (uint32_t i = analysis.graph.first_object(); i < analysis.graph.node_count(); ++i) {
    const NodeId node{i};
    const NodeId above = analysis.dominators.immediate_dominator(node);
    if (above == kNoNode || !wanted[index(above)]) continue;
    const uint64_t bytes = analysis.dominators.retained_bytes(node);
    Part& part =
        parts[set_of.at(index(above))][analysis.types->type_of(analysis.objects, analysis.graph.object_of(node)).type];
    if (part.count == 0 || bytes > analysis.dominators.retained_bytes(part.heaviest)) part.heaviest = node;
    part.count += 1;
    part.bytes += bytes;
    if (part.nodes.size() < kFew) part.nodes.push_back(node);
  }
  std::vector<Part> heaviest(sets.size());
  for (size_t i = 0; i < sets.size(); ++i) {
    for (auto& [type, part] : parts[i]) {
      if (part.bytes > heaviest[i].bytes) heaviest[i] = std::move(part);
    }
  }
  return heaviest;
}

// What each point is full of. A few objects of a type (the tables of a map, the shards of a cache) are looked into: where
// many more of another type keep nearly all below them, those are what is wanted.
void find_parts(const Analysis& analysis, std::vector<Candidate>& candidates) {
  std::vector<std::vector<NodeId>> sets;
  sets.reserve(candidates.size());
  for (const Candidate& candidate : candidates) sets.push_back({candidate.point});
  for (size_t level = 0; level < kMaxDescent; ++level) {
    std::vector<Part> parts = heaviest_parts(analysis, sets);
    bool goes_on = false;
    for (size_t i = 0; i < candidates.size(); ++i) {
      Part& best = candidates[i].part;
      const Part& part = parts[i];
      sets[i].clear();
      if (part.count == 0 || static_cast<double>(part.bytes) < kKeepsNearlyAll * static_cast<double>(best.bytes))
        continue;
      if (part.count < kFew) {
        sets[i] = part.nodes;
        goes_on = true;
      }
      if (part.count >= kSpreads * best.count) best = part;
    }
    if (!goes_on) break;
  }
}

std::string root_text(const RootPath& path) {
  // The name of a local begins with those of its thread and frame, that of a goroutine's frame with the goroutine.
  const bool says_owner = path.root_name.find(" frame #") != std::string::npos || path.root_kind == "goroutine";
  std::string where = says_owner || path.root_owner.empty() ? "" : ", " + readable_type_name(path.root_owner);
  if (!path.root_source.empty()) where.append(", ").append(readable_source(path.root_source));
  return fmt::format("`{}` ({}{})", readable_type_name(path.root_name), path.root_kind, where);
}

// What the retained bytes are, where they are spread over many of a type.
std::string part_text(const Analysis& analysis, const Candidate& candidate) {
  if (candidate.part.count <= 1) return "";
  const auto retained = static_cast<double>(analysis.dominators.retained_bytes(candidate.top));
  return fmt::format(", {:.0f} % of it by {} {}", 100 * static_cast<double>(candidate.part.bytes) / retained,
                     count_text(candidate.part.count),
                     readable_type_name(node_name(analysis, candidate.part.heaviest)));
}

// The way to where the weight is. Spread over many, the way to the heaviest one stands for the others.
RootPath example_path(const Analysis& analysis, const Candidate& candidate) {
  NodeId example = candidate.part.count == 0 ? candidate.point : candidate.part.heaviest;
  while (!analysis.graph.is_object(example)) {  // of a group: the heaviest goroutine's heaviest frame's heaviest object
    const auto children = analysis.dominators.children_of({example}, 1);
    if (children.front().empty()) break;
    example = children.front().front();
  }
  return describe_path(analysis, shortest_path(analysis.graph, analysis.reachability, example));
}

SuspectRow describe_root(const Analysis& analysis, const Candidate& candidate) {
  RootPath path = example_path(analysis, candidate);
  SuspectRow row;
  row.kind = path.root_kind;
  row.name = path.root_name;
  row.retained_bytes = analysis.dominators.retained_bytes(candidate.top);
  row.retained_objects = candidate.objects;
  row.text =
      fmt::format("{} holds {}", root_text(path), holding_text(analysis, row.retained_bytes, row.retained_objects)) +
      part_text(analysis, candidate);
  if (path.steps.size() > 1) row.type = path.steps.back().type;
  row.path = std::move(path.steps);
  return row;
}

// Goroutines of one place: what they do, and the way to what the heaviest of them holds.
SuspectRow describe_group(const Analysis& analysis, const Candidate& candidate) {
  SuspectRow row;
  row.kind = to_string(OwnerKind::goroutine);
  row.name = node_name(analysis, candidate.top);
  row.retained_bytes = analysis.dominators.retained_bytes(candidate.top);
  row.retained_objects = candidate.objects;
  row.text = fmt::format("{} hold {}", readable_type_name(row.name),
                         holding_text(analysis, row.retained_bytes, row.retained_objects)) +
             part_text(analysis, candidate);
  row.path = example_path(analysis, candidate).steps;
  if (row.path.size() > 1) row.type = row.path.back().type;
  return row;
}

// The holders of a shared object: global variables, whose names say most, then the nearest; goroutines that do the same are one.
std::vector<std::string> holder_texts(const Analysis& analysis, const std::vector<std::vector<NodeId>>& holders) {
  std::vector<std::string> names, others;
  for (const auto& holder : holders) {
    RootPath path = describe_path(analysis, holder);
    if (path.root_kind == to_string(RootKind::goroutine))
      path.root_name = analysis.roots.roots[index(holder.front()) - index(root_node(analysis.roots, 0))].stable_name;
    std::vector<std::string>& list = path.root_kind == to_string(RootKind::global) ? names : others;
    std::string name = root_text(path);
    if (std::ranges::find(list, name) == list.end()) list.push_back(std::move(name));
  }
  names.insert(names.end(), others.begin(), others.end());
  return names;
}

SuspectRow describe_shared(const Analysis& analysis, const Candidate& candidate) {
  const auto holders =
      root_paths(analysis.graph, analysis.reachability, candidate.top, kMaxHolders, [](NodeId) { return false; });
  SuspectRow row;
  row.kind = "shared";
  row.name = row.type = node_name(analysis, candidate.top);
  row.retained_bytes = analysis.dominators.retained_bytes(candidate.top);
  row.retained_objects = candidate.objects;
  row.path = example_path(analysis, candidate).steps;
  const std::vector<std::string> names = holder_texts(analysis, holders);
  std::string who = names.empty() ? std::string("several roots") : names.front();
  if (holders.size() > 1) {
    const auto shown = std::span(names).subspan(1).first(std::min<size_t>(names.size() - 1, 2));
    who += fmt::format(" and {}{} other{}", holders.size() == kMaxHolders ? "at least " : "", holders.size() - 1,
                       holders.size() == 2 ? "" : "s");
    if (!shown.empty())
      who += fmt::format(" ({}{})", fmt::join(shown, ", "), shown.size() + 1 < names.size() ? ", …" : "");
  }
  row.text =
      fmt::format("{} hold {}, all of it through one {}", who,
                  holding_text(analysis, row.retained_bytes, row.retained_objects), readable_type_name(row.type)) +
      part_text(analysis, candidate);
  return row;
}

SuspectRow describe_leak(const Analysis& analysis, const LeakRow& leak) {
  SuspectRow row;
  row.kind = "leak";
  row.name = row.type = leak.type;
  row.retained_bytes = leak.bytes;
  row.retained_objects = leak.objects;
  const std::string what =
      leak.roots == 0   ? std::string("memory shared by several leaks")
      : leak.roots == 1 ? fmt::format("one leaked {} at {:#x}", readable_type_name(leak.type), leak.example.value)
                        : fmt::format("{} leaked {} (for example {:#x})", count_text(leak.roots),
                                      readable_type_name(leak.type), leak.example.value);
  row.text = fmt::format("{}: nothing refers to {}", what, holding_text(analysis, leak.bytes, leak.objects));
  return row;
}

}  // namespace

std::vector<SuspectRow> find_suspects(const Analysis& analysis, std::span<const uint64_t> head_objects, size_t limit) {
  const auto notable = static_cast<uint64_t>(kNotableShare * static_cast<double>(analysis.summary.totals.used_bytes));
  std::vector<Candidate> candidates = top_candidates(analysis, limit);
  // The largest is told in any case. (Describing a shared object is a search through the graph: only for what is shown.)
  while (candidates.size() > 1 && analysis.dominators.retained_bytes(candidates.back().top) < notable)
    candidates.pop_back();
  count_objects(analysis, head_objects, candidates);
  descend(analysis, candidates);
  find_parts(analysis, candidates);
  std::vector<SuspectRow> rows;
  rows.reserve(candidates.size() + limit);
  for (const Candidate& candidate : candidates)
    rows.push_back(analysis.graph.is_object(candidate.top) ? describe_shared(analysis, candidate)
                   : is_owner(analysis, candidate.top)     ? describe_group(analysis, candidate)
                                                           : describe_root(analysis, candidate));
  // Leaks are told whatever their size: a small leak is news, a small cache is not. Garbage is neither.
  size_t leaks = 0;
  for (const LeakRow& leak : analysis.summary.leaks)
    if (!leak.is_garbage && leaks++ < limit) rows.push_back(describe_leak(analysis, leak));
  std::ranges::stable_sort(rows, std::greater{}, &SuspectRow::retained_bytes);
  if (rows.size() > limit) rows.resize(limit);
  return rows;
}

}  // namespace heapwalk
