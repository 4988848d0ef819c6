// One block of nodes at a time: the words of each node are filtered and collected, and looked up in batches whose steps
// (page bits, then size) are fetched ahead for the whole batch, because every lookup is two cache misses and nothing else.
//
// Recycled memory is full of stale pointers. Types will say which words of an object are in use; until then one case is
// plain to see: a text that fills its allocation. The bytes between its NUL and the end are tainted.
#include "heapwalk/reference_scan.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "dump/base/parallel.h"

namespace heapwalk {
namespace {

// Sorted, disjoint: the private ranges, and the private words as ranges of eight bytes.
std::vector<AddressRange> merge_private(const PrivateMemory& memory) {
  std::vector<AddressRange> ranges = memory.ranges;
  for (Address word : memory.words) ranges.push_back(AddressRange::of(word, 8));
  std::erase_if(ranges, [](const AddressRange& range) { return range.empty(); });
  std::sort(ranges.begin(), ranges.end());
  size_t kept = 0;
  for (const AddressRange& range : ranges) {
    if (kept > 0 && range.begin <= ranges[kept - 1].end) {
      ranges[kept - 1].end = std::max(ranges[kept - 1].end, range.end);
    } else {
      ranges[kept++] = range;
    }
  }
  ranges.resize(kept);
  return ranges;
}

// The child lists of the process and the owners: structure[i] are the children of node i, sorted.
std::vector<std::vector<Edge>> structure_rows(const RootSet& roots) {
  std::vector<std::vector<Edge>> rows(2 + roots.owners.size());
  auto parent_row = [&](uint32_t owner, size_t below) -> std::vector<Edge>& {
    return rows[owner < below ? index(owner_node(roots, owner)) : index(kProcessNode)];
  };
  for (uint32_t o = 0; o < roots.owners.size(); ++o) {
    parent_row(roots.owners[o].parent, o).push_back({owner_node(roots, o), EdgeKind::exact});
  }
  for (uint32_t r = 0; r < roots.roots.size(); ++r) {
    parent_row(roots.roots[r].owner, roots.owners.size()).push_back({root_node(roots, r), EdgeKind::exact});
  }
  return rows;
}

constexpr size_t kBatch = 512;

struct Candidate {
  Address address;
  uint32_t node;
  EdgeKind kind;
};

// Finds the nearest allocation of each candidate. Counting bits is most of the work, so there is a second copy of the
// function for processors with an instruction for it, which the compiler may not assume.
[[gnu::always_inline]] inline void locate_all(const ObjectIndex& objects, std::span<const Candidate> candidates,
                                              ObjectIndex::Nearest* nearest) {
  std::array<PageDirectory::Place, kBatch> places;
  for (size_t c = 0; c < candidates.size(); ++c) places[c] = objects.place(candidates[c].address);
  for (size_t c = 0; c < candidates.size(); ++c) nearest[c] = objects.nearest(candidates[c].address, places[c]);
}
using Locate = void (*)(const ObjectIndex&, std::span<const Candidate>, ObjectIndex::Nearest*);
void locate(const ObjectIndex& objects, std::span<const Candidate> candidates, ObjectIndex::Nearest* nearest) {
  locate_all(objects, candidates, nearest);
}
#if defined(__x86_64__)
[[gnu::target("popcnt")]] void locate_popcnt(const ObjectIndex& objects, std::span<const Candidate> candidates,
                                             ObjectIndex::Nearest* nearest) {
  locate_all(objects, candidates, nearest);
}
Locate choose_locate() {
  return __builtin_cpu_supports("popcnt") ? locate_popcnt : locate;
}
#else
Locate choose_locate() {
  return locate;
}
#endif

struct Scene {  // what all workers share
  const AddressSpace& memory;
  const ObjectIndex& objects;
  const RootSet& roots;
  const ObjectTypes& types;
  const ManagedHeap& managed;
  bool has_others;  // objects that no collector manages
  std::vector<AddressRange> private_ranges;
  std::vector<std::vector<Edge>> structure;
  uint32_t first_object;
  uint32_t node_count;
  Locate locate;
  LargeArena& arena;
};

struct ScannedBlock {
  EdgeRows rows;
  uint64_t absent_bytes = 0;
  uint64_t dropped_edges = 0;
};

// Fills one block. Nodes come in ascending order; their candidates wait in the batch until it is full, so rows are
// completed one behind the other when it is looked up.
class BlockScan {
 public:
  BlockScan(const Scene& scene, ScannedBlock& result) : scene_(scene), result_(result) {
    lowest_ = scene.objects.span().begin.value;
    span_ = scene.objects.span().size_bytes();
    if (!scene.managed.empty()) reader_ = scene.managed.make_reader();
  }

