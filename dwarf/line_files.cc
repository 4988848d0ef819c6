#include "dwarf/line_files.h"

#include <fmt/format.h>

namespace heapwalk {

namespace dw = llvm::dwarf;

// A cursor that fails once and for all: after a failure everything is 0 or empty and ok() is false.
class LineReader {
 public:
  explicit LineReader(Bytes bytes) : reader_(bytes) {}

  bool ok() const { return ok_; }
  bool at_end() const { return reader_.remaining() == 0; }
  bool seek(size_t offset) { return ok_ = ok_ && reader_.seek(offset); }
  void skip(size_t size) { ok_ = ok_ && reader_.skip(size); }

  template <class T>
  T read() {
    auto value = ok_ ? reader_.read<T>() : std::nullopt;
    ok_ = value.has_value();
    return value.value_or(T{});
  }
  uint64_t offset() { return is_64_bit ? read<uint64_t>() : read<uint32_t>(); }
  uint64_t uleb() {
    uint64_t value = 0;
    for (unsigned shift = 0; ok_; shift += 7) {
      auto byte = read<uint8_t>();
      if (shift < 64) value |= uint64_t{byte & 0x7fu} << shift;
      if ((byte & 0x80) == 0) break;
    }
    return value;
  }
  std::string_view string() {
    auto text = ok_ ? reader_.read_c_string() : std::nullopt;
    ok_ = text.has_value();
    return text.value_or(std::string_view{});
  }
  bool is_64_bit = false;

