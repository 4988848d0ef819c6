#include "heapwalk/profile_stacks.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <string_view>
#include <unordered_map>

#include "dump/base/byte_reader.h"
#include "dump/base/parallel.h"
#include "heapwalk/analysis.h"
#include "heapwalk/large_pages.h"
#include "heapwalk/profile_names.h"
#include "heapwalk/readable_names.h"
#include "heapwalk/stack_trie.h"

namespace heapwalk {
namespace {

constexpr std::string_view kSharedSuffix = ".(shared)";
constexpr size_t kTypesPerPiece = 1 << 20;  // objects per unit of parallel work

// "src/cache.cc:12" as a file name and a line.
void set_source(ProfileFrame& frame, std::string_view source) {
  size_t colon = source.rfind(':');
  int64_t line = 0;
  if (colon != std::string_view::npos) {
    const char* end = source.data() + source.size();
    auto [rest, error] = std::from_chars(source.data() + colon + 1, end, line);
    if (error != std::errc{} || rest != end || line < 0) return;
    source = source.substr(0, colon);
  }
  frame.filename = source;
  frame.start_line = frame.line = line;
}

struct RootFacts {  // of a root frame
  std::string_view kind;
  std::string thread;
};

// All frames that stacks of this analysis can have, by number:
//     [0, T) types   [T, 2T) "[unreachable] T"   then "[shared]", "[unreachable] (shared)", then one per kind of root
// and `shared_of(f)`, the frame for a dominator step out of `f` that is no direct reference.
class FrameTable {
 public:
  explicit FrameTable(const Analysis& analysis) : types_(analysis.types->type_count()) {
    std::vector<std::string> readable;
    readable.reserve(types_);
    for (uint32_t type = 0; type < types_; ++type) readable.push_back(readable_type_name(analysis.types->name(type)));
    const std::vector<std::string_view> names(readable.begin(), readable.end());
    for (std::string& name : profile_type_names(names)) type_names_.push_back(std::move(name));
    add_special("[shared]", "shared");
    add_special("[unreachable] (shared)", "unreachable");
    for (const Root& root : analysis.roots.roots) root_frames_.push_back(add_root(analysis, root));
  }

  uint32_t type(uint32_t type) const { return type; }
  uint32_t unreachable(uint32_t type) const { return types_ + type; }
  uint32_t shared() const { return 2 * types_; }
  uint32_t unreachable_shared() const { return 2 * types_ + 1; }
  uint32_t root(size_t root) const { return root_frames_[root]; }
  uint32_t shared_of(uint32_t frame) const { return frame + size(); }

  // kOtherFrame included.
  ProfileFrame describe(uint32_t frame) const {
    if (frame == StackTrie::kOtherFrame) return {"(other)", "", 0, 0};
    if (frame < types_) return {type_names_[frame], "", 0, 0};
    if (frame < 2 * types_) return {"[unreachable] " + type_names_[frame - types_], "", 0, 0};
    if (frame < size()) return specials_[frame - 2 * types_];
    ProfileFrame from = describe(frame - size());
    size_t bracket = from.name.starts_with('[') ? from.name.find("] ") : std::string::npos;
    bool is_root = frame - size() >= types_;
    if (is_root && bracket != std::string::npos) from.name = from.name.substr(bracket + 2);
    return {from.name + std::string(kSharedSuffix), "", 0, 0};
  }
  // Of the frame at the top of a stack.
  RootFacts facts(uint32_t frame) const {
    if (frame >= types_ && frame < 2 * types_) return {"unreachable", ""};
    return frame >= 2 * types_ && frame < size() ? facts_[frame - 2 * types_] : RootFacts{};
  }

 private:
  uint32_t size() const { return 2 * types_ + static_cast<uint32_t>(specials_.size()); }

  void add_special(std::string name, std::string_view kind) {
    specials_.push_back({std::move(name), "", 0, 0});
    facts_.push_back({kind, ""});
  }

  // Roots that a person would call the same share a frame: the same variable, or function, whatever the thread's number.
  uint32_t add_root(const Analysis& analysis, const Root& root) {
    ProfileFrame frame;
    frame.name = std::string("[").append(to_string(root.kind)).append("]");
    const std::string& name = root.stable_name.empty() ? root.name : root.stable_name;
    const bool is_local = analysis.roots.is_local(root);
    if (root.kind != RootKind::register_ || is_local) frame.name += " " + name;
    set_source(frame, root.source);
    RootFacts facts{to_string(root.kind), ""};
    if (root.kind == RootKind::stack || is_local) facts.thread = thread_name(analysis, root);
    std::string key = frame.name + '\0' + root.source + '\0' + facts.thread;
    auto [at, is_new] = known_roots_.try_emplace(std::move(key), size());
    if (is_new) {
      specials_.push_back(std::move(frame));
      facts_.push_back(std::move(facts));
    }
    return at->second;
  }