  void run(uint32_t first, uint32_t last) {
    row_ = first;
    uint32_t node = first;
    for (; node < std::min(last, scene_.first_object); ++node) add_structure(node);
    if (node < last) {
      scene_.objects.for_each(node - scene_.first_object, last - scene_.first_object,
                              [&](ObjectId id, Address address, uint64_t size_bytes, AllocationState state) {
                                if (state == AllocationState::used)
                                  scan_object(id, AddressRange::of(address, size_bytes));
                              });
    }
    look_up();
    complete_rows(last);
    result_.rows = block_.finish(scene_.arena);
  }

 private:
  void add_structure(uint32_t node) {
    size_t owners_end = scene_.structure.size();
    if (node < owners_end) {
      complete_rows(node);
      edges_ = scene_.structure[node];
      return;
    }
    const Root& root = scene_.roots.roots[node - owners_end];
    if (root.location.empty()) {
      const TypeLayout* layout = scene_.types.layout_of(root.type);
      const bool is_typed = layout != nullptr && !layout->kinds.empty();
      add_word(root.value, node,
               root.is_exact ? EdgeKind::exact
               : is_typed    ? layout->kinds.front().kind
                             : EdgeKind::conservative);
      flush_full_batch();
    } else {
      scan_root(node, root);
    }
  }

  void scan_root(uint32_t node, const Root& root) {
    if (scene_.managed.contains(root.location.begin)) return scan_managed(node, root.location);
    const TypeLayout* layout = scene_.types.layout_of(root.type);
    if (layout == nullptr || layout->size_bytes == 0) return scan(node, root.location, EdgeKind::conservative);
    const Address end = scan_elements(node, root.location, *layout, 1);
    scan(node, {end, root.location.end}, EdgeKind::conservative);
  }

  void scan_object(ObjectId id, AddressRange object) {
    const uint32_t node = scene_.first_object + index(id);
    if (scene_.managed.contains(object.begin)) return scan_managed(node, object);
    const ObjectShape shape = scene_.types.shape_of(id);
    if (shape.layout == nullptr || shape.layout->size_bytes == 0) return scan_untyped(node, object);
    const AddressRange room = {object.begin + shape.header_bytes, object.end};
    uint64_t elements = 1;
    if (shape.is_array) {
      const uint64_t in_use = scene_.types.bytes_in_use(id, object.size_bytes());
      elements = (in_use - std::min<uint64_t>(in_use, shape.header_bytes)) / shape.layout->size_bytes;
      elements = std::min(elements, room.size_bytes() / shape.layout->size_bytes);
    }
    const ElementUse* use = shape.is_array ? scene_.types.use_of(id) : nullptr;
    const Address end = use == nullptr ? scan_elements(node, room, *shape.layout, elements)
                                       : scan_used(node, object, shape, elements, *use);
    scan(node, {end, object.end}, shape.has_tail ? EdgeKind::conservative : EdgeKind::tainted);
  }

  // What the collector knows; the other words may still refer to what is not its own.
  void scan_managed(uint32_t node, AddressRange object) {
    for (Address at = object.begin; at < object.end;) {
      const AddressRange window = {at, at + std::min<uint64_t>(object.end - at, kManagedWindow)};
      pointers_.clear();
      if (!reader_->read(object, window, pointers_)) return scan_unknown(node, object);
      for (Address word : pointers_) {
        const Region* region = region_at(word);
        if (region == nullptr || region->data == nullptr || region->range.end - word < 8) {
          result_.absent_bytes += 8;
          continue;
        }
        add_word(load<uint64_t>(region->data + (word - region->range.begin)), node, EdgeKind::exact);
        flush_full_batch();
      }
      if (scene_.has_others) scan(node, window, EdgeKind::conservative);
      at = window.end;
    }
  }

  // An object of the managed heap of which nothing is known.
  void scan_unknown(uint32_t node, AddressRange object) {
    any_word_ = true;
    scan(node, object, EdgeKind::conservative);
    any_word_ = false;
  }

