#include "heapwalk/runtimes/go/types/claim_judge.h"

#include <algorithm>
#include <array>
#include <bit>

#include "heapwalk/runtimes/go/heap/heap_pointers.h"
#include "heapwalk/runtimes/go/program/size_classes.h"

namespace heapwalk::go {
namespace {

constexpr uint64_t kTinyBytes = 16;  // what is smaller and has no pointers shares a slot with others

// The best that a lead can become: what is known as well already needs no second look.
Strength best_of(Lead::How how) {
  switch (how) {
    case Lead::How::dynamic:
    case Lead::How::elements:
    case Lead::How::closure:
      return Strength::dynamic;
    case Lead::How::slice:
    case Lead::How::text:
    case Lead::How::counted:
    case Lead::How::at_least:
      return Strength::counted;
    case Lead::How::made_closure:
      return Strength::paired;
    default:
      return Strength::exact;
  }
}

bool is_tiny(const Span& span) {
  return span.noscan && span.element_bytes == kTinyBytes;
}

uint64_t low_bits(uint64_t bits, uint64_t count) {
  return count >= 64 ? bits : bits & ((uint64_t{1} << count) - 1);
}

}  // namespace

ClaimJudge::ClaimJudge(const TypingInputs& inputs, const SpanIndex& spans, const WalkPlans& plans,
                       const ClosureTypes& closures, const ObjectTyping& typing)
    : inputs_(&inputs),
      spans_(&spans),
      plans_(&plans),
      closures_(&closures),
      typing_(&typing),
      locate_(locate_plainly) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("popcnt")) locate_ = locate_popcnt;
#endif
}

ClaimJudge::Slot ClaimJudge::slot_at(Address start, const Span& span) {
  const uint8_t header_bytes = span.has_headers ? uint8_t{kHeaderBytes} : uint8_t{0};
  return {.span = &span, .start = start, .room_bytes = span.element_bytes - header_bytes, .header_bytes = header_bytes};
}

// First what says which object it is, then what says what the object is.
[[gnu::always_inline]] inline void ClaimJudge::locate_all(std::span<const Lead> leads, Located* located) const {
  constexpr size_t kMost = 64;
  std::array<PageDirectory::Place, kMost> places;
  const ObjectIndex& objects = inputs_->objects;
  for (size_t begin = 0; begin < leads.size(); begin += kMost) {
    const auto some = leads.subspan(begin, std::min(kMost, leads.size() - begin));
    for (size_t i = 0; i < some.size(); ++i) {
      const Span* span = spans_->find(some[i].value);
      located[begin + i] = {.span = span, .nearest = {}};
      if (span == nullptr) continue;
      __builtin_prefetch(span);
      __builtin_prefetch(reinterpret_cast<const std::byte*>(span + 1) - 1);
      places[i] = objects.place(some[i].value);
    }
    for (size_t i = 0; i < some.size(); ++i) {
      Located& at = located[begin + i];
      if (at.span == nullptr) continue;
      at.nearest = objects.nearest(some[i].value, places[i]);
      if (!at.nearest.found) continue;
      __builtin_prefetch(typing_->kind_of.data() + at.nearest.id);
      const uint64_t bits_at = (some[i].value - at.span->begin) / 64;
      if (bits_at < at.span->bits.size()) __builtin_prefetch(at.span->bits.data() + bits_at);
    }
  }
}

void ClaimJudge::locate_plainly(const ClaimJudge& judge, std::span<const Lead> leads, Located* located) {
  judge.locate_all(leads, located);
}
#if defined(__x86_64__)
// Counting bits is much of the work, and the compiler may not assume that there is an instruction for it.
[[gnu::target("popcnt")]] void ClaimJudge::locate_popcnt(const ClaimJudge& judge, std::span<const Lead> leads,
                                                         Located* located) {
  judge.locate_all(leads, located);
}
#endif

bool ClaimJudge::is_slot_for(const Slot& slot, uint64_t bytes) const {
  if (bytes > slot.room_bytes) return false;
  return go::is_slot_for(bytes + slot.header_bytes, slot.span->element_bytes);
}

ObjectKind ClaimJudge::noted_kind(const Span& span, TypeId type, const WalkPlan& plan) {
  const uint64_t size_bytes = plan.size_bytes;
  const uint8_t header_bytes = span.has_headers ? uint8_t{kHeaderBytes} : uint8_t{0};
  if (size_bytes == 0 || size_bytes > span.element_bytes - header_bytes) return {};
  return {.element = type,
          .is_array = !go::is_slot_for(size_bytes + header_bytes, span.element_bytes),
          .header_bytes = header_bytes,
          .strength = plan.is_generic ? Strength::paired : Strength::noted};
}

