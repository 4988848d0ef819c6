#include "dwarf/type_file.h"

#include <cstring>
#include <type_traits>
#include <unordered_map>

namespace heapwalk {
namespace {

constexpr uint64_t kMagic = 0x3173657079747768;  // "hwtypes1"
constexpr uint32_t kVersion = 2;

struct Header {
  uint64_t magic = kMagic;
  uint32_t version = kVersion;
  uint32_t key_bytes = 0;
  uint64_t checksum = 0;  // of what follows the field, to the end of the file
  uint64_t file_bytes = 0;
  uint64_t types = 0, fields = 0, arguments = 0, variables = 0;
  uint64_t text_bytes = 0;
};
constexpr size_t kSummedFrom = offsetof(Header, file_bytes);

struct Text {
  uint32_t offset = 0, size = 0;
};

struct FileType {
  uint64_t size_bytes = 0, count = 0;
  Text name, mangled;
  uint32_t target = 0, first_field = 0, field_count = 0, first_argument = 0, argument_count = 0;
  uint8_t kind = 0, encoding = 0, form = 0, unused = 0;
};

struct FileField {
  uint64_t offset_bytes = 0, discriminant = 0;
  Text name;
  uint32_t type = 0;
  uint8_t is_base = 0, is_virtual_base = 0, is_bit_field = 0, bit_offset = 0, bit_size = 0, variant = 0;
  uint16_t unused = 0;
  uint32_t unused_too = 0;
};

struct FileVariable {
  uint64_t address = 0, size_bytes = 0;
  Text name, source;
  uint32_t type = 0, tls = 0;
};

static_assert(std::has_unique_object_representations_v<Header> && std::has_unique_object_representations_v<FileType> &&
              std::has_unique_object_representations_v<FileField> &&
              std::has_unique_object_representations_v<FileVariable>);  // no byte of a file is left to chance

// Finds damage, not malice.
uint64_t checksum(Bytes bytes) {
  uint64_t sum = bytes.size();
  auto mix = [&sum](uint64_t word) {
    sum = (sum ^ word) * 0x9e3779b97f4a7c15;
    sum ^= sum >> 29;
  };
  while (bytes.size() >= 8) {
    mix(load<uint64_t>(bytes.data()));
    bytes = bytes.subspan(8);
  }
  for (std::byte byte : bytes) mix(std::to_integer<uint64_t>(byte));
  return sum;
}

class Writer {
 public:
  explicit Writer(std::string_view key) : out_(sizeof(Header), '\0') {
    out_ += key;
    header_.key_bytes = static_cast<uint32_t>(key.size());
  }
  void add(const Type& type) {
    append(FileType{.size_bytes = type.size_bytes,
                    .count = type.count,
                    .name = keep(type.name),
                    .mangled = keep(type.mangled),
                    .target = index(type.target),
                    .first_field = type.first_field,
                    .field_count = type.field_count,
                    .first_argument = type.first_argument,
                    .argument_count = type.argument_count,
                    .kind = static_cast<uint8_t>(type.kind),
                    .encoding = static_cast<uint8_t>(type.encoding),
                    .form = static_cast<uint8_t>(type.form)});
  }
  void add(const Field& field) {
    append(FileField{.offset_bytes = field.offset_bytes,
                     .discriminant = field.discriminant,
                     .name = keep(field.name),
                     .type = index(field.type),
                     .is_base = field.is_base,
                     .is_virtual_base = field.is_virtual_base,
                     .is_bit_field = field.is_bit_field,
                     .bit_offset = field.bit_offset,
                     .bit_size = field.bit_size,
                     .variant = static_cast<uint8_t>(field.variant)});
  }
  void add(TypeId argument) { append(index(argument)); }
  void add(const Variable& variable) {
    append(FileVariable{.address = variable.address.value,
                        .size_bytes = variable.size_bytes,
                        .name = keep(variable.name),
                        .source = keep(variable.source),
                        .type = index(variable.type),
                        .tls = variable.tls});
  }
  std::string finish(const TypeArrays& types, size_t variables) && {
    if (text_.size() > UINT32_MAX) return "";
    out_ += text_;
    header_.types = types.types.size();
    header_.fields = types.fields.size();
    header_.arguments = types.arguments.size();
    header_.variables = variables;
    header_.text_bytes = text_.size();
    header_.file_bytes = out_.size();
    std::memcpy(out_.data(), &header_, sizeof header_);
    header_.checksum = checksum(std::as_bytes(std::span(out_)).subspan(kSummedFrom));
    std::memcpy(out_.data(), &header_, sizeof header_);
    return std::move(out_);
  }

 private:
  template <class T>
  void append(const T& record) {
    out_.append(reinterpret_cast<const char*>(&record), sizeof record);
  }
  Text keep(std::string_view text) {
    if (text.empty()) return {};
    auto [at, is_new] = kept_.try_emplace(text);
    if (is_new) {
      at->second = {static_cast<uint32_t>(text_.size()), static_cast<uint32_t>(text.size())};
      text_ += text;
    }
    return at->second;
  }

