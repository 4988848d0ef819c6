#include "tests/support/graph_text.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

namespace heapwalk {
namespace {

std::vector<std::string> split(const std::string& line) {
  std::istringstream stream(line);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

std::string join(const std::vector<std::string>& words, std::string_view separator) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : std::string(separator)) + word;
  return text;
}

constexpr Address kBase{0x5555'0000'0000};

}  // namespace

void GraphSketch::add_edge(uint32_t from, uint32_t to, EdgeKind kind) {
  if (rows.size() <= from) rows.resize(from + size_t{1});
  rows[from].push_back({NodeId{to}, kind});
}

RetentionGraph make_graph(std::vector<std::vector<Edge>> rows, uint32_t first_object) {
  auto arena = std::make_unique<LargeArena>();
  std::vector<EdgeRows> blocks;
  for (size_t first = 0; first < rows.size(); first += RetentionGraph::kNodesPerBlock) {
    EdgeBlock block;
    const size_t last = std::min<size_t>(rows.size(), first + RetentionGraph::kNodesPerBlock);
    for (size_t node = first; node < last; ++node) block.append_row(rows[node]);
    blocks.push_back(block.finish(*arena));
  }
  return RetentionGraph(std::move(blocks), std::move(arena), first_object);
}

RetentionGraph GraphSketch::graph() const {
  std::vector<std::vector<Edge>> clean = rows;
  clean.resize(node_count());
  for (uint32_t node = 0; node < node_count(); ++node) {
    std::erase_if(clean[node], [&](const Edge& edge) { return index(edge.target) == node; });
  }
  return make_graph(std::move(clean), first_object);
}

ObjectIndex GraphSketch::objects() const {
  uint64_t bytes = 16;
  for (uint64_t size : sizes) bytes += size + 16;
  AllocationSink sink(AddressRange::of(kBase, bytes), 0, 16);
  Address at = kBase;
  for (size_t o = 0; o < sizes.size(); ++o) {
    sink.add(at, sizes[o], o < states.size() ? states[o] : AllocationState::used);
    at = (at + sizes[o]).align_up(16);
  }
  std::vector<AllocationSink> sinks;
  sinks.push_back(std::move(sink));
  Diagnostics diagnostics;
  return ObjectIndex::build(std::move(sinks), diagnostics);
}

GraphText::GraphText(std::string_view text)
    : names_{"process", "unreachable"}, nodes_{{"process", 0}, {"unreachable", 1}} {
  std::vector<std::vector<std::string>> structure;
  std::vector<std::vector<std::string>> objects;
  std::istringstream stream{std::string(text)};
  for (std::string line; std::getline(stream, line);) {
    for (std::string_view keyword : {"dominators:", "stages:", "leak roots:", "retained:"}) {
      size_t at = line.find(keyword);
      if (at == std::string::npos) continue;
      expected_[std::string(keyword)] = join(split(line.substr(at + keyword.size())), " ");
      line.clear();
    }
    std::vector<std::string> words = split(line);
    if (words.empty()) continue;
    (words[0] == "owner" || words[0] == "root" ? structure : objects).push_back(words);
  }
  std::stable_sort(structure.begin(), structure.end(), [](const auto& a, const auto& b) { return a[0] < b[0]; });
  for (auto& words : structure) words.erase(words.begin());  // owners before roots, by name from here on
  sketch_.first_object = static_cast<uint32_t>(2 + structure.size());
  structure.insert(structure.end(), objects.begin(), objects.end());
  parse(structure);
  graph_ = sketch_.graph();
  objects_ = sketch_.objects();
}

