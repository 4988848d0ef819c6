// Typed objects are taken from the queue in batches. Workers read the batch's pointers, look up where they lead and judge
// what they claim; the claims are then applied one by one, in order. Nothing is changed while workers read.
#include "heapwalk/type_inference.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

#include "dump/base/parallel.h"
#include "heapwalk/large_pages.h"
#include "heapwalk/trait_objects.h"
#include "heapwalk/type_guesses.h"
#include "heapwalk/vtables.h"

namespace heapwalk {

namespace {

// Of a claim, best first. Arrays of pointerful records and plain numbers are what wrong pointers look like most.
enum class Strength : uint8_t { runtime, container, value, embedding, array, numbers, field, weak, prefix, none };

constexpr uint64_t kMaxElements = uint64_t{1} << 32;
constexpr size_t kMaxKinds = UINT16_MAX;
constexpr size_t kMaxHints = size_t{1} << 22;
constexpr uint64_t kTextSample = 32;
constexpr int kGuessRounds = 64;
constexpr size_t kBatch = size_t{1} << 16;  // objects taken from the queue at once
constexpr size_t kPiece = size_t{1} << 10;  // of a batch, per worker
constexpr size_t kLookAhead = 48;           // candidates whose lookup is on its way
constexpr size_t kFetchAhead = 16;          // objects whose bytes are on their way
constexpr size_t kCheckedWords = 16;        // pointers looked at before a claim is believed

// malloc rounds up to 16 bytes and does not split off a remainder below 32; large blocks are whole pages.
constexpr uint64_t kMaxSlackBytes = 32;
constexpr uint64_t kLargeBlock = 64 << 10;
constexpr uint64_t max_slack(uint64_t size_bytes) {
  return size_bytes < kLargeBlock ? kMaxSlackBytes : kMaxSlackBytes + 4096;
}

struct Claim {
  uint32_t object = 0;
  Address start;  // of the object
  TypeId element = kNoType;
  Strength strength = Strength::none;
  bool is_array = false;
  uint8_t header_bytes = 0;
  bool has_tail = false;
  TypeEvidence evidence = TypeEvidence::pointer;
  uint64_t bytes_in_use = UINT64_MAX;
};

struct Hint {  // a record lies in the object, but is not all of it
  uint32_t object = 0;
  TypeId part = kNoType;
  uint64_t offset_bytes = 0;
};

struct TraitObject {  // what lies there is of the vtable's type
  Address value;
  Address vtable;
  const PointerSlot* slot;
};

struct Found {  // by one worker
  std::vector<Claim> claims;
  std::vector<Hint> hints;
  std::vector<TraitObject> trait_objects;
};

}  // namespace

class TypeInference {
 public:
  TypeInference(const CoreDump& dump, const ObjectIndex& objects, const RootSet& roots, TypeTable types, size_t threads,
                Diagnostics& diagnostics)
      : dump_(dump), objects_(objects), roots_(roots), threads_(threads), diagnostics_(diagnostics) {
    result_ = std::make_unique<ObjectTypes>();
    result_->table_ = std::move(types);
    result_->containers_ = std::make_unique<Containers>(result_->table_);
    result_->layouts_ = std::make_unique<TypeLayouts>(result_->table_, *result_->containers_);
    trait_objects_ = std::make_unique<TraitObjects>(dump_, result_->table_);
  }

  std::unique_ptr<const ObjectTypes> run() {
    assign_large(result_->kind_of_, objects_.size(), uint16_t{0});
    strengths_.push_back(Strength::none);
    claim_by_vtables();
    claim_by_roots();
    follow_claims();
    for (int round = 0; round < kGuessRounds && guess(); ++round) follow_claims();
    finish();
    return std::move(result_);
  }

 private:
  const TypeTable& types() const { return result_->table_; }

  struct Source {  // a typed place whose pointers are followed
    const TypeLayout* layout;
    const std::byte* data;
    uint64_t size_bytes;
    bool is_array;
  };
  struct Extent {  // of the elements behind a container's pointer, in bytes
    uint64_t in_use = UINT64_MAX;
    uint64_t room = UINT64_MAX;
    uint64_t zero_at = UINT64_MAX;  // an element that has to be zero
    uint64_t whole = UINT64_MAX;    // the allocation, elements and what the container keeps behind them
  };
  struct Candidate {
    Address value;
    const PointerSlot* slot;
    Extent extent;
    PageDirectory::Place place;
  };
  struct Follower {  // one worker
    Found found;
    std::vector<Candidate> ahead;
    const Region* region = nullptr;
  };
  struct Queued {
    uint32_t object;
    Address start;
  };

