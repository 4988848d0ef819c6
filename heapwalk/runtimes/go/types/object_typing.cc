// A level of typed objects at a time, in batches of pieces. Workers walk the objects of a piece and judge what they lead to;
// then they apply what is claimed, each of them the claims about its share of the objects; what adds to the types comes last, one
// by one. While workers walk nothing is changed, and while they apply a share is one worker's.
//
//     level ─► pieces ─► walk, judge ─► claims by share ─► apply ─► by share: the next level
//                             └─► new kinds, closures, interfaces, values outside of the heap ─► one by one ─┘
#include "heapwalk/runtimes/go/types/object_typing.h"

#include <algorithm>
#include <memory>
#include <unordered_map>
#include <unordered_set>

#include <fmt/format.h>

#include "dump/base/parallel.h"
#include "heapwalk/large_pages.h"
#include "heapwalk/runtimes/go/heap/heap_pointers.h"
#include "heapwalk/runtimes/go/types/lead_judging.h"
#include "heapwalk/runtimes/go/types/second_rank.h"
#include "heapwalk/runtimes/go/types/typing_tools.h"

namespace heapwalk::go {
namespace {

constexpr size_t kMaxHints = size_t{1} << 22;
constexpr int kGuessRounds = 8;
constexpr size_t kPiece = ClaimedQueue::kPiece;          // objects that one worker takes at once
constexpr size_t kBatch = 64;                            // pieces
constexpr size_t kAhead = 8;                             // objects or claims whose memory is on its way
constexpr size_t kWorthSharing = size_t{1} << 14;        // claims
constexpr uint64_t kMaxStatics = uint64_t{1} << 22;      // values outside of the heap that are walked
constexpr uint64_t kMaxStaticBytes = uint64_t{1} << 20;  // of one of them

class Typing {
 public:
  Typing(const TypingInputs& inputs, GoTypes& types, Diagnostics& diagnostics)
      : tools_(inputs, types), inputs_(inputs), typing_(tools_.typing), diagnostics_(diagnostics) {}

  ObjectTyping run() {
    assign_large(typing_.kind_of, inputs_.objects.size(), uint16_t{0});
    add_noted();
    add_roots(false);
    follow();
    add_roots(true);
    follow();
    for (int round = 0; round < kGuessRounds && guess(); ++round) follow();
    finish();
    return std::move(typing_);
  }

 private:
  // ---- what the run-time notes

  struct Noted {
    uint32_t object;
    Address start;
    Address type;
    const Span* span;
  };

  // Headers and the types of large objects, by pieces of the index.
  void add_noted() {
    constexpr uint32_t kObjects = 1 << 18;
    std::vector<std::vector<Noted>> pieces((inputs_.objects.size() + kObjects - 1) / kObjects);
    parallel_for(pieces.size(), inputs_.threads, [&](size_t piece) {
      const auto first = static_cast<uint32_t>(piece * kObjects);
      const uint32_t last = std::min(inputs_.objects.size() - first, kObjects) + first;
      HeapPointers pointers(inputs_.heap);
      inputs_.objects.for_each(first, last, [&](ObjectId id, Address at, uint64_t size, AllocationState state) {
        if (state != AllocationState::used) return;
        const Span* span = tools_.spans.find(at);
        if (span == nullptr || span->noscan || (!span->has_headers && !span->large_type)) return;
        const Address type = pointers.noted_type(*span, AddressRange::of(at, size));
        if (type) pieces[piece].push_back({index(id), at, type, span});
      });
    });
    for (const auto& piece : pieces) {
      for (const Noted& noted : piece) note(noted);
    }
    for (const Special& special : inputs_.specials) follow_special(special);
    settle(scratch_);
    for (Address type : tools_.types.addresses()) tools_.dynamic.add(type, false, tools_.plans);
    for (Address itab : tools_.types.itabs()) tools_.dynamic.add(itab, true, tools_.plans);
  }

