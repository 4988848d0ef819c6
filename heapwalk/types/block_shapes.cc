#include "heapwalk/types/block_shapes.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <map>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "dump/base/parallel.h"
#include "heapwalk/types/block_pattern.h"
#include "heapwalk/types/size_classes.h"

namespace heapwalk {
namespace {

constexpr uint32_t kPieceObjects = 1 << 18;
constexpr size_t kMaxPatterns = 8192;  // of a piece; blocks of further ones keep the name of their size
constexpr uint64_t kLeastShown = 4;    // blocks that show a candidate without null words in between
constexpr size_t kMaxCandidates = 64;  // shapes of one size and symbol, the most frequent ones

struct Masks {
  uint16_t heap = 0, program = 0;
  auto operator<=>(const Masks&) const = default;
};

struct Counted {
  BlockPattern pattern;
  uint64_t blocks = 0;
};

struct Shape {
  BlockPattern pattern;  // `null` is 0
  uint64_t blocks = 0;
};

// One row for each size and form is no crowd; one for each picture or symbol would be.
bool needs_company(const BlockPattern& pattern) {
  return pattern.form == BlockForm::words || pattern.symbol != nullptr;
}

bool fits(const BlockPattern& block, Masks shape) {
  return (block.heap & ~shape.heap) == 0 && (shape.heap & ~(block.heap | block.null)) == 0 &&
         (block.program & ~shape.program) == 0 && (shape.program & ~(block.program | block.null)) == 0;
}

std::string picture(const BlockPattern& pattern) {
  std::string text;
  if ((pattern.heap | pattern.program) == 0 && !pattern.leads_later) return "data";
  const uint64_t words = std::min<uint64_t>(pattern.size_class, BlockPattern::kWords);  // exact classes are in words
  for (uint64_t i = 0; i < words; ++i) text += pattern.heap >> i & 1 ? '*' : pattern.program >> i & 1 ? '&' : '.';
  return pattern.is_longer ? text + '+' : text;
}

std::string name_of(const BlockPattern& pattern) {
  if (pattern.form == BlockForm::text) return "[text]";
  std::string name = "[" + size_class_text(pattern.size_class);
  if (pattern.form == BlockForm::pointers) name += " pointers";
  if (pattern.form == BlockForm::words) name += " " + picture(pattern);
  if (pattern.symbol != nullptr) name += " " + demangle_function(pattern.symbol->name);
  return name + "]";
}

// The patterns of all blocks, and which blocks have them: until the shapes are known, a block's kind is UINT16_MAX less the
// number that its pattern has in its piece.
class PatternCount {
 public:
  PatternCount(const CoreDump& dump, const ObjectIndex& objects, const ManagedHeap& managed,
               std::vector<uint16_t>& kind_of, size_t threads)
      : objects_(objects),
        kind_of_(kind_of),
        threads_(threads),
        pieces_((objects.size() + kPieceObjects - 1) / kPieceObjects) {
    std::vector<std::vector<Counted>> counted(pieces_.size());
    parallel_for(pieces_.size(), threads_, [&](size_t piece) { counted[piece] = count(piece, dump, managed); });
    std::unordered_map<BlockPattern, uint32_t, BlockPattern::Hash> numbers;
    for (size_t piece = 0; piece < pieces_.size(); ++piece) {
      for (const Counted& each : counted[piece]) {
        auto [at, is_new] = numbers.try_emplace(each.pattern, static_cast<uint32_t>(patterns_.size()));
        if (is_new) patterns_.push_back({each.pattern, 0});
        patterns_[at->second].blocks += each.blocks;
        pieces_[piece].push_back(at->second);
      }
    }
  }

  const std::vector<Counted>& patterns() const { return patterns_; }

  // `kinds`: by pattern; 0 where it has none.
  void replace_by(const std::vector<uint16_t>& kinds) {
    parallel_for(pieces_.size(), threads_, [&](size_t piece) {
      const std::vector<uint32_t>& patterns = pieces_[piece];
      const size_t end = std::min<size_t>(objects_.size(), (piece + 1) * kPieceObjects);
      for (size_t i = piece * kPieceObjects; i < end; ++i) {
        const size_t number = UINT16_MAX - kind_of_[i];
        if (number < patterns.size()) kind_of_[i] = kinds[patterns[number]];
      }
    });
  }

 private:
  std::vector<Counted> count(size_t piece, const CoreDump& dump, const ManagedHeap& managed) {
    BlockReader reader(dump, objects_);
    std::vector<Counted> found;
    std::unordered_map<BlockPattern, uint32_t, BlockPattern::Hash> numbers;
    uint32_t last = 0;
    const Region* region = nullptr;
    const auto first = static_cast<uint32_t>(piece * kPieceObjects);
    objects_.for_each(first, std::min(objects_.size() - first, kPieceObjects) + first,
                      [&](ObjectId id, Address address, uint64_t size, AllocationState state) {
                        if (state != AllocationState::used || kind_of_[index(id)] != 0 || managed.contains(address))
                          return;
                        const std::byte* data =
                            dump.memory.read_near(region, address, std::min(size, BlockReader::kSampleBytes));
                        if (data == nullptr) return;
                        const BlockPattern pattern = reader.pattern_of(data, size);
                        if (last >= found.size() || found[last].pattern != pattern) {
                          if (found.size() == kMaxPatterns && !numbers.contains(pattern)) return;
                          auto [at, is_new] = numbers.try_emplace(pattern, static_cast<uint32_t>(found.size()));
                          if (is_new) found.push_back({pattern, 0});
                          last = at->second;
                        }
                        ++found[last].blocks;
                        kind_of_[index(id)] = static_cast<uint16_t>(UINT16_MAX - last);
                      });
    return found;
  }

