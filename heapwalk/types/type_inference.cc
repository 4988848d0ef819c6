// Typed objects are taken from the queue in batches. Workers read the batch's pointers, look up where they lead and judge
// what they claim; the claims are then applied one by one, in order. Nothing is changed while workers read.
#include "heapwalk/types/type_inference.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

#include "dump/base/parallel.h"
#include "heapwalk/large_pages.h"
#include "heapwalk/types/block_shapes.h"
#include "heapwalk/types/descriptor_pointers.h"
#include "heapwalk/types/field_company.h"
#include "heapwalk/types/outward_objects.h"
#include "heapwalk/types/trait_objects.h"
#include "heapwalk/types/type_agreement.h"
#include "heapwalk/types/type_claims.h"
#include "heapwalk/types/type_guesses.h"
#include "heapwalk/types/vtables.h"

namespace heapwalk {

namespace {

constexpr size_t kMaxKinds = UINT16_MAX;
constexpr size_t kMaxHints = size_t{1} << 22;
constexpr int kGuessRounds = 64;
constexpr uint64_t kLeastKnown = 1000;      // one object in so many has a type if the program has debug info
constexpr size_t kMaxCandidates = 64;       // records around one embedded record
constexpr size_t kBatch = size_t{1} << 16;  // objects taken from the queue at once
constexpr size_t kPiece = size_t{1} << 10;  // of a batch, per worker
constexpr size_t kFetchAhead = 16;          // objects whose bytes are on their way

}  // namespace

class TypeInference {
 public:
  TypeInference(const CoreDump& dump, const ObjectIndex& objects, const RootSet& roots, TypeTable types,
                const ManagedHeap& managed, size_t threads, Diagnostics& diagnostics)
      : dump_(dump),
        objects_(objects),
        roots_(roots),
        managed_(managed),
        threads_(threads),
        diagnostics_(diagnostics),
        agreement_(dump, objects, state_, roots.variables) {
    result_ = std::make_unique<ObjectTypes>();
    result_->table_ = std::move(types);
    LibraryTypes library = add_library_types(result_->table_);
    result_->containers_ = std::make_unique<Containers>(result_->table_, std::move(library));
    result_->layouts_ = std::make_unique<TypeLayouts>(result_->table_, *result_->containers_);
    trait_objects_ = std::make_unique<TraitObjects>(dump_, result_->table_);
    state_.types = result_.get();
    judge_ = std::make_unique<PointerJudge>(dump_, objects_, state_);
  }

  std::unique_ptr<const ObjectTypes> run(std::span<const RuntimeTypes> known) {
    assign_large(result_->kind_of_, objects_.size(), uint16_t{0});
    for (const RuntimeTypes& types : known) adopt(types);
    for (const OutwardObject& object : find_outward_objects(dump_, objects_, *result_, managed_, threads_))
      queue_.push_back({object.object, object.start});
    claim_by_vtables();
    claim_by_roots(false);
    follow_claims();
    claim_by_roots(true);
    follow_claims();
    int rounds = 0;
    for (; rounds < kGuessRounds && guess(); ++rounds) follow_claims();
    if (rounds == kGuessRounds) {
      diagnostics_.add("types_cut_short", "fields and unions led on to further types after the last round of guesses");
    }
    finish();
    return std::move(result_);
  }

 private:
  const TypeTable& types() const { return result_->table_; }

  struct Queued {
    uint32_t object;
    Address start;
  };