  // A thread's owner is named `thread 4711 "worker"`; its number changes from run to run, its own name does not.
  static std::string thread_name(const Analysis& analysis, const Root& root) {
    for (uint32_t i = root.owner; i != kNoOwner && i < analysis.roots.owners.size();
         i = analysis.roots.owners[i].parent) {
      const Owner& owner = analysis.roots.owners[i];
      size_t quote = owner.name.find('"');
      if (owner.kind != OwnerKind::thread || quote == std::string::npos || !owner.name.ends_with('"')) continue;
      return owner.name.size() > quote + 2 ? owner.name.substr(quote + 1, owner.name.size() - quote - 2) : "";
    }
    return {};
  }

  uint32_t types_;
  std::vector<std::string> type_names_;
  std::vector<ProfileFrame> specials_;
  std::vector<RootFacts> facts_;
  std::vector<uint32_t> root_frames_;  // by root
  std::unordered_map<std::string, uint32_t> known_roots_;
};

// Labels of a sample that the object itself decides, packed: allocator and size class.
uint32_t pack_label(uint32_t allocator, uint64_t size_bytes) {
  auto size_class = static_cast<uint32_t>(size_bytes <= 1 ? 0 : std::bit_width(size_bytes - 1));
  return allocator << 8 | size_class;
}

// Numbers below 2^24, in three bytes each: types, then places in a tree of at most 2^20 nodes. Two such tables are the
// largest thing that is left at this point.
class Numbers {
 public:
  explicit Numbers(size_t size) { assign_large(bytes_, size * 3 + 1, std::byte{0}); }

  uint32_t operator[](size_t i) const { return load<uint32_t>(bytes_.data() + i * 3) & kMask; }
  void set(size_t i, uint32_t value) {
    bytes_[i * 3] = static_cast<std::byte>(value);
    bytes_[i * 3 + 1] = static_cast<std::byte>(value >> 8);
    bytes_[i * 3 + 2] = static_cast<std::byte>(value >> 16);
  }
  void prefetch(size_t i) const { __builtin_prefetch(bytes_.data() + i * 3); }

 private:
  static constexpr uint32_t kMask = (1U << 24) - 1;
  std::vector<std::byte> bytes_;
};

// Builds one view. `predecessor` tells which node's stack an object's stack continues.
class ViewBuilder {
 public:
  ViewBuilder(const Analysis& analysis, const FrameTable& frames, bool by_dominator, StackTrie& trie)
      : analysis_(analysis), frames_(frames), by_dominator_(by_dominator), trie_(trie) {}

  // `types`: of each object, by node.
  void build(Numbers types) {
    place_ = std::move(types);
    first_root_ = index(root_node(analysis_.roots, 0));
    first_object_ = analysis_.graph.first_object();
    const std::vector<NodeId>& order = analysis_.reachability.order;
    constexpr size_t kAhead = 24;  // nodes whose predecessor's place is on its way from memory
    for (size_t i = 0; i < order.size(); ++i) {
      if (i + 2 * kAhead < order.size()) {
        if (by_dominator_) analysis_.dominators.prefetch(order[i + 2 * kAhead]);
        __builtin_prefetch(&analysis_.reachability.parent[index(order[i + 2 * kAhead])]);
      }
      if (i + kAhead < order.size()) {
        NodeId before = predecessor(order[i + kAhead]);
        if (before != kNoNode) place_.prefetch(index(before));
        place_.prefetch(index(order[i + kAhead]));
      }
      if (index(order[i]) >= first_object_) place_.set(index(order[i]), find_place(order[i]));
    }
    add_values();
    trie_.finish();
  }

 private:
  NodeId predecessor(NodeId node) const {
    return by_dominator_ ? analysis_.dominators.immediate_dominator(node) : analysis_.reachability.parent[index(node)];
  }

  uint32_t find_place(NodeId node) {
    uint32_t type = place_[index(node)];
    NodeId before = predecessor(node);
    NodeId parent = analysis_.reachability.parent[index(node)];
    uint32_t base = StackTrie::kTop;
    if (before == kUnreachableNode || before == kNoNode) {
      bool is_leak_root = parent == kUnreachableNode;
      base = trie_.child(base, is_leak_root ? frames_.unreachable(type) : frames_.unreachable_shared());
    } else if (index(before) < first_root_) {  // the process, or an owner of several roots
      base = trie_.child(base, frames_.shared());
    } else {
      bool is_root = index(before) < first_object_;
      base = is_root ? trie_.child(base, frames_.root(index(before) - first_root_)) : place_[index(before)];
      uint32_t frame = trie_.frame(base);
      if (before != parent && frame != StackTrie::kOtherFrame) base = trie_.child(base, frames_.shared_of(frame));
    }
    return trie_.child(base, frames_.type(type));
  }

  void add_values() {
    bool several = analysis_.decoders.size() > 1;
    analysis_.objects.for_each(
        0, analysis_.objects.size(), [&](ObjectId id, Address, uint64_t size_bytes, AllocationState state) {
          if (state != AllocationState::used) return;
          uint32_t allocator = several ? analysis_.objects.allocator(id) : 0;
          trie_.add(place_[index(analysis_.graph.node_of(id))], pack_label(allocator, size_bytes), size_bytes);
        });
  }

