#include "dwarf/type_joiner.h"

#include <algorithm>
#include <utility>

namespace heapwalk {
namespace {

constexpr TypeId kUnresolved{UINT32_MAX - 1};
constexpr size_t kMaxChain = 256;
constexpr uint64_t kMaxStayingBytes = 48 << 20;  // of .debug_info; what is kept of it is about twice as large

bool is_definition(const TypeEntry& entry) {
  return entry.kind == EntryKind::compound || entry.kind == EntryKind::enumeration;
}

}  // namespace

TypeJoiner::Unit& TypeJoiner::hold(UnitTypes said, bool is_elsewhere) {
  auto [at, is_new] = units_.try_emplace(said.begin);
  Unit& unit = at->second;
  if (!is_new) return unit;  // referred to before its turn
  damage_ += said.damage;
  const uint64_t bytes = said.end - said.begin;
  unit.stays = said.is_partial && bytes <= kMaxStayingBytes - staying_bytes_;
  if (unit.stays) staying_bytes_ += bytes;
  unit.resolved.assign(said.entries.size(), kUnresolved);
  unit.said = std::move(said);
  unit.is_elsewhere = is_elsewhere;
  return unit;
}

void TypeJoiner::add_definitions() {
  std::vector<const Unit*> batch;  // others join meanwhile
  batch.reserve(units_.size());
  for (auto& [begin, unit] : units_) {
    if (!std::exchange(unit.is_joined, true)) batch.push_back(&unit);
  }
  for (const Unit* unit : batch) {
    for (const TypeEntry& entry : unit->said.entries) {
      if (!is_definition(entry) && !names_another(entry)) continue;
      const TypeDetail& detail = unit->said.details[entry.detail];
      if (!detail.name.empty() && detail.known == kNoType) resolve(entry.key);
    }
    fill_queued();
  }
}

// A typedef of what has no name of its own, in another unit.
bool TypeJoiner::names_another(const TypeEntry& entry) {
  if (entry.kind != EntryKind::alias || entry.detail == kNoIndex) return false;
  const auto target = find(entry.target);
  if (!target) return false;
  const TypeEntry& named = target->unit->said.entries[target->entry];
  return is_definition(named) && target->unit->said.details[named.detail].name.empty();
}

void TypeJoiner::drop_batch() {
  std::erase_if(units_, [](const auto& each) { return !each.second.stays; });
}

std::optional<TypeJoiner::Place> TypeJoiner::find(EntryKey key) {
  auto after = units_.upper_bound(key);
  Unit* unit = after == units_.begin() ? nullptr : &std::prev(after)->second;
  if (unit == nullptr || key >= unit->said.end) {
    auto said = bytes_left_ > 0 ? read_unit_(key) : std::nullopt;
    if (!said) return std::nullopt;
    bytes_left_ -= std::min(bytes_left_, said->end - said->begin);
    unit = &hold(*std::move(said), true);
  }
  const uint32_t entry = unit->said.find(key);
  return entry == kNoIndex ? std::nullopt : std::optional(Place{unit, entry});
}

TypeId TypeJoiner::remember(const Place& place, TypeId id) {
  place.unit->resolved[place.entry] = id;
  if (place.unit->is_elsewhere) elsewhere_.try_emplace(place.unit->said.entries[place.entry].key, id);
  return id;
}

TypeId TypeJoiner::resolve(EntryKey key) {
  std::vector<Place> chain;
  TypeId id = kNoType;
  while (key != kNoEntry) {
    if (!elsewhere_.empty()) {
      if (auto known = elsewhere_.find(key); known != elsewhere_.end()) {
        id = known->second;
        break;
      }
    }
    auto place = find(key);
    if (!place || chain.size() >= kMaxChain) {
      ++damage_;
      break;
    }
    if (TypeId known = place->unit->resolved[place->entry]; known != kUnresolved) {
      id = known;
      break;
    }
    const TypeEntry& entry = place->unit->said.entries[place->entry];
    name_by_typedef(*place, chain);
    const bool is_known =
        entry.kind == EntryKind::enumeration && place->unit->said.details[entry.detail].known != kNoType;
    if (entry.target == kNoEntry || is_known) {
      id = remember(*place, end_of_chain(*place));
      break;
    }
    chain.push_back(*place);
    key = entry.target;
  }
  for (auto place = chain.rbegin(); place != chain.rend(); ++place) id = remember(*place, wrap(*place, id));
  return id;
}

// A struct without a name, in a type unit, whose typedef is outside of it.
void TypeJoiner::name_by_typedef(const Place& place, const std::vector<Place>& chain) {
  const TypeEntry& entry = place.unit->said.entries[place.entry];
  if (chain.empty() || !is_definition(entry)) return;
  const TypeEntry& last = chain.back().unit->said.entries[chain.back().entry];
  if (last.kind != EntryKind::alias || last.detail == kNoIndex) return;
  std::string_view& name = place.unit->said.details[entry.detail].name;
  if (name.empty()) name = chain.back().unit->said.details[last.detail].name;
}

// The type of an entry that refers to no other one.
TypeId TypeJoiner::end_of_chain(const Place& place) {
  const TypeEntry& entry = place.unit->said.entries[place.entry];
  if (entry.kind == EntryKind::function) return types_.function();
  if (entry.kind == EntryKind::closure) return types_.pointer_to(types_.function());
  if (entry.detail == kNoIndex) return wrap(place, kNoType);
  const TypeDetail& detail = place.unit->said.details[entry.detail];
  if (detail.known != kNoType) return detail.known;
  switch (entry.kind) {
    case EntryKind::base:
      return types_.base(detail.name, detail.size_bytes, detail.encoding);
    case EntryKind::declaration:
      return types_.declare(detail.name);
    case EntryKind::compound: {
      auto opened = types_.open(detail.kind, detail.name, detail.size_bytes);
      if (opened.is_new) queue_.push_back(place);
      return opened.id;
    }
    default:
      return wrap(place, kNoType);
  }
}

TypeId TypeJoiner::wrap(const Place& place, TypeId target) {
  const TypeEntry& entry = place.unit->said.entries[place.entry];
  switch (entry.kind) {
    case EntryKind::alias:
      return target;
    case EntryKind::pointer:
      return types_.pointer_to(target);
    case EntryKind::reference:
      return types_.pointer_to(target, PointerForm::reference);
    case EntryKind::single_pointer:
      return types_.pointer_to(target, PointerForm::single);
    case EntryKind::member_pointer: {
      const bool is_function = target != kNoType && types_.table()[target].kind == TypeKind::function;
      return types_.base("(pointer to member)", is_function ? 16 : 8, BaseEncoding::other);
    }
    case EntryKind::array:
      return types_.array_of(target, place.unit->said.details[entry.detail].count);
    case EntryKind::enumeration: {
      const TypeDetail& detail = place.unit->said.details[entry.detail];
      return types_.enumeration(detail.name, detail.size_bytes, target);
    }
    default:
      return kNoType;
  }
}

void TypeJoiner::fill_queued() {
  while (!queue_.empty()) {
    Place place = queue_.front();
    queue_.pop_front();
    fill(place);
  }
}

void TypeJoiner::fill(const Place& place) {
  const UnitTypes& said = place.unit->said;
  const TypeDetail& detail = said.details[said.entries[place.entry].detail];
  std::vector<Field> fields;
  for (uint32_t i = detail.first_member; i != kNoIndex; i = said.members[i].next) {
    fields.push_back(field_of(said.members[i], detail.size_bytes));
  }
  std::vector<TypeId> arguments;
  for (uint32_t i = detail.first_argument; i != kNoIndex; i = said.arguments[i].next) {
    arguments.push_back(resolve(said.arguments[i].type));
  }
  damage_ += types_.fill(place.unit->resolved[place.entry], std::move(fields), std::move(arguments));
  types_.set_mangled(place.unit->resolved[place.entry], detail.mangled);
}

Field TypeJoiner::field_of(const TypeMember& member, uint64_t owner_size_bytes) {
  Field field{.name = member.name, .type = resolve(member.type), .offset_bytes = member.offset_bytes};
  field.is_base = member.is_base;
  field.is_bit_field = member.is_bit_field;
  if (member.is_base && field.type != kNoType) field.name = types_.table()[field.type].name;
  field.variant = member.variant;
  field.discriminant = member.discriminant;
  if (member.is_bit_field) {
    // The unit of its type that holds it; a packed one may reach over two.
    const uint64_t size = types_.table().size_bytes(field.type);
    const bool is_from_above = member.bits_above != UINT8_MAX && member.bits_above + member.bit_size <= size * 8;
    const uint64_t first_bit =
        member.offset_bytes * 8 + (is_from_above ? size * 8 - member.bits_above - member.bit_size : member.bit_offset);
    if (size != 0) field.offset_bytes -= field.offset_bytes % size;
    if (size <= owner_size_bytes) field.offset_bytes = std::min(field.offset_bytes, owner_size_bytes - size);
    field.bit_size = member.bit_size;
    field.bit_offset = static_cast<uint8_t>(std::min<uint64_t>(first_bit - field.offset_bytes * 8, UINT8_MAX));
  } else {
    field.type = fitting(field, owner_size_bytes);
  }
  return field;
}

// What rustc says to be larger than it is: the tail of an unsized record (`ArcInner<[T]>`, given as one T) and function items,
// which take no bytes but are given the type of a function pointer.
TypeId TypeJoiner::fitting(const Field& field, uint64_t owner_size_bytes) {
  const uint64_t size_bytes = types_.table().size_bytes(field.type);
  if (field.offset_bytes > owner_size_bytes || size_bytes <= owner_size_bytes - field.offset_bytes) return field.type;
  const Type& type = types_.table()[field.type];
  const bool is_function_item = type.kind == TypeKind::pointer && type.target != kNoType &&
                                types_.table()[type.target].kind == TypeKind::function;
  if (is_function_item) return kNoType;
  return field.offset_bytes == owner_size_bytes ? types_.array_of(field.type, 0) : field.type;
}

}  // namespace heapwalk
