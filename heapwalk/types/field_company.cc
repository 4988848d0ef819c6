#include "heapwalk/types/field_company.h"

#include <algorithm>
#include <cstring>
#include <optional>

namespace heapwalk {
namespace {

constexpr size_t kMaxOpen = size_t{1} << 22;

uint32_t tag_value(const TypeLayout& layout, const PointerSlot& slot, Bytes bytes) {
  if (slot.tag == PointerSlot::kNone) return 0;
  const UnionTag& tag = layout.tags[slot.tag];
  uint64_t value = 0;
  if (tag.offset_bytes + uint64_t{tag.size_bytes} <= bytes.size()) {
    std::memcpy(&value, bytes.data() + tag.offset_bytes, tag.size_bytes);
  }
  return static_cast<uint32_t>(value ^ value >> 32);
}

}  // namespace

bool FieldCompany::is_guessable(const TypeLayout& layout) {
  return std::ranges::any_of(layout.slots,
                             [](const PointerSlot& slot) { return slot.target == kNoType || slot.is_weak; });
}

void FieldCompany::ask(TypeId owner, const TypeLayout& layout, Bytes bytes, std::vector<Claim>& claims) {
  for (size_t first = 0; first < layout.slots.size();) {
    size_t last = first + 1;  // the readings of one word stand together
    const PointerSlot& slot = layout.slots[first];
    while (last < layout.slots.size() && layout.slots[last].offset_bytes == slot.offset_bytes) ++last;
    const std::span<const PointerSlot> readings = std::span(layout.slots).subspan(first, last - first);
    first = last;
    if ((slot.target != kNoType && !slot.is_weak) || slot.offset_bytes + uint64_t{8} > bytes.size()) continue;
    const Address value{load<uint64_t>(bytes.data() + slot.offset_bytes)};
    const auto id = objects_.span().contains(value) ? objects_.find_used(value) : std::nullopt;
    if (!id || objects_.address(*id) != value) continue;
    const FieldVotes::Field field{owner, slot.offset_bytes, tag_value(layout, slot, bytes)};
    const ObjectShape shape = state_.types->shape_of(*id);
    if (shape.element != kNoType && (!shape.has_tail || shape.layout->has_open_end)) {
      votes_.add(field, {shape.element, shape.is_array});
    } else if (state_.known_strength(index(*id)) > Strength::weak) {
      if (choose_reading(layout, bytes, readings, field, value, claims)) continue;
      if (open_.size() < kMaxOpen) {
        open_.push_back({index(*id), field});
      } else {
        ++dropped_;
      }
    }
  }
}

// Claims the only plausible reading of a union's pointer; false when there are several, or none.
bool FieldCompany::choose_reading(const TypeLayout& layout, Bytes bytes, std::span<const PointerSlot> readings,
                                  FieldVotes::Field field, Address value, std::vector<Claim>& claims) {
  std::optional<Claim> only;
  for (const PointerSlot& slot : readings) {
    if (slot.target == kNoType || !slot.is_weak) continue;
    state_.make_forms(slot.target);
    Candidate candidate{value, &slot, {}, objects_.place(value)};
    if (PointerJudge::has_capacity(layout, slot)) {
      const uint64_t each = state_.types->table().size_bytes(slot.target);
      candidate.extent = PointerJudge::read_extent(layout.ranges[slot.range], value, each, bytes.data(), bytes.size());
    }
    const std::optional<Claim> claim = judge_.claim_of(candidate, nullptr);
    if (!claim || claim->strength == Strength::none) continue;
    const ObjectId id{claim->object};
    if (!judge_.looks_like(*claim, claim->start, objects_.size_bytes(id))) continue;
    if (only && only->element != claim->element) return false;
    only = claim;
  }
  if (!only) return false;
  votes_.add(field, {only->element, only->is_array});
  claims.push_back(*only);
  return true;
}

void FieldCompany::answer(std::vector<Claim>& claims) const {
  for (const Open& open : open_) {
    const FieldVotes::Target target = votes_.winner(open.field);
    Claim claim{.object = open.object, .start = objects_.address(ObjectId{open.object}), .element = target.element};
    claim.is_array = target.is_array;
    claim.strength = Strength::field;
    claim.evidence = TypeEvidence::field;
    if (fits(claim)) claims.push_back(claim);
  }
}

bool FieldCompany::fits(const Claim& claim) const {
  const ObjectId id{claim.object};
  const uint64_t size_bytes = objects_.size_bytes(id);
  const uint64_t each = state_.types->table().size_bytes(claim.element);
  if (each == 0 || each > size_bytes) return false;
  if ((claim.is_array ? size_bytes % each : size_bytes - each) >= max_slack(size_bytes)) return false;
  state_.make_layouts(claim.element);
  return judge_.looks_like(claim, objects_.address(id), size_bytes);
}

}  // namespace heapwalk