 private:
  ByteReader reader_;
  bool ok_ = true;
};

namespace {

struct Entry {  // one directory or file of a version 5 table
  std::string_view path;
  uint64_t directory = 0;
};

struct Column {
  uint64_t content = 0;
  uint64_t form = 0;
};

constexpr size_t kMaxFiles = 1 << 20;

std::string_view string_at(Bytes section, uint64_t offset) {
  ByteReader reader(section);
  if (!reader.seek(offset)) return {};
  return reader.read_c_string().value_or(std::string_view{});
}

// Reads one column. A form that this table may not have makes the reader fail.
void read_column(const DebugSections& sections, LineReader& reader, const Column& column, Entry& entry) {
  uint64_t number = 0;
  std::string_view text;
  switch (column.form) {
    case dw::DW_FORM_string:
      text = reader.string();
      break;
    case dw::DW_FORM_line_strp:
      text = string_at(sections.get("debug_line_str"), reader.offset());
      break;
    case dw::DW_FORM_strp:
      text = string_at(sections.get("debug_str"), reader.offset());
      break;
    case dw::DW_FORM_udata:
      number = reader.uleb();
      break;
    case dw::DW_FORM_data1:
      number = reader.read<uint8_t>();
      break;
    case dw::DW_FORM_data2:
      number = reader.read<uint16_t>();
      break;
    case dw::DW_FORM_data4:
      number = reader.read<uint32_t>();
      break;
    case dw::DW_FORM_data8:
      number = reader.read<uint64_t>();
      break;
    case dw::DW_FORM_data16:
      reader.skip(16);
      break;
    case dw::DW_FORM_block:
      reader.skip(reader.uleb());
      break;
    default:
      reader.seek(SIZE_MAX);
  }
  if (column.content == dw::DW_LNCT_path) entry.path = text;
  if (column.content == dw::DW_LNCT_directory_index) entry.directory = number;
}

std::vector<Entry> read_table(const DebugSections& sections, LineReader& reader) {
  std::vector<Column> columns(reader.read<uint8_t>());
  for (Column& column : columns) {
    column.content = reader.uleb();
    column.form = reader.uleb();
  }
  uint64_t count = reader.uleb();
  std::vector<Entry> entries;
  // Without columns an entry takes no bytes, and the count would be all that bounds the loop.
  while (!columns.empty() && entries.size() < count && entries.size() < kMaxFiles && !reader.at_end()) {
    Entry entry;
    for (const Column& column : columns) read_column(sections, reader, column, entry);
    if (!reader.ok()) break;
    entries.push_back(entry);
  }
  return entries;
}

}  // namespace

LineTable LineTable::of(const DebugSections& sections, const Die& unit_die) {
  return {&sections, unit_die.number(dw::DW_AT_stmt_list), unit_die.string(dw::DW_AT_comp_dir)};
}

LineFiles::LineFiles(const DebugSections& sections, uint64_t offset, std::string_view compilation_directory)
    : compilation_directory_(compilation_directory) {
  LineReader reader(sections.get("debug_line"));
  reader.seek(offset);
  uint64_t length = reader.read<uint32_t>();
  if (length == 0xffffffff) {
    reader.is_64_bit = true;
    reader.skip(8);
  }
  auto version = reader.read<uint16_t>();
  if (!reader.ok() || version < 2 || version > 5) return;
  if (version >= 5) reader.skip(2);  // address size, segment selector size
  reader.offset();                   // header length
  // Minimum instruction length, from version 4 on operations per instruction, default is_stmt, line base, line range.
  reader.skip(version >= 4 ? 5 : 4);
  auto opcode_base = reader.read<uint8_t>();
  reader.skip(opcode_base == 0 ? 0 : opcode_base - 1u);
  if (version >= 5) {
    read_version_5(sections, reader);
  } else {
    read_version_4(reader);
  }
}

void LineFiles::read_version_5(const DebugSections& sections, LineReader& reader) {
  first_index_ = 0;
  for (const Entry& entry : read_table(sections, reader)) directories_.push_back(entry.path);
  for (const Entry& entry : read_table(sections, reader)) files_.push_back({entry.path, entry.directory});
}

// Directory 0 is the compilation directory and not written down.
void LineFiles::read_version_4(LineReader& reader) {
  directories_.push_back(compilation_directory_);
  while (reader.ok() && directories_.size() < kMaxFiles) {
    std::string_view directory = reader.string();
    if (directory.empty()) break;
    directories_.push_back(directory);
  }
  while (reader.ok() && files_.size() < kMaxFiles) {
    std::string_view name = reader.string();
    uint64_t directory = reader.uleb();
    if (name.empty()) break;
    reader.uleb();  // modification time
    reader.uleb();  // size
    files_.push_back({name, directory});
  }
}

std::string LineFiles::path(uint64_t index) const {
  if (index < first_index_ || index - first_index_ >= files_.size()) return "";
  const File& file = files_[index - first_index_];
  std::string path(file.name);
  if (!path.starts_with('/') && file.directory < directories_.size() && !directories_[file.directory].empty()) {
    std::string_view directory = directories_[file.directory];
    if (directory != compilation_directory_) path = std::string(directory) + "/" + path;
  }
  return below(compilation_directory_, std::move(path));
}

std::string below(std::string_view directory, std::string path) {
  if (!directory.empty() && path.starts_with(directory) && path.substr(directory.size()).starts_with('/')) {
    path = path.substr(directory.size() + 1);
  }
  while (path.starts_with("./")) path = path.substr(2);
  return path;
}

std::string DeclarationFiles::text(llvm::DWARFUnit* unit, uint64_t file, uint64_t line) {
  if (unit == nullptr || line == 0) return "";
  auto files = files_.find(unit);
  if (files == files_.end()) {
    const LineTable lines = lines_of(*unit);
    if (!lines.offset) return "";
    files = files_.try_emplace(unit, *lines.sections, *lines.offset, lines.compilation_directory).first;
  }
  std::string path = files->second.path(file);
  return path.empty() ? "" : fmt::format("{}:{}", path, line);
}

// A partial unit does not say where it was compiled, but all that import it were compiled with its files.
LineTable DeclarationFiles::lines_of(llvm::DWARFUnit& unit) const {
  if (&unit == &unit_) return lines_;
  Die unit_die;
  if (unit.isDWOUnit() || !open_unit(unit, unit_die)) return {};
  LineTable lines = LineTable::of(DebugSections::of(unit), unit_die);
  if (lines.compilation_directory.empty()) lines.compilation_directory = lines_.compilation_directory;
  return lines;
}

}  // namespace heapwalk
