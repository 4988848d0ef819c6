#include "heapwalk/runtimes/go/types/walk_plan.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

namespace heapwalk::go {
namespace {

constexpr int kMaxDepth = 64;  // of structs in structs
constexpr size_t kMaxPlaces = 1 << 12;
constexpr uint64_t kMaxInline = 16;  // elements of an array that lie flat

void set_word(WalkPlan& plan, uint64_t offset_bytes) {
  plan.has_pointers = true;
  if (offset_bytes / 8 < 64) plan.mask |= uint64_t{1} << offset_bytes / 8;
}

bool is_generic(const TypeTable& types, TypeId type) {
  constexpr std::array<std::string_view, 6> kNames = {"internal/runtime/maps.Map",
                                                      "internal/runtime/maps.table",
                                                      "runtime.hmap",
                                                      "runtime.bmap",
                                                      "runtime.mapextra",
                                                      "runtime.hchan"};
  return type != kNoType && std::ranges::find(kNames, types[type].name) != kNames.end();
}

}  // namespace

const WalkPlan& WalkPlans::of(TypeId type) {
  const WalkPlan& plan = make(type);
  while (!targets_.empty()) {
    const TypeId target = targets_.back();
    targets_.pop_back();
    if (target != kNoType) make(target);
  }
  return plan;
}

const WalkPlan& WalkPlans::make(TypeId type) {
  if (const WalkPlan* known = find(type)) return *known;
  WalkPlan& plan = storage_.emplace_back();
  if (index(type) >= plans_.size()) plans_.resize(std::max<size_t>(types_->table().size(), index(type) + size_t{1}));
  plans_[index(type)] = &plan;
  plan.size_bytes = types_->table().size_bytes(type);
  plan.form = form_of(types_->table(), type).form;
  plan.is_mask_known = true;
  add(plan, type, 0, 0);
  if (plan.form == GoForm::trie_node) add_trie_node(plan, type);
  plan.is_generic = is_generic(types_->table(), type) || is_generic(types_->table(), pointee(types_->table(), type));
  const std::string_view name = types_->table()[type].name;
  if (name == "time.Timer" || name == "time.Ticker") {  // since Go 1.23
    plan.stand_in = types_->table().find("runtime.timeTimer").value_or(kNoType);
  }
  set_mask(plan, type);
  plan.tiled_mask = plan.mask;
  for (uint64_t filled = plan.size_bytes / 8; filled > 0 && filled < 64; filled *= 2)
    plan.tiled_mask |= plan.tiled_mask << filled;
  for (const WalkPlace& each : plan.places) targets_.insert(targets_.end(), {each.target, each.other});
  targets_.insert(targets_.end(), {plan.inner, plan.entry, plan.stand_in});
  return plan;
}

void WalkPlans::add(WalkPlan& plan, TypeId type, uint64_t offset_bytes, int depth) {
  if (type == kNoType) {
    plan.is_mask_known = false;
    return;
  }
  if (depth == kMaxDepth || plan.places.size() >= kMaxPlaces) return;
  const Type& shape = types_->table()[type];
  switch (shape.kind) {
    case TypeKind::pointer:
      set_word(plan, offset_bytes);
      if (shape.target == kNoType) return;
      if (types_->table()[shape.target].kind == TypeKind::function) {
        plan.places.push_back({.offset_bytes = offset_bytes, .verb = Verb::closure});
      } else {
        plan.places.push_back({.offset_bytes = offset_bytes, .verb = Verb::pointer, .target = shape.target});
      }
      return;
    case TypeKind::array:
      return add_array(plan, type, offset_bytes, depth);
    case TypeKind::record:
      return add_record(plan, type, offset_bytes, depth);
    case TypeKind::base:
    case TypeKind::enumeration:
      return;
    default:
      plan.is_mask_known = false;  // of another language
      return;
  }
}

void WalkPlans::add_array(WalkPlan& plan, TypeId type, uint64_t offset_bytes, int depth) {
  const TypeTable& table = types_->table();
  const TypeId element = table[type].target;
  const uint64_t count = table[type].count, each = table.size_bytes(element);
  if (count == 0 || each == 0) return;
  if (count <= kMaxInline) {
    for (uint64_t i = 0; i < count; ++i) add(plan, element, offset_bytes + i * each, depth + 1);
    return;
  }
  const WalkPlan& inner = make(element);  // types hold no circle
  if (!inner.is_mask_known) plan.is_mask_known = false;
  if (!inner.has_pointers) return;
  for (uint64_t at = 0; at < std::min<uint64_t>(count * each, 512); at += each) {
    for (uint64_t word = 0; word < std::min<uint64_t>(64, each / 8); ++word) {
      if ((inner.mask >> word & 1) != 0) set_word(plan, offset_bytes + at + word * 8);
    }
  }
  plan.has_pointers = true;
  if (inner.places.empty()) return;
  plan.places.push_back(
      {.offset_bytes = offset_bytes, .verb = Verb::repeat, .target = element, .count = count, .stride = each});
}

void WalkPlans::add_record(WalkPlan& plan, TypeId type, uint64_t offset_bytes, int depth) {
  const TypeTable& table = types_->table();
  const FormFacts facts = form_of(table, type);
  const auto place = [&](Verb verb, TypeId target, TypeId other = kNoType) {
    plan.places.push_back({.offset_bytes = offset_bytes, .verb = verb, .target = target, .other = other});
  };
  switch (facts.form) {
    case GoForm::string:
      set_word(plan, offset_bytes);
      return place(Verb::string, facts.element);
    case GoForm::slice:
      set_word(plan, offset_bytes);
      return place(Verb::slice, facts.element);
    case GoForm::interface:
    case GoForm::empty_interface:
      set_word(plan, offset_bytes + 8);  // the first word is no pointer to the collector
      return place(facts.form == GoForm::interface ? Verb::interface : Verb::empty_interface, kNoType);
    case GoForm::atomic_pointer:
      set_word(plan, offset_bytes + facts.offset_bytes);
      plan.places.push_back(
          {.offset_bytes = offset_bytes + facts.offset_bytes, .verb = Verb::pointer, .target = facts.element});
      return;
    case GoForm::swiss_map:
      place(Verb::swiss_map, facts.element, pointee(table, find_field(table, type, "dirPtr")->type));
      break;
    case GoForm::swiss_table:
      place(Verb::swiss_table, facts.element);
      break;
    case GoForm::classic_map: {
      const std::string name(table[type].name);
      const auto extra = table.find("mapextra" + name.substr(name.find('<')));
      place(Verb::classic_map, facts.element, extra.value_or(kNoType));
      break;
    }
    case GoForm::classic_bucket:  // what overflows is untyped
      plan.places.push_back({.offset_bytes = offset_bytes + find_field(table, type, "overflow")->offset_bytes,
                             .verb = Verb::pointer,
                             .target = type});
      break;
    case GoForm::channel:
      place(Verb::channel, facts.element);
      break;
    case GoForm::pool:
      place(Verb::pool, table.find("sync.poolLocal").value_or(kNoType));
      break;
    case GoForm::reflect_value:
      set_word(plan, offset_bytes);
      set_word(plan, offset_bytes + 8);
      return place(Verb::reflect_value, kNoType);
    case GoForm::none:
    case GoForm::trie_node:
      break;
  }
  const size_t own = plan.places.size();
  for (const heapwalk::Field& field : table.fields(type)) {
    if (field.is_bit_field) continue;
    add(plan, field.type, offset_bytes + field.offset_bytes, depth + 1);
  }
  const bool is_all = facts.form == GoForm::swiss_map || facts.form == GoForm::swiss_table ||
                      facts.form == GoForm::classic_map || facts.form == GoForm::channel;
  if (is_all) plan.places.resize(own);  // its fields by themselves would say less, or what is not so
}

// "internal/sync.node[K,V]" is an "internal/sync.entry[K,V]" or an "internal/sync.indirect[K,V]".
void WalkPlans::add_trie_node(WalkPlan& plan, TypeId type) {
  const TypeTable& table = types_->table();
  const std::string name(table[type].name);
  const size_t at = name.find(".node[");
  plan.entry = table.find(name.substr(0, at) + ".entry[" + name.substr(at + 6)).value_or(kNoType);
  plan.inner = table.find(name.substr(0, at) + ".indirect[" + name.substr(at + 6)).value_or(kNoType);
  plan.entry_offset = find_field(table, type, "isEntry")->offset_bytes;
}

// The collector's own word is the best: what leads out of its heap is no pointer to it.
void WalkPlans::set_mask(WalkPlan& plan, TypeId type) {
  const Address descriptor = types_->descriptor_of(type);
  const PointerMask* mask = descriptor ? masks_->of(descriptor) : nullptr;
  if (mask == nullptr) return;
  plan.is_mask_known = true;
  plan.has_pointers = mask->has_pointers();
  plan.mask = mask->group(0);
  const uint64_t words = mask->size_bytes / 8;  // of a tile
  for (uint64_t filled = words; filled > 0 && filled < 64 && filled < plan.size_bytes / 8; filled += words) {
    plan.mask |= mask->group(0) << filled;
  }
}

}  // namespace heapwalk::go