  // A finalizer knows the type of the object's pointer; it and cleanups have a closure.
  void follow_special(const Special& special) {
    const Layout& layout = tools_.layout;
    const auto pointer = [&](Field field) {
      return layout.has(field) ? tools_.memory.read_pointer(special.address + layout.offset(field)).value_or(Address{})
                               : Address{};
    };
    Address function;
    if (special.kind == SpecialKind::finalizer) {
      function = pointer(Field::specialfinalizer_fn);
      const TypeId type = pointee(tools_.types.table(), tools_.types.add(pointer(Field::specialfinalizer_ot)));
      const Span* span = tools_.spans.find(special.object.begin);
      if (type != kNoType && span != nullptr) {
        tools_.plans.of(type);
        const Address first = special.object.begin + (span->has_headers ? kHeaderBytes : 0);
        scratch_.leads.push_back({.value = first, .type = type, .how = Lead::How::dynamic});
      }
    } else if (special.kind == SpecialKind::cleanup) {
      function = pointer(Field::specialCleanup_fn);
      if (layout.has(Field::specialCleanup_cleanup))
        function = tools_.memory
                       .read_pointer(special.address + layout.offset(Field::specialCleanup_cleanup) +
                                     layout.offset(Field::cleanupFn_fn))
                       .value_or(Address{});
    }
    if (function) scratch_.leads.push_back({.value = function, .how = Lead::How::closure});
  }

  void note(const Noted& noted) {
    auto [at, is_new] = noted_kinds_.try_emplace({noted.type.value, noted.span->element_bytes});
    if (is_new) {
      const TypeId type = tools_.types.add(noted.type);
      if (type != kNoType)
        at->second = tools_.kinds.add(ClaimJudge::noted_kind(*noted.span, type, tools_.plans.of(type)));
    }
    if (at->second != 0) set_kind({noted.start, noted.object, at->second}, shares_[share_of(noted.object)]);
  }

  // ---- typed values outside of the heap

  // Locals come after all that others say: some have a place before they have a value.
  void add_roots(bool locals) {
    for (const Root& root : inputs_.roots.roots) {
      const bool is_local = root.kind == RootKind::stack || root.kind == RootKind::register_;
      if (root.type == kNoType || is_local != locals) continue;
      const WalkPlan& plan = tools_.plans.of(root.type);
      if (plan.places.empty()) continue;
      if (root.location.empty()) {
        tools_.walk.walk(plan, Address{}, std::as_bytes(std::span(&root.value, 1)), scratch_.leads);
      } else {
        const uint64_t size_bytes = std::min(plan.size_bytes, root.location.size_bytes());
        tools_.walk.walk(plan, root.location.begin, tools_.memory.read(root.location.begin, size_bytes),
                         scratch_.leads);
      }
      judge_leads(tools_, scratch_);
    }
    settle(scratch_);
  }

  void walk_static(const Static& value, Found& found) {
    const WalkPlan* plan = tools_.plans.find(value.type);
    if (plan == nullptr || plan->size_bytes == 0 || seen_statics_.size() >= kMaxStatics) return;
    if (!seen_statics_.insert(value.address).second) return;
    const uint64_t count = std::min(value.count, kMaxStaticBytes / plan->size_bytes + 1);
    const Bytes bytes = tools_.memory.read(value.address, std::min(count * plan->size_bytes, kMaxStaticBytes));
    walk_elements(*plan, value.address, bytes, found.leads);
  }

  // ---- from typed objects on

  void follow() {
    for (;;) {
      size_t size = 0;
      for (const Share& share : shares_) size += share.level.size();
      if (size == 0) return;
      std::array<ClaimedQueue::Pieces, kShares> level;
      for (size_t share = 0; share < kShares; ++share) level[share] = shares_[share].level.take();
      if (size <= kShares * kPiece) {
        follow_few(level);
      } else {
        follow_many(level);
      }
    }
  }

  // Each share has but a few: they are put together.
  void follow_few(std::array<ClaimedQueue::Pieces, kShares>& level) {
    few_.clear();
    for (size_t share = 0; share < kShares; ++share) {
      for (auto& piece : level[share]) {
        few_.insert(few_.end(), piece->used().begin(), piece->used().end());
        shares_[share].level.give_back(std::move(piece));
      }
    }
    std::array<std::span<const Claimed>, kShares> batch;
    size_t pieces = 0;
    for (size_t begin = 0; begin < few_.size(); begin += kPiece)
      batch[pieces++] = std::span(few_).subspan(begin, std::min(kPiece, few_.size() - begin));
    follow(std::span(batch).first(pieces));
  }

  void follow_many(std::array<ClaimedQueue::Pieces, kShares>& level) {
    std::vector<std::span<const Claimed>> batch;
    for (size_t share = 0; share < kShares; ++share) {
      ClaimedQueue::Pieces& pieces = level[share];
      for (size_t begin = 0; begin < pieces.size(); begin += kBatch) {
        const auto some = std::span(pieces).subspan(begin, std::min(kBatch, pieces.size() - begin));
        batch.clear();
        for (const auto& piece : some) batch.push_back(piece->used());
        follow(batch);
        for (auto& piece : some) shares_[share].level.give_back(std::move(piece));
      }
    }
  }