  const ObjectIndex& objects_;
  std::vector<uint16_t>& kind_of_;
  size_t threads_;
  std::vector<std::vector<uint32_t>> pieces_;  // by number in the piece: the pattern
  std::vector<Counted> patterns_;
};

// The shapes that patterns of one form, size and symbol show without null words in between, the most frequent first.
std::vector<std::pair<Masks, uint64_t>> candidates(const std::vector<Counted>& patterns,
                                                   const std::vector<uint32_t>& group) {
  std::map<Masks, uint64_t> blocks;
  for (uint32_t i : group) blocks[{patterns[i].pattern.heap, patterns[i].pattern.program}] += patterns[i].blocks;
  std::vector<std::pair<Masks, uint64_t>> found;
  const bool has_masks = patterns[group.front()].pattern.form == BlockForm::words;
  std::ranges::copy_if(blocks, std::back_inserter(found),
                       [&](const auto& each) { return !has_masks || each.second >= kLeastShown; });
  std::ranges::stable_sort(found, std::greater<>(), &std::pair<Masks, uint64_t>::second);
  if (found.size() > kMaxCandidates) found.resize(kMaxCandidates);
  return found;
}

// Gives each pattern of the group the candidate that most blocks fit.
void choose(const std::vector<Counted>& patterns, const std::vector<uint32_t>& group, std::vector<Shape>& shapes,
            std::vector<uint32_t>& shape_of) {
  std::vector<std::pair<Masks, uint64_t>> all = candidates(patterns, group);
  for (auto& [masks, blocks] : all) {
    blocks = 0;
    for (uint32_t i : group) blocks += fits(patterns[i].pattern, masks) ? patterns[i].blocks : 0;
  }
  std::ranges::stable_sort(all, std::greater<>(), &std::pair<Masks, uint64_t>::second);
  std::vector<uint32_t> numbers(all.size(), UINT32_MAX);
  for (uint32_t i : group) {
    auto at = std::ranges::find_if(all, [&](const auto& each) { return fits(patterns[i].pattern, each.first); });
    if (at == all.end()) continue;
    uint32_t& number = numbers[static_cast<size_t>(at - all.begin())];
    if (number == UINT32_MAX) {
      number = static_cast<uint32_t>(shapes.size());
      BlockPattern pattern = patterns[i].pattern;
      pattern.heap = at->first.heap;
      pattern.program = at->first.program;
      pattern.null = 0;
      shapes.push_back({pattern, 0});
    }
    shapes[number].blocks += patterns[i].blocks;
    shape_of[i] = number;
  }
}

// Patterns that differ in their masks only, in the order of their first blocks.
std::vector<std::vector<uint32_t>> groups_of(const std::vector<Counted>& patterns) {
  std::unordered_map<BlockPattern, size_t, BlockPattern::Hash> numbers;
  std::vector<std::vector<uint32_t>> groups;
  for (uint32_t i = 0; i < patterns.size(); ++i) {
    BlockPattern key = patterns[i].pattern;
    if (key.form == BlockForm::large && key.symbol == nullptr) continue;  // nothing to tell
    key.heap = key.program = key.null = 0;
    auto [at, is_new] = numbers.try_emplace(key, groups.size());
    if (is_new) groups.emplace_back();
    groups[at->second].push_back(i);
  }
  return groups;
}

}  // namespace

BlockShapes BlockShapes::name(const CoreDump& dump, const ObjectIndex& objects, const ManagedHeap& managed,
                              std::vector<uint16_t>& kind_of, uint16_t first_kind, size_t threads) {
  BlockShapes result;
  if (first_kind + kMaxShapes + kMaxPatterns > UINT16_MAX) return result;
  PatternCount count(dump, objects, managed, kind_of, threads);
  std::vector<Shape> shapes;
  std::vector<uint32_t> shape_of(count.patterns().size(), UINT32_MAX);
  for (const auto& group : groups_of(count.patterns())) choose(count.patterns(), group, shapes, shape_of);

  std::vector<uint32_t> by_blocks;
  for (uint32_t i = 0; i < shapes.size(); ++i) {
    if (shapes[i].blocks >= kLeastBlocks || !needs_company(shapes[i].pattern)) by_blocks.push_back(i);
  }
  std::ranges::stable_sort(by_blocks, std::greater<>(), [&](uint32_t i) { return shapes[i].blocks; });
  if (by_blocks.size() > kMaxShapes) by_blocks.resize(kMaxShapes);

  std::vector<uint16_t> kind_of_shape(shapes.size(), 0);
  for (uint32_t i : by_blocks) {
    kind_of_shape[i] = static_cast<uint16_t>(first_kind + result.names.size());
    result.names.push_back(name_of(shapes[i].pattern));
  }
  std::vector<uint16_t> kinds(shape_of.size(), 0);
  for (size_t i = 0; i < kinds.size(); ++i)
    kinds[i] = shape_of[i] == UINT32_MAX ? uint16_t{0} : kind_of_shape[shape_of[i]];
  count.replace_by(kinds);
  return result;
}

}  // namespace heapwalk