  // The words of values one behind the other, each with the kind its type says. Returns where they end.
  Address scan_elements(uint32_t node, AddressRange room, const TypeLayout& layout, uint64_t elements) {
    const Address end = room.begin + std::min(elements * layout.size_bytes, room.size_bytes());
    const bool whole_words = layout.size_bytes % 8 == 0 || elements == 1;
    if ((layout.kinds.size() == 1 && layout.guarded.empty()) || !whole_words) {
      EdgeKind best = EdgeKind::tainted;  // values that are no whole words hold no pointers
      for (const KindRange& range : layout.kinds) best = std::min(best, range.kind);
      if (!layout.guarded.empty() && !whole_words) best = std::min(best, EdgeKind::conservative);
      scan(node, {room.begin, end}, best);
      return end;
    }
    for (Address at = room.begin; at < end; at = at + layout.size_bytes) {
      for (const KindRange& range : layout.kinds) {
        scan(node, AddressRange{at + range.begin, at + range.end}.intersect({room.begin, end}), range.kind);
      }
      if (!layout.guarded.empty()) scan_guarded(node, {at, end}, layout);
    }
    return end;
  }

  // The same where some elements are stale.
  Address scan_used(uint32_t node, AddressRange object, const ObjectShape& shape, uint64_t elements,
                    const ElementUse& use) {
    const TypeLayout& layout = *shape.layout;
    const Bytes bytes = scene_.memory.read(object.begin, object.size_bytes());
    Address at = object.begin + shape.header_bytes;
    for (uint64_t i = 0; i < elements; ++i) {
      if (use.covers(at - object.begin, layout.size_bytes, bytes.data(), bytes.size())) {
        scan_elements(node, {at, object.end}, layout, 1);
      } else {
        scan(node, {at, at + layout.size_bytes}, EdgeKind::tainted);
      }
      at = at + layout.size_bytes;
    }
    return at;
  }

  // What a guard says is there: its words once more, the better kind of a reference counts.
  void scan_guarded(uint32_t node, AddressRange value, const TypeLayout& layout) {
    const Bytes bytes = scene_.memory.read(value.begin, std::min(layout.size_bytes, value.size_bytes()));
    for (const GuardedRange& range : layout.guarded) {
      if (range.end > bytes.size() || !layout.holds(range.guard, bytes.data(), bytes.size())) continue;
      scan(node, {value.begin + range.begin, value.begin + range.end}, range.kind);
    }
  }

  // Without types every word counts, but what follows a text that fills the allocation is slack: malloc rounded the
  // request up, and the rest is whatever the memory held before.
  void scan_untyped(uint32_t node, AddressRange object) {
    const uint64_t text = text_bytes(object);
    if (text == 0) return scan(node, object, EdgeKind::conservative);
    const Address slack = (object.begin + text).align_down(8);
    scan(node, {object.begin, slack}, EdgeKind::conservative);
    scan(node, {slack, object.end}, EdgeKind::tainted);
  }

  // The length of the NUL-terminated text that fills the object but for malloc's rounding; 0: it is no such text.
  uint64_t text_bytes(AddressRange object) {
    const uint64_t size = object.size_bytes();
    if (size < kMinText + 8 || size > kMaxText) return 0;
    const Region* region = region_at(object.begin);
    if (region == nullptr || region->data == nullptr || !region->range.contains(object)) return 0;
    const std::byte* data = region->data + (object.begin - region->range.begin);
    if (has_control_byte(load<uint64_t>(data)) || has_control_byte(load<uint64_t>(data + 8))) return 0;
    const void* nul = std::memchr(data + size - kRounding - 1, 0, kRounding + 1);
    if (nul == nullptr) return 0;
    const auto length = static_cast<uint64_t>(static_cast<const std::byte*>(nul) - data);
    for (uint64_t at = 16; at + 8 <= length; at += 8)
      if (has_control_byte(load<uint64_t>(data + at))) return 0;
    for (uint64_t at = length & ~uint64_t{7}; at < length; ++at)
      if (static_cast<uint8_t>(data[at]) < ' ' && !is_text_control(static_cast<uint8_t>(data[at]))) return 0;
    return length;
  }
  // A byte that text does not contain: below space, but for tab, line feed and carriage return.
  static bool has_control_byte(uint64_t word) {
    constexpr uint64_t kOnes = 0x0101010101010101;
    constexpr uint64_t kTops = 0x8080808080808080;
    if (((word - kOnes * ' ') & ~word & kTops) == 0) return false;  // none below space: the common case of text
    for (int shift = 0; shift < 64; shift += 8) {
      const auto byte = static_cast<uint8_t>(word >> shift);
      if (byte < ' ' && !is_text_control(byte)) return true;
    }
    return false;
  }
  static bool is_text_control(uint8_t byte) { return byte == '\t' || byte == '\n' || byte == '\r'; }