  // What a run-time knows of its own objects.
  void adopt(const RuntimeTypes& known) {
    std::vector<uint16_t> kinds(known.kinds.size());
    for (size_t i = 1; i < kinds.size(); ++i) {
      const RuntimeTypes::Kind& kind = known.kinds[i];
      const ObjectShape shape{.element = kind.element,
                              .layout = nullptr,
                              .header_bytes = kind.header_bytes,
                              .is_array = kind.is_array,
                              .has_tail = kind.has_tail};
      kinds[i] = kind_of(shape, kind.evidence, Strength::runtime);
    }
    for (size_t i = 0; i < std::min(known.kind_of.size(), result_->kind_of_.size()); ++i) {
      if (known.kind_of[i] == 0 || known.kind_of[i] >= kinds.size()) continue;
      result_->kind_of_[i] = kinds[known.kind_of[i]];
      if (result_->kind_of_[i] != 0) ++known_;
    }
  }

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
                          if (state != AllocationState::used || size < 8 || managed_.contains(address)) return;
                          const std::byte* data = dump_.memory.read_near(region, address, 8);
                          if (data == nullptr) return;
                          auto type = vtables.class_at(Address{load<uint64_t>(data)});
                          if (type) pieces[piece].push_back({index(id), *type, address});
                        });
    });
    std::vector<TypeId> records;
    records.reserve(vtables.classes().size());
    for (uint32_t i = 0; i < vtables.classes().size(); ++i) records.push_back(vtables.record_of(i, types()));
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
        if (kind == 0) {
          ++dropped_kinds_;
        } else {
          set_kind(found.object, found.start, kind);
        }
      }
    }
  }

  // Locals come after all that others say: without optimisation they have a place before they have a value.
  void claim_by_roots(bool locals) {
    Follower follower;
    for (const Root& root : roots_.roots) {
      const bool is_local = root.kind == RootKind::stack || root.kind == RootKind::register_;
      if (root.type == kNoType || is_local != locals) continue;
      const TypeLayout& layout = state_.make_layouts(root.type);
      const bool is_value = root.location.empty();
      const uint64_t size_bytes = std::min(layout.size_bytes, is_value ? 8 : root.location.size_bytes());
      const Bytes bytes = is_value ? std::as_bytes(std::span(&root.value, 1)).first(size_bytes)
                                   : dump_.memory.read_exactly(root.location.begin, size_bytes);
      if (bytes.empty()) continue;
      judge_->follow({&layout, bytes.data(), size_bytes, false}, follower);
    }
    judge_->judge_ahead(follower);
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
          alone.found.clear();
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
      if (i < objects.size()) __builtin_prefetch(dump_.memory.read_near(follower.region, objects[i].start, 8));
    };
    for (size_t i = 0; i < kFetchAhead; ++i) fetch(i);
    for (size_t i = 0; i < objects.size(); ++i) {
      const Queued& queued = objects[i];
      fetch(i + kFetchAhead);
      const ObjectShape shape = result_->shape_of(ObjectId{queued.object});
      if (shape.layout == nullptr || shape.layout->slots.empty()) continue;
      const uint64_t size_bytes = in_use(ObjectId{queued.object});
      const ElementUse* use = uses_.find(queued.object);
      const uint64_t object_bytes = objects_.size_bytes(ObjectId{queued.object});
      const std::byte* data =
          dump_.memory.read_near(follower.region, queued.start, use == nullptr ? size_bytes : object_bytes);
      if (data == nullptr || size_bytes <= shape.header_bytes) continue;
      judge_->follow({shape.layout, data + shape.header_bytes, size_bytes - shape.header_bytes, shape.is_array, use,
                      object_bytes, shape.header_bytes},
                     follower);
    }
    judge_->judge_ahead(follower);
  }

  uint64_t in_use(ObjectId id) const { return uses_.end(index(id), objects_.size_bytes(id)); }

  // One by one: vtables are looked up in a table that grows, and layouts are made.
  void apply_trait_objects(const std::vector<TraitObject>& trait_objects) {
    std::vector<Claim> claims;
    for (const TraitObject& object : trait_objects) {
      const TypeId type = trait_objects_->type_of(object.vtable, object.slot->target);
      if (type == kNoType) continue;
      state_.make_layouts(type);
      PointerSlot slot = *object.slot;
      slot.target = type;
      slot.range = PointerSlot::kNone;
      if (auto claim = judge_->claim_of({object.value, &slot, {}, objects_.place(object.value)}, nullptr)) {
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
      if (!claim_by_embedding(hint, claims)) keep(hints_, hint);
    }
    apply(claims);
  }

  void apply(const std::vector<Claim>& claims) {
    for (const Claim& claim : claims) {
      if (managed_.contains(claim.start)) continue;
      const Strength known = state_.known_strength(claim.object);
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
      if (kind == 0) {
        ++dropped_kinds_;
        continue;
      }
      uses_.set(claim.object, claim.use, objects_.size_bytes(ObjectId{claim.object}));
      set_kind(claim.object, claim.start, kind);
    }
  }

  // Evidence of second rank, once the typed pointers are exhausted. True when something new was found.
  bool guess() {
    std::vector<Claim> claims;
    guess_by_embedding(claims);
    guess_by_company(claims);
    apply(claims);
    if (queue_.empty() && knows_program())
      apply(DescriptorPointers(dump_, objects_, state_, agreement_).claims(threads_));
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
    const Strength known = state_.known_strength(hint.object);
    if (known <= Strength::embedding) return true;
    if (!parts_.contains(hint.part)) return false;
    const ObjectId id{hint.object};
    const uint64_t size_bytes = objects_.size_bytes(id);
    std::vector<TypeId> records = embeddings_->around(hint.part, hint.offset_bytes, size_bytes, max_slack(size_bytes));
    if (known == Strength::loose) {
      std::erase_if(records, [&](TypeId record) { return !is_snug(size_bytes, types().size_bytes(record)); });
    }
    const TypeId record = choose(records, objects_.address(id), known == Strength::loose);
    if (record == kNoType) return true;
    const Claim claim{
        .object = hint.object, .start = objects_.address(id), .element = record, .strength = Strength::embedding};
    if (judge_->looks_like(claim, objects_.address(id), size_bytes)) claims.push_back(claim);
    return true;
  }

  // The only candidate; of several the only one that the pointers of the allocation confirm.
  TypeId choose(const std::vector<TypeId>& candidates, Address start, bool must_agree) {
    TypeId only = kNoType;
    if (candidates.size() > kMaxCandidates) return kNoType;
    for (TypeId candidate : candidates) {
      const Agreement agreement = agreement_.of(state_.make_layouts(candidate), start);
      if (!agreement.is_possible() && (must_agree || candidates.size() > 1)) continue;
      if (agreement.confirmed() == 0 && candidates.size() > 1) continue;
      if (only != kNoType) return kNoType;
      only = candidate;
    }
    return only;
  }

  template <class T>
  void keep(std::vector<T>& list, const T& item) {
    if (list.size() < kMaxHints) {
      list.push_back(item);
    } else {
      ++dropped_hints_;
    }
  }

  // What `void*` fields lead to, and which members of unions are in use.
  void guess_by_company(std::vector<Claim>& claims) {
    FieldCompany company(objects_, state_, *judge_);
    std::ranges::sort(guessable_);  // an object that was claimed twice stands there twice, and votes once
    guessable_.erase(std::ranges::unique(guessable_).begin(), guessable_.end());
    for (const Root& root : roots_.roots) {
      const TypeLayout* layout = result_->layout_of(root.type);
      if (layout == nullptr || !FieldCompany::is_guessable(*layout)) continue;
      if (types()[root.type].kind == TypeKind::pointer) continue;  // two `void*` variables have nothing in common
      const uint64_t size_bytes = std::min(layout->size_bytes, root.location.size_bytes());
      company.ask(root.type, *layout, dump_.memory.read_exactly(root.location.begin, size_bytes), claims);
    }
    for (uint32_t object : guessable_) {
      const ObjectId id{object};
      const ObjectShape shape = result_->shape_of(id);
      if (shape.layout == nullptr || !FieldCompany::is_guessable(*shape.layout)) continue;
      const Bytes bytes = dump_.memory.read_exactly(objects_.address(id), in_use(id));
      const uint64_t each = shape.layout->size_bytes;
      for (uint64_t at = shape.header_bytes; at + each <= bytes.size(); at += each) {
        company.ask(shape.element, *shape.layout, bytes.subspan(at, each), claims);
        if (!shape.is_array) break;
      }
    }
    company.answer(claims);
    dropped_hints_ += company.dropped();
  }

  void set_kind(uint32_t object, Address start, uint16_t kind) {
    known_ += result_->kind_of_[object] == 0 ? 1 : 0;
    result_->kind_of_[object] = kind;
    const TypeLayout* layout = result_->kinds_[kind].shape.layout;
    if (layout == nullptr || layout->slots.empty()) return;
    queue_.push_back({object, start});
    if (FieldCompany::is_guessable(*layout)) guessable_.push_back(object);
  }

  struct KindKey {
    uint64_t element_and_claim = UINT64_MAX;
    uint32_t header_bytes = 0;
    bool operator==(const KindKey&) const = default;
    struct Hash {
      size_t operator()(const KindKey& key) const {
        return (key.element_and_claim ^ uint64_t{key.header_bytes} << 20) * 0x9e3779b97f4a7c15;
      }
    };
  };
  static KindKey key_of(const ObjectShape& shape, TypeEvidence evidence, Strength strength) {
    return {uint64_t{index(shape.element)} << 32 | uint64_t{shape.is_array} << 4 | uint64_t{shape.has_tail} << 3 |
                static_cast<uint64_t>(evidence) | static_cast<uint64_t>(strength) << 16,
            shape.header_bytes};
  }

  uint16_t kind_of(const ObjectShape& shape, TypeEvidence evidence, Strength strength) {
    const KindKey key = key_of(shape, evidence, strength);
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
    if (result_->kinds_.size() > kMaxKinds) return 0;
    auto [type, is_first] = type_numbers_.try_emplace(name, result_->type_count());
    if (is_first) result_->names_.push_back(name);
    const auto kind = static_cast<uint16_t>(result_->kinds_.size());
    if (shape.element != kNoType) {
      shape.layout = &state_.make_layouts(shape.element);
      kind_numbers_.emplace(key_of(shape, evidence, strength), kind);
    }
    result_->kinds_.push_back({type->second, evidence, shape});
    state_.strengths.push_back(strength);
    return kind;
  }

  // Whether the types of the program itself are known, not only those of a library: then a look at all that is unknown pays.
  bool knows_program() const { return known_ * kLeastKnown > objects_.size(); }

  // Shapes come after all types: what has a type by then needs none.
  void name_shapes() {
    const auto first = static_cast<uint16_t>(result_->kinds_.size());
    if (result_->kinds_.size() > kMaxKinds) return;
    const BlockShapes shapes = BlockShapes::name(dump_, objects_, managed_, result_->kind_of_, first, threads_);
    for (const std::string& name : shapes.names) intern(name, {}, TypeEvidence::none, Strength::none);
  }

  void finish() {
    name_shapes();
    for (const auto& [object, bytes] : uses_.ends()) result_->in_use_.push_back({object, bytes});
    std::ranges::sort(result_->in_use_, {}, &ObjectTypes::InUse::object);
    result_->uses_.assign(uses_.others().begin(), uses_.others().end());
    std::ranges::sort(result_->uses_, {}, &std::pair<uint32_t, ElementUse>::first);
    if (result_->kinds_.size() == 1) result_->kind_of_ = std::vector<uint16_t>();
    if (conflicts_ > 0) {
      diagnostics_.add("type_conflict", "pointers of different types lead to one allocation; the first was believed",
                       conflicts_);
    }
    if (dropped_kinds_ > 0) {
      diagnostics_.add("too_many_types", "allocations whose type could not be kept", dropped_kinds_);
    }
    if (dropped_hints_ > 0) {
      diagnostics_.add("too_many_hints", "references whose say about types could not be kept", dropped_hints_);
    }
  }

  const CoreDump& dump_;
  const ObjectIndex& objects_;
  const RootSet& roots_;
  const ManagedHeap& managed_;
  size_t threads_;
  Diagnostics& diagnostics_;
  std::unique_ptr<ObjectTypes> result_;
  ClaimState state_;
  std::unique_ptr<PointerJudge> judge_;
  TypeAgreement agreement_;
  std::vector<uint32_t> guessable_;  // objects with fields of that sort
  std::vector<Hint> hints_;
  std::set<TypeId> parts_;  // records that embeddings_ knows the places of
  std::unique_ptr<Embeddings> embeddings_;
  std::unique_ptr<TraitObjects> trait_objects_;
  std::vector<Queued> queue_;  // objects whose pointers are to be followed
  ElementUses uses_;
  std::unordered_map<KindKey, uint16_t, KindKey::Hash> kind_numbers_;
  KindKey last_key_;  // most claims in a row are of one kind
  uint16_t last_kind_ = 0;
  std::unordered_map<std::string, uint32_t> type_numbers_;
  uint64_t known_ = 0;  // objects that have a type
  uint64_t conflicts_ = 0;
  uint64_t dropped_kinds_ = 0;
  uint64_t dropped_hints_ = 0;
};

std::unique_ptr<const ObjectTypes> infer_types(const CoreDump& dump, const ObjectIndex& objects, const RootSet& roots,
                                               TypeTable types, std::span<const RuntimeTypes> known,
                                               const ManagedHeap& managed, size_t threads, Diagnostics& diagnostics) {
  return TypeInference(dump, objects, roots, std::move(types), managed, threads, diagnostics).run(known);
}

}  // namespace heapwalk