  void follow(std::span<const std::span<const Claimed>> batch) {
    if (batch.size() > pieces_.size()) pieces_.resize(batch.size());
    parallel_for(batch.size(), inputs_.threads, [&](size_t piece) { walk_piece(batch[piece], pieces_[piece]); });
    apply(std::span(pieces_).first(batch.size()));
  }

  void walk_piece(std::span<const Claimed> objects, Found& found) const {
    const Region* region = nullptr;
    for (size_t i = 0; i < objects.size(); ++i) {
      if (i + kAhead < objects.size()) {
        __builtin_prefetch(bytes_of(region, objects[i + kAhead].start, 64).data());
        __builtin_prefetch(&typing_.kind_of[objects[i + kAhead].object]);
      }
      // What has got a better kind since stands in a later level too.
      if (typing_.kind_of[objects[i].object] == objects[i].kind) walk_object(objects[i], region, found.leads);
      if (found.leads.size() >= kPiece) judge_leads(tools_, found);
    }
    judge_leads(tools_, found);
  }

  void walk_object(const Claimed& object, const Region*& region, std::vector<Lead>& leads) const {
    const ObjectKind& kind = tools_.kinds[object.kind];
    const WalkPlan* plan = tools_.kinds.plan(object.kind);
    if (plan == nullptr) return;
    uint64_t size_bytes = plan->size_bytes;
    if (kind.is_array) size_bytes = inputs_.objects.size_bytes(ObjectId{object.object}) - kind.header_bytes;
    const Address first = object.start + kind.header_bytes;
    const size_t before = leads.size();
    walk_elements(*plan, first, bytes_of(region, first, size_bytes), leads);
    if (kind.strength != Strength::paired) return;
    for (size_t i = before; i < leads.size(); ++i) leads[i].is_guess = true;
  }

  void walk_elements(const WalkPlan& plan, Address at, Bytes bytes, std::vector<Lead>& leads) const {
    for (uint64_t i = 0; i + plan.size_bytes <= bytes.size(); i += plan.size_bytes) {
      tools_.walk.walk(plan, at + i, bytes.subspan(i, plan.size_bytes), leads);
    }
  }

  Bytes bytes_of(const Region*& region, Address at, uint64_t size_bytes) const {
    if (region == nullptr || !region->range.contains(at)) region = tools_.memory.find(at);
    if (region == nullptr || region->data == nullptr) return {};
    return region->bytes().subspan(at - region->range.begin, std::min(size_bytes, region->range.end - at));
  }

  // ---- from claims to kinds

  struct alignas(64) Share {
    ClaimedQueue level;  // to be walked
    uint64_t claimed = 0, conflicts = 0;
  };

  void apply(std::span<Found> pieces) {
    size_t claims = 0;
    for (const Found& found : pieces) {
      for (const auto& each : found.claims) claims += each.size();
    }
    const size_t threads = claims < kWorthSharing ? 1 : inputs_.threads;
    parallel_for(kShares, threads, [&](size_t share) {
      for (Found& found : pieces) apply(found.claims[share], shares_[share]);
    });
    for (Found& found : pieces) apply_rare(found);
  }

  void apply(std::vector<Claimed>& claims, Share& share) {
    for (size_t i = 0; i < claims.size(); ++i) {
      if (i + kAhead < claims.size()) __builtin_prefetch(&typing_.kind_of[claims[i + kAhead].object], 1);
      apply(claims[i], share);
    }
    claims.clear();
  }

  void apply(const Claimed& claim, Share& share) {
    const ObjectKind& known = tools_.kinds[typing_.kind_of[claim.object]];
    const ObjectKind& kind = tools_.kinds[claim.kind];
    if (kind.strength < known.strength) {
      set_kind(claim, share);
    } else if (kind.strength == known.strength && kind.element != known.element &&
               !tools_.judge.is_tiny_block(claim.start)) {
      ++share.conflicts;
    }
  }

  void set_kind(const Claimed& claim, Share& share) {
    ++share.claimed;
    typing_.kind_of[claim.object] = claim.kind;
    if (tools_.kinds.plan(claim.kind) != nullptr) share.level.push(claim);
  }

  // Ends: each static value is walked once, each type met once, and claims only get better.
  void settle(Found& found) {
    judge_leads(tools_, found);
    apply({&found, 1});
  }

