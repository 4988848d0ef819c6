#include "heapwalk/types/container_census.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <map>
#include <optional>
#include <unordered_map>
#include <utility>

#include "dump/base/parallel.h"
#include "heapwalk/field_names.h"
#include "heapwalk/types/member_path.h"

namespace heapwalk {
namespace {

constexpr uint32_t kObjects = 1 << 16;  // of a piece of work
constexpr size_t kMaxRows = 4096;       // of the table; the last one stands for the rest
constexpr uint64_t kMaxElements = uint64_t{1} << 40;

struct Tally {
  uint64_t count = 0, elements = 0, unused_bytes = 0, empty_with_memory = 0;
  void add(const Tally& other) {
    count += other.count;
    elements += other.elements;
    unused_bytes += other.unused_bytes;
    empty_with_memory += other.empty_with_memory;
  }
};

// What one worker found. Sums only, so the order of pieces does not matter.
struct Census {
  std::unordered_map<uint32_t, std::vector<Tally>> by_type;  // of the value; per container of its layout
  std::unordered_map<uint32_t, uint64_t> stated;             // elements, by type of node in its smallest form
  std::unordered_map<uint32_t, uint64_t> found;
  uint64_t wrong = 0;  // elements by which one container contradicts itself

  void add(const Census& other) {
    for (const auto& [type, tallies] : other.by_type) {
      std::vector<Tally>& sums = by_type[type];
      if (sums.size() < tallies.size()) sums.resize(tallies.size());
      for (size_t i = 0; i < tallies.size(); ++i) sums[i].add(tallies[i]);
    }
    for (const auto& [type, count] : other.stated) stated[type] += count;
    for (const auto& [type, count] : other.found) found[type] += count;
    wrong += other.wrong;
  }
};

// One container, whose words are all there.
class ContainerReader {
 public:
  ContainerReader(const CensusInput& input, const ContainerPlace& place, Bytes value)
      : input_(input), place_(place), value_(value) {}

  // Nothing when the words make no sense: memory that holds no container any more, or none yet.
  std::optional<Tally> read(Census& census, bool is_certain) const {
    if (place_.limit != ContainerPlace::kNone) return read_range();
    if (place_.length != ContainerPlace::kNone) return read_string();
    if (place_.mask != ContainerPlace::kNone) return read_table(census);
    if (place_.control != ContainerPlace::kNone) return read_slots(census);
    if (place_.capacity != ContainerPlace::kNone) return read_counted();
    return read_nodes(census, is_certain);
  }

 private:
  uint64_t word(uint32_t offset) const {
    return offset == ContainerPlace::kNone ? 0 : load<uint64_t>(value_.data() + offset);
  }
  uint64_t size() const {
    return place_.rule->size_in(word(place_.count != ContainerPlace::kNone ? place_.count : place_.size));
  }
  uint64_t each() const { return std::max<uint64_t>(1, input_.types.table().size_bytes(place_.element)); }

  // The bytes of the allocation that begins there; 0: none does.
  uint64_t room_at(uint64_t address) const {
    const Address at{address};
    if (!input_.objects.span().contains(at)) return 0;
    const ObjectIndex::Nearest nearest = input_.objects.nearest(at, input_.objects.place(at));
    const bool begins_there = nearest.start == at && input_.objects.contains_used(nearest, at);
    return begins_there ? input_.objects.size_bytes(ObjectId{nearest.id}) : 0;
  }

  static Tally tally(uint64_t elements, uint64_t unused_bytes, bool has_memory) {
    return {1, elements, unused_bytes, has_memory && elements == 0 ? uint64_t{1} : 0};
  }

  std::optional<Tally> read_range() const {
    const uint64_t first = word(place_.first), end = word(place_.end), limit = word(place_.limit);
    if (first == 0 && end == 0 && limit == 0) return tally(0, 0, false);
    if (first > end || end > limit || limit - first > room_at(first)) return std::nullopt;
    return tally((end - first) / each(), limit - end, limit != first);
  }

