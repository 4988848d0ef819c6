#include "heapwalk/runtimes/go/heap/mask_builder.h"

#include <vector>

namespace heapwalk::go {
namespace {

constexpr size_t kMaxDepth = 64;         // of values in values: such types are larger than 128 KiB each
constexpr uint64_t kMaxSteps = 1 << 18;  // fields and elements that are looked at

class Builder {
 public:
  Builder(const AddressSpace& memory, const Layout& layout, MaskBits& bits)
      : memory_(memory), layout_(layout), bits_(bits) {}

  bool run(const TypeDescriptor& type) {
    if (!enter(type, 0)) return false;
    for (uint64_t steps = 0; !open_.empty(); ++steps) {
      if (steps == kMaxSteps || !step()) return false;
    }
    return true;
  }

 private:
  // A value whose parts are being written.
  struct Open {
    TypeDescriptor type;
    uint64_t begin = 0;  // its first word
    uint64_t next = 0;   // the field or element to write next
    StructFields fields = {};
    ArrayParts array = {};
  };

  // Writes the value if its bits are there, opens it if they are to be made.
  bool enter(const TypeDescriptor& type, uint64_t begin) {
    if (begin < bits_.size() || open_.size() == kMaxDepth || type.has_program) return false;
    if (type.pointer_bytes == 0) return true;
    bits_.pad_to(begin);
    if (!type.is_mask_deferred) {
      const uint64_t words = type.pointer_bytes / 8;
      const Bytes written = memory_.read_exactly(type.gc_data, (words + 7) / 8);
      if (written.empty()) return false;
      bits_.append(written, words);
      return true;
    }
    Open value{.type = type, .begin = begin};
    if (type.kind == GoKind::kArray) {
      const auto parts = read_array_parts(memory_, layout_, type.address);
      if (!parts) return false;
      value.array = *parts;
    } else if (type.kind == GoKind::kStruct) {
      const auto fields = read_struct_fields(memory_, layout_, type.address);
      if (!fields) return false;
      value.fields = *fields;
    } else {
      return false;
    }
    open_.push_back(value);
    return true;
  }

  bool step() { return open_.back().type.kind == GoKind::kArray ? step_array() : step_struct(); }

  bool step_array() {
    Open& value = open_.back();
    if (value.next == 0) {
      value.next = 1;
      const auto element = read_type_descriptor(memory_, layout_, value.array.element);
      if (!element || value.array.length == 0) return false;
      return enter(*element, value.begin);  // `value` may have moved
    }
    const auto element = read_type_descriptor(memory_, layout_, value.array.element);
    const uint64_t words = element ? element->size_bytes / 8 : 0;
    if (words == 0 || bits_.size() > value.begin + words) return false;
    bits_.pad_to(value.begin + words);
    if (bits_.size() == value.begin + words && !bits_.repeat(words, value.array.length - 1)) return false;
    open_.pop_back();
    return true;
  }

  bool step_struct() {
    Open& value = open_.back();
    if (value.next == value.fields.count) {
      open_.pop_back();
      return true;
    }
    const Address at = value.fields.at + value.next++ * layout_.offset(Field::StructField_size);
    const auto field = read_struct_field(memory_, layout_, at);
    const auto type = field ? read_type_descriptor(memory_, layout_, field->type) : std::nullopt;
    if (!type) return false;
    if (type->pointer_bytes == 0) return true;
    const uint64_t size_bytes = value.type.size_bytes;
    if (field->offset_bytes % 8 != 0 || field->offset_bytes > size_bytes) return false;
    if (type->size_bytes > size_bytes - field->offset_bytes) return false;
    return enter(*type, value.begin + field->offset_bytes / 8);
  }

  const AddressSpace& memory_;
  const Layout& layout_;
  MaskBits& bits_;
  std::vector<Open> open_;
};

}  // namespace

bool build_mask(const AddressSpace& memory, const Layout& layout, const TypeDescriptor& type, MaskBits& bits) {
  return Builder(memory, layout, bits).run(type);
}

}  // namespace heapwalk::go