  const Analysis& analysis_;
  const FrameTable& frames_;
  bool by_dominator_;
  StackTrie& trie_;
  Numbers place_{0};  // by node: type, then place in the tree
  uint32_t first_root_ = 0;
  uint32_t first_object_ = 0;
};

Numbers find_types(const Analysis& analysis, size_t threads) {
  Numbers types(analysis.graph.node_count());
  uint32_t count = analysis.objects.size();
  parallel_for((count + kTypesPerPiece - 1) / kTypesPerPiece, threads, [&](size_t piece) {
    auto first = static_cast<uint32_t>(piece * kTypesPerPiece);
    auto last = static_cast<uint32_t>(std::min<size_t>(count, (piece + 1) * kTypesPerPiece));
    analysis.objects.for_each(first, last, [&](ObjectId id, Address, uint64_t size, AllocationState state) {
      if (state != AllocationState::used) return;
      types.set(index(analysis.graph.node_of(id)), analysis.types->type_of(id, size).type);
    });
  });
  return types;
}

// A node of the tree per sixteen of the graph at most, so that memory follows the input's size.
size_t trie_limit(const Analysis& analysis) {
  return std::clamp<size_t>(analysis.graph.node_count() / 16, 1 << 16, 1 << 20);
}

}  // namespace

struct FoldedStacks::Data {
  explicit Data(const Analysis& analysis)
      : frames(analysis), by_dominator(trie_limit(analysis)), by_path(trie_limit(analysis)) {
    for (const auto& decoder : analysis.decoders) allocators.push_back(decoder->facts().name);
  }

  FrameTable frames;
  StackTrie by_dominator;
  StackTrie by_path;
  std::vector<std::string> allocators;
};

namespace {

// Numbers the frames that samples use, in the order of their first use.
class StackWriter {
 public:
  StackWriter(const FrameTable& frames, const std::vector<std::string>& allocators, ProfileStacks& result)
      : frames_(frames), allocators_(allocators), result_(result) {}

  std::vector<ProfileSample> write(const StackTrie& trie, size_t max_samples) {
    std::vector<ProfileSample> samples;
    for (const StackTrie::Sample& from : trie.samples(trie.fit(max_samples))) {
      ProfileSample sample;
      for (uint32_t frame : from.frames) sample.frames.push_back(number(frame));
      sample.objects = from.values.objects;
      sample.bytes = from.values.bytes;
      RootFacts facts = frames_.facts(from.frames.back());
      sample.labels.root_kind = facts.kind;
      sample.labels.thread = facts.thread;
      if (from.has_label) {
        if (from.label >> 8 < allocators_.size()) sample.labels.allocator = allocators_[from.label >> 8];
        sample.labels.size_class_bytes = uint64_t{1} << std::min<uint32_t>(from.label & 0xff, 63);
      }
      samples.push_back(std::move(sample));
    }
    return samples;
  }

 private:
  uint32_t number(uint32_t frame) {
    auto [at, is_new] = numbers_.try_emplace(frame, 0);
    if (!is_new) return at->second;
    ProfileFrame described = frames_.describe(frame);
    // Roots of several threads are frames of their own, and look the same.
    std::string key = described.name + '\0' + described.filename + '\0' + std::to_string(described.line);
    auto [same, is_first] = by_name_.try_emplace(std::move(key), static_cast<uint32_t>(result_.frames.size()));
    if (is_first) result_.frames.push_back(std::move(described));
    at->second = same->second;
    return same->second;
  }

  const FrameTable& frames_;
  const std::vector<std::string>& allocators_;
  ProfileStacks& result_;
  std::unordered_map<uint32_t, uint32_t> numbers_;
  std::unordered_map<std::string, uint32_t> by_name_;
};

}  // namespace

FoldedStacks::FoldedStacks(const Analysis& analysis, size_t threads) {
  auto data = std::make_unique<Data>(analysis);
  Numbers types[] = {find_types(analysis, threads), Numbers(0)};
  types[1] = types[0];
  parallel_for(2, threads, [&](size_t view) {
    bool by_dominator = view == 0;
    ViewBuilder builder(analysis, data->frames, by_dominator, by_dominator ? data->by_dominator : data->by_path);
    builder.build(std::move(types[view]));
  });
  data_ = std::move(data);
}

FoldedStacks::~FoldedStacks() = default;
FoldedStacks::FoldedStacks(FoldedStacks&&) noexcept = default;

ProfileStacks FoldedStacks::take(size_t max_samples) const {
  size_t first = data_->by_dominator.sample_count(data_->by_dominator.size());
  size_t second = data_->by_path.sample_count(data_->by_path.size());
  size_t half = std::max<size_t>(max_samples / 2, 1);
  // What one view does not need, the other one may use.
  size_t for_first = second < half ? std::max(half, max_samples - second) : half;
  size_t for_second = first < half ? std::max(half, max_samples - first) : half;
  ProfileStacks result;
  StackWriter writer(data_->frames, data_->allocators, result);
  result.by_dominator = writer.write(data_->by_dominator, for_first);
  result.by_path = writer.write(data_->by_path, for_second);
  return result;
}

}  // namespace heapwalk
