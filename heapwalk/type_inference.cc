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
constexpr size_t kLookAhead = 32;           // candidates whose lookup is on its way
constexpr size_t kCheckedWords = 16;        // pointers looked at before a claim is believed

// malloc rounds up to 16 bytes and does not split off a remainder below 32.
constexpr uint64_t kMaxSlackBytes = 32;

struct Claim {
  uint32_t object = 0;
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

struct Found {  // by one worker
  std::vector<Claim> claims;
  std::vector<Hint> hints;
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
  }

  std::unique_ptr<const ObjectTypes> run() {
    assign_large(result_->kind_of_, objects_.size(), uint16_t{0});
    strength_.assign(objects_.size(), Strength::none);
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
  };
  struct Candidate {
    Address value;
    const PointerSlot* slot;
    Extent extent;
    PageDirectory::Place place;
  };

  // Every object whose first word is a vtable.
  void claim_by_vtables() {
    const Vtables vtables(dump_);
    if (vtables.classes().empty()) return;
    constexpr uint32_t kObjects = 1 << 18;
    struct Polymorphic {
      uint32_t object, type;
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
                          if (type) pieces[piece].push_back({index(id), *type});
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
                        TypeEvidence::runtime);
        }
        set_kind(found.object, Strength::runtime, kind);
      }
    }
  }

  void claim_by_roots() {
    Found found;
    for (const Root& root : roots_.roots) {
      if (root.type == kNoType || root.location.empty()) continue;
      const TypeLayout& layout = known_layout(root.type);
      const uint64_t size_bytes = std::min(layout.size_bytes, root.location.size_bytes());
      Bytes bytes = dump_.memory.read_exactly(root.location.begin, size_bytes);
      if (bytes.empty()) continue;
      follow({&layout, bytes.data(), size_bytes, false}, found);
    }
    apply(found);
  }

  void follow_claims() {
    std::vector<uint32_t> batch;
    while (!queue_.empty()) {
      batch.swap(queue_);
      queue_.clear();
      for (size_t first = 0; first < batch.size(); first += kBatch) {
        const size_t count = std::min(kBatch, batch.size() - first);
        std::vector<Found> found((count + kPiece - 1) / kPiece);
        parallel_for(found.size(), count > 4 * kPiece ? threads_ : 1, [&](size_t piece) {
          const Region* region = nullptr;
          const size_t begin = first + piece * kPiece;
          for (size_t i = begin; i < std::min(begin + kPiece, first + count); ++i) {
            follow_object(ObjectId{batch[i]}, region, found[piece]);
          }
        });
        for (const Found& piece : found) apply(piece);
      }
    }
  }

  void follow_object(ObjectId id, const Region*& region, Found& found) {
    const ObjectShape shape = result_->shape_of(id);
    if (shape.layout == nullptr || shape.layout->slots.empty()) return;
    const uint64_t size_bytes = in_use(id);
    const std::byte* data = bytes_at(region, objects_.address(id), size_bytes);
    if (data == nullptr || size_bytes <= shape.header_bytes) return;
    follow({shape.layout, data + shape.header_bytes, size_bytes - shape.header_bytes, shape.is_array}, found);
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

  // Reads the pointers of a typed place and judges what they claim.
  void follow(const Source& source, Found& found) const {
    const TypeLayout& layout = *source.layout;
    const AddressRange heap = objects_.span();
    std::array<Candidate, kLookAhead> ahead;
    size_t fetched = 0;
    auto flush = [&] {
      for (size_t c = 0; c < fetched; ++c) judge(ahead[c], found);
      fetched = 0;
    };
    if (layout.size_bytes == 0) return;
    const uint64_t elements = source.is_array ? source.size_bytes / layout.size_bytes : 1;
    for (uint64_t e = 0; e < elements; ++e) {
      const uint64_t base = e * layout.size_bytes;
      for (const PointerSlot& slot : layout.slots) {
        if (slot.target == kNoType || slot.is_weak || base + slot.offset_bytes + 8 > source.size_bytes) continue;
        const Address value{load<uint64_t>(source.data + base + slot.offset_bytes)};
        if (!heap.contains(value)) continue;
        const uint64_t rest = source.size_bytes - base;
        if (slot.guard != PointerSlot::kNone && !is_there(layout.guards[slot.guard], source.data + base, rest))
          continue;
        Candidate candidate{value, &slot, {}, objects_.place(value)};
        if (slot.range != PointerSlot::kNone) {
          candidate.extent = read_extent(layout.ranges[slot.range], value, source.data + base, rest);
        }
        ahead[fetched++] = candidate;
        if (fetched == ahead.size()) flush();
      }
    }
    flush();
  }

  static bool is_there(const Guard& guard, const std::byte* data, uint64_t size_bytes) {
    if (guard.offset_bytes >= size_bytes) return false;
    const auto value = static_cast<uint8_t>(data[guard.offset_bytes]);
    return guard.any ? value != 0 : value == guard.value;
  }

  static Extent read_extent(const ElementRange& range, Address first, const std::byte* data, uint64_t size_bytes) {
    auto word = [&](uint32_t offset) -> std::optional<uint64_t> {
      if (offset == ElementRange::kNone || offset + uint64_t{8} > size_bytes) return std::nullopt;
      return load<uint64_t>(data + offset);
    };
    Extent extent;
    if (auto end = word(range.end_offset_bytes)) extent.in_use = *end - first.value;
    if (auto limit = word(range.limit_offset_bytes)) extent.room = *limit - first.value;
    if (auto length = word(range.length_offset_bytes)) extent.zero_at = *length;
    return extent;
  }

  // Whether the container's own words agree with each other and with the allocation. A stale container's do not.
  bool is_plausible(const Candidate& candidate, uint64_t each, uint64_t room) const {
    const Extent& extent = candidate.extent;
    if (extent.room != UINT64_MAX) {
      if (extent.room > room || room - extent.room >= kMaxSlackBytes || extent.room % each != 0) return false;
      if (extent.in_use > extent.room || extent.in_use % each != 0) return false;
    }
    if (extent.zero_at == UINT64_MAX) return true;
    if (extent.zero_at >= room / each) return false;
    Bytes zero = dump_.memory.read_exactly(candidate.value + extent.zero_at * each, each);
    return !zero.empty() && std::ranges::all_of(zero, [](std::byte b) { return b == std::byte{0}; });
  }

  // What the pointer says about the allocation that it leads to, if it says anything.
  std::optional<Claim> claim_of(const Candidate& candidate, std::vector<Hint>* hints) const {
    const ObjectIndex::Nearest nearest = objects_.nearest(candidate.value, candidate.place);
    if (!objects_.contains_used(nearest, candidate.value)) return std::nullopt;
    const TypeId target = candidate.slot->target;
    const Type& type = types()[target];
    const uint64_t each = type.size_bytes;
    if (each == 0 || type.kind == TypeKind::function || type.kind == TypeKind::declaration) return std::nullopt;
    if (result_->containers_->is_node_base(target)) return std::nullopt;
    const uint64_t header = candidate.value - nearest.start;
    const uint64_t size_bytes = objects_.size_bytes(ObjectId{nearest.id});
    const bool may_be_part =
        hints != nullptr && type.kind == TypeKind::record && strength_[nearest.id] > Strength::embedding;
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
    const bool one = is_open || room - each < kMaxSlackBytes;
    const bool several = room % each < kMaxSlackBytes;
    if (!one && header == 0 && may_be_part && !candidate.slot->is_container) hints->push_back({nearest.id, target, 0});
    Claim claim{.object = nearest.id, .element = target, .header_bytes = static_cast<uint8_t>(header)};
    const bool is_text = type.kind == TypeKind::base && type.encoding == BaseEncoding::character;
    claim.is_array = header != 0 || is_text || candidate.slot->range != PointerSlot::kNone || (!one && several);
    claim.has_tail = is_open || (!one && !several);
    claim.strength = strength_of(*candidate.slot, type, one || header != 0, several);
    if (claim.strength == Strength::container) {
      claim.evidence = TypeEvidence::container;
      claim.bytes_in_use = candidate.extent.in_use;
    }
    return claim;
  }

  static Strength strength_of(const PointerSlot& slot, const Type& type, bool one, bool several) {
    if (slot.is_container && (one || several)) return Strength::container;
    if (slot.is_weak) return one || several ? Strength::weak : Strength::none;
    if (type.kind == TypeKind::base || type.kind == TypeKind::enumeration) return Strength::numbers;
    return one ? Strength::value : several ? Strength::array : Strength::prefix;
  }

  void judge(const Candidate& candidate, Found& found) const {
    const std::optional<Claim> claim = claim_of(candidate, &found.hints);
    if (!claim || claim->strength > strength_[claim->object]) return;
    const bool must_look = claim->strength > Strength::container && claim->strength < strength_[claim->object];
    const ObjectId id{claim->object};
    if (must_look && !looks_like(*claim, objects_.address(id), objects_.size_bytes(id))) return;
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
    return wanted <= size_bytes && size_bytes - wanted < kMaxSlackBytes;
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
      for (const PointerSlot& slot : layout->slots) {
        if (slot.is_weak) continue;
        auto word = dump_.memory.read_word(start + base + slot.offset_bytes);
        const bool leads = word && objects_.span().contains(Address{*word});
        if (leads && claim.strength == Strength::weak && !may_lead_to(Address{*word}, slot.target)) return false;
        leading += leads ? 1 : 0;
        if (word && *word != 0 && !leads && dump_.memory.find(Address{*word}) == nullptr) ++wrong;
        if (++checked == kCheckedWords) break;
      }
      if (!claim.is_array || checked == kCheckedWords) break;
    }
    if (claim.strength == Strength::weak) return wrong == 0 && leading > 0;
    return wrong * 4 <= checked;
  }

  // Whether an allocation is there that the type fits into, text where it belongs and nowhere else.
  bool may_lead_to(Address address, TypeId target) const {
    const auto id = objects_.find_used(address);
    if (!id) return false;
    const bool is_character = target != kNoType && types()[target].encoding == BaseEncoding::character;
    if (target != kNoType && is_character != is_text(address, kTextSample)) return false;
    const uint64_t each = types().size_bytes(target);
    const uint64_t room = objects_.size_bytes(*id) - (address - objects_.address(*id));
    return each == 0 || (each <= room && (room - each < kMaxSlackBytes || room % each < kMaxSlackBytes));
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

  void apply(const Found& found) {
    apply(found.claims);
    if (found.hints.empty()) return;
    std::vector<Claim> claims;
    for (const Hint& hint : found.hints) {
      if (!claim_by_embedding(hint, claims) && hints_.size() < kMaxHints) hints_.push_back(hint);
    }
    apply(claims);
  }

  void apply(const std::vector<Claim>& claims) {
    for (const Claim& claim : claims) {
      Strength& known = strength_[claim.object];
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
      const uint16_t kind = kind_of(shape, claim.evidence);
      if (kind == 0) continue;
      if (claim.bytes_in_use < objects_.size_bytes(ObjectId{claim.object})) {
        spare_[claim.object] = claim.bytes_in_use;
      } else {
        spare_.erase(claim.object);
      }
      set_kind(claim.object, claim.strength, kind);
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
    if (strength_[hint.object] <= Strength::embedding) return true;
    if (!parts_.contains(hint.part)) return false;
    const ObjectId id{hint.object};
    const uint64_t size_bytes = objects_.size_bytes(id);
    const TypeId record = embeddings_->around(hint.part, hint.offset_bytes, size_bytes, kMaxSlackBytes);
    if (record == kNoType) return true;
    known_layout(record);
    const Claim claim{.object = hint.object, .element = record, .strength = Strength::embedding};
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
      Claim claim{.object = open.object, .element = target.element, .is_array = target.is_array};
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
    if ((claim.is_array ? size_bytes % each : size_bytes - each) >= kMaxSlackBytes) return false;
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
      } else if (strength_[index(*id)] > Strength::weak) {
        if (!choose_reading(readings, field, value, claims) && open_.size() < kMaxHints) {
          open_.push_back({index(*id), field});
        }
      }
    }
  }

  static uint32_t tag_value(const TypeLayout& layout, const PointerSlot& slot, Bytes bytes) {
    if (slot.tag == PointerSlot::kNone) return 0;
    const UnionTag& tag = layout.tags[slot.tag];
    uint32_t value = 0;
    if (tag.offset_bytes + uint64_t{tag.size_bytes} <= bytes.size()) {
      std::memcpy(&value, bytes.data() + tag.offset_bytes, tag.size_bytes);
    }
    return value;
  }

  // Claims the only plausible reading of a union's pointer; false when there are several, or none.
  bool choose_reading(std::span<const PointerSlot> readings, FieldVotes::Field field, Address value,
                      std::vector<Claim>& claims) {
    std::optional<Claim> only;
    for (const PointerSlot& slot : readings) {
      if (slot.target == kNoType || !slot.is_weak) continue;
      make_layout(slot.target);
      const std::optional<Claim> claim = claim_of({value, &slot, {}, objects_.place(value)}, nullptr);
      if (!claim || claim->strength == Strength::none) continue;
      const ObjectId id{claim->object};
      if (!looks_like(*claim, objects_.address(id), objects_.size_bytes(id))) continue;
      if (only && only->element != claim->element) return false;
      only = claim;
    }
    if (!only) return false;
    votes_.add(field, {only->element, only->is_array});
    claims.push_back(*only);
    return true;
  }

  void set_kind(uint32_t object, Strength strength, uint16_t kind) {
    if (kind == 0) return;
    result_->kind_of_[object] = kind;
    strength_[object] = strength;
    const TypeLayout* layout = result_->kinds_[kind].shape.layout;
    if (layout == nullptr || layout->slots.empty()) return;
    queue_.push_back(object);
    if (is_guessable(*layout)) guessable_.push_back(object);
  }

  // The layout, with those of what its pointers lead to: workers look at them, and must not make any.
  const TypeLayout& known_layout(TypeId type) {
    const TypeLayout& layout = make_layout(type);
    for (const PointerSlot& slot : layout.slots) {
      if (slot.target != kNoType) make_layout(slot.target);
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

  static uint64_t key_of(const ObjectShape& shape, TypeEvidence evidence) {
    return uint64_t{index(shape.element)} << 32 | uint64_t{shape.header_bytes} << 8 | uint64_t{shape.is_array} << 4 |
           uint64_t{shape.has_tail} << 3 | static_cast<uint64_t>(evidence);
  }

  uint16_t kind_of(const ObjectShape& shape, TypeEvidence evidence) {
    const uint64_t key = key_of(shape, evidence);
    if (key == last_key_) return last_kind_;
    auto at = kind_numbers_.find(key);
    last_key_ = key;
    last_kind_ = at != kind_numbers_.end()
                     ? at->second
                     : intern(types().spelled(shape.element) + (shape.is_array ? "[]" : ""), shape, evidence);
    return last_kind_;
  }

  // Shapes without an element are not shared: the caller remembers them.
  uint16_t intern(const std::string& name, ObjectShape shape, TypeEvidence evidence) {
    if (result_->kinds_.size() > kMaxKinds) {
      ++dropped_kinds_;
      return 0;
    }
    auto [type, is_first] = type_numbers_.try_emplace(name, result_->type_count());
    if (is_first) result_->names_.push_back(name);
    const auto kind = static_cast<uint16_t>(result_->kinds_.size());
    if (shape.element != kNoType) {
      shape.layout = &known_layout(shape.element);
      kind_numbers_.emplace(key_of(shape, evidence), kind);
    }
    result_->kinds_.push_back({type->second, evidence, shape});
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
  std::vector<Strength> strength_;  // by object
  struct Open {                     // what a field leads to that no pointer tells
    uint32_t object;
    FieldVotes::Field field;
  };
  std::vector<uint32_t> guessable_;  // objects with fields of that sort
  std::vector<Open> open_;
  FieldVotes votes_;
  std::vector<Hint> hints_;
  std::set<TypeId> parts_;  // records that embeddings_ knows the places of
  std::unique_ptr<Embeddings> embeddings_;
  std::vector<uint32_t> queue_;                   // objects whose pointers are to be followed
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