  // Every object whose first word is a vtable.
  void claim_by_vtables() {
    const Vtables vtables(dump_);
    if (vtables.classes().empty()) return;
    constexpr uint32_t kObjects = 1 << 18;
    struct Polymorphic {
      uint32_t object, type;
      Address start;
    };
    std::vector<std::vector<Polymorphic>> pieces((objects_.size() + kObjects - 1) / kObjects);
    parallel_for(pieces.size(), threads_, [&](size_t piece) {
      const auto first = static_cast<uint32_t>(piece * kObjects);
      const Region* region = nullptr;
      objects_.for_each(first, std::min(objects_.size() - first, kObjects) + first,
                        [&](ObjectId id, Address address, uint64_t size, AllocationState state) {
                          if (state != AllocationState::used || size < 8) return;
                          const std::byte* data = bytes_at(region, address, 8);
                          if (data == nullptr) return;
                          auto type = vtables.class_at(Address{load<uint64_t>(data)});
                          if (type) pieces[piece].push_back({index(id), *type, address});
                        });
    });
    std::vector<TypeId> records;
    for (const std::string& name : vtables.classes()) {
      auto id = types().find(name);
      records.push_back(id && types()[*id].kind == TypeKind::record ? *id : kNoType);
    }
    std::vector<std::array<uint16_t, 2>> kinds(records.size());  // by class: without and with a layout; 0: not yet
    for (const auto& piece : pieces) {
      for (const Polymorphic& found : piece) {
        const bool fits = records[found.type] != kNoType &&
                          types().size_bytes(records[found.type]) <= objects_.size_bytes(ObjectId{found.object});
        uint16_t& kind = kinds[found.type][fits ? 1 : 0];
        if (kind == 0) {
          kind = intern(vtables.classes()[found.type], {.element = fits ? records[found.type] : kNoType},
                        TypeEvidence::runtime, Strength::runtime);
        }
        set_kind(found.object, found.start, kind);
      }
    }
  }

  void claim_by_roots() {
    Follower follower;
    for (const Root& root : roots_.roots) {
      if (root.type == kNoType || root.location.empty()) continue;
      const TypeLayout& layout = known_layout(root.type);
      const uint64_t size_bytes = std::min(layout.size_bytes, root.location.size_bytes());
      Bytes bytes = dump_.memory.read_exactly(root.location.begin, size_bytes);
      if (bytes.empty()) continue;
      follow({&layout, bytes.data(), size_bytes, false}, follower);
    }
    judge_ahead(follower);
    apply(follower.found);
  }

  void follow_claims() {
    std::vector<Queued> batch;
    Follower alone;  // for batches too small to share out, of which a list makes millions
    while (!queue_.empty()) {
      batch.swap(queue_);
      queue_.clear();
      for (size_t first = 0; first < batch.size(); first += kBatch) {
        const auto objects = std::span(batch).subspan(first, std::min(kBatch, batch.size() - first));
        if (objects.size() <= kPiece) {
          follow_objects(objects, alone);
          apply(alone.found);
          alone.found.claims.clear();
          alone.found.hints.clear();
          continue;
        }
        std::vector<Found> found((objects.size() + kPiece - 1) / kPiece);
        parallel_for(found.size(), threads_, [&](size_t piece) {
          Follower follower;
          const size_t begin = piece * kPiece;
          follow_objects(objects.subspan(begin, std::min(kPiece, objects.size() - begin)), follower);
          found[piece] = std::move(follower.found);
        });
        for (const Found& piece : found) apply(piece);
      }
    }
  }

  void follow_objects(std::span<const Queued> objects, Follower& follower) const {
    auto fetch = [&](size_t i) {
      if (i < objects.size()) __builtin_prefetch(bytes_at(follower.region, objects[i].start, 8));
    };
    for (size_t i = 0; i < kFetchAhead; ++i) fetch(i);
    for (size_t i = 0; i < objects.size(); ++i) {
      const Queued& queued = objects[i];
      fetch(i + kFetchAhead);
      const ObjectShape shape = result_->shape_of(ObjectId{queued.object});
      if (shape.layout == nullptr || shape.layout->slots.empty()) continue;
      const uint64_t size_bytes = in_use(ObjectId{queued.object});
      const std::byte* data = bytes_at(follower.region, queued.start, size_bytes);
      if (data == nullptr || size_bytes <= shape.header_bytes) continue;
      follow({shape.layout, data + shape.header_bytes, size_bytes - shape.header_bytes, shape.is_array}, follower);
    }
    judge_ahead(follower);
  }