// A trie's node is what it says itself; a timer may be the beginning of the run-time's.
const WalkPlan* ClaimJudge::plan_of(const Lead& lead, const Slot& slot, TypeId& type) const {
  const WalkPlan* plan = type == kNoType ? nullptr : plans_->find(type);
  if (plan == nullptr) return plan;
  if (plan->stand_in != kNoType && !is_slot_for(slot, plan->size_bytes)) {
    const WalkPlan* larger = plans_->find(plan->stand_in);
    if (larger == nullptr || !is_slot_for(slot, larger->size_bytes)) return plan;
    type = plan->stand_in;
    return larger;
  }
  if (plan->form != GoForm::trie_node) return plan;
  const auto is_entry = inputs_->dump.memory.read<uint8_t>(lead.value + plan->entry_offset);
  if (!is_entry) return nullptr;
  type = *is_entry != 0 ? plan->entry : plan->inner;
  return type == kNoType ? nullptr : plans_->find(type);
}

std::optional<GoClaim> ClaimJudge::judge(const Lead& lead, const Located& located, Doubts& doubts) const {
  if (located.span == nullptr || !inputs_->objects.contains_used(located.nearest, lead.value)) return std::nullopt;
  const uint32_t object = located.nearest.id;
  const ObjectKind& known = typing_->kinds[typing_->kind_of[object]];
  const Strength best = lead.is_guess ? Strength::paired : best_of(lead.how);
  if (known.strength < best || (known.strength == best && known.element == lead.type)) return std::nullopt;
  Slot slot = slot_at(located.nearest.start, *located.span);
  if (lead.value - slot.start < slot.header_bytes) return std::nullopt;
  slot.offset_bytes = lead.value - slot.start - slot.header_bytes;
  GoClaim claim{
      .start = slot.start, .object = object, .kind = {.element = lead.type, .header_bytes = slot.header_bytes}};
  bool is_generic = false;
  Strength strength = strength_of(slot, lead, claim, is_generic);
  if (lead.is_guess || is_generic) strength = std::max(strength, Strength::paired);
  claim.kind.strength = strength;
  if (strength == Strength::none && known.strength == Strength::none && claim.kind.element != kNoType)
    doubts.hints.push_back({object, claim.start, claim.kind.element, slot.offset_bytes});
  if (strength == known.strength && strength != Strength::none && known.element != claim.kind.element &&
      !is_tiny(*located.span))
    ++doubts.conflicts;
  if (known.strength <= strength) return std::nullopt;
  return claim;
}

Strength ClaimJudge::strength_of(const Slot& slot, const Lead& lead, GoClaim& claim, bool& is_generic) const {
  if (lead.how == Lead::How::closure || lead.how == Lead::How::made_closure) {
    const Strength strength = closure_strength(slot, claim);
    return strength == Strength::none ? strength : best_of(lead.how);
  }
  const WalkPlan* plan = plan_of(lead, slot, claim.kind.element);
  if (plan == nullptr || plan->size_bytes == 0) {
    claim.kind.element = kNoType;  // not even part of it
    return Strength::none;
  }
  is_generic = plan->is_generic;
  switch (lead.how) {
    case Lead::How::slice:
    case Lead::How::text:
    case Lead::How::counted:
    case Lead::How::at_least:
    case Lead::How::elements:
      claim.kind.is_array = true;
      return array_strength(slot, lead, *plan);
    default:
      return value_strength(slot, lead, *plan, claim);
  }
}

bool ClaimJudge::is_tiny_block(Address slot) const {
  const Span* span = spans_->find(slot);
  return span != nullptr && is_tiny(*span);
}

bool ClaimJudge::could_be(Address start, TypeId type) const {
  const Span* span = spans_->find(start);
  const WalkPlan* plan = plans_->find(type);
  if (span == nullptr || plan == nullptr || plan->has_pointers == span->noscan) return false;
  const Slot slot = slot_at(start, *span);
  return is_slot_for(slot, plan->size_bytes) && matching_values(slot, *plan).value_or(1) == 1;
}