  Header header_;
  std::string out_;
  std::string text_;
  std::unordered_map<std::string_view, Text> kept_;
};

// Fails once and for all: what was wrong does not matter, the file is not used.
class Reader {
 public:
  explicit Reader(Bytes file) : reader_(file) {
    header_ = next<Header>();
    reader_.skip(header_.key_bytes);
    // Each count is bounded by the file before anything is made of it.
    const uint64_t rest = reader_.remaining();
    ok_ = ok_ && header_.types <= rest / sizeof(FileType) && header_.fields <= rest / sizeof(FileField) &&
          header_.arguments <= rest / sizeof(TypeId) && header_.variables <= rest / sizeof(FileVariable) &&
          header_.text_bytes <= rest && header_.types < index(kNoType) - 1;
    const uint64_t records = ok_ ? header_.types * sizeof(FileType) + header_.fields * sizeof(FileField) +
                                       header_.arguments * sizeof(TypeId) + header_.variables * sizeof(FileVariable)
                                 : 0;
    ok_ = ok_ && records + header_.text_bytes == rest;
    if (ok_) text_ = file.last(header_.text_bytes);
  }

  std::optional<ModuleTypes> read() {
    ModuleTypes result;
    read_all(header_.types, result.types, [this](uint32_t at) { return read_type(at); });
    read_all(header_.fields, result.fields, [this](uint32_t) { return read_field(); });
    read_all(header_.arguments, result.arguments, [this](uint32_t) { return type_id(next<uint32_t>()); });
    read_all(header_.variables, result.variables, [this](uint32_t) { return read_variable(); });
    return ok_ ? std::optional(std::move(result)) : std::nullopt;
  }

 private:
  template <class T>
  T next() {
    const auto value = reader_.read<T>();
    expect(value.has_value());
    return value.value_or(T{});
  }
  template <class T, class Read>
  void read_all(uint64_t count, std::vector<T>& into, Read read) {
    if (!ok_) return;
    into.reserve(count);
    for (uint32_t i = 0; i < count && ok_; ++i) into.push_back(read(i));
  }
  Type read_type(uint32_t at) {
    const auto record = next<FileType>();
    expect(record.kind <= static_cast<uint8_t>(TypeKind::declaration) &&
           record.encoding <= static_cast<uint8_t>(BaseEncoding::floating) &&
           record.form <= static_cast<uint8_t>(PointerForm::single));
    expect(record.target == index(kNoType) || record.target < at);
    expect(uint64_t{record.first_field} + record.field_count <= header_.fields);
    expect(uint64_t{record.first_argument} + record.argument_count <= header_.arguments);
    return {.kind = static_cast<TypeKind>(record.kind),
            .encoding = static_cast<BaseEncoding>(record.encoding),
            .form = static_cast<PointerForm>(record.form),
            .size_bytes = record.size_bytes,
            .target = TypeId{record.target},
            .count = record.count,
            .name = text(record.name),
            .first_field = record.first_field,
            .field_count = record.field_count,
            .first_argument = record.first_argument,
            .argument_count = record.argument_count,
            .mangled = text(record.mangled)};
  }
  Field read_field() {
    const auto record = next<FileField>();
    expect(record.variant <= static_cast<uint8_t>(FieldVariant::otherwise));
    return {.name = text(record.name),
            .type = type_id(record.type),
            .offset_bytes = record.offset_bytes,
            .is_base = record.is_base != 0,
            .is_virtual_base = record.is_virtual_base != 0,
            .is_bit_field = record.is_bit_field != 0,
            .bit_offset = record.bit_offset,
            .bit_size = record.bit_size,
            .variant = static_cast<FieldVariant>(record.variant),
            .discriminant = record.discriminant};
  }
  Variable read_variable() {
    const auto record = next<FileVariable>();
    return {.name = std::string(text(record.name)),
            .address = Address{record.address},
            .size_bytes = record.size_bytes,
            .source = std::string(text(record.source)),
            .tls = record.tls != 0,
            .type = type_id(record.type)};
  }
  TypeId type_id(uint32_t id) {
    expect(id == index(kNoType) || id < header_.types);
    return TypeId{id};
  }
  std::string_view text(const Text& where) {
    const bool is_inside = where.offset <= text_.size() && where.size <= text_.size() - where.offset;
    expect(is_inside);
    if (!is_inside) return {};
    return {reinterpret_cast<const char*>(text_.data()) + where.offset, where.size};
  }
  void expect(bool condition) { ok_ = ok_ && condition; }

  ByteReader reader_;
  Header header_;
  Bytes text_;
  bool ok_ = true;
};

}  // namespace

std::string write_type_file(std::string_view key, const TypeArrays& types, const std::vector<Variable>& variables) {
  Writer writer(key);
  for (const Type& type : types.types) writer.add(type);
  for (const Field& field : types.fields) writer.add(field);
  for (TypeId argument : types.arguments) writer.add(argument);
  for (const Variable& variable : variables) writer.add(variable);
  return std::move(writer).finish(types, variables.size());
}

std::optional<std::string_view> read_type_file_key(Bytes file) {
  ByteReader reader(file);
  const auto header = reader.read<Header>();
  if (!header || header->magic != kMagic || header->version != kVersion || header->file_bytes != file.size()) {
    return std::nullopt;
  }
  if (header->checksum != checksum(file.subspan(kSummedFrom))) return std::nullopt;
  const auto key = reader.read_bytes(header->key_bytes);
  if (!key) return std::nullopt;
  return std::string_view(reinterpret_cast<const char*>(key->data()), key->size());
}

std::optional<ModuleTypes> read_type_file(Bytes file) {
  if (!read_type_file_key(file)) return std::nullopt;
  return Reader(file).read();
}

}  // namespace heapwalk