  uint64_t in_use(ObjectId id) const {
    auto at = spare_.find(index(id));
    const uint64_t size_bytes = objects_.size_bytes(id);
    return at == spare_.end() ? size_bytes : std::min(at->second, size_bytes);
  }

  const std::byte* bytes_at(const Region*& region, Address address, uint64_t size_bytes) const {
    if (region == nullptr || !region->range.contains(address)) region = dump_.memory.find(address);
    if (region == nullptr || region->data == nullptr || region->range.end - address < size_bytes) return nullptr;
    return region->data + (address - region->range.begin);
  }

  // Reads the pointers of a typed place. They are judged a few dozen later, when their lookups have arrived.
  void follow(const Source& source, Follower& follower) const {
    const TypeLayout& layout = *source.layout;
    const AddressRange heap = objects_.span();
    if (layout.size_bytes == 0) return;
    const uint64_t elements = source.is_array ? source.size_bytes / layout.size_bytes : 1;
    for (uint64_t e = 0; e < elements; ++e) {
      const uint64_t base = e * layout.size_bytes;
      for (const PointerSlot& slot : layout.slots) {
        if (slot.target == kNoType || base + slot.offset_bytes + 8 > source.size_bytes) continue;
        if (slot.is_weak && !has_capacity(layout, slot)) continue;
        const Address value{load<uint64_t>(source.data + base + slot.offset_bytes)};
        if (!heap.contains(value)) continue;
        const uint64_t rest = source.size_bytes - base;
        if (slot.guard != PointerSlot::kNone && !is_there(layout.guards[slot.guard], source.data + base, rest))
          continue;
        Candidate candidate{value, &slot, {}, objects_.place(value)};
        if (slot.range != PointerSlot::kNone) {
          const ElementRange& range = layout.ranges[slot.range];
          if (range.vtable_offset_bytes != ElementRange::kNone) {
            add_trait_object(range, value, slot, source.data + base, rest, follower.found);
            continue;
          }
          candidate.extent = read_extent(range, value, types().size_bytes(slot.target), source.data + base, rest);
          if (candidate.extent.whole != UINT64_MAX && !move_to_first(candidate)) continue;
        }
        follower.ahead.push_back(candidate);
        if (follower.ahead.size() == kLookAhead) judge_ahead(follower);
      }
    }
  }

  void judge_ahead(Follower& follower) const {
    for (const Candidate& candidate : follower.ahead) judge(candidate, follower.found);
    follower.ahead.clear();
  }

  // Then it says itself whether it is meant: the capacity has to be the allocation's.
  static bool has_capacity(const TypeLayout& layout, const PointerSlot& slot) {
    return slot.range != PointerSlot::kNone && layout.ranges[slot.range].capacity_offset_bytes != ElementRange::kNone;
  }

  static bool is_there(const Guard& guard, const std::byte* data, uint64_t size_bytes) {
    if (guard.offset_bytes >= size_bytes) return false;
    const auto value = static_cast<uint8_t>(data[guard.offset_bytes]);
    return guard.test == Guard::Test::not_zero ? value != 0
           : guard.test == Guard::Test::equal  ? value == guard.value
                                               : value > guard.value;
  }

  static void add_trait_object(const ElementRange& range, Address value, const PointerSlot& slot, const std::byte* data,
                               uint64_t size_bytes, Found& found) {
    if (range.vtable_offset_bytes + uint64_t{8} > size_bytes) return;
    found.trait_objects.push_back({value, Address{load<uint64_t>(data + range.vtable_offset_bytes)}, &slot});
  }

  // hashbrown: the buckets end where the pointer leads, aligned to 16; a byte per bucket and 16 more follow.
  bool move_to_first(Candidate& candidate) const {
    const uint64_t before = (candidate.extent.in_use + 15) & ~uint64_t{15};
    if (before > candidate.value - objects_.span().begin) return false;
    candidate.value = Address{candidate.value.value - before};
    candidate.place = objects_.place(candidate.value);
    return true;
  }

  static Extent read_extent(const ElementRange& range, Address first, uint64_t each, const std::byte* data,
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
    if (auto capacity = word(range.capacity_offset_bytes)) extent.room = bytes_of(*capacity);
    if (auto count = word(range.count_offset_bytes)) extent.in_use = bytes_of(*count);
    if (auto mask = word(range.mask_offset_bytes); mask && *mask < kMaxElements && each < kMaxElements) {
      extent.in_use = (*mask + 1) * each;
      extent.whole = ((extent.in_use + 15) & ~uint64_t{15}) + *mask + 1 + 16;
    }
    return extent;
  }

