#include "heapwalk/runtimes/go/types/mask_match.h"

#include <algorithm>
#include <bit>

#include "heapwalk/runtimes/go/heap/heap_pointers.h"
#include "heapwalk/runtimes/go/program/size_classes.h"

namespace heapwalk::go {
namespace {

constexpr size_t kMaxCandidates = 256;  // of one mask and slot
constexpr size_t kMaxLeads = 512;
// What is smaller, or has one pointer, looks like too many other things: pointers to pointers, boxed strings.
constexpr uint64_t kMinBytes = 24;
constexpr int kMinPointers = 2;

uint64_t word_at(Bytes bytes, uint64_t offset) {
  return offset + 8 <= bytes.size() ? load<uint64_t>(bytes.data() + offset) : 0;
}

}  // namespace

MaskMatch::MaskMatch(const GoTypes& types, WalkPlans& plans) {
  const TypeTable& table = types.table();
  for (uint32_t i = 0; i < table.size(); ++i) {
    const TypeId id{i};
    if (table[id].kind != TypeKind::record) continue;
    const GoForm form = form_of(table, id).form;
    const bool is_made = form == GoForm::swiss_map || form == GoForm::classic_map || form == GoForm::channel ||
                         form == GoForm::swiss_table;
    if (!is_made && !types.descriptor_of(id)) continue;
    const WalkPlan& plan = plans.of(id);
    const bool is_closure = table[id].name.starts_with("struct { F uintptr");  // known by their code
    if (plan.is_generic || is_closure || !plan.is_mask_known || plan.places.empty()) continue;
    if (plan.size_bytes < kMinBytes || (std::popcount(plan.mask) < kMinPointers && !is_made)) continue;
    by_mask_[plan.mask].push_back(id);
  }
}

TypeId MaskMatch::match(const Sources& sources, const Span& span, AddressRange slot) const {
  const bool has_bits = span.heap_bits || !sources.inputs.heap.process().layout.has(Field::mspan_largeType);
  if (span.noscan || span.has_headers || !has_bits) return kNoType;
  bool is_last = false;
  const auto named = by_mask_.find(sources.inputs.heap.pointer_bits(span, slot, slot.begin, is_last));
  if (named == by_mask_.end()) return kNoType;
  TypeId only = kNoType;
  size_t candidates = 0;
  for (TypeId id : named->second) {
    const WalkPlan* plan = sources.plans.find(id);
    if (plan == nullptr || !is_slot_for(plan->size_bytes, slot.size_bytes())) continue;
    if (++candidates > kMaxCandidates) return kNoType;
    const Bytes bytes = sources.inputs.dump.memory.read_exactly(slot.begin, plan->size_bytes);
    if (bytes.empty() || !agrees(sources, *plan, slot.begin, bytes)) continue;
    if (only != kNoType) return kNoType;
    only = id;
  }
  return only;
}

// Lengths are no larger than what there is room for, and what is null has none.
bool MaskMatch::is_sound(const Sources& sources, const WalkPlan& plan, Bytes bytes) {
  for (const WalkPlace& place : plan.places) {
    const uint64_t data = word_at(bytes, place.offset_bytes), length = word_at(bytes, place.offset_bytes + 8);
    if (place.verb == Verb::slice && (length > word_at(bytes, place.offset_bytes + 16) || (data == 0 && length != 0)))
      return false;
    if (place.verb == Verb::string && data == 0 && length != 0) return false;
    if ((place.verb == Verb::interface || place.verb == Verb::empty_interface) && data == 0 && length != 0)
      return false;
    if (place.verb == Verb::channel) {
      const Layout& layout = sources.inputs.heap.process().layout;
      const Address element{word_at(bytes, place.offset_bytes + layout.offset(Field::hchan_elemtype))};
      if (sources.types.find(element) != place.target) return false;
    }
  }
  return true;
}

bool MaskMatch::agrees(const Sources& sources, const WalkPlan& plan, Address at, Bytes bytes) {
  if (!is_sound(sources, plan, bytes)) return false;
  std::vector<Lead> leads;
  sources.walk.walk(plan, at, bytes, leads);
  if (leads.size() > kMaxLeads) leads.resize(kMaxLeads);
  size_t agreeing = plan.form == GoForm::channel ? 1 : 0;
  Doubts doubts;
  for (const Lead& lead : leads) {
    if (lead.how == Lead::How::unknown) return false;
    Located located;
    sources.judge.locate({&lead, 1}, &located);
    if (located.span == nullptr) {  // another place of the process, or none
      if (sources.inputs.dump.memory.find(lead.value) == nullptr) return false;
      continue;
    }
    if (!sources.inputs.objects.contains_used(located.nearest, lead.value)) return false;
    const ObjectKind& known = sources.typing.kinds[sources.typing.kind_of[located.nearest.id]];
    if (known.element == kNoType) {
      if (!sources.judge.judge(lead, located, doubts)) return false;
    } else if (lead.type != kNoType && known.element != lead.type && known.strength < Strength::paired) {
      const bool is_text = lead.how == Lead::How::text && located.span->noscan;  // any bytes may be text
      if (!is_text) return false;
    }
    ++agreeing;
  }
  return agreeing > 0;
}

}  // namespace heapwalk::go