  std::optional<Tally> read_string() const {
    uint64_t capacity = word(place_.room);
    if (place_.is_long != ContainerPlace::kNone) {  // one bit is the flag, and the NUL counts
      const bool is_first = place_.is_long == place_.offset_bytes;
      if ((static_cast<uint8_t>(value_[place_.is_long]) & (is_first ? 0x01 : 0x80)) == 0) return tally(0, 0, false);
      capacity = (capacity & (is_first ? ~uint64_t{1} : UINT64_MAX >> 1)) - 1;
    }
    const uint64_t length = word(place_.length);
    const uint64_t room = room_at(word(place_.first));
    if (room == 0) return tally(0, 0, false);  // inside
    if (length > capacity || capacity >= room / each()) return std::nullopt;
    return tally(length, (capacity - length) * each(), true);
  }

  std::optional<Tally> read_counted() const {
    const uint64_t capacity = place_.rule->capacity_in(word(place_.capacity));
    const uint64_t elements = size();
    if (place_.is_inside(value_))
      return elements <= place_.inside_elements ? std::optional(tally(elements, 0, false)) : std::nullopt;
    if (capacity == 0) return elements == 0 ? std::optional(tally(0, 0, false)) : std::nullopt;
    if (elements > capacity || capacity > room_at(word(place_.first)) / each()) return std::nullopt;
    return tally(elements, (capacity - elements) * each(), true);
  }

  // absl's tables: a byte for each slot, then the slots, in one block.
  std::optional<Tally> read_slots(Census& census) const {
    const uint64_t capacity = place_.rule->capacity_in(word(place_.capacity));
    const Address control{word(place_.control)};
    const Address first{word(place_.first) + place_.rule->behind_control(capacity)};
    if (place_.is_inside(value_)) return size() <= 1 ? std::optional(tally(size(), 0, false)) : std::nullopt;
    if (capacity == 0) return size() == 0 ? std::optional(tally(0, 0, false)) : std::nullopt;
    const auto block = input_.objects.span().contains(first) ? input_.objects.find_used(first) : std::nullopt;
    if (!block || capacity >= kMaxElements / each() || size() > capacity) return std::nullopt;
    const uint64_t before = first - input_.objects.address(*block);
    const uint64_t room = capacity - std::min(capacity, place_.rule->blocked_in(word(place_.capacity)));
    if (room * each() + before > input_.objects.size_bytes(*block)) return std::nullopt;
    const bool has_bytes = control >= input_.objects.address(*block) && control < first;
    if (!has_bytes) return capacity == 1 ? std::optional(tally(size(), (1 - size()) * each(), true)) : std::nullopt;
    const Bytes bytes = input_.dump.memory.read_exactly(control, std::min(capacity, first - control));
    const auto full =
        static_cast<uint64_t>(std::ranges::count_if(bytes, [](std::byte b) { return static_cast<uint8_t>(b) < 0x80; }));
    census.wrong += full > size() ? full - size() : size() - full;
    return tally(size(), (room - std::min(full, room)) * each(), true);
  }

  // hashbrown: buckets, then a byte for each; below 0x80 the bucket is full.
  std::optional<Tally> read_table(Census& census) const {
    const uint64_t mask = word(place_.mask), items = word(place_.size), control = word(place_.first);
    if (mask == 0 && items == 0) return tally(0, 0, false);
    if (mask >= kMaxElements / each() || items > mask + 1) return std::nullopt;
    const uint64_t before = ((mask + 1) * each() + 15) & ~uint64_t{15};
    if (before > control || room_at(control - before) < before + mask + 1) return std::nullopt;
    const Bytes bytes = input_.dump.memory.read_exactly(Address{control}, mask + 1);
    if (bytes.empty()) return std::nullopt;
    const auto full =
        static_cast<uint64_t>(std::ranges::count_if(bytes, [](std::byte b) { return static_cast<uint8_t>(b) < 0x80; }));
    census.wrong += full > items ? full - items : items - full;
    return tally(items, (mask + 1 - std::min(full, mask + 1)) * each(), true);
  }

