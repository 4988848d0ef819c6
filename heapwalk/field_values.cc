// Depth first over the fields, with a stack of its own: how deep records nest is the input's choice.
#include "heapwalk/field_values.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

namespace heapwalk {
namespace {

constexpr size_t kMaxRows = 400;
constexpr size_t kMaxSteps = 10'000;  // rows, and records that have none of their own
constexpr uint32_t kMaxDepth = 6;
constexpr uint64_t kMaxElements = 8;
constexpr size_t kMaxTextBytes = 64;

template <class T>
T value_of(Bytes bytes) {
  T value{};
  std::memcpy(&value, bytes.data(), std::min(sizeof value, bytes.size()));
  return value;
}

int64_t signed_value(Bytes bytes) {
  switch (bytes.size()) {
    case 1:
      return value_of<int8_t>(bytes);
    case 2:
      return value_of<int16_t>(bytes);
    case 4:
      return value_of<int32_t>(bytes);
    default:
      return value_of<int64_t>(bytes);
  }
}

std::string_view text_of(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

class FieldPrinter {
 public:
  FieldPrinter(const TypeTable& table, const AddressSpace& memory, AddressRange range,
               const ContainerValues* containers)
      : table_(table), memory_(memory), range_(range), containers_(containers) {}

  std::vector<FieldValue> print(TypeId type, bool is_array, const IsInUse& is_in_use) {
    if (type == kNoType || index(type) >= table_.size()) return {};
    const uint64_t stride = std::max<uint64_t>(1, table_.size_bytes(type));
    if (is_array && is_in_use) {
      push_elements_in_use(type, range_.size_bytes() / stride, is_in_use);
    } else if (is_array) {
      push_elements(type, range_.size_bytes() / stride, 0, 0);
    } else {
      push({0, "", type, 0});  // a record's fields, without a row for the record
    }
    for (size_t steps = 0; !stack_.empty() && rows_.size() < kMaxRows && steps < kMaxSteps; ++steps) {
      const Item item = std::move(stack_.back());
      stack_.pop_back();
      add_row(item);
    }
    if (!stack_.empty()) rows_.push_back({0, "…", "", 0, "more fields follow"});
    return std::move(rows_);
  }

 private:
  struct Item {
    uint32_t depth;
    std::string name;
    TypeId type;
    uint64_t offset_bytes;
    uint8_t bit_offset = 0, bit_size = 0;  // of a bit field
    TypeId node = kNoType;                 // the container's node around, whose storage holds a value
  };

  bool is_compound(TypeId id) const {
    return table_[id].kind == TypeKind::record || table_[id].kind == TypeKind::union_;
  }
  bool is_character(TypeId id) const {
    return id != kNoType && table_[id].kind == TypeKind::base && table_[id].encoding == BaseEncoding::character &&
           table_[id].size_bytes == 1;
  }

  void push(Item item) {
    if (stack_.size() < kMaxSteps) stack_.push_back(std::move(item));
  }

  // A base class and an anonymous member have no row: their fields are the record's.
  void push_fields(const Item& item, uint32_t depth) {
    const bool has_rule = containers_ != nullptr && containers_->containers().rule_of(item.type) != nullptr;
    const TypeId node = has_rule ? item.type : item.node;
    const auto fields = table_.fields(item.type);
    const Field* variant = variant_in_use(item);
    for (size_t i = std::min(fields.size(), kMaxRows); i-- > 0;) {  // the first on top
      const Field& field = fields[i];
      if (variant != nullptr && &field != variant) continue;
      Item part = {depth,
                   field.is_base ? std::string() : std::string(field.name),
                   field.type,
                   item.offset_bytes + field.offset_bytes,
                   field.bit_offset,
                   field.bit_size,
                   node};
      if (const TypeId stored = stored_in(node, field); stored != kNoType) part.type = stored, part.node = kNoType;
      push(std::move(part));
    }
  }

  TypeId stored_in(TypeId node, const Field& field) const {
    if (node == kNoType || containers_ == nullptr) return kNoType;
    const ContainerRule* rule = containers_->containers().rule_of(node);
    const TypeId stored = rule == nullptr ? kNoType : containers_->containers().storage(*rule, node, field.name);
    return table_.size_bytes(stored) <= table_.size_bytes(field.type) ? stored : kNoType;
  }

  // Of a Rust enum; null: the type is none, or no variant has that number.
  const Field* variant_in_use(const Item& item) const {
    const auto fields = table_.fields(item.type);
    const auto number = std::ranges::find(fields, FieldVariant::discriminant, &Field::variant);
    if (number == fields.end()) return nullptr;
    const uint64_t size_bytes = table_.size_bytes(number->type);
    const Bytes bytes = memory_.read_exactly(range_.begin + item.offset_bytes + number->offset_bytes, size_bytes);
    if (bytes.empty() || size_bytes > 8) return nullptr;
    const uint64_t mask = UINT64_MAX >> (64 - 8 * size_bytes);
    const Field* other = nullptr;
    for (const Field& field : fields) {
      if (field.variant == FieldVariant::otherwise) other = &field;
      const bool is_it =
          field.variant == FieldVariant::when && (field.discriminant & mask) == value_of<uint64_t>(bytes);
      if (is_it) return &field;
    }
    return other;
  }

  // A container by what it is; false: it is none.
  bool add_container(const Item& item) {
    if (containers_ == nullptr || table_[item.type].kind != TypeKind::record) return false;
    const auto value = containers_->at(item.type, range_.begin + item.offset_bytes);
    if (!value) return false;
    rows_.push_back({item.depth, item.name, table_.spelled(item.type), item.offset_bytes, value->text});
    if (value->part != kNoType && item.depth + 1 < kMaxDepth) {
      push({item.depth + 1, "value", value->part, item.offset_bytes + value->part_offset_bytes});
    }
    return true;
  }

  // Characters are one text, other elements a row each.
  void push_elements(TypeId element, uint64_t count, uint32_t depth, uint64_t offset_bytes) {
    const uint64_t stride = table_.size_bytes(element);
    if (is_character(element)) {
      rows_.push_back({depth, "", fmt::format("{}[{}]", table_.spelled(element), count), offset_bytes,
                       array_text(offset_bytes, count)});
      return;
    }
    const uint64_t shown = std::min(count, kMaxElements);
    if (shown < count) push({depth, fmt::format("… {} more", count - shown), kNoType, offset_bytes});
    for (uint64_t i = shown; i-- > 0;) push({depth, fmt::format("[{}]", i), element, offset_bytes + i * stride});
  }

  void push_elements_in_use(TypeId element, uint64_t count, const IsInUse& is_in_use) {
    const uint64_t stride = table_.size_bytes(element);
    std::vector<uint64_t> shown;
    uint64_t in_use = 0;
    for (uint64_t i = 0; i < count && stride > 0; ++i) {
      if (!is_in_use(i * stride)) continue;
      if (shown.size() < kMaxElements) shown.push_back(i);
      ++in_use;
    }
    if (shown.size() < in_use) push({0, fmt::format("… {} more", in_use - shown.size()), kNoType, 0});
    for (size_t i = shown.size(); i-- > 0;) push({0, fmt::format("[{}]", shown[i]), element, shown[i] * stride});
  }

  void add_row(const Item& item) {
    const bool is_rest = item.type == kNoType || index(item.type) >= table_.size();
    if (!is_rest && add_container(item)) return;
    if (!is_rest && item.name.empty() && is_compound(item.type)) {
      push_fields(item, item.depth);
      return;
    }
    rows_.push_back(
        {item.depth, item.name, is_rest ? "" : table_.spelled(item.type), item.offset_bytes, std::string()});
    if (is_rest) return;
    const Type& type = table_[item.type];
    const bool may_nest = item.depth + 1 < kMaxDepth;
    if (is_compound(item.type)) {
      if (may_nest) push_fields(item, item.depth + 1);
      if (!may_nest) rows_.back().value = "{…}";
    } else if (type.kind == TypeKind::array) {
      add_array(item, type, may_nest);
    } else {
      rows_.back().value = item.bit_size != 0 ? bits_text(type, item) : scalar_text(type, item.offset_bytes);
    }
  }

  void add_array(const Item& item, const Type& type, bool may_nest) {
    if (type.target == kNoType) return;
    const uint64_t stride = std::max<uint64_t>(1, table_.size_bytes(type.target));
    const uint64_t room =
        item.offset_bytes < range_.size_bytes() ? (range_.size_bytes() - item.offset_bytes) / stride : 0;
    const uint64_t count = type.count == 0 ? room : std::min(type.count, room);  // 0: it reaches to the end
    if (is_character(type.target)) {
      rows_.back().value = array_text(item.offset_bytes, count);
    } else if (may_nest) {
      push_elements(type.target, count, item.depth + 1, item.offset_bytes);
    }
  }

  // The text of an array ends at its first NUL.
  std::string array_text(uint64_t offset_bytes, uint64_t count) const {
    Bytes bytes = memory_.read(range_.begin + offset_bytes, std::min<uint64_t>(count, kMaxTextBytes + 1));
    if (bytes.empty()) return count == 0 ? "\"\"" : "(absent from the core)";
    std::string_view text = text_of(bytes);
    return quoted_text(text.substr(0, text.find('\0')), kMaxTextBytes);
  }

  // The lowest bit comes first, as on every machine whose cores are read.
  std::string bits_text(const Type& type, const Item& item) const {
    const uint64_t end = (uint64_t{item.bit_offset} + item.bit_size + 7) / 8;
    Bytes bytes = memory_.read_exactly(range_.begin + item.offset_bytes, end);
    if (bytes.empty() || item.bit_size > 64) return "(absent from the core)";
    uint64_t value = 0;
    for (uint32_t bit = 0; bit < item.bit_size; ++bit) {
      const uint32_t at = item.bit_offset + bit;
      value |= (static_cast<uint64_t>(bytes[at / 8]) >> at % 8 & 1) << bit;
    }
    if (type.encoding == BaseEncoding::boolean) return value == 0 ? "false" : "true";
    const bool is_negative = type.encoding == BaseEncoding::signed_integer && (value >> (item.bit_size - 1) & 1) != 0;
    if (is_negative && item.bit_size < 64) value |= UINT64_MAX << item.bit_size;
    return is_negative ? fmt::format("{}", static_cast<int64_t>(value)) : fmt::format("{}", value);
  }

  std::string scalar_text(const Type& type, uint64_t offset_bytes) const {
    const uint64_t size = type.size_bytes;
    if (type.kind == TypeKind::function || type.kind == TypeKind::declaration || size == 0) return "";
    Bytes bytes = memory_.read(range_.begin + offset_bytes, std::min<uint64_t>(size, 16));
    if (bytes.size() < std::min<uint64_t>(size, 16)) return "(absent from the core)";
    if (type.kind == TypeKind::pointer) return pointer_text(type, value_of<uint64_t>(bytes));
    if (type.kind == TypeKind::enumeration) {
      const bool is_unsigned = type.target != kNoType && table_[type.target].encoding == BaseEncoding::unsigned_integer;
      return is_unsigned ? fmt::format("{}", value_of<uint64_t>(bytes)) : fmt::format("{}", signed_value(bytes));
    }
    return base_text(type, bytes);
  }

  std::string base_text(const Type& type, Bytes bytes) const {
    switch (type.encoding) {
      case BaseEncoding::boolean:
        return value_of<uint8_t>(bytes) == 0 ? "false" : "true";
      case BaseEncoding::floating:
        if (bytes.size() == 4) return fmt::format("{}", value_of<float>(bytes));
        if (bytes.size() == 8) return fmt::format("{}", value_of<double>(bytes));
        break;
      case BaseEncoding::signed_integer:
        if (bytes.size() <= 8) return fmt::format("{}", signed_value(bytes));
        break;
      case BaseEncoding::character:
        if (bytes.size() == 1) return fmt::format("{} {}", signed_value(bytes), quoted_text(text_of(bytes), 1));
        return fmt::format("{}", value_of<uint64_t>(bytes));
      default:
        if (bytes.size() <= 8) return fmt::format("{}", value_of<uint64_t>(bytes));
    }
    std::string digits;  // of what is wider than a register, most significant first
    for (size_t i = bytes.size(); i-- > 0;) digits += fmt::format("{:02x}", static_cast<uint8_t>(bytes[i]));
    return "0x" + digits;
  }

  std::string pointer_text(const Type& type, uint64_t value) const {
    if (value == 0) return "null";
    std::string text = fmt::format("{:#x}", value);
    if (!is_character(type.target)) return text;
    Bytes bytes = memory_.read(Address{value}, kMaxTextBytes + 1);
    if (bytes.empty()) return text;
    std::string_view pointed = text_of(bytes);
    return text + " " + quoted_text(pointed.substr(0, pointed.find('\0')), kMaxTextBytes);
  }

  const TypeTable& table_;
  const AddressSpace& memory_;
  AddressRange range_;
  const ContainerValues* containers_;  // may be null
  std::vector<Item> stack_;
  std::vector<FieldValue> rows_;
};

}  // namespace

std::vector<FieldValue> field_values(const TypeTable& table, const AddressSpace& memory, AddressRange range,
                                     TypeId type, bool is_array, const ContainerValues* containers,
                                     const IsInUse& is_in_use) {
  return FieldPrinter(table, memory, range, containers).print(type, is_array, is_in_use);
}

}  // namespace heapwalk
