#include "heapwalk/runtimes/go/heap/pointer_mask.h"

#include <algorithm>
#include <utility>

#include "heapwalk/runtimes/go/heap/mask_bits.h"
#include "heapwalk/runtimes/go/heap/mask_builder.h"
#include "heapwalk/runtimes/go/heap/mask_program.h"

namespace heapwalk::go {
namespace {

constexpr uint64_t kMaxMaskBytes = 64 << 20;    // of one type: 4 GiB of pointers
constexpr uint64_t kMaxBuiltBytes = 256 << 20;  // of all types together
constexpr uint64_t kMaxCopiedBytes = 16 << 20;
constexpr int kMaxPeeledArrays = 64;
constexpr size_t kFirstEntries = 256;

size_t hash_of(Address type) {
  return (type.value >> 3) * 0x9e3779b97f4a7c15 >> 20;
}

}  // namespace

uint64_t PointerMask::group(uint64_t i) const {
  const uint64_t begin = i * 8;
  if (i > words() / 64 || begin >= bits.size()) return 0;
  uint64_t value = 0;
  std::memcpy(&value, bits.data() + begin, std::min<uint64_t>(8, bits.size() - begin));
  const uint64_t left = words() - i * 64;
  return left >= 64 ? value : value & ((uint64_t{1} << left) - 1);
}

PointerMasks::PointerMasks(const AddressSpace& memory, const Layout& layout)
    : memory_(&memory), layout_(&layout), entries_(kFirstEntries) {}

const PointerMask* PointerMasks::look_up(Address type) {
  if (!type) return nullptr;
  Entry* entry = place_of(type);
  if (entry->type == type) return entry->mask;
  const PointerMask* mask = make(type);
  if (mask == nullptr) ++unknown_;
  *entry = {type, mask};
  if (++used_ * 2 > entries_.size()) grow();
  return mask;
}

// Where the type is, or is to go.
PointerMasks::Entry* PointerMasks::place_of(Address type) {
  const size_t last = entries_.size() - 1;
  size_t at = hash_of(type) & last;
  while (entries_[at].type && entries_[at].type != type) at = (at + 1) & last;
  return &entries_[at];
}

void PointerMasks::grow() {
  std::vector<Entry> old = std::exchange(entries_, std::vector<Entry>(entries_.size() * 2));
  for (const Entry& entry : old) {
    if (entry.type) *place_of(entry.type) = entry;
  }
}

const PointerMask* PointerMasks::make(Address at) {
  auto type = read_type_descriptor(*memory_, *layout_, at);
  if (!type) return nullptr;
  // An array whose mask is to be made: its element's is all there is to it.
  for (int i = 0; i < kMaxPeeledArrays && type->is_mask_deferred && type->kind == GoKind::kArray; ++i) {
    const auto array = read_array_parts(*memory_, *layout_, type->address);
    const auto element = array ? read_type_descriptor(*memory_, *layout_, array->element) : std::nullopt;
    if (!element || element->size_bytes == 0 || type->size_bytes / element->size_bytes != array->length ||
        type->size_bytes % element->size_bytes != 0) {
      return nullptr;
    }
    type = element;
  }
  PointerMask mask{.size_bytes = type->size_bytes, .pointer_bytes = type->pointer_bytes};
  if (mask.pointer_bytes > kMaxMaskBytes * 64) return nullptr;
  bool is_known = mask.pointer_bytes == 0;
  if (!is_known && type->is_mask_deferred)
    is_known = build(mask, *type);
  else if (!is_known && type->has_program)
    is_known = run_program(mask, type->gc_data);
  else if (!is_known)
    is_known = borrow(mask, type->gc_data);
  return is_known ? &masks_.emplace_back(mask) : nullptr;
}

bool PointerMasks::borrow(PointerMask& mask, Address bits) {
  const uint64_t size_bytes = (mask.words() + 7) / 8;
  mask.bits = memory_->read_exactly(bits, size_bytes);
  if (!mask.bits.empty()) return true;
  // Partly in the core, partly in the program's file.
  if (size_bytes > kMaxCopiedBytes || memory_->read(bits, 1).empty()) return false;
  std::vector<uint64_t> copy((size_bytes + 7) / 8);
  return memory_->copy(bits, std::as_writable_bytes(std::span(copy)).first(size_bytes)) && keep(mask, std::move(copy));
}

bool PointerMasks::run_program(PointerMask& mask, Address program) {
  auto bits = run_mask_program(*memory_, program, mask.words());
  return bits && keep(mask, std::move(*bits));
}

bool PointerMasks::build(PointerMask& mask, const TypeDescriptor& type) {
  MaskBits bits(mask.words());
  return build_mask(*memory_, *layout_, type, bits) && bits.is_full() && keep(mask, std::move(bits).finish());
}

bool PointerMasks::keep(PointerMask& mask, std::vector<uint64_t> bits) {
  if (bits.size() * 8 > kMaxBuiltBytes - built_bytes_) return false;
  built_bytes_ += bits.size() * 8;
  mask.bits = std::as_bytes(std::span(built_.emplace_back(std::move(bits))));
  return true;
}

}  // namespace heapwalk::go
