#include "heapwalk/runtimes/go/stacks/goroutine_labels.h"

#include <algorithm>

#include "heapwalk/runtimes/go/program/module_data.h"
#include "heapwalk/runtimes/go/program/record.h"

namespace heapwalk::go {
namespace {

using Labels = std::vector<std::pair<std::string, std::string>>;

constexpr uint64_t kMaxLabels = 4096;
constexpr uint64_t kMaxText = 4096;  // longer ones lose their end
constexpr uint64_t kText = 16;       // sizeof(string)
// A bucket of a map[string]string.
constexpr uint64_t kSlots = 8, kKeys = 8, kValues = kKeys + kSlots * kText, kOverflow = kValues + kSlots * kText,
                   kBucket = kOverflow + 8;
constexpr uint8_t kEvacuated = 2, kFirstUsed = 5;  // tophash: 2 … 4, the slots went to the new buckets; 5 …, in use
constexpr uint8_t kSameSizeGrow = 8;               // hmap.flags

std::optional<std::string> read_text(const AddressSpace& memory, Address at) {
  const auto data = memory.read_pointer(at);
  const auto length = memory.read_word(at + 8);
  if (!data || !length) return std::nullopt;
  const Bytes text = memory.read_exactly(*data, std::min(*length, kMaxText));
  if (text.size() != std::min(*length, kMaxText)) return std::nullopt;
  return std::string(reinterpret_cast<const char*>(text.data()), text.size());
}

void add_label(const AddressSpace& memory, Address key, Address value, Labels& labels) {
  auto key_text = read_text(memory, key), value_text = read_text(memory, value);
  if (key_text && value_text && labels.size() < kMaxLabels)
    labels.emplace_back(*std::move(key_text), *std::move(value_text));
}

void read_list(const AddressSpace& memory, Address at, Labels& labels) {
  const auto list = read_slice(memory, at);
  if (!list) return;
  for (uint64_t i = 0; i < std::min(list->length, kMaxLabels); ++i)
    add_label(memory, list->data + 2 * kText * i, list->data + 2 * kText * i + kText, labels);
}

// Each entry is in the new buckets or, while the map grows, in an old bucket that is not evacuated yet.
void read_buckets(const AddressSpace& memory, Address first, uint64_t count, Labels& labels) {
  uint64_t left = kMaxLabels;  // overflow lists may be cyclic
  for (uint64_t i = 0; i < std::min(count, kMaxLabels); ++i) {
    for (Address bucket = first + kBucket * i; bucket && left > 0; --left) {
      const auto tops = memory.read<std::array<uint8_t, kSlots>>(bucket);
      if (!tops) return;
      if ((*tops)[0] >= kEvacuated && (*tops)[0] < kFirstUsed) break;
      for (uint64_t slot = 0; slot < kSlots; ++slot)
        if ((*tops)[slot] >= kFirstUsed)
          add_label(memory, bucket + kKeys + kText * slot, bucket + kValues + kText * slot, labels);
      bucket = memory.read_pointer(bucket + kOverflow).value_or(Address{});
    }
  }
}

void read_map(const AddressSpace& memory, const Layout& layout, Address map, Labels& labels) {
  const Record header(memory, layout, map);
  const auto power = header.read<uint8_t>(Field::hmap_B);
  const Address buckets = header.pointer_or_null(Field::hmap_buckets);
  const Address old = header.pointer_or_null(Field::hmap_oldbuckets);
  if (!power || *power > 12 || !buckets) return;
  const uint64_t count = uint64_t{1} << *power;
  read_buckets(memory, buckets, count, labels);
  const bool same_size = (header.read<uint8_t>(Field::hmap_flags).value_or(0) & kSameSizeGrow) != 0;
  if (old) read_buckets(memory, old, same_size ? count : count / 2, labels);
}

}  // namespace

Labels read_goroutine_labels(const AddressSpace& memory, const Layout& layout, Address at) {
  Labels labels;
  if (!at) return labels;
  if (layout.minor() >= 24)
    read_list(memory, at, labels);
  else if (const auto map = memory.read_pointer(at); map && *map)
    read_map(memory, layout, *map, labels);
  std::ranges::sort(labels);
  return labels;
}

}  // namespace heapwalk::go
