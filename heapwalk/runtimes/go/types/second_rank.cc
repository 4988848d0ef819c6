#include "heapwalk/runtimes/go/types/second_rank.h"

#include <unordered_map>

#include "dump/base/parallel.h"
#include "heapwalk/runtimes/go/heap/heap_pointers.h"
#include "heapwalk/runtimes/go/types/embedding.h"
#include "heapwalk/runtimes/go/types/mask_match.h"
#include "heapwalk/runtimes/go/types/untyped_scan.h"

namespace heapwalk::go {
namespace {

constexpr uint32_t kObjects = 1 << 18;  // of a piece

// Calls f(piece's Found) ─► g(id, slot) for the used objects without a type.
template <class MakeVisitor>
std::vector<Found> for_untyped(const TypingTools& tools, MakeVisitor make_visitor) {
  const ObjectIndex& objects = tools.inputs.objects;
  std::vector<Found> pieces((objects.size() + kObjects - 1) / kObjects);
  parallel_for(pieces.size(), tools.inputs.threads, [&](size_t piece) {
    const auto first = static_cast<uint32_t>(piece * kObjects);
    const uint32_t last = std::min(objects.size() - first, kObjects) + first;
    auto visit = make_visitor(pieces[piece]);
    objects.for_each(first, last, [&](ObjectId id, Address at, uint64_t size, AllocationState state) {
      if (state == AllocationState::used && tools.typing.kind_of[index(id)] == 0)
        visit(index(id), AddressRange::of(at, size));
    });
  });
  return pieces;
}

}  // namespace

std::vector<Found> scan_untyped(const TypingTools& tools) {
  const TypingInputs& inputs = tools.inputs;
  const auto make_scan = [&] { return UntypedScan(inputs.heap, tools.dynamic, tools.walk, tools.closures.structs()); };
  std::vector<Found> pieces = for_untyped(tools, [&](Found& found) {
    return [&tools, &found, scan = make_scan()](uint32_t, AddressRange slot) mutable {
      if (tools.spans.find(slot.begin) == nullptr) return;
      scan.object(slot, found.leads);
      judge_leads(tools, found);
    };
  });
  Found& words = pieces.emplace_back();
  make_scan().words(inputs.pointer_words, words.leads);
  judge_leads(tools, words);
  return pieces;
}

std::vector<Found> match_masks(TypingTools& tools) {
  const MaskMatch masks(tools.types, tools.plans);
  return for_untyped(tools, [&](Found& found) {
    return [&](uint32_t object, AddressRange slot) {
      const Span* span = tools.spans.find(slot.begin);
      if (span == nullptr) return;
      const TypeId type =
          masks.match({tools.inputs, tools.types, tools.judge, tools.walk, tools.plans, tools.typing}, *span, slot);
      if (type == kNoType) return;
      found.rare.push_back(
          {.start = slot.begin, .object = object, .kind = {.element = type, .strength = Strength::paired}});
    };
  });
}

Found match_hints(TypingTools& tools, const std::vector<Hint>& hints) {
  Found found;
  if (hints.empty()) return found;
  const Embedding embedding(tools.types);
  std::unordered_map<TypeId, std::vector<Embedding::Holder>> known;
  for (const Hint& hint : hints) {
    if (tools.typing.kind_of[hint.object] != 0) continue;
    const auto [holders, is_new] = known.try_emplace(hint.part);
    if (is_new) {
      holders->second = embedding.holders_of(hint.part);
      for (const auto& holder : holders->second) tools.plans.of(holder.type);
    }
    TypeId only = kNoType;
    size_t fitting = 0;
    for (const auto& holder : holders->second) {
      if (!holder.has_at(hint.offset_bytes) || !tools.judge.could_be(hint.start, holder.type)) continue;
      if (only != holder.type) ++fitting;
      only = holder.type;
    }
    if (fitting != 1) continue;
    const uint8_t header_bytes = tools.spans.find(hint.start)->has_headers ? uint8_t{kHeaderBytes} : uint8_t{0};
    found.rare.push_back({.start = hint.start,
                          .object = hint.object,
                          .kind = {.element = only, .header_bytes = header_bytes, .strength = Strength::paired}});
  }
  return found;
}

}  // namespace heapwalk::go