  // Whether the container's own words agree with each other and with the allocation. A stale container's do not.
  bool is_plausible(const Candidate& candidate, uint64_t each, uint64_t room) const {
    const Extent& extent = candidate.extent;
    if (extent.room != UINT64_MAX) {
      if (extent.room > room || room - extent.room >= max_slack(room) || extent.room % each != 0) return false;
      if (extent.in_use != UINT64_MAX && (extent.in_use > extent.room || extent.in_use % each != 0)) return false;
    }
    if (extent.whole != UINT64_MAX && (extent.whole > room || room - extent.whole >= max_slack(room))) return false;
    if (extent.zero_at == UINT64_MAX) return true;
    if (extent.zero_at >= room / each) return false;
    Bytes zero = dump_.memory.read_exactly(candidate.value + extent.zero_at * each, each);
    return !zero.empty() && std::ranges::all_of(zero, [](std::byte b) { return b == std::byte{0}; });
  }

  // What the pointer says about the allocation that it leads to, if it says anything.
  std::optional<Claim> claim_of(const Candidate& candidate, std::vector<Hint>* hints) const {
    const ObjectIndex::Nearest nearest = objects_.nearest(candidate.value, candidate.place);
    if (!objects_.contains_used(nearest, candidate.value)) return std::nullopt;
    const TypeId target = large_or_small(*candidate.slot, nearest);
    const Strength known = known_strength(nearest.id);
    if (known <= Strength::container && result_->shape_of(ObjectId{nearest.id}).element == target) return std::nullopt;
    const Type& type = types()[target];
    const uint64_t each = type.size_bytes;
    if (each == 0 || type.kind == TypeKind::function || type.kind == TypeKind::declaration) return std::nullopt;
    if (result_->containers_->is_node_base(target)) return std::nullopt;
    const uint64_t header = candidate.value - nearest.start;
    const uint64_t size_bytes = objects_.size_bytes(ObjectId{nearest.id});
    const bool may_be_part = hints != nullptr && type.kind == TypeKind::record && known > Strength::embedding;
    if (header != 0 && !is_cookie(nearest.start, header, size_bytes, each)) {
      if (may_be_part) hints->push_back({nearest.id, target, header});
      return std::nullopt;
    }
    const uint64_t room = size_bytes - header;
    if (each > room || room / each > kMaxElements) return std::nullopt;
    const TypeLayout* layout = find_layout(target);
    if (layout != nullptr && layout->is_polymorphic && !has_vtable(candidate.value)) return std::nullopt;
    if (candidate.slot->range != PointerSlot::kNone && !is_plausible(candidate, each, room)) return std::nullopt;
    const bool is_open = layout != nullptr && layout->has_open_end && header == 0;
    const bool one = is_open || room - each < max_slack(room);
    const bool several = room % each < max_slack(room) || candidate.extent.whole != UINT64_MAX;
    if (!one && header == 0 && may_be_part && !candidate.slot->is_container) hints->push_back({nearest.id, target, 0});
    Claim claim{.object = nearest.id, .start = nearest.start, .element = target};
    claim.header_bytes = static_cast<uint8_t>(header);
    const bool is_text = type.kind == TypeKind::base && type.encoding == BaseEncoding::character;
    claim.is_array = header != 0 || is_text || candidate.slot->range != PointerSlot::kNone || (!one && several);
    claim.has_tail = is_open || (!one && !several);
    claim.strength = strength_of(*candidate.slot, type, one || header != 0, several);
    if (claim.strength == Strength::weak && candidate.extent.room != UINT64_MAX) claim.strength = Strength::array;
    if (claim.strength == Strength::container) {
      claim.evidence = TypeEvidence::container;
      claim.bytes_in_use = candidate.extent.in_use;
    }
    return claim;
  }

  TypeId large_or_small(const PointerSlot& slot, const ObjectIndex::Nearest& nearest) const {
    const uint64_t large = types().size_bytes(slot.large);
    const uint64_t room = objects_.size_bytes(ObjectId{nearest.id});
    return large != 0 && large <= room && room - large < max_slack(room) ? slot.large : slot.target;
  }

  static Strength strength_of(const PointerSlot& slot, const Type& type, bool one, bool several) {
    if (slot.is_weak) return one || several ? Strength::weak : Strength::none;
    if (slot.is_container && (one || several)) return Strength::container;
    if (type.kind == TypeKind::base || type.kind == TypeKind::enumeration) return Strength::numbers;
    return one ? Strength::value : several ? Strength::array : Strength::prefix;
  }

