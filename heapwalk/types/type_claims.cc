#include "heapwalk/types/type_claims.h"

#include <algorithm>
#include <bit>
#include <span>

namespace heapwalk {
namespace {

constexpr uint64_t kMaxElements = uint64_t{1} << 32;
constexpr uint64_t kTextSample = 32;
constexpr size_t kLookAhead = 48;     // candidates whose lookup is on its way
constexpr size_t kCheckedWords = 16;  // pointers looked at before a claim is believed
constexpr uint64_t kLeastBlock = 24;  // bytes: what malloc gives at least
constexpr ContainerRule kPlainRule = {};
constexpr int kMaxForms = 64;               // of one type, each larger than the one before
constexpr uint64_t kMaxBeforeControl = 24;  // bytes: absl's growth left, the handle of a sampled table
constexpr uint64_t kMaxBehindControl = 96;  // the sentinel, 15 bytes cloned, a generation, alignment

}  // namespace

const TypeLayout& ClaimState::make_layout(TypeId type) {
  const TypeLayout& layout = types->layouts_->of(type);
  if (index(type) >= layouts.size()) layouts.resize(types->table().size());
  layouts[index(type)] = &layout;
  return layout;
}

const TypeLayout& ClaimState::make_layouts(TypeId type) {
  const TypeLayout& layout = make_layout(type);
  for (const PointerSlot& slot : layout.slots) {
    if (slot.target != kNoType) make_forms(slot.target);
  }
  return layout;
}

void ClaimState::make_forms(TypeId type) {
  for (int i = 0; type != kNoType && i < kMaxForms; ++i, type = types->containers().larger(type)) make_layout(type);
}

// Reads the pointers of a typed place. They are judged a few dozen later, when their lookups have arrived.
void PointerJudge::follow(const Source& source, Follower& follower) const {
  const TypeLayout& layout = *source.layout;
  const AddressRange heap = objects_.span();
  if (layout.size_bytes == 0) return;
  const uint64_t elements = source.is_array ? source.size_bytes / layout.size_bytes : 1;
  for (uint64_t e = 0; e < elements; ++e) {
    const uint64_t base = e * layout.size_bytes;
    if (source.use != nullptr && !source.use->covers(source.header_bytes + base, layout.size_bytes,
                                                     source.data - source.header_bytes, source.object_bytes))
      continue;
    for (const PointerSlot& slot : layout.slots) {
      if (slot.target == kNoType || base + slot.offset_bytes + 8 > source.size_bytes) continue;
      if (slot.is_weak && !has_capacity(layout, slot)) continue;
      const Address value{load<uint64_t>(source.data + base + slot.offset_bytes)};
      if (!heap.contains(value)) continue;
      const uint64_t rest = source.size_bytes - base;
      if (slot.guard != Guard::kNone && !layout.holds(slot.guard, source.data + base, rest)) continue;
      Candidate candidate{value, &slot, {}, objects_.place(value)};
      if (slot.range != PointerSlot::kNone) {
        const ElementRange& range = layout.ranges[slot.range];
        if (range.vtable_offset_bytes != ElementRange::kNone) {
          add_trait_object(range, value, slot, source.data + base, rest, follower.found);
          continue;
        }
        candidate.extent = read_extent(range, value, types_.table().size_bytes(slot.target), source.data + base, rest);
        if (!move_to_first(candidate)) continue;
      }
      follower.ahead.push_back(candidate);
      if (follower.ahead.size() == kLookAhead) judge_ahead(follower);
    }
  }
}

void PointerJudge::judge_ahead(Follower& follower) const {
  for (const Candidate& candidate : follower.ahead) judge(candidate, follower.found);
  follower.ahead.clear();
}

// Then it says itself whether it is meant: the capacity has to be the allocation's.
bool PointerJudge::has_capacity(const TypeLayout& layout, const PointerSlot& slot) {
  return slot.range != PointerSlot::kNone && layout.ranges[slot.range].capacity_offset_bytes != ElementRange::kNone;
}

void PointerJudge::add_trait_object(const ElementRange& range, Address value, const PointerSlot& slot,
                                    const std::byte* data, uint64_t size_bytes, Found& found) {
  if (range.vtable_offset_bytes + uint64_t{8} > size_bytes) return;
  found.trait_objects.push_back({value, Address{load<uint64_t>(data + range.vtable_offset_bytes)}, &slot});
}

// hashbrown: the buckets end where the pointer leads, aligned to 16; a byte per bucket and 16 more follow. Late absl: the
// pointer leads to the bytes, and the elements follow them.
bool PointerJudge::move_to_first(Candidate& candidate) const {
  if (candidate.extent.whole == UINT64_MAX && candidate.extent.behind == 0) return true;
  if (candidate.extent.whole == UINT64_MAX) {
    if (candidate.extent.behind >= objects_.span().end - candidate.value) return false;
    candidate.value = candidate.value + candidate.extent.behind;
    candidate.place = objects_.place(candidate.value);
    return true;
  }
  const uint64_t before = (candidate.extent.in_use + 15) & ~uint64_t{15};
  if (before > candidate.value - objects_.span().begin) return false;
  candidate.value = Address{candidate.value.value - before};
  candidate.place = objects_.place(candidate.value);
  return true;
}

Extent PointerJudge::read_extent(const ElementRange& range, Address first, uint64_t each, const std::byte* data,
                                 uint64_t size_bytes) {
  auto word = [&](uint32_t offset) -> std::optional<uint64_t> {
    if (offset == ElementRange::kNone || offset + uint64_t{8} > size_bytes) return std::nullopt;
    return load<uint64_t>(data + offset);
  };
  Extent extent;
  if (auto end = word(range.end_offset_bytes)) extent.in_use = *end - first.value;
  if (auto limit = word(range.limit_offset_bytes)) extent.room = *limit - first.value;
  if (auto length = word(range.length_offset_bytes)) extent.zero_at = *length;
  const auto bytes_of = [each](uint64_t count) {
    return count < kMaxElements && each < kMaxElements ? count * each : UINT64_MAX - 1;
  };
  const ContainerRule& rule = range.rule != nullptr ? *range.rule : kPlainRule;
  if (auto capacity = word(range.capacity_offset_bytes)) {
    extent.slots = rule.capacity_in(*capacity) + range.more;
    extent.room = bytes_of(extent.slots - std::min(extent.slots, rule.blocked_in(*capacity)));
    extent.behind = rule.behind_control(extent.slots);
  }
  if (auto count = word(range.count_offset_bytes)) extent.in_use = bytes_of(rule.size_in(*count));
  if (auto control = word(range.control_offset_bytes)) extent.control = Address{*control};
  if (auto head = word(range.head_offset_bytes)) {
    extent.begin = bytes_of(*head);
    extent.form = ElementUse::Form::ring;
  }
  if (auto begin = word(range.begin_offset_bytes)) {  // it, and the end, may be in another block
    extent.begin = *begin - first.value <= extent.room ? *begin - first.value : 0;
    const uint64_t end = extent.in_use <= extent.room ? extent.in_use : extent.room;
    extent.in_use = end - std::min(end, extent.begin);
    extent.form = ElementUse::Form::ring;
  }
  if (auto mask = word(range.mask_offset_bytes); mask && *mask < kMaxElements && each < kMaxElements) {
    extent.in_use = (*mask + 1) * each;
    extent.whole = ((extent.in_use + 15) & ~uint64_t{15}) + *mask + 1 + 16;
    extent.form = ElementUse::Form::buckets;
  }
  return extent;
}

// Whether the container's own words agree with each other and with the allocation. A stale container's do not.
bool PointerJudge::is_plausible(const Candidate& candidate, uint64_t each, uint64_t room) const {
  const Extent& extent = candidate.extent;
  if (extent.room != UINT64_MAX) {
    if (extent.room > room || room - extent.room >= max_slack(room) || extent.room % each != 0) return false;
    if (extent.begin > extent.room || extent.begin % each != 0) return false;
    if (extent.in_use != UINT64_MAX && (extent.in_use > extent.room || extent.in_use % each != 0)) return false;
  }
  if (extent.whole != UINT64_MAX && (extent.whole > room || room - extent.whole >= max_slack(room))) return false;
  if (extent.zero_at == UINT64_MAX) return true;
  if (extent.zero_at >= room / each) return false;
  Bytes zero = dump_.memory.read_exactly(candidate.value + extent.zero_at * each, each);
  return !zero.empty() && std::ranges::all_of(zero, [](std::byte b) { return b == std::byte{0}; });
}

// What the pointer says about the allocation that it leads to, if it says anything.
std::optional<Claim> PointerJudge::claim_of(const Candidate& candidate, std::vector<Hint>* hints) const {
  const ObjectIndex::Nearest nearest = objects_.nearest(candidate.value, candidate.place);
  if (!objects_.contains_used(nearest, candidate.value)) return std::nullopt;
  const TypeId target = form_for(candidate.slot->target, objects_.size_bytes(ObjectId{nearest.id}));
  const Strength known = state_.known_strength(nearest.id);
  if (known <= Strength::container && types_.shape_of(ObjectId{nearest.id}).element == target) return std::nullopt;
  const Type& type = types_.table()[target];
  const uint64_t each = type.size_bytes;
  if (each == 0 || type.kind == TypeKind::function || type.kind == TypeKind::declaration) return std::nullopt;
  if (types_.containers().is_node_base(target)) return std::nullopt;
  const uint64_t header = candidate.value - nearest.start;
  const uint64_t size_bytes = objects_.size_bytes(ObjectId{nearest.id});
  const bool may_be_part = hints != nullptr && type.kind == TypeKind::record && known > Strength::embedding;
  const bool has_control = candidate.extent.control.value != 0;
  const bool may_have_cookie = type.kind == TypeKind::record || type.kind == TypeKind::array;  // what has a destructor
  if (has_control ? !has_control_before(candidate, nearest.start, each)
                  : header != 0 && !(may_have_cookie && is_cookie(nearest.start, header, size_bytes, each))) {
    if (has_control) return std::nullopt;
    if (may_be_part) hints->push_back({nearest.id, target, header});
    return std::nullopt;
  }
  const uint64_t room = size_bytes - header;
  if (each > room || room / each > kMaxElements) return std::nullopt;
  const TypeLayout* layout = state_.find_layout(target);
  if (layout != nullptr && layout->is_polymorphic && !has_vtable(candidate.value)) return std::nullopt;
  if (candidate.slot->range != PointerSlot::kNone && !is_plausible(candidate, each, room)) return std::nullopt;
  const bool is_open = layout != nullptr && layout->has_open_end && header == 0;
  const bool one = is_open || room - each < max_slack(room);
  const bool may_be_several =
      !candidate.slot->is_single || type.kind != TypeKind::record || candidate.slot->range != PointerSlot::kNone;
  const bool several = (may_be_several && room % each < max_slack(room)) || candidate.extent.whole != UINT64_MAX;
  const bool snug = one && (is_open || header != 0 || is_snug(room, each));
  if (!snug && header == 0 && may_be_part && !candidate.slot->is_container) hints->push_back({nearest.id, target, 0});
  const bool is_empty = type.kind == TypeKind::record && type.field_count == 0 && each == 1;
  if (is_empty && size_bytes > kLeastBlock) return std::nullopt;  // something begins with it, or its library hides it
  Claim claim{.object = nearest.id, .start = nearest.start, .element = target};
  claim.header_bytes = static_cast<uint32_t>(header);
  const bool is_text = type.kind == TypeKind::base && (type.encoding == BaseEncoding::character || each == 1);
  claim.is_array = header != 0 || is_text || candidate.slot->range != PointerSlot::kNone || (!one && several);
  claim.has_tail = is_open || (!one && !several);
  claim.strength = strength_of(*candidate.slot, type, one || header != 0, several);
  if (claim.strength == Strength::value && !snug && type.kind == TypeKind::record) claim.strength = Strength::loose;
  if (claim.strength == Strength::weak && candidate.extent.room != UINT64_MAX) claim.strength = Strength::array;
  if (claim.strength == Strength::container) {
    claim.evidence = TypeEvidence::container;
    claim.use = use_of(candidate, nearest.start);
  }
  return claim;
}

// absl: a byte for each element in use, a sentinel, clones of the first bytes, then the elements. A table of one element
// may go without.
bool PointerJudge::has_control_before(const Candidate& candidate, Address start, uint64_t each) const {
  const Extent& extent = candidate.extent;
  const uint64_t header = candidate.value - start;
  const uint64_t capacity = extent.slots;
  if (each == 0 || capacity >= kMaxElements || header > UINT32_MAX || !std::has_single_bit(capacity + 1)) return false;
  if (extent.control < start || extent.control >= candidate.value) return capacity == 1 && header <= kMaxBeforeControl;
  if (extent.control - start > kMaxBeforeControl) return false;
  const uint64_t between = candidate.value - extent.control;
  if (between <= capacity || between > capacity + kMaxBehindControl) return false;
  const Bytes sentinel = dump_.memory.read_exactly(extent.control + capacity, 1);
  return !sentinel.empty() && sentinel.front() == std::byte{0xff};
}

// Offsets in the use are the object's.
ElementUse PointerJudge::use_of(const Candidate& candidate, Address start) {
  const Extent& extent = candidate.extent;
  const uint64_t header = candidate.value - start;
  if (extent.control.value == 0) return {extent.form, extent.in_use, extent.begin, extent.room};
  const bool has_bytes = extent.control >= start && extent.control < candidate.value;
  if (!has_bytes) return {ElementUse::Form::leading, header + extent.in_use};
  return {ElementUse::Form::slots, extent.room, header, extent.control - start};
}

// Of the forms that are not larger than the allocation the largest that fills it.
TypeId PointerJudge::form_for(TypeId target, uint64_t room) const {
  TypeId best = target;
  TypeId form = types_.containers().larger(target);
  for (int i = 0; form != kNoType && i < kMaxForms; ++i, form = types_.containers().larger(form)) {
    const uint64_t each = types_.table().size_bytes(form);
    if (each > room) break;
    if (room - each < max_slack(room)) best = form;
  }
  return best;
}

Strength PointerJudge::strength_of(const PointerSlot& slot, const Type& type, bool one, bool several) {
  if (slot.is_weak) return one || several ? Strength::weak : Strength::none;
  if (slot.is_container && (one || several)) return Strength::container;
  if (type.kind == TypeKind::base || type.kind == TypeKind::enumeration) return Strength::numbers;
  return one ? Strength::value : several ? Strength::array : Strength::prefix;
}

void PointerJudge::judge(const Candidate& candidate, Found& found) const {
  std::optional<Claim> claim = claim_of(candidate, &found.hints);
  if (!claim || claim->strength > state_.known_strength(claim->object)) return;
  if (claim->strength == Strength::array && !goes_on(*claim)) {
    claim->is_array = false;
    claim->has_tail = true;
    claim->strength = Strength::prefix;
    if (claim->strength >= state_.known_strength(claim->object)) return;
  }
  const bool must_look =
      claim->strength > Strength::container && claim->strength < state_.known_strength(claim->object);
  const ObjectId id{claim->object};
  if (must_look && !looks_like(*claim, claim->start, objects_.size_bytes(id))) return;
  found.claims.push_back(*claim);
}

// A polymorphic object whose class is not known by its symbol still has a pointer to a vtable, outside the heap.
bool PointerJudge::has_vtable(Address object) const {
  auto word = dump_.memory.read_pointer(object);
  return word && !objects_.span().contains(*word) && dump_.memory.find(*word) != nullptr;
}

// new T[n] of a type with a destructor keeps n in the word before the first element (Itanium C++ ABI §2.7).
bool PointerJudge::is_cookie(Address start, uint64_t header, uint64_t size_bytes, uint64_t each) const {
  if (header != 8 && header != 16) return false;
  auto count = dump_.memory.read_word(start + header - 8);
  if (!count || *count == 0 || *count > kMaxElements || each > kMaxElements) return false;
  const uint64_t wanted = *count * each + header;
  return wanted <= size_bytes && size_bytes - wanted < max_slack(size_bytes);
}

// Whether a second element follows the first. What a pointer leads to may as well be the header of something larger that
// happens to be a multiple of its size: then the words that would be its pointers are anything.
bool PointerJudge::goes_on(const Claim& claim) const {
  const TypeLayout* layout = state_.find_layout(claim.element);
  if (layout == nullptr || layout->size_bytes == 0) return true;
  const uint64_t base = claim.header_bytes + layout->size_bytes;
  const Bytes element = dump_.memory.read_exactly(claim.start + base, layout->size_bytes);
  if (element.empty()) return false;
  if (layout->is_polymorphic && !has_vtable(claim.start + base)) return false;
  return std::ranges::all_of(layout->slots, [&](const PointerSlot& slot) {
    if (slot.is_weak || slot.is_erased || slot.offset_bytes + uint64_t{8} > element.size()) return true;
    if (slot.guard != Guard::kNone && !layout->holds(slot.guard, element.data(), element.size())) return true;
    const Address word{load<uint64_t>(element.data() + slot.offset_bytes)};
    return is_null(slot, word.value) || dump_.memory.find(word) != nullptr;
  });
}

// Most of its first pointers are null or lead to mapped memory.
bool PointerJudge::looks_like(const Claim& claim, Address start, uint64_t size_bytes) const {
  const TypeLayout* layout = state_.find_layout(claim.element);
  if (layout == nullptr || layout->slots.empty()) {
    return claim.strength != Strength::weak || is_text(start, size_bytes);
  }
  size_t checked = 0;
  size_t wrong = 0;
  size_t leading = 0;  // to the heap
  for (uint64_t base = claim.header_bytes; base + layout->size_bytes <= size_bytes; base += layout->size_bytes) {
    const Bytes element = dump_.memory.read_exactly(start + base, layout->size_bytes);
    for (const PointerSlot& slot : layout->slots) {
      if (slot.is_weak || slot.is_erased) continue;
      if (slot.guard != Guard::kNone && !layout->holds(slot.guard, element.data(), element.size())) continue;
      auto word = dump_.memory.read_word(start + base + slot.offset_bytes);
      const bool leads = word && objects_.span().contains(Address{*word});
      if (has_capacity(*layout, slot)) {
        if (!word || agrees(layout->ranges[slot.range], slot, Address{*word}, element)) {
          leading += leads ? 1 : 0;
        } else {
          ++wrong;
        }
        if (++checked == kCheckedWords) break;
        continue;
      }
      if (leads && claim.strength == Strength::weak && !may_lead_to(Address{*word}, slot)) return false;
      leading += leads ? 1 : 0;
      if (word && !is_null(slot, *word) && !leads && dump_.memory.find(Address{*word}) == nullptr) ++wrong;
      if (++checked == kCheckedWords) break;
    }
    if (!claim.is_array || checked == kCheckedWords) break;
  }
  if (claim.strength == Strength::weak) return wrong == 0 && leading > 0;
  return wrong * 4 <= checked;
}

// Whether a container's capacity is that of the allocation it refers to, and 0 if it refers to none.
bool PointerJudge::agrees(const ElementRange& range, const PointerSlot& slot, Address first, Bytes container) const {
  const uint64_t each = types_.table().size_bytes(slot.target);
  const Extent extent = read_extent(range, first, each, container.data(), container.size());
  const auto id = objects_.span().contains(first) ? objects_.find_used(first) : std::nullopt;
  if (!id || each == 0) return extent.room == 0 || each == 0;
  const uint64_t before = first - objects_.address(*id) + extent.behind;
  const uint64_t size_bytes = objects_.size_bytes(*id);
  return before <= size_bytes && is_plausible({first, &slot, extent, {}}, each, size_bytes - before);
}

// Whether an allocation is there that the type fits into, text where it belongs and nowhere else.
bool PointerJudge::may_lead_to(Address address, const PointerSlot& slot) const {
  const auto id = objects_.find_used(address);
  if (!id) return false;
  const TypeId target = slot.target;
  const bool is_character = target != kNoType && types_.table()[target].encoding == BaseEncoding::character;
  const uint64_t each = types_.table().size_bytes(target);
  const bool has_text = is_text(address, kTextSample);
  if (target != kNoType && is_character != has_text && !(has_text && each == 1)) return false;
  const uint64_t room = objects_.size_bytes(*id) - (address - objects_.address(*id));
  if (slot.range != PointerSlot::kNone || form_for(target, room) != target) return true;
  return each == 0 || (each <= room && (room - each < max_slack(room) || room % each < max_slack(room)));
}

// Rust's pointers are never 0: an empty vector's is its alignment, a Weak's that never led anywhere the largest word.
bool PointerJudge::is_null(const PointerSlot& slot, uint64_t word) {
  return word == 0 || (slot.is_container && (word <= 16 || word == UINT64_MAX));
}

// Printable ASCII up to a NUL. (The bytes of most addresses look like text in other encodings, those of one in fifty in
// ASCII: No text begins like an address of this heap.)
bool PointerJudge::is_text(Address start, uint64_t size_bytes) const {
  Bytes bytes = dump_.memory.read(start, std::min<uint64_t>(size_bytes, 256));
  if (bytes.size() >= 8 && objects_.span().contains(Address{load<uint64_t>(bytes.data())})) return false;
  for (size_t i = 0; i < bytes.size(); ++i) {
    const auto c = static_cast<uint8_t>(bytes[i]);
    if (c == 0) return i > 0;
    if ((c < ' ' || c >= 0x7f) && c != '\t' && c != '\n' && c != '\r') return false;
  }
  return !bytes.empty();
}

}  // namespace heapwalk