Strength ClaimJudge::value_strength(const Slot& slot, const Lead& lead, const WalkPlan& plan, GoClaim& claim) const {
  if (plan.form == GoForm::channel) return channel_strength(slot, lead.value, plan, claim);
  const Strength best = best_of(lead.how);
  if (slot.span->noscan) {
    if (plan.has_pointers) return Strength::none;
    if (slot.offset_bytes == 0 && is_slot_for(slot, plan.size_bytes)) return best;
    if (plan.size_bytes < kTinyBytes && slot.room_bytes == kTinyBytes) return Strength::fitting;
    return Strength::none;  // part of something larger, or one of several: nothing tells
  }
  if (!plan.has_pointers) return Strength::none;
  const bool is_single = is_slot_for(slot, plan.size_bytes);
  if (slot.offset_bytes % plan.size_bytes != 0 || (is_single && slot.offset_bytes != 0)) return Strength::none;
  const auto values = matching_values(slot, plan);
  if (is_single) return values.value_or(1) == 1 ? best : Strength::none;
  if (!values || *values <= 1 || slot.offset_bytes / plan.size_bytes >= *values) return Strength::none;
  claim.kind.is_array = true;
  return Strength::fitting;
}

Strength ClaimJudge::array_strength(const Slot& slot, const Lead& lead, const WalkPlan& plan) const {
  const uint64_t size_bytes = plan.size_bytes;
  if (lead.count > slot.room_bytes / size_bytes || plan.has_pointers == slot.span->noscan) return Strength::none;
  if (slot.offset_bytes % size_bytes != 0) return Strength::none;
  const uint64_t end = slot.offset_bytes + lead.count * size_bytes;
  if (end > slot.room_bytes) return Strength::none;
  const bool is_counted = is_slot_for(slot, end) || (lead.how == Lead::How::at_least && slot.offset_bytes == 0);
  if (!plan.has_pointers) return is_counted ? best_of(lead.how) : Strength::fitting;
  const uint64_t compared = std::min<uint64_t>(end / size_bytes, std::max<uint64_t>(1, 64 * 8 / size_bytes));
  if (matching_values(slot, plan).value_or(compared) < compared) return Strength::none;
  return is_counted ? best_of(lead.how) : Strength::fitting;
}

// Elements without pointers lie behind the channel, which then has none to the collector.
Strength ClaimJudge::channel_strength(const Slot& slot, Address at, const WalkPlan& plan, GoClaim& claim) const {
  if (slot.offset_bytes != 0) return Strength::none;
  const AddressSpace& memory = inputs_->dump.memory;
  const Layout& layout = inputs_->heap.process().layout;
  if (!slot.span->noscan) return is_slot_for(slot, plan.size_bytes) ? Strength::dynamic : Strength::none;
  const auto count = memory.read_word(at + layout.offset(Field::hchan_dataqsiz));
  const auto each = memory.read<uint16_t>(at + layout.offset(Field::hchan_elemsize));
  if (!count || !each || (*each != 0 && *count > slot.room_bytes / *each)) return Strength::none;
  claim.kind.has_tail = *count * *each != 0;
  return is_slot_for(slot, plan.size_bytes + *count * *each) ? Strength::dynamic : Strength::none;
}

Strength ClaimJudge::closure_strength(const Slot& slot, GoClaim& claim) const {
  if (slot.offset_bytes != 0) return Strength::none;
  const auto code = inputs_->dump.memory.read_pointer(slot.start + slot.header_bytes);
  if (!code) return Strength::none;
  if (const auto known = closures_->find(*code)) {
    claim.kind.element = *known;
    return *known == kNoType ? Strength::none : Strength::dynamic;
  }
  const auto function = inputs_->functions.find(*code);
  if (!function || function->entry() != *code) return Strength::none;
  claim.is_new_closure = true;
  return Strength::dynamic;
}

std::optional<uint64_t> ClaimJudge::matching_values(const Slot& slot, const WalkPlan& plan) const {
  const uint64_t fit = slot.room_bytes / plan.size_bytes;
  const uint64_t words = plan.size_bytes / 8;  // what has pointers is whole words
  const Span& span = *slot.span;
  // Slots with a header, and large ones, have no bits since Go 1.22: their type is noted.
  if (!plan.is_mask_known || words == 0) return std::nullopt;
  if (!span.heap_bits && inputs_->heap.process().layout.has(Field::mspan_largeType)) return std::nullopt;
  bool is_last = false;
  const uint64_t bits =
      inputs_->heap.pointer_bits(span, {slot.start, slot.start + span.element_bytes}, slot.start, is_last);
  const uint64_t slot_words = std::min<uint64_t>(64, span.element_bytes / 8);
  const uint64_t tiled = plan.tiled_mask;
  if (bits == low_bits(tiled, slot_words)) return fit;
  // Behind the last value there is none.
  const uint64_t values = (64 - static_cast<uint64_t>(std::countl_zero(bits)) + words - 1) / words;
  return bits == low_bits(tiled, std::min(slot_words, values * words)) ? values : 0;
}

}  // namespace heapwalk::go
