#include "heapwalk/sample_paths.h"

#include <algorithm>

#include <fmt/ranges.h>

#include "heapwalk/path_description.h"
#include "heapwalk/readable_names.h"

namespace heapwalk {
namespace {

constexpr size_t kMaxLines = 1 << 20;
constexpr size_t kDescribedNodes = 64;  // at each end of a long path
constexpr size_t kStepsShown = 4;       // at each end
constexpr const char* kLeftOut = "…";

std::string step_text(const PathStep& step) {
  std::string text = readable_type_name(step.type);
  if (!step.field.empty()) text = step.field + " " + text;
  if (step.repeat > 1) text += " ×…";
  return text;
}

}  // namespace

SamplePaths::SamplePaths(const Analysis& analysis, Holders& holders)
    : analysis_(analysis),
      holders_(holders),
      type_count_(analysis.types->type_count()),
      lines_(analysis.graph.node_count(), StackTrie::kTop),
      trie_(kMaxLines) {}

// A root's is its name's, so that the same variable of many goroutines begins one line.
uint32_t SamplePaths::first_frame(NodeId root) {
  const uint32_t first_root = index(root_node(analysis_.roots, 0));
  if (root == kNoNode || index(root) < first_root) return type_count_;
  return type_count_ + 1 + holders_.named(holder_name(analysis_.roots.roots[index(root) - first_root]));
}

uint32_t SamplePaths::line_of(NodeId object) {
  std::vector<NodeId> above;
  NodeId at = object;
  while (at != kNoNode && analysis_.graph.is_object(at) && lines_[index(at)] == StackTrie::kTop) {
    above.push_back(at);
    at = analysis_.reachability.parent[index(at)];
  }
  const bool is_known = at != kNoNode && analysis_.graph.is_object(at);
  uint32_t line = is_known ? lines_[index(at)] : trie_.child(StackTrie::kTop, first_frame(at));
  for (auto node = above.rbegin(); node != above.rend(); ++node) {
    const uint32_t type = analysis_.types->type_of(analysis_.objects, analysis_.graph.object_of(*node)).type;
    lines_[index(*node)] = line = trie_.child(line, type);
  }
  if (line >= examples_.size()) examples_.resize(trie_.size(), kNoNode);
  if (examples_[line] == kNoNode) examples_[line] = object;
  return line;
}

std::vector<NodeId> SamplePaths::path_to(NodeId object) const {
  std::vector<NodeId> path;
  for (NodeId at = object; at != kNoNode && at != kUnreachableNode; at = analysis_.reachability.parent[index(at)]) {
    path.push_back(at);
    if (!analysis_.graph.is_object(at)) break;
  }
  std::ranges::reverse(path);
  return path;
}

// The steps of a path, the middle of a very long one left out.
std::vector<std::string> SamplePaths::steps_of(const std::vector<NodeId>& path) const {
  std::vector<std::string> texts;
  const bool is_long = path.size() > 2 * kDescribedNodes;
  const auto end = path.begin() + static_cast<std::ptrdiff_t>(is_long ? kDescribedNodes : path.size());
  for (const PathStep& step : describe_path(analysis_, {path.begin(), end}).steps) texts.push_back(step_text(step));
  if (!is_long) return texts;
  std::vector<PathStep> last = describe_path(analysis_, {path.end() - kDescribedNodes, path.end()}).steps;
  last.erase(last.begin());  // whose field nothing says
  // A run over both ends is one.
  if (!last.empty() && step_text(last.front()) == texts.back())
    last.erase(last.begin());
  else
    texts.emplace_back(kLeftOut);
  for (const PathStep& step : last) texts.push_back(step_text(step));
  return texts;
}

std::string SamplePaths::text(uint32_t line) {
  const std::vector<NodeId> path = path_to(examples_[line]);
  if (path.empty()) return {};
  std::vector<std::string> texts = steps_of(path);
  const uint32_t first_root = index(root_node(analysis_.roots, 0));
  if (analysis_.graph.is_object(path.front()))
    texts.insert(texts.begin(), holders_.name(holders_.of(path.front())));
  else if (index(path.front()) >= first_root)
    texts.front() = readable_type_name(holder_name(analysis_.roots.roots[index(path.front()) - first_root]));
  if (texts.size() > 2 * kStepsShown) {
    const auto middle = texts.begin() + kStepsShown;
    texts.erase(middle, texts.end() - kStepsShown);
    if (*middle != kLeftOut) texts.insert(texts.begin() + kStepsShown, kLeftOut);
  }
  return fmt::format("{}", fmt::join(texts, " → "));
}

}  // namespace heapwalk