  void judge(const Candidate& candidate, Found& found) const {
    const std::optional<Claim> claim = claim_of(candidate, &found.hints);
    if (!claim || claim->strength > known_strength(claim->object)) return;
    const bool must_look = claim->strength > Strength::container && claim->strength < known_strength(claim->object);
    const ObjectId id{claim->object};
    if (must_look && !looks_like(*claim, claim->start, objects_.size_bytes(id))) return;
    found.claims.push_back(*claim);
  }

  // A polymorphic object whose class is not known by its symbol still has a pointer to a vtable, outside the heap.
  bool has_vtable(Address object) const {
    auto word = dump_.memory.read_pointer(object);
    return word && !objects_.span().contains(*word) && dump_.memory.find(*word) != nullptr;
  }

  // new T[n] of a type with a destructor keeps n in the word before the first element (Itanium C++ ABI §2.7).
  bool is_cookie(Address start, uint64_t header, uint64_t size_bytes, uint64_t each) const {
    if (header != 8 && header != 16) return false;
    auto count = dump_.memory.read_word(start + header - 8);
    if (!count || *count == 0 || *count > kMaxElements || each > kMaxElements) return false;
    const uint64_t wanted = *count * each + header;
    return wanted <= size_bytes && size_bytes - wanted < max_slack(size_bytes);
  }