  // All aligned words of `range` are references of `node`, of one kind: what the program's types say about parts of an
  // object arrives here as several ranges with kinds of their own.
  void scan(uint32_t node, AddressRange range, EdgeKind kind) {
    const std::vector<AddressRange>& hidden = scene_.private_ranges;
    if (!private_found_ || range.begin < private_from_) {
      next_private_ = std::upper_bound(hidden.begin(), hidden.end(), range.begin,
                                       [](Address a, const AddressRange& r) { return a < r.end; }) -
                      hidden.begin();
      private_found_ = true;
    }
    private_from_ = range.begin;
    while (next_private_ < hidden.size() && hidden[next_private_].end <= range.begin) ++next_private_;
    for (size_t p = next_private_; p < hidden.size() && hidden[p].begin < range.end; ++p) {
      scan_visible(node, {range.begin, std::max(range.begin, hidden[p].begin)}, kind);
      range.begin = std::min(hidden[p].end, range.end);
    }
    scan_visible(node, range, kind);
  }

  void scan_visible(uint32_t node, AddressRange range, EdgeKind kind) {
    Address at = range.begin.align_up(8);
    while (at < range.end && range.end - at >= 8) {
      const Region* region = region_at(at);
      if (region == nullptr || region->data == nullptr) {
        Address known = region == nullptr ? next_region_begin(at) : region->range.end;
        Address end = std::min(known, range.end);
        result_.absent_bytes += end - at;
        at = end.align_up(8);
        continue;
      }
      uint64_t words = (std::min(region->range.end, range.end) - at) / 8;
      const std::byte* data = region->data + (at - region->range.begin);
      if (scene_.managed.empty()) {
        scan_words(data, words, node, kind);
      } else {
        scan_beside_managed(data, at, words, node, kind);
      }
      at += words * 8;
      if (words == 0) at += 8;  // a word across two regions: belongs to neither
    }
  }

  void scan_words(const std::byte* data, uint64_t words, uint32_t node, EdgeKind kind) {
    while (words > 0) {
      // Every word is written; those that cannot be addresses of objects are written over by the next.
      size_t some = std::min<uint64_t>(words, batch_.size() - batched_);
      size_t count = batched_;
      for (size_t w = 0; w < some; ++w) {
        auto word = load<uint64_t>(data + w * 8);
        batch_[count] = {Address{word}, node, kind};
        count += word - lowest_ < span_;
      }
      batched_ = count;
      data += some * 8;
      words -= some;
      flush_full_batch();
    }
  }
  // The same in a process with a managed heap: into that lead only the words that its collector takes for pointers; of
  // malloc's blocks also others, for those who look for them, but they hold nothing.
  void scan_beside_managed(const std::byte* data, Address at, uint64_t words, uint32_t node, EdgeKind kind) {
    const bool is_object = node >= scene_.first_object;
    const bool is_managed = scene_.managed.contains(at);
    for (uint64_t w = 0; w < words; ++w) {
      const auto word = load<uint64_t>(data + w * 8);
      if (word - lowest_ >= span_) continue;
      std::optional<EdgeKind> better = kind;
      if (scene_.managed.contains(Address{word})) {
        if (is_managed && !any_word_) continue;  // no pointer of its own: the reader has said so
        if (!is_managed) better = is_object ? EdgeKind::tainted : scene_.managed.kind_of(at + w * 8);
      } else if (!is_object && kind == EdgeKind::conservative) {
        better = scene_.managed.kind_of(at + w * 8).value_or(kind);  // a pointer, whatever it leads to
      }
      if (!better) continue;
      add_word(word, node, *better);
      flush_full_batch();
    }
  }
  void add_word(uint64_t word, uint32_t node, EdgeKind kind) {
    batch_[batched_] = {Address{word}, node, kind};
    batched_ += word - lowest_ < span_;
  }
  void flush_full_batch() {
    if (batch_.size() - batched_ < kRoom) look_up();
  }

  void look_up() {
    const ObjectIndex& objects = scene_.objects;
    scene_.locate(objects, {batch_.data(), batched_}, nearest_.data());
    for (size_t c = 0; c < batched_; ++c) {
      const Candidate& candidate = batch_[c];
      if (!objects.contains_used(nearest_[c], candidate.address)) continue;
      uint32_t target = scene_.first_object + nearest_[c].id;
      if (target == candidate.node) continue;
      complete_rows(candidate.node);
      edges_.push_back({NodeId{target}, candidate.kind});
    }
    batched_ = 0;
  }

  // Appends the rows before `node`; `edges_` belongs to the first of them.
  void complete_rows(uint32_t node) {
    for (; row_ < node; ++row_) {
      result_.dropped_edges += block_.append_row(edges_);
      edges_.clear();
    }
  }