  std::optional<Tally> read_nodes(Census& census, bool is_certain) const {
    const uint64_t size = this->size();
    const bool has_nodes = size != 0;
    if (has_nodes && !is_certain && !leads_to_node()) return std::nullopt;
    if (size >= kMaxElements) return std::nullopt;
    if (place_.element != kNoType) census.stated[index(place_.element)] += size;
    if (place_.buckets == ContainerPlace::kNone) return tally(size, 0, false);
    const uint64_t buckets = word(place_.bucket_count);
    const uint64_t room = room_at(word(place_.buckets));
    if (room == 0) return tally(size, 0, false);  // the only bucket lies inside
    if (buckets > room / 8) return std::nullopt;
    const Bytes words = input_.dump.memory.read_exactly(Address{word(place_.buckets)}, buckets * 8);
    uint64_t empty = 0;
    for (size_t at = 0; at + 8 <= words.size(); at += 8) empty += load<uint64_t>(words.data() + at) == 0 ? 1 : 0;
    return tally(size, empty * 8, true);
  }

  bool leads_to_node() const {
    const Address node{word(place_.node)};
    const auto id = input_.objects.span().contains(node) ? input_.objects.find_used(node) : std::nullopt;
    if (!id) return false;
    return input_.types.containers().smallest(input_.types.shape_of(*id).element) == place_.linked;
  }

  const CensusInput& input_;
  const ContainerPlace& place_;
  Bytes value_;
};

void read_value(const CensusInput& input, const TypeLayout& layout, TypeId type, Bytes value, bool is_certain,
                Census& census) {
  if (value.size() < layout.size_bytes) return;
  std::vector<Tally>& tallies = census.by_type[index(type)];
  tallies.resize(layout.containers.size());
  for (size_t i = 0; i < layout.containers.size(); ++i) {
    const ContainerPlace& place = layout.containers[i];
    if (!layout.holds(place.guard, value.data(), value.size())) continue;
    if (auto tally = ContainerReader(input, place, value).read(census, is_certain)) tallies[i].add(*tally);
  }
}

// How many elements a node is.
uint64_t node_elements(const TypeLayout& layout, Bytes node) {
  if (layout.filled_bytes == 0) return 1;
  if (layout.filled_offset_bytes + uint64_t{layout.filled_bytes} > node.size()) return 0;
  uint64_t count = 0;
  std::memcpy(&count, node.data() + layout.filled_offset_bytes, layout.filled_bytes);
  return count;
}

void read_objects(const CensusInput& input, uint32_t first, uint32_t last, Census& census) {
  input.objects.for_each(first, last, [&](ObjectId id, Address address, uint64_t size_bytes, AllocationState state) {
    const ObjectShape shape = input.types.shape_of(id);
    if (state != AllocationState::used || shape.layout == nullptr || shape.layout->size_bytes == 0) return;
    const TypeLayout& layout = *shape.layout;
    if (layout.containers.empty() && !layout.is_node) return;
    const Bytes bytes = input.dump.memory.read(address, input.types.bytes_in_use(id, size_bytes));
    if (layout.is_node && !shape.is_array)
      census.found[index(input.types.containers().smallest(shape.element))] += node_elements(layout, bytes);
    if (layout.containers.empty()) return;
    const ElementUse* use = shape.is_array ? input.types.use_of(id) : nullptr;
    const Bytes whole = use == nullptr ? Bytes() : input.dump.memory.read(address, size_bytes);
    for (uint64_t at = shape.header_bytes; at + layout.size_bytes <= bytes.size(); at += layout.size_bytes) {
      if (use != nullptr && !use->covers(at, layout.size_bytes, whole.data(), whole.size())) continue;
      read_value(input, layout, shape.element, bytes.subspan(at, layout.size_bytes), false, census);
      if (!shape.is_array) break;
    }
  });
}

class RowBuilder {
 public:
  explicit RowBuilder(const CensusInput& input) : input_(input) {}

