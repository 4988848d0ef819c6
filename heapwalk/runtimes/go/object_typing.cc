// Typed objects are taken from a queue in batches. Workers walk the batch's objects and judge what they lead to; what they claim
// is then applied in order, which is when types are added. Nothing is changed while workers read.
#include "heapwalk/runtimes/go/object_typing.h"

#include <algorithm>
#include <memory>
#include <unordered_map>
#include <unordered_set>

#include <fmt/format.h>

#include "dump/base/parallel.h"
#include "heapwalk/large_pages.h"
#include "heapwalk/runtimes/go/claim_judge.h"
#include "heapwalk/runtimes/go/closure_structs.h"
#include "heapwalk/runtimes/go/closure_types.h"
#include "heapwalk/runtimes/go/embedding.h"
#include "heapwalk/runtimes/go/heap_pointers.h"
#include "heapwalk/runtimes/go/mask_match.h"
#include "heapwalk/runtimes/go/span_index.h"
#include "heapwalk/runtimes/go/untyped_scan.h"
#include "heapwalk/runtimes/go/value_walk.h"

namespace heapwalk::go {
namespace {

constexpr size_t kMaxKinds = UINT16_MAX;
constexpr size_t kMaxHints = size_t{1} << 22;
constexpr int kGuessRounds = 8;
constexpr size_t kBatch = size_t{1} << 15;
constexpr size_t kPiece = size_t{1} << 10;
constexpr size_t kAhead = 8;                             // objects whose bytes are on their way
constexpr size_t kTogether = 32;                         // leads that are looked up together
constexpr uint64_t kMaxStatics = uint64_t{1} << 22;      // values outside of the heap that are walked
constexpr uint64_t kMaxStaticBytes = uint64_t{1} << 20;  // of one of them

struct Queued {
  uint32_t object;
  Address start;
};

struct Static {  // a typed value outside of the heap
  Address address;
  TypeId type;
  uint64_t count;
};

// What one worker found.
struct Found {
  std::vector<GoClaim> claims;
  std::vector<Lead> unknown;  // interfaces whose types were not met
  std::vector<Static> statics;
  std::vector<Lead> leads;
  Doubts doubts;
  const Region* region = nullptr;
};

class Typing {
 public:
  Typing(const TypingInputs& inputs, GoTypes& types, Diagnostics& diagnostics)
      : inputs_(inputs),
        memory_(inputs.dump.memory),
        layout_(inputs.heap.process().layout),
        types_(types),
        diagnostics_(diagnostics),
        spans_(inputs.heap.spans()),
        masks_(memory_, layout_),
        plans_(types, masks_),
        dynamic_(memory_, layout_, types),
        closures_(types, inputs.functions, inputs.captured,
                  match_closure_structs(memory_, inputs.heap.process(), inputs.functions, types.closure_structs())),
        walk_(memory_, layout_, types, plans_, dynamic_),
        judge_(inputs, spans_, plans_, typing_) {}

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
        const Span* span = spans_.find(at);
        if (span == nullptr || span->noscan || (!span->has_headers && !span->large_type)) return;
        const Address type = pointers.noted_type(*span, AddressRange::of(at, size));
        if (type) pieces[piece].push_back({index(id), type, span});
      });
    });
    for (const auto& piece : pieces) {
      for (const Noted& noted : piece) note(noted);
    }
    for (const Special& special : inputs_.specials) follow_special(special);
    judge(scratch_);
    apply(scratch_);
    for (Address type : types_.addresses()) dynamic_.add(type, false, plans_);
    for (Address itab : types_.itabs()) dynamic_.add(itab, true, plans_);
  }

  // A finalizer knows the type of the object's pointer; it and cleanups have a closure.
  void follow_special(const Special& special) {
    const auto pointer = [&](Field field) {
      return layout_.has(field) ? memory_.read_pointer(special.address + layout_.offset(field)).value_or(Address{})
                                : Address{};
    };
    Address function;
    if (special.kind == SpecialKind::finalizer) {
      function = pointer(Field::specialfinalizer_fn);
      const TypeId type = pointee(types_.table(), types_.add(pointer(Field::specialfinalizer_ot)));
      const Span* span = spans_.find(special.object.begin);
      if (type != kNoType && span != nullptr) {
        plans_.of(type);
        const Address first = special.object.begin + (span->has_headers ? kHeaderBytes : 0);
        scratch_.leads.push_back({.value = first, .type = type, .how = Lead::How::dynamic});
      }
    } else if (special.kind == SpecialKind::cleanup) {
      function = pointer(Field::specialCleanup_fn);
      if (layout_.has(Field::specialCleanup_cleanup))
        function = memory_
                       .read_pointer(special.address + layout_.offset(Field::specialCleanup_cleanup) +
                                     layout_.offset(Field::cleanupFn_fn))
                       .value_or(Address{});
    }
    if (function) scratch_.leads.push_back({.value = function, .how = Lead::How::closure});
  }

  void note(const Noted& noted) {
    auto [at, is_new] = noted_kinds_.try_emplace({noted.type.value, noted.span->element_bytes});
    if (is_new) {
      const TypeId type = types_.add(noted.type);
      if (type != kNoType) at->second = kind_number(ClaimJudge::noted_kind(*noted.span, type, plans_.of(type)));
    }
    if (at->second != 0) set_kind(noted.object, at->second);
  }

  // ---- typed values outside of the heap

  // Locals come after all that others say: some have a place before they have a value.
  void add_roots(bool locals) {
    for (const Root& root : inputs_.roots.roots) {
      const bool is_local = root.kind == RootKind::stack || root.kind == RootKind::register_;
      if (root.type == kNoType || is_local != locals) continue;
      const WalkPlan& plan = plans_.of(root.type);
      if (plan.places.empty()) continue;
      if (root.location.empty()) {
        walk_.walk(plan, Address{}, std::as_bytes(std::span(&root.value, 1)), scratch_.leads);
      } else {
        const uint64_t size_bytes = std::min(plan.size_bytes, root.location.size_bytes());
        walk_.walk(plan, root.location.begin, memory_.read(root.location.begin, size_bytes), scratch_.leads);
      }
      judge(scratch_);
    }
    apply(scratch_);
  }

  // Package variables without a name, and what functions keep on their stacks.
  bool is_static(Address address) const {
    for (const ModuleData& module : inputs_.heap.process().modules) {
      for (AddressRange range : {module.data.range, module.bss.range, module.noptrdata, module.noptrbss}) {
        if (range.contains(address)) return true;
      }
    }
    const Span* span = inputs_.heap.find(address);
    return span != nullptr && span->state == SpanState::manual;
  }

  void walk_static(const Static& value, Found& found) {
    const WalkPlan* plan = plans_.find(value.type);
    if (plan == nullptr || plan->size_bytes == 0 || seen_statics_.size() >= kMaxStatics) return;
    if (!seen_statics_.insert(value.address).second) return;
    const uint64_t count = std::min(value.count, kMaxStaticBytes / plan->size_bytes + 1);
    const Bytes bytes = memory_.read(value.address, std::min(count * plan->size_bytes, kMaxStaticBytes));
    walk_elements(*plan, value.address, bytes, found.leads);
  }

  // ---- from typed objects on

  void walk_elements(const WalkPlan& plan, Address at, Bytes bytes, std::vector<Lead>& leads) const {
    for (uint64_t i = 0; i + plan.size_bytes <= bytes.size(); i += plan.size_bytes) {
      walk_.walk(plan, at + i, bytes.subspan(i, plan.size_bytes), leads);
    }
  }

  Bytes bytes_of(const Region*& region, Address at, uint64_t size_bytes) const {
    if (region == nullptr || !region->range.contains(at)) region = memory_.find(at);
    if (region == nullptr || region->data == nullptr) return {};
    return region->bytes().subspan(at - region->range.begin, std::min(size_bytes, region->range.end - at));
  }

  void walk_piece(std::span<const Queued> objects, Found& found) const {
    for (size_t i = 0; i < objects.size(); ++i) {
      if (i + kAhead < objects.size()) {
        const Bytes ahead = bytes_of(found.region, objects[i + kAhead].start, 64);
        __builtin_prefetch(ahead.data());
      }
      walk_object(objects[i].object, objects[i].start, found);
      if (found.leads.size() >= kPiece) judge(found);
    }
    judge(found);
  }

  void walk_object(uint32_t object, Address start, Found& found) const {
    const ObjectKind& kind = typing_.kinds[typing_.kind_of[object]];
    const WalkPlan* plan = plans_.find(kind.element);
    const Span* span = spans_.find(start);
    if (plan == nullptr || span == nullptr || plan->size_bytes == 0) return;
    const Address first = start + kind.header_bytes;
    const uint64_t room = span->element_bytes - kind.header_bytes;
    const Bytes bytes = bytes_of(found.region, first, kind.is_array ? room : std::min(room, plan->size_bytes));
    const size_t before = found.leads.size();
    walk_elements(*plan, first, bytes, found.leads);
    if (kind.strength != Strength::paired) return;
    for (size_t i = before; i < found.leads.size(); ++i) found.leads[i].is_guess = true;
  }

  // Leads become claims, or something to be looked at when nobody reads.
  void judge(Found& found) const {
    std::array<Located, kTogether> located;
    for (size_t begin = 0; begin < found.leads.size(); begin += kTogether) {
      const auto leads = std::span(found.leads).subspan(begin, std::min(kTogether, found.leads.size() - begin));
      for (size_t i = 0; i < leads.size(); ++i) located[i] = judge_.locate(leads[i].value);
      for (size_t i = 0; i < leads.size(); ++i) judge_.approach(leads[i].value, located[i]);
      for (size_t i = 0; i < leads.size(); ++i) judge_one(leads[i], located[i], found);
    }
    found.leads.clear();
  }

  void judge_one(const Lead& lead, const Located& located, Found& found) const {
    if (lead.how == Lead::How::unknown) {
      found.unknown.push_back(lead);
    } else if (located.span != nullptr) {
      if (auto claim = judge_.judge(lead, located, found.doubts)) found.claims.push_back(*claim);
    } else if (const WalkPlan* plan = lead.type == kNoType ? nullptr : plans_.find(lead.type);
               plan != nullptr && !plan->places.empty() && is_static(lead.value)) {
      found.statics.push_back({lead.value, lead.type, lead.count});
    }
  }

  void follow() {
    while (!queue_.empty()) {
      std::vector<Queued> all = std::exchange(queue_, {});
      for (size_t begin = 0; begin < all.size(); begin += kBatch) {
        const auto batch = std::span(all).subspan(begin, std::min(kBatch, all.size() - begin));
        const size_t pieces = (batch.size() + kPiece - 1) / kPiece;
        if (pieces > pieces_.size()) pieces_.resize(pieces);
        parallel_for(pieces, inputs_.threads, [&](size_t piece) {
          walk_piece(batch.subspan(piece * kPiece, std::min(kPiece, batch.size() - piece * kPiece)), pieces_[piece]);
        });
        for (size_t piece = 0; piece < pieces; ++piece) apply(pieces_[piece]);
      }
    }
  }

  // Ends: each static value is walked once, each type met once, and claims only get better.
  void apply(Found& found) {
    do {
      for (const GoClaim& claim : std::exchange(found.claims, {})) claim_object(claim);
      typing_.conflicts += std::exchange(found.doubts.conflicts, 0);
      keep_hints(found.doubts.hints);
      for (const Static& each : std::exchange(found.statics, {})) walk_static(each, found);
      for (const Lead& lead : std::exchange(found.unknown, {})) {
        const auto& dynamic = dynamic_.add(lead.other, lead.is_itab, plans_);
        if (lead.value) walk_.follow(dynamic, lead.value, dynamic.is_direct, found.leads);
      }
      judge(found);
    } while (!found.claims.empty() || !found.statics.empty() || !found.unknown.empty());
  }

  void claim_object(const GoClaim& claim) {
    const ObjectKind& known = typing_.kinds[typing_.kind_of[claim.object]];
    TypeId type = claim.type;
    if (claim.is_closure) {
      const auto code = memory_.read_pointer(claim.start + claim.header_bytes);
      type = closures_.type_of(code.value_or(Address{}), spans_.find(claim.start)->element_bytes - claim.header_bytes);
      if (type == kNoType) return;
      plans_.of(type);
    }
    if (known.strength <= claim.strength) {
      if (known.strength == claim.strength && known.element != type) ++typing_.conflicts;
      return;
    }
    const uint16_t kind = kind_number({.element = type,
                                       .is_array = claim.is_array,
                                       .has_tail = claim.has_tail,
                                       .header_bytes = claim.header_bytes,
                                       .strength = claim.strength});
    if (kind != 0) set_kind(claim.object, kind, claim.start);
  }

  uint16_t kind_number(const ObjectKind& kind) {
    if (kind.strength == Strength::none || kind.element == kNoType) return 0;
    const uint64_t key = uint64_t{index(kind.element)} << 32 | uint64_t{kind.header_bytes} << 16 |
                         uint64_t{kind.is_array} << 9 | uint64_t{kind.has_tail} << 8 |
                         static_cast<uint64_t>(kind.strength);
    auto [at, is_new] = kind_numbers_.try_emplace(key);
    if (is_new) {
      if (typing_.kinds.size() > kMaxKinds) {
        ++dropped_;
        return 0;
      }
      plans_.of(kind.element);
      at->second = static_cast<uint16_t>(typing_.kinds.size());
      typing_.kinds.push_back(kind);
    }
    return at->second;
  }

  void set_kind(uint32_t object, uint16_t kind) { set_kind(object, kind, inputs_.objects.address(ObjectId{object})); }
  void set_kind(uint32_t object, uint16_t kind, Address start) {
    ++claimed_;
    typing_.kind_of[object] = kind;
    const WalkPlan* plan = plans_.find(typing_.kinds[kind].element);
    if (plan != nullptr && !plan->places.empty()) queue_.push_back({object, start});
  }

  // ---- evidence of second rank, once the typed pointers are exhausted

  // True when new claims came of it.
  bool guess() {
    const uint64_t before = claimed_;
    scan_untyped();
    follow();
    guess_by_embedding();
    follow();
    guess_by_mask();
    return claimed_ > before;
  }

  void scan_untyped() {
    constexpr uint32_t kObjects = 1 << 18;
    std::vector<Found> pieces((inputs_.objects.size() + kObjects - 1) / kObjects);
    parallel_for(pieces.size(), inputs_.threads, [&](size_t piece) {
      const auto first = static_cast<uint32_t>(piece * kObjects);
      const uint32_t last = std::min(inputs_.objects.size() - first, kObjects) + first;
      UntypedScan scan(inputs_.heap, dynamic_, walk_, closures_.structs());
      inputs_.objects.for_each(first, last, [&](ObjectId id, Address at, uint64_t size, AllocationState state) {
        if (state != AllocationState::used || typing_.kind_of[index(id)] != 0 || spans_.find(at) == nullptr) return;
        scan.object(AddressRange::of(at, size), pieces[piece].leads);
        judge(pieces[piece]);
      });
    });
    for (Found& found : pieces) apply(found);
    UntypedScan(inputs_.heap, dynamic_, walk_, closures_.structs()).words(inputs_.pointer_words, scratch_.leads);
    judge(scratch_);
    apply(scratch_);
  }

  void guess_by_mask() {
    constexpr uint32_t kObjects = 1 << 16;
    const MaskMatch masks(types_, plans_);
    std::vector<Found> pieces((inputs_.objects.size() + kObjects - 1) / kObjects);
    parallel_for(pieces.size(), inputs_.threads, [&](size_t piece) {
      const auto first = static_cast<uint32_t>(piece * kObjects);
      const uint32_t last = std::min(inputs_.objects.size() - first, kObjects) + first;
      inputs_.objects.for_each(first, last, [&](ObjectId id, Address at, uint64_t size, AllocationState state) {
        if (state != AllocationState::used || typing_.kind_of[index(id)] != 0) return;
        const Span* span = spans_.find(at);
        if (span == nullptr) return;
        const TypeId type =
            masks.match({inputs_, types_, judge_, walk_, plans_, typing_}, *span, AddressRange::of(at, size));
        if (type == kNoType) return;
        pieces[piece].claims.push_back({.start = at, .object = index(id), .type = type, .strength = Strength::paired});
      });
    });
    for (Found& found : pieces) apply(found);
  }

  void keep_hints(std::vector<Hint>& hints) {
    for (const Hint& hint : hints) {
      const Type& part = types_.table()[hint.part];
      if (part.kind == TypeKind::record && hints_.size() < kMaxHints) hints_.push_back(hint);
    }
    hints.clear();
  }

  // One holder that fits: what the object is.
  void guess_by_embedding() {
    if (hints_.empty()) return;
    const Embedding embedding(types_);
    std::unordered_map<TypeId, std::vector<Embedding::Holder>> known;
    for (const Hint& hint : std::exchange(hints_, {})) {
      if (typing_.kind_of[hint.object] != 0) continue;
      const auto [holders, is_new] = known.try_emplace(hint.part);
      if (is_new) {
        holders->second = embedding.holders_of(hint.part);
        for (const auto& holder : holders->second) plans_.of(holder.type);
      }
      TypeId only = kNoType;
      size_t fitting = 0;
      for (const auto& holder : holders->second) {
        if (!holder.has_at(hint.offset_bytes) || !judge_.could_be(hint.start, holder.type)) continue;
        if (only != holder.type) ++fitting;
        only = holder.type;
      }
      if (fitting != 1) continue;
      const Span* span = spans_.find(hint.start);
      claim_object({.start = hint.start,
                    .object = hint.object,
                    .type = only,
                    .strength = Strength::paired,
                    .header_bytes = span->has_headers ? uint8_t{kHeaderBytes} : uint8_t{0}});
    }
  }

  void finish() {
    for (uint64_t& each : typing_.objects) each = 0;
    inputs_.objects.for_each([&](ObjectId id, Address at, uint64_t size, AllocationState state) {
      if (state != AllocationState::used || spans_.find(at) == nullptr) return;
      const auto strength = static_cast<size_t>(typing_.kinds[typing_.kind_of[index(id)]].strength);
      ++typing_.objects[strength];
      typing_.bytes[strength] += size;
    });
    if (dropped_ > 0) diagnostics_.add("too_many_types", "allocations whose type could not be kept", dropped_);
  }

  struct PairHash {
    size_t operator()(const std::pair<uint64_t, uint64_t>& pair) const {
      return (pair.first >> 3 ^ pair.second << 40) * 0x9e3779b97f4a7c15 >> 16;
    }
  };

  const TypingInputs& inputs_;
  const AddressSpace& memory_;
  const Layout& layout_;
  GoTypes& types_;
  Diagnostics& diagnostics_;
  SpanIndex spans_;
  PointerMasks masks_;
  WalkPlans plans_;
  DynamicTypes dynamic_;
  ClosureTypes closures_;
  ObjectTyping typing_;
  ValueWalk walk_;
  ClaimJudge judge_;
  Found scratch_;
  std::vector<Found> pieces_;  // of a batch
  std::vector<Queued> queue_;
  std::unordered_map<uint64_t, uint16_t> kind_numbers_;
  std::unordered_map<std::pair<uint64_t, uint64_t>, uint16_t, PairHash> noted_kinds_;  // by type and slot size
  std::unordered_set<Address> seen_statics_;
  std::vector<Hint> hints_;
  uint64_t dropped_ = 0, claimed_ = 0;
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