  // Most of its first pointers are null or lead to mapped memory.
  bool looks_like(const Claim& claim, Address start, uint64_t size_bytes) const {
    const TypeLayout* layout = find_layout(claim.element);
    if (layout == nullptr || layout->slots.empty()) {
      return claim.strength != Strength::weak || is_text(start, size_bytes);
    }
    size_t checked = 0;
    size_t wrong = 0;
    size_t leading = 0;  // to the heap
    for (uint64_t base = claim.header_bytes; base + layout->size_bytes <= size_bytes; base += layout->size_bytes) {
      const Bytes element = dump_.memory.read_exactly(start + base, layout->size_bytes);
      for (const PointerSlot& slot : layout->slots) {
        if (slot.is_weak) continue;
        if (slot.guard != PointerSlot::kNone && !is_there(layout->guards[slot.guard], element.data(), element.size()))
          continue;
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
  bool agrees(const ElementRange& range, const PointerSlot& slot, Address first, Bytes container) const {
    const uint64_t each = types().size_bytes(slot.target);
    const Extent extent = read_extent(range, first, each, container.data(), container.size());
    const auto id = objects_.span().contains(first) ? objects_.find_used(first) : std::nullopt;
    if (!id || each == 0) return extent.room == 0 || each == 0;
    return is_plausible({first, &slot, extent, {}}, each, objects_.size_bytes(*id) - (first - objects_.address(*id)));
  }

  // Whether an allocation is there that the type fits into, text where it belongs and nowhere else.
  bool may_lead_to(Address address, const PointerSlot& slot) const {
    const auto id = objects_.find_used(address);
    if (!id) return false;
    const TypeId target = slot.target;
    const bool is_character = target != kNoType && types()[target].encoding == BaseEncoding::character;
    const uint64_t each = types().size_bytes(target);
    const bool has_text = is_text(address, kTextSample);
    if (target != kNoType && is_character != has_text && !(has_text && each == 1)) return false;
    const uint64_t room = objects_.size_bytes(*id) - (address - objects_.address(*id));
    const uint64_t large = types().size_bytes(slot.large);
    if (slot.range != PointerSlot::kNone || (large != 0 && large <= room && room - large < max_slack(room)))
      return true;
    return each == 0 || (each <= room && (room - each < max_slack(room) || room % each < max_slack(room)));
  }

  // Rust's pointers are never 0: an empty vector's is its alignment, a Weak's that never led anywhere the largest word.
  static bool is_null(const PointerSlot& slot, uint64_t word) {
    return word == 0 || (slot.is_container && (word <= 16 || word == UINT64_MAX));
  }

  // Printable ASCII up to a NUL. (The bytes of most addresses look like text in other encodings.)
  bool is_text(Address start, uint64_t size_bytes) const {
    Bytes bytes = dump_.memory.read(start, std::min<uint64_t>(size_bytes, 256));
    for (size_t i = 0; i < bytes.size(); ++i) {
      const auto c = static_cast<uint8_t>(bytes[i]);
      if (c == 0) return i > 0;
      if ((c < ' ' || c >= 0x7f) && c != '\t' && c != '\n' && c != '\r') return false;
    }
    return !bytes.empty();
  }

  // One by one: vtables are looked up in a table that grows, and layouts are made.
  void apply_trait_objects(const std::vector<TraitObject>& trait_objects) {
    std::vector<Claim> claims;
    for (const TraitObject& object : trait_objects) {
      const TypeId type = trait_objects_->type_of(object.vtable, object.slot->target);
      if (type == kNoType) continue;
      known_layout(type);
      PointerSlot slot = *object.slot;
      slot.target = type;
      slot.range = PointerSlot::kNone;
      if (auto claim = claim_of({object.value, &slot, {}, objects_.place(object.value)}, nullptr)) {
        claims.push_back(*claim);
      }
    }
    apply(claims);
  }

  void apply(const Found& found) {
    apply(found.claims);
    apply_trait_objects(found.trait_objects);
    if (found.hints.empty()) return;
    std::vector<Claim> claims;
    for (const Hint& hint : found.hints) {
      if (!claim_by_embedding(hint, claims) && hints_.size() < kMaxHints) hints_.push_back(hint);
    }
    apply(claims);
  }

  void apply(const std::vector<Claim>& claims) {
    for (const Claim& claim : claims) {
      const Strength known = known_strength(claim.object);
      if (claim.strength >= known) {
        const ObjectShape shape = result_->shape_of(ObjectId{claim.object});
        if (claim.strength == known && shape.element != claim.element && shape.layout != nullptr) ++conflicts_;
        continue;
      }
      const ObjectShape shape{.element = claim.element,
                              .layout = nullptr,
                              .header_bytes = claim.header_bytes,
                              .is_array = claim.is_array,
                              .has_tail = claim.has_tail};
      const uint16_t kind = kind_of(shape, claim.evidence, claim.strength);
      if (kind == 0) continue;
      if (claim.bytes_in_use < objects_.size_bytes(ObjectId{claim.object})) {
        spare_[claim.object] = claim.bytes_in_use;
      } else {
        spare_.erase(claim.object);
      }
      set_kind(claim.object, claim.start, kind);
    }
  }

  // Evidence of second rank, once the typed pointers are exhausted. True when something new was found.
  bool guess() {
    std::vector<Claim> claims;
    guess_by_embedding(claims);
    guess_by_company(claims);
    apply(claims);
    return !queue_.empty();
  }

  // Hints about records that were not asked for before are kept until all such are known: the index is made once for
  // many, and then answers at once.
  void guess_by_embedding(std::vector<Claim>& claims) {
    const std::vector<Hint> hints = std::exchange(hints_, {});
    const size_t known = parts_.size();
    for (const Hint& hint : hints) parts_.insert(hint.part);
    if (parts_.size() == known) return;
    embeddings_ = std::make_unique<Embeddings>(types(), std::vector<TypeId>(parts_.begin(), parts_.end()));
    for (const Hint& hint : hints) claim_by_embedding(hint, claims);
  }

  // False when the index does not cover the hint.
  bool claim_by_embedding(const Hint& hint, std::vector<Claim>& claims) {
    if (known_strength(hint.object) <= Strength::embedding) return true;
    if (!parts_.contains(hint.part)) return false;
    const ObjectId id{hint.object};
    const uint64_t size_bytes = objects_.size_bytes(id);
    const TypeId record = embeddings_->around(hint.part, hint.offset_bytes, size_bytes, max_slack(size_bytes));
    if (record == kNoType) return true;
    known_layout(record);
    const Claim claim{
        .object = hint.object, .start = objects_.address(id), .element = record, .strength = Strength::embedding};
    if (looks_like(claim, objects_.address(id), size_bytes)) claims.push_back(claim);
    return true;
  }

  // What `void*` fields lead to, and which members of unions are in use.
  void guess_by_company(std::vector<Claim>& claims) {
    votes_ = FieldVotes();
    open_.clear();
    for (const Root& root : roots_.roots) {
      const TypeLayout* layout = result_->layout_of(root.type);
      if (layout == nullptr || !is_guessable(*layout)) continue;
      const uint64_t size_bytes = std::min(layout->size_bytes, root.location.size_bytes());
      ask_company(root.type, *layout, dump_.memory.read_exactly(root.location.begin, size_bytes), claims);
    }
    for (uint32_t object : guessable_) {
      const ObjectId id{object};
      const ObjectShape shape = result_->shape_of(id);
      if (shape.layout == nullptr || !is_guessable(*shape.layout)) continue;
      const Bytes bytes = dump_.memory.read_exactly(objects_.address(id), in_use(id));
      const uint64_t each = shape.layout->size_bytes;
      for (uint64_t at = shape.header_bytes; at + each <= bytes.size(); at += each) {
        ask_company(shape.element, *shape.layout, bytes.subspan(at, each), claims);
        if (!shape.is_array) break;
      }
    }
    for (const Open& open : open_) {
      const FieldVotes::Target target = votes_.winner(open.field);
      Claim claim{.object = open.object, .start = objects_.address(ObjectId{open.object}), .element = target.element};
      claim.is_array = target.is_array;
      claim.strength = Strength::field;
      claim.evidence = TypeEvidence::field;
      if (fits(claim)) claims.push_back(claim);
    }
  }

  bool fits(const Claim& claim) {
    const ObjectId id{claim.object};
    const uint64_t size_bytes = objects_.size_bytes(id);
    const uint64_t each = types().size_bytes(claim.element);
    if (each == 0 || each > size_bytes) return false;
    if ((claim.is_array ? size_bytes % each : size_bytes - each) >= max_slack(size_bytes)) return false;
    known_layout(claim.element);
    return looks_like(claim, objects_.address(id), size_bytes);
  }

  static bool is_guessable(const TypeLayout& layout) {
    return std::ranges::any_of(layout.slots,
                               [](const PointerSlot& slot) { return slot.target == kNoType || slot.is_weak; });
  }

  // Votes for what is known or has one reading only; remembers what has none or several.
  void ask_company(TypeId owner, const TypeLayout& layout, Bytes bytes, std::vector<Claim>& claims) {
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
      const ObjectShape shape = result_->shape_of(*id);
      if (shape.element != kNoType && (!shape.has_tail || shape.layout->has_open_end)) {
        votes_.add(field, {shape.element, shape.is_array});
      } else if (known_strength(index(*id)) > Strength::weak) {
        if (!choose_reading(layout, bytes, readings, field, value, claims) && open_.size() < kMaxHints) {
          open_.push_back({index(*id), field});
        }
      }
    }
  }

  static uint32_t tag_value(const TypeLayout& layout, const PointerSlot& slot, Bytes bytes) {
    if (slot.tag == PointerSlot::kNone) return 0;
    const UnionTag& tag = layout.tags[slot.tag];
    uint64_t value = 0;
    if (tag.offset_bytes + uint64_t{tag.size_bytes} <= bytes.size()) {
      std::memcpy(&value, bytes.data() + tag.offset_bytes, tag.size_bytes);
    }
    return static_cast<uint32_t>(value ^ value >> 32);
  }

  // Claims the only plausible reading of a union's pointer; false when there are several, or none.
  bool choose_reading(const TypeLayout& layout, Bytes bytes, std::span<const PointerSlot> readings,
                      FieldVotes::Field field, Address value, std::vector<Claim>& claims) {
    std::optional<Claim> only;
    for (const PointerSlot& slot : readings) {
      if (slot.target == kNoType || !slot.is_weak) continue;
      make_layout(slot.target);
      if (slot.large != kNoType) make_layout(slot.large);
      Candidate candidate{value, &slot, {}, objects_.place(value)};
      if (has_capacity(layout, slot)) {
        const uint64_t each = types().size_bytes(slot.target);
        candidate.extent = read_extent(layout.ranges[slot.range], value, each, bytes.data(), bytes.size());
      }
      const std::optional<Claim> claim = claim_of(candidate, nullptr);
      if (!claim || claim->strength == Strength::none) continue;
      const ObjectId id{claim->object};
      if (!looks_like(*claim, claim->start, objects_.size_bytes(id))) continue;
      if (only && only->element != claim->element) return false;
      only = claim;
    }
    if (!only) return false;
    votes_.add(field, {only->element, only->is_array});
    claims.push_back(*only);
    return true;
  }

  Strength known_strength(uint32_t object) const { return strengths_[result_->kind_of_[object]]; }

  void set_kind(uint32_t object, Address start, uint16_t kind) {
    if (kind == 0) return;
    result_->kind_of_[object] = kind;
    const TypeLayout* layout = result_->kinds_[kind].shape.layout;
    if (layout == nullptr || layout->slots.empty()) return;
    queue_.push_back({object, start});
    if (is_guessable(*layout)) guessable_.push_back(object);
  }

  // The layout, with those of what its pointers lead to: workers look at them, and must not make any.
  const TypeLayout& known_layout(TypeId type) {
    const TypeLayout& layout = make_layout(type);
    for (const PointerSlot& slot : layout.slots) {
      if (slot.target != kNoType) make_layout(slot.target);
      if (slot.large != kNoType) make_layout(slot.large);
    }
    return layout;
  }
  const TypeLayout& make_layout(TypeId type) {
    const TypeLayout& layout = result_->layouts_->of(type);
    if (index(type) >= layouts_.size()) layouts_.resize(types().size());
    layouts_[index(type)] = &layout;
    return layout;
  }
  const TypeLayout* find_layout(TypeId type) const {
    return index(type) < layouts_.size() ? layouts_[index(type)] : nullptr;
  }

  static uint64_t key_of(const ObjectShape& shape, TypeEvidence evidence, Strength strength) {
    return uint64_t{index(shape.element)} << 32 | uint64_t{shape.header_bytes} << 8 | uint64_t{shape.is_array} << 4 |
           uint64_t{shape.has_tail} << 3 | static_cast<uint64_t>(evidence) | static_cast<uint64_t>(strength) << 16;
  }

  uint16_t kind_of(const ObjectShape& shape, TypeEvidence evidence, Strength strength) {
    const uint64_t key = key_of(shape, evidence, strength);
    if (key == last_key_) return last_kind_;
    auto at = kind_numbers_.find(key);
    last_key_ = key;
    last_kind_ = at != kind_numbers_.end()
                     ? at->second
                     : intern(types().spelled(shape.element) + (shape.is_array ? "[]" : ""), shape, evidence, strength);
    return last_kind_;
  }

  // Shapes without an element are not shared: the caller remembers them.
  uint16_t intern(const std::string& name, ObjectShape shape, TypeEvidence evidence, Strength strength) {
    if (result_->kinds_.size() > kMaxKinds) {
      ++dropped_kinds_;
      return 0;
    }
    auto [type, is_first] = type_numbers_.try_emplace(name, result_->type_count());
    if (is_first) result_->names_.push_back(name);
    const auto kind = static_cast<uint16_t>(result_->kinds_.size());
    if (shape.element != kNoType) {
      shape.layout = &known_layout(shape.element);
      kind_numbers_.emplace(key_of(shape, evidence, strength), kind);
    }
    result_->kinds_.push_back({type->second, evidence, shape});
    strengths_.push_back(strength);
    return kind;
  }

  void finish() {
    for (const auto& [object, bytes] : spare_) result_->in_use_.push_back({object, bytes});
    std::ranges::sort(result_->in_use_, {}, &ObjectTypes::InUse::object);
    if (result_->kinds_.size() == 1) result_->kind_of_ = std::vector<uint16_t>();
    if (conflicts_ > 0) {
      diagnostics_.add("type_conflict", "pointers of different types lead to one allocation; the first was believed",
                       conflicts_);
    }
    if (dropped_kinds_ > 0)
      diagnostics_.add("too_many_types", "allocations whose type could not be kept", dropped_kinds_);
  }

  const CoreDump& dump_;
  const ObjectIndex& objects_;
  const RootSet& roots_;
  size_t threads_;
  Diagnostics& diagnostics_;
  std::unique_ptr<ObjectTypes> result_;
  std::vector<Strength> strengths_;  // by kind
  struct Open {                      // what a field leads to that no pointer tells
    uint32_t object;
    FieldVotes::Field field;
  };
  std::vector<uint32_t> guessable_;  // objects with fields of that sort
  std::vector<Open> open_;
  FieldVotes votes_;
  std::vector<Hint> hints_;
  std::set<TypeId> parts_;  // records that embeddings_ knows the places of
  std::unique_ptr<Embeddings> embeddings_;
  std::unique_ptr<TraitObjects> trait_objects_;
  std::vector<Queued> queue_;                     // objects whose pointers are to be followed
  std::vector<const TypeLayout*> layouts_;        // by type, as far as they were made
  std::unordered_map<uint32_t, uint64_t> spare_;  // by object: bytes in use, where that is not all
  std::unordered_map<uint64_t, uint16_t> kind_numbers_;
  uint64_t last_key_ = UINT64_MAX;  // most claims in a row are of one kind
  uint16_t last_kind_ = 0;
  std::unordered_map<std::string, uint32_t> type_numbers_;
  uint64_t conflicts_ = 0;
  uint64_t dropped_kinds_ = 0;
};

std::unique_ptr<const ObjectTypes> infer_types(const CoreDump& dump, const ObjectIndex& objects, const RootSet& roots,
                                               TypeTable types, size_t threads, Diagnostics& diagnostics) {
  return TypeInference(dump, objects, roots, std::move(types), threads, diagnostics).run();
}

}  // namespace heapwalk