void GraphText::parse(const std::vector<std::vector<std::string>>& lines) {
  for (const auto& words : lines) {
    auto [slot, is_new] = nodes_.emplace(words[0], static_cast<uint32_t>(names_.size()));
    if (!is_new) ADD_FAILURE() << "declared twice: " << slot->first;
    names_.push_back(words[0]);
  }
  for (const auto& words : lines) {
    uint32_t from = index(node(words[0]));
    bool structure = from < sketch_.first_object;
    size_t next = 1;
    if (!structure) {
      sketch_.sizes.push_back(words.size() > 1 ? std::stoull(words[next++]) : 16);
      bool is_free = words.size() > next && words[next] == "free";
      sketch_.states.push_back(is_free ? AllocationState::free : AllocationState::used);
      next += is_free;
    } else {
      bool has_owner = words.size() > next + 1 && words[next] == "in";
      sketch_.add_edge(has_owner ? index(node(words[next + 1])) : 0, from, EdgeKind::exact);
      next += has_owner ? 2 : 0;
    }
    if (next < words.size() && words[next] != "->") ADD_FAILURE() << "-> expected in: " << join(words, " ");
    for (size_t w = next + 1; w < words.size(); ++w) {
      bool marked = words[w][0] == '!' || words[w][0] == '~';
      EdgeKind kind = words[w][0] == '!'   ? EdgeKind::exact
                      : words[w][0] == '~' ? EdgeKind::tainted
                                           : EdgeKind::conservative;
      sketch_.add_edge(from, index(node(words[w].substr(marked ? 1 : 0))), kind);
    }
  }
}

NodeId GraphText::node(std::string_view name) const {
  auto found = nodes_.find(name);
  if (found == nodes_.end()) {
    ADD_FAILURE() << "not declared: " << name;
    return kProcessNode;
  }
  return NodeId{found->second};
}

std::string GraphText::names(const std::vector<NodeId>& nodes) const {
  std::vector<std::string> words;
  for (NodeId node : nodes) words.push_back(name(node));
  return join(words, " ");
}

std::string GraphText::dominators_text(const DominatorTree& tree, NodeId top) const {
  std::string text = name(top);
  std::vector<std::string> children;
  for (uint32_t node = 0; node < names_.size(); ++node) {
    if (tree.immediate_dominator(NodeId{node}) == top) children.push_back(dominators_text(tree, NodeId{node}));
  }
  return children.empty() ? text : text + "(" + join(children, " ") + ")";
}

std::string GraphText::stages_text(const Reachability& reachability) const {
  std::vector<std::string> classes;
  const char* titles[] = {"exact", "conservative", "tainted", "leaked"};
  for (uint8_t stage = 0; stage < 4; ++stage) {
    std::vector<std::string> members;
    for (uint32_t node = 2; node < names_.size(); ++node) {
      if (reachability.stage[node] == stage) members.push_back(names_[node]);
    }
    if (!members.empty()) classes.push_back(std::string(titles[stage]) + "(" + join(members, " ") + ")");
  }
  return join(classes, " ");
}

// The nodes that `expected` names, with the sizes they really have.
std::string GraphText::retained_text(const DominatorTree& tree, const Reachability& reachability,
                                     std::string_view expected) const {
  std::vector<std::string> found;
  for (const std::string& word : split(std::string(expected))) {
    NodeId at = node(word.substr(0, word.find('=')));
    found.push_back(name(at) + "=" + std::to_string(tree.retained_bytes(at)) + "/" +
                    std::to_string(tree.retained_objects({at}, reachability, graph_).front()));
  }
  return join(found, " ");
}

std::string GraphText::mismatch() const {
  Reachability reachability = find_reachable(graph_, objects_);
  DominatorTree tree = find_dominators(graph_, reachability, objects_);
  std::string problems;
  if (!objects_.check()) problems += "the object index breaks its laws\n";
  if (!graph_.check()) problems += "the graph breaks its laws\n";
  if (!tree.check(objects_, graph_, reachability)) problems += "the dominator tree breaks its laws\n";
  for (const auto& [keyword, expected] : expected_) {
    std::string found;
    if (keyword == "dominators:") {
      found = dominators_text(tree, kProcessNode);
      std::string leaked = dominators_text(tree, kUnreachableNode);
      if (leaked != "unreachable") found += " " + leaked;
    } else if (keyword == "stages:") {
      found = stages_text(reachability);
    } else if (keyword == "leak roots:") {
      found = names(reachability.leak_roots);
    } else {
      found = retained_text(tree, reachability, expected);
    }
    if (found != expected) problems += keyword + "\n  expected " + expected + "\n  found    " + found + "\n";
  }
  return problems;
}

}  // namespace heapwalk
