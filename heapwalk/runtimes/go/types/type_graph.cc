#include "heapwalk/runtimes/go/types/type_graph.h"

#include <algorithm>

#include <fmt/format.h>

namespace heapwalk::go {
namespace {

constexpr uint64_t kMaxNameBytes = 1 << 16;  // stored; anonymous structs are spelled with all their fields
constexpr size_t kMaxComposedBytes = 1 << 12;
constexpr int kMaxNameDepth = 64;  // pointers to slices of maps …
constexpr size_t kMaxTypes = 1 << 20;
constexpr size_t kMaxFields = 1 << 23;
constexpr uint8_t kEmbedded = 1 << 3;
constexpr uint64_t kSendOnly = 2, kReceiveOnly = 1;

bool has_element(GoKind kind) {
  return kind == GoKind::kArray || kind == GoKind::kChan || kind == GoKind::kMap || kind == GoKind::kPointer ||
         kind == GoKind::kSlice;
}

Field element_field(const Layout& layout, GoKind kind) {
  switch (kind) {
    case GoKind::kArray:
      return Field::ArrayType_Elem;
    case GoKind::kChan:
      return Field::ChanType_Elem;
    case GoKind::kMap:
      return layout.has(Field::MapType_Elem) ? Field::MapType_Elem : Field::OldMapType_Elem;
    case GoKind::kSlice:
      return Field::SliceType_Elem;
    default:
      return Field::PtrType_Elem;
  }
}

}  // namespace

std::optional<StoredName> read_stored_name(const AddressSpace& memory, Address at) {
  const auto flags = memory.read<uint8_t>(at);
  if (!flags) return std::nullopt;
  uint64_t length = 0;
  Address next = at + 1;
  for (int shift = 0;; shift += 7, next += 1) {
    const auto byte = memory.read<uint8_t>(next);
    if (!byte || shift > 21) return std::nullopt;
    length |= uint64_t{*byte & 0x7fu} << shift;
    if ((*byte & 0x80) == 0) break;
  }
  if (length > kMaxNameBytes) return std::nullopt;
  StoredName name{std::string(length, '\0'), (*flags & kEmbedded) != 0};
  if (!memory.copy(next + 1, std::as_writable_bytes(std::span(name.text)))) return std::nullopt;
  return name;
}

uint32_t TypeGraph::add(Address type) {
  const uint32_t first = size();
  const uint32_t number = number_of(type);
  for (uint32_t node = first; node < size(); ++node) read_parts(node);
  naming_.resize(size());
  for (uint32_t node = first; node < size(); ++node) name(node, 0);
  return number;
}

uint32_t TypeGraph::number_of(Address type) {
  if (!type) return kNoNode;
  auto [at, is_new] = numbers_.try_emplace(type, kNoNode);
  if (!is_new) return at->second;
  auto descriptor = nodes_.size() < kMaxTypes ? read_type_descriptor(*memory_, process_->layout, type) : std::nullopt;
  if (!descriptor || descriptor->kind == GoKind::kInvalid) {
    const bool is_mask = descriptor && descriptor->pointer_bytes != 0 && descriptor->gc_data && descriptor->hash == 0 &&
                         descriptor->name_offset == 0;
    damage_ += is_mask ? 0 : 1;
    return kNoNode;
  }
  nodes_.push_back({.descriptor = *descriptor, .text = text_of(*descriptor), .name = {}});
  return at->second = size() - 1;
}

void TypeGraph::read_parts(uint32_t number) {
  const Layout& layout = process_->layout;
  TypeNode& node = nodes_[number];
  const Address at = node.descriptor.address;
  const auto part = [&](Field field) {
    return number_of(memory_->read_pointer(at + layout.offset(field)).value_or(Address{}));
  };
  if (has_element(node.descriptor.kind)) node.element = part(element_field(layout, node.descriptor.kind));
  if (node.descriptor.kind == GoKind::kArray) {
    node.length = memory_->read_word(at + layout.offset(Field::ArrayType_Len)).value_or(0);
  } else if (node.descriptor.kind == GoKind::kMap) {
    const bool is_swiss = layout.has(Field::MapType_Group);
    node.key = part(is_swiss ? Field::MapType_Key : Field::OldMapType_Key);
    node.group = part(is_swiss ? Field::MapType_Group : Field::OldMapType_Bucket);
    // Go 1.24 and 1.25 can be built with either.
    node.is_classic_map =
        !is_swiss || (node.group != kNoNode && nodes_[node.group].text.find("map.bucket[") != std::string::npos);
  } else if (node.descriptor.kind == GoKind::kStruct) {
    read_fields(node);
  } else if (node.descriptor.kind == GoKind::kFunc) {
    size_t results = 0;
    bool is_variadic = false;
    for (Address each : read_function_parts(*memory_, layout, node.descriptor, results, is_variadic)) number_of(each);
  }
}

void TypeGraph::read_fields(TypeNode& node) {
  const Layout& layout = process_->layout;
  const auto list = read_struct_fields(*memory_, layout, node.descriptor.address);
  if (!list || list->count > kMaxFields - fields_.size()) {
    ++damage_;
    return;
  }
  node.first_field = static_cast<uint32_t>(fields_.size());
  for (uint64_t i = 0; i < list->count; ++i) {
    const auto field = read_struct_field(*memory_, layout, list->at + i * layout.offset(Field::StructField_size));
    if (!field) {
      ++damage_;
      break;
    }
    StoredName name = read_stored_name(*memory_, field->name).value_or(StoredName{});
    const uint32_t type = number_of(field->type);
    fields_.push_back({std::move(name.text), type, field->offset_bytes, name.is_embedded});
  }
  node.field_count = static_cast<uint32_t>(fields_.size()) - node.first_field;
}

std::string TypeGraph::name_at(const TypeDescriptor& type, int32_t offset) const {
  const ModuleData* module = process_->module_of_type(type.address);
  if (module == nullptr || offset <= 0) return {};
  const Address at = module->types.begin + static_cast<uint64_t>(offset);
  if (!module->types.contains(at)) return {};
  auto name = read_stored_name(*memory_, at);
  return name ? std::move(name->text) : std::string();
}

std::string TypeGraph::text_of(const TypeDescriptor& type) const {
  std::string text = name_at(type, type.name_offset);
  if (type.has_extra_star && text.starts_with('*')) text.erase(0, 1);
  return text;
}

std::string TypeGraph::package_of(const TypeDescriptor& type) const {
  const auto uncommon = read_uncommon(*memory_, process_->layout, type);
  return uncommon ? name_at(type, uncommon->package_offset) : std::string();
}

// Parts come first: they are named on the way, at most so deep; what lies deeper, or leads back, keeps its own text.
const std::string& TypeGraph::name(uint32_t number, int depth) {
  TypeNode& node = nodes_[number];
  if (!node.name.empty()) return node.name;
  if (naming_[number] != 0 || depth == kMaxNameDepth) return node.text;
  naming_[number] = 1;
  std::string composed = compose(node, depth);
  if (composed.empty() || composed.size() > kMaxComposedBytes) composed = node.text.substr(0, kMaxComposedBytes);
  if (composed.empty()) composed = fmt::format("type at {:#x}", node.descriptor.address.value);
  naming_[number] = 0;
  return node.name = std::move(composed);
}

std::string TypeGraph::compose(const TypeNode& node, int depth) {
  const auto part = [&](uint32_t number) { return number == kNoNode ? std::string("?") : name(number, depth + 1); };
  if (node.descriptor.is_named) {
    const std::string package = package_of(node.descriptor);
    const size_t dot = node.text.find('.');
    const bool is_qualified = !package.empty() && dot < node.text.find('[') && !node.text.starts_with(package + ".");
    return is_qualified ? package + node.text.substr(dot) : node.text;
  }
  switch (node.descriptor.kind) {
    case GoKind::kPointer:
      return "*" + part(node.element);
    case GoKind::kSlice:
      return "[]" + part(node.element);
    case GoKind::kArray:
      return fmt::format("[{}]{}", node.length, part(node.element));
    case GoKind::kMap:
      return fmt::format("map[{}]{}", part(node.key), part(node.element));
    case GoKind::kChan: {
      const Address at = node.descriptor.address + process_->layout.offset(Field::ChanType_Dir);
      const uint64_t direction = memory_->read_word(at).value_or(0);
      return (direction == kReceiveOnly ? "<-chan "
              : direction == kSendOnly  ? "chan<- "
                                        : "chan ") +
             part(node.element);
    }
    case GoKind::kFunc:
      return compose_function(node, depth);
    case GoKind::kStruct:
      return compose_struct(node, depth);
    default:
      return node.text;
  }
}

std::string TypeGraph::compose_function(const TypeNode& node, int depth) {
  size_t results = 0;
  bool is_variadic = false;
  const auto parts = read_function_parts(*memory_, process_->layout, node.descriptor, results, is_variadic);
  const auto list = [&](size_t begin, size_t end) {
    std::string text;
    for (size_t i = begin; i < std::min(end, parts.size()) && text.size() < kMaxComposedBytes; ++i) {
      const uint32_t number = find(parts[i]);
      std::string each = number == kNoNode ? "?" : name(number, depth + 1);
      if (is_variadic && i + 1 == results && each.starts_with("[]")) each.replace(0, 2, "...");
      text += (i > begin ? ", " : "") + each;
    }
    return text;
  };
  const size_t count = parts.size() > results ? parts.size() - results : 0;
  std::string text = "func(" + list(0, results) + ")";
  if (count == 1) text += " " + list(results, results + 1);
  if (count > 1) text += " (" + list(results, results + count) + ")";
  return text;
}

std::string TypeGraph::compose_struct(const TypeNode& node, int depth) {
  if (node.field_count == 0) return "struct {}";
  std::string text = "struct {";
  for (uint32_t i = 0; i < node.field_count && text.size() < kMaxComposedBytes; ++i) {
    const FieldNode& field = fields_[node.first_field + i];
    text += i > 0 ? "; " : " ";
    if (!field.is_embedded) text += field.name + " ";
    text += field.type == kNoNode ? "?" : name(field.type, depth + 1);
  }
  return text + " }";
}

}  // namespace heapwalk::go