  void add(TypeId value, const std::vector<Tally>& tallies, const std::string& holder) {
    const TypeLayout* layout = input_.types.layout_of(value);
    for (size_t i = 0; layout != nullptr && i < tallies.size() && i < layout->containers.size(); ++i) {
      if (tallies[i].count == 0) continue;
      const ContainerPlace& place = layout->containers[i];
      const std::string field = field_name(input_.types.table(), input_.types.containers(), value, place.offset_bytes);
      const char* separator = field.empty() || field.starts_with('[') ? "" : ".";
      rows_[{input_.types.table().spelled(place.shown), holder + separator + field}].add(tallies[i]);
    }
  }

  std::vector<ContainerRow> rows() const {
    std::vector<ContainerRow> rows;
    for (const auto& [names, tally] : rows_) {
      rows.push_back(
          {names.first, names.second, tally.count, tally.elements, tally.unused_bytes, tally.empty_with_memory});
    }
    std::ranges::stable_sort(rows, std::greater<>(), &ContainerRow::unused_bytes);
    ContainerRow rest;
    rest.type = "(others)";
    for (size_t i = kMaxRows; i < rows.size(); ++i) {
      rest.count += rows[i].count;
      rest.elements += rows[i].elements;
      rest.unused_bytes += rows[i].unused_bytes;
      rest.empty_with_memory += rows[i].empty_with_memory;
    }
    if (rows.size() > kMaxRows) {
      rows.resize(kMaxRows);
      rows.push_back(std::move(rest));
    }
    return rows;
  }

 private:
  const CensusInput& input_;
  std::map<std::pair<std::string, std::string>, Tally> rows_;  // by type and holder
};

void read_root(const CensusInput& input, const Root& root, Census& all, RowBuilder& rows) {
  const TypeLayout* layout = input.types.layout_of(root.type);
  if (layout == nullptr || layout->containers.empty() || root.location.size_bytes() < layout->size_bytes) return;
  const bool is_certain = root.kind == RootKind::global || root.kind == RootKind::tls;
  Census census;
  read_value(input, *layout, root.type, input.dump.memory.read(root.location.begin, layout->size_bytes), is_certain,
             census);
  for (const auto& [type, tallies] : census.by_type) rows.add(TypeId{type}, tallies, root.name);
  census.by_type.clear();
  all.add(census);
}

void report_differences(const Census& census, Diagnostics& diagnostics) {
  uint64_t wrong = census.wrong;
  for (const auto& [node, stated] : census.stated) {
    const auto at = census.found.find(node);
    const uint64_t found = at == census.found.end() ? 0 : at->second;
    wrong += found > stated ? found - stated : stated - found;
  }
  if (wrong > 0) {
    diagnostics.add("container_count",
                    "elements that containers say they have and that were not found, or the other way round", wrong);
  }
}

}  // namespace

std::vector<ContainerRow> count_containers(const CensusInput& input, size_t threads, Diagnostics& diagnostics) {
  if (input.types.table().size() == 0) return {};
  std::vector<Census> pieces((input.objects.size() + kObjects - 1) / kObjects);
  parallel_for(pieces.size(), threads, [&](size_t piece) {
    const auto first = static_cast<uint32_t>(piece * kObjects);
    read_objects(input, first, first + std::min(input.objects.size() - first, kObjects), pieces[piece]);
  });
  Census all;
  RowBuilder rows(input);
  for (const Root& root : input.roots.roots) read_root(input, root, all, rows);
  for (const Census& piece : pieces) all.add(piece);
  for (const auto& [type, tallies] : all.by_type) {
    rows.add(TypeId{type}, tallies, input.types.table().spelled(TypeId{type}));
  }
  report_differences(all, diagnostics);
  return rows.rows();
}

}  // namespace heapwalk