  void apply_rare(Found& found) {
    while (!found.rare.empty() || !found.statics.empty() || !found.unknown.empty()) {
      for (const GoClaim& claim : std::exchange(found.rare, {})) apply_rare(claim);
      for (const Static& each : std::exchange(found.statics, {})) walk_static(each, found);
      for (const Lead& lead : std::exchange(found.unknown, {})) {
        const auto& dynamic = tools_.dynamic.add(lead.other, lead.is_itab, tools_.plans);
        if (lead.value) tools_.walk.follow(dynamic, lead.value, dynamic.is_direct, found.leads);
      }
      judge_leads(tools_, found);
      for (size_t share = 0; share < kShares; ++share) apply(found.claims[share], shares_[share]);
    }
    typing_.conflicts += std::exchange(found.doubts.conflicts, 0);
    keep_hints(found.doubts.hints);
  }

  void apply_rare(const GoClaim& claim) {
    ObjectKind kind = claim.kind;
    if (claim.is_new_closure) {
      const Address first = claim.start + kind.header_bytes;
      const uint64_t room_bytes = tools_.spans.find(claim.start)->element_bytes - kind.header_bytes;
      kind.element = tools_.closures.type_of(tools_.memory.read_pointer(first).value_or(Address{}), room_bytes);
    }
    const uint16_t number = tools_.kinds.add(kind);
    if (number != 0) apply({claim.start, claim.object, number}, shares_[share_of(claim.object)]);
  }

  void keep_hints(std::vector<Hint>& hints) {
    for (const Hint& hint : hints) {
      const Type& part = tools_.types.table()[hint.part];
      if (part.kind == TypeKind::record && hints_.size() < kMaxHints) hints_.push_back(hint);
    }
    hints.clear();
  }

  // ---- evidence of second rank

  uint64_t claimed() const {
    uint64_t sum = 0;
    for (const Share& share : shares_) sum += share.claimed;
    return sum;
  }

  // True when new claims came of it.
  bool guess() {
    const uint64_t before = claimed();
    std::vector<Found> pieces = scan_untyped(tools_);
    apply(pieces);
    follow();
    Found held = match_hints(tools_, std::exchange(hints_, {}));
    settle(held);
    follow();
    pieces = match_masks(tools_);
    apply(pieces);
    return claimed() > before;
  }

  void finish() {
    for (const Share& share : shares_) typing_.conflicts += share.conflicts;
    for (uint64_t& each : typing_.objects) each = 0;
    inputs_.objects.for_each([&](ObjectId id, Address at, uint64_t size, AllocationState state) {
      if (state != AllocationState::used || tools_.spans.find(at) == nullptr) return;
      const auto strength = static_cast<size_t>(typing_.kinds[typing_.kind_of[index(id)]].strength);
      ++typing_.objects[strength];
      typing_.bytes[strength] += size;
    });
    if (typing_.conflicts > 0)
      diagnostics_.add(
          "type_conflict",
          "Go pointers of different types lead to one allocation; the best, or else the first, was believed",
          typing_.conflicts);
    if (tools_.kinds.dropped() > 0)
      diagnostics_.add("too_many_types", "allocations whose type could not be kept", tools_.kinds.dropped());
  }

  struct PairHash {
    size_t operator()(const std::pair<uint64_t, uint64_t>& pair) const {
      return (pair.first >> 3 ^ pair.second << 40) * 0x9e3779b97f4a7c15 >> 16;
    }
  };

  TypingTools tools_;
  const TypingInputs& inputs_;
  ObjectTyping& typing_;
  Diagnostics& diagnostics_;
  std::array<Share, kShares> shares_;
  Found scratch_;
  std::vector<Claimed> few_;                                                           // a level, put together
  std::vector<Found> pieces_;                                                          // of a batch
  std::unordered_map<std::pair<uint64_t, uint64_t>, uint16_t, PairHash> noted_kinds_;  // by type and slot size
  std::unordered_set<Address> seen_statics_;
  std::vector<Hint> hints_;
};

}  // namespace

TypeEvidence evidence_of(Strength strength) {
  switch (strength) {
    case Strength::noted:
    case Strength::dynamic:
      return TypeEvidence::runtime;
    case Strength::counted:
      return TypeEvidence::container;
    case Strength::exact:
    case Strength::fitting:
      return TypeEvidence::pointer;
    case Strength::paired:
      return TypeEvidence::field;
    case Strength::none:
      return TypeEvidence::none;
  }
  return TypeEvidence::none;
}

ObjectTyping type_objects(const TypingInputs& inputs, GoTypes& types, Diagnostics& diagnostics) {
  return Typing(inputs, types, diagnostics).run();
}

}  // namespace heapwalk::go