  const Region* region_at(Address address) {
    if (region_ == nullptr || !region_->range.contains(address)) region_ = scene_.memory.find(address);
    return region_;
  }
  Address next_region_begin(Address address) const {
    std::span<const Region> regions = scene_.memory.regions();
    auto next = std::upper_bound(regions.begin(), regions.end(), address,
                                 [](Address a, const Region& region) { return a < region.range.begin; });
    return next == regions.end() ? Address{UINT64_MAX} : next->range.begin;
  }

  static constexpr uint64_t kMinText = 32;  // shorter ones are as likely the name at the start of a record
  static constexpr uint64_t kMaxText = 1 << 20;
  static constexpr uint64_t kRounding = 16;  // malloc rounds to 16 bytes, plus 8 of the next chunk's header
  static constexpr size_t kRoom = 64;        // left in a batch that is not looked up yet
  static constexpr uint64_t kManagedWindow = 64 << 10;

  const Scene& scene_;
  ScannedBlock& result_;
  uint64_t lowest_ = 0;
  uint64_t span_ = 0;
  EdgeBlock block_;
  uint32_t row_ = 0;
  std::vector<Edge> edges_;
  std::array<Candidate, kBatch> batch_;
  std::array<ObjectIndex::Nearest, kBatch> nearest_;
  size_t batched_ = 0;
  std::unique_ptr<PointerReader> reader_;  // of the managed heap, if there is one
  std::vector<Address> pointers_;
  bool any_word_ = false;  // any word of the object that is being scanned may be a pointer
  const Region* region_ = nullptr;
  size_t next_private_ = 0;
  bool private_found_ = false;
  Address private_from_;
};

bool has_unmanaged_objects(const ObjectIndex& objects, const ManagedHeap& managed) {
  return std::ranges::any_of(objects.regions(), [&](AddressRange region) { return !managed.contains(region.begin); });
}

void report_losses(const std::vector<ScannedBlock>& blocks, Diagnostics& diagnostics) {
  uint64_t absent = 0;
  uint64_t dropped = 0;
  for (const ScannedBlock& block : blocks) {
    absent += block.absent_bytes;
    dropped += block.dropped_edges;
  }
  if (absent > 0) {
    diagnostics.add("absent_bytes",
                    "bytes of allocations and roots that the core leaves out: references in them are lost", absent);
  }
  if (dropped > 0) {
    diagnostics.add("dropped_edges", "references beyond 2^32 from 16384 neighbouring allocations", dropped);
  }
}

}  // namespace

NodeId owner_node(const RootSet&, uint32_t owner) {
  return NodeId{2 + owner};
}
NodeId root_node(const RootSet& roots, uint32_t root) {
  return NodeId{static_cast<uint32_t>(2 + roots.owners.size() + root)};
}
uint32_t first_object_node(const RootSet& roots) {
  return static_cast<uint32_t>(2 + roots.owners.size() + roots.roots.size());
}

Result<RetentionGraph> scan_references(const CoreDump& dump, const ObjectIndex& objects, const RootSet& roots,
                                       const ObjectTypes& types, const PrivateMemory& private_memory,
                                       const ManagedHeap& managed, size_t threads, Diagnostics& diagnostics) {
  uint64_t nodes = 2 + uint64_t{roots.owners.size()} + roots.roots.size() + objects.size();
  if (nodes > UINT32_MAX - 1) {
    return fail("{}: the graph would have {} nodes, at most {} are supported", dump.path, nodes, UINT32_MAX - 1);
  }
  auto arena = std::make_unique<LargeArena>();
  Scene scene{dump.memory,
              objects,
              roots,
              types,
              managed,
              has_unmanaged_objects(objects, managed),
              merge_private(private_memory),
              structure_rows(roots),
              first_object_node(roots),
              static_cast<uint32_t>(nodes),
              choose_locate(),
              *arena};
  constexpr uint32_t kBlock = RetentionGraph::kNodesPerBlock;
  std::vector<ScannedBlock> scanned((nodes + kBlock - 1) / kBlock);
  parallel_for(scanned.size(), threads, [&](size_t block) {
    auto first = static_cast<uint32_t>(block * kBlock);
    BlockScan(scene, scanned[block]).run(first, first + std::min(scene.node_count - first, kBlock));
  });
  report_losses(scanned, diagnostics);
  std::vector<EdgeRows> blocks;
  blocks.reserve(scanned.size());
  for (const ScannedBlock& block : scanned) blocks.push_back(block.rows);
  return RetentionGraph(std::move(blocks), std::move(arena), scene.first_object);
}

}  // namespace heapwalk
