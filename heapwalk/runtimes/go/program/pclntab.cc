// The header, and where its tables lie; numbers of bytes:
//
//     0 magic 4 · 4 zero 2 · 6 code quantum 1 · 7 pointer size 1 · 8 functions · 16 files · 24 text · then offsets from the
//     header: 32 names · 40 units (file numbers of each compilation unit) · 48 files · 56 pc values · 64 functions
//
// The function table begins with pairs (entry, record) of 32 bits, the entry counted from moduledata.text, closed by the end
// of the last function; the records follow. The header's own `text` word is zero since 1.26 and not used here.
#include "heapwalk/runtimes/go/program/pclntab.h"

#include <algorithm>
#include <array>

namespace heapwalk::go {
namespace {

constexpr uint32_t kMagic118 = 0xfffffff0;
constexpr uint32_t kMagic120 = 0xfffffff1;
constexpr uint64_t kHeaderSize = 72;
constexpr uint64_t kPairSize = 8;
constexpr size_t kMaxInlineDepth = 1000;
constexpr size_t kMaxNameLength = 1 << 16;

// Offsets in a _func. What follows `cu`: startLine (1.20 …), then funcID, flag, padding, nfuncdata of a byte each, then
// npcdata and nfuncdata words.
constexpr uint64_t kName = 4, kArguments = 8, kDeferReturn = 12, kPcSp = 16, kPcFile = 20, kPcLine = 24,
                   kPcDataCount = 28, kUnit = 32, kStartLine = 36;
constexpr uint8_t kTopFrame = 1, kSpWrite = 2, kAssembly = 4;
constexpr uint32_t kNoFuncData = UINT32_MAX, kNoFile = UINT32_MAX;

using enum FunctionKind;
constexpr std::array kKinds119{
    normal,    abort,  asmcgocall,     async_preempt,      cgocallback, debug_call,  gc_bg_mark_worker,
    goexit,    gogo,   gopanic,        handle_async_event, mcall,       morestack,   mstart,
    panicwrap, rt0_go, run_finalizers, runtime_main,       sigpanic,    systemstack, systemstack_switch,
    wrapper};
constexpr std::array kKinds122{normal,       abort,
                               asmcgocall,   async_preempt,
                               cgocallback,  corostart,
                               debug_call,   gc_bg_mark_worker,
                               goexit,       gogo,
                               gopanic,      handle_async_event,
                               mcall,        morestack,
                               mstart,       panicwrap,
                               rt0_go,       run_finalizers,
                               runtime_main, sigpanic,
                               systemstack,  systemstack_switch,
                               wrapper};

FunctionKind kind_of(int release, uint8_t id) {
  auto pick = [id](const auto& kinds) { return id < kinds.size() ? kinds[id] : normal; };
  if (release >= 25) return id <= static_cast<uint8_t>(wrapper) ? static_cast<FunctionKind>(id) : normal;
  return release >= 22 ? pick(kKinds122) : pick(kKinds119);
}

// The whole table in one piece: as it is mapped, or copied together when pages of it come from different places.
Bytes contiguous(const AddressSpace& memory, AddressRange range, std::shared_ptr<const std::vector<std::byte>>& copy) {
  Bytes mapped = memory.read(range.begin, range.size_bytes());
  if (mapped.size() == range.size_bytes()) return mapped;
  Address known = range.begin;  // every byte is there before any memory is asked for
  while (known < range.end) {
    const Region* region = memory.find(known);
    if (region == nullptr || region->data == nullptr) return mapped;
    known = region->range.end;
  }
  auto bytes = std::make_shared<std::vector<std::byte>>(range.size_bytes());
  if (!memory.copy(range.begin, *bytes)) return mapped;
  copy = bytes;
  return *copy;
}

// A varint of at most 32 bits, as in all tables.
std::optional<uint32_t> read_varint(ByteReader& reader) {
  uint32_t value = 0;
  for (uint32_t shift = 0; shift < 35; shift += 7) {
    const auto byte = reader.read<uint8_t>();
    if (!byte) return std::nullopt;
    value |= static_cast<uint32_t>(*byte & 0x7f) << shift;
    if ((*byte & 0x80) == 0) return value;
  }
  return std::nullopt;
}

std::optional<uint32_t> word_at(Bytes bytes, uint64_t offset) {
  if (offset > bytes.size() || bytes.size() - offset < 4) return std::nullopt;
  return load<uint32_t>(bytes.data() + offset);
}

}  // namespace

std::optional<LineTable> LineTable::read(const AddressSpace& memory, const Layout& layout, const ModuleData& module) {
  const Bytes header = memory.read_exactly(module.pc_header, kHeaderSize);
  if (header.empty()) return std::nullopt;
  const auto magic = load<uint32_t>(header.data());
  if (magic != kMagic118 && magic != kMagic120) return std::nullopt;
  if (load<uint8_t>(header.data() + 7) != 8) return std::nullopt;  // size of a pointer

  LineTable table;
  table.memory_ = &memory;
  table.module_ = module;
  table.old_format_ = magic == kMagic118;
  table.release_ = layout.minor();
  table.instruction_bytes_ = std::max<uint32_t>(1, load<uint8_t>(header.data() + 6));

  // The last of the five tables ends where the slice in moduledata says.
  const auto functions = read_slice(memory, module.address + layout.offset(Field::moduledata_pclntable));
  if (!functions || functions->data < module.pc_header) return std::nullopt;
  const AddressRange range{module.pc_header, functions->data + functions->length};
  if (range.empty()) return std::nullopt;
  const Bytes all = contiguous(memory, range, table.copy_);

  std::array<uint64_t, 6> at{};
  for (size_t i = 0; i < 5; ++i) at[i] = load<uint64_t>(header.data() + 32 + 8 * i);
  at[5] = all.size();
  if (!std::ranges::is_sorted(at)) return std::nullopt;
  auto part = [&](size_t i) { return all.subspan(at[i], at[i + 1] - at[i]); };
  table.names_ = part(0);
  table.units_ = part(1);
  table.files_ = part(2);
  table.pc_values_ = part(3);
  table.functions_ = part(4);
  const auto count = load<uint64_t>(header.data() + 8);
  if (count == 0 || count > table.functions_.size() / kPairSize) return std::nullopt;
  table.function_count_ = count;
  return table;
}

std::optional<Function> LineTable::find(Address pc) const {
  if (!module_.text.contains(pc) || pc - module_.text.begin > UINT32_MAX) return std::nullopt;
  const auto offset = static_cast<uint32_t>(pc - module_.text.begin);
  auto entry = [this](size_t i) { return load<uint32_t>(functions_.data() + i * kPairSize); };
  size_t low = 0, high = function_count_;  // the first function whose entry is past the pc
  while (low < high) {
    const size_t middle = low + (high - low) / 2;
    if (entry(middle) <= offset)
      low = middle + 1;
    else
      high = middle;
  }
  if (low == 0) return std::nullopt;
  auto function = at(low - 1);
  if (!function || !function->code.contains(pc)) return std::nullopt;
  return function;
}

std::optional<Function> LineTable::at(size_t index) const {
  if (index >= function_count_) return std::nullopt;
  const std::byte* pair = functions_.data() + index * kPairSize;
  const auto next = word_at(functions_, (index + 1) * kPairSize);
  if (!next) return std::nullopt;
  Function function;
  function.code = {module_.text.begin + load<uint32_t>(pair), module_.text.begin + *next};
  function.table = this;
  function.record = load<uint32_t>(pair + 4);
  const uint64_t ids = old_format_ ? kStartLine : kStartLine + 4;
  const auto last = record_word(function, ids);  // funcID, flag, padding, nfuncdata
  if (!last) return std::nullopt;
  function.name = text_at(names_, *record_word(function, kName));
  function.arguments_bytes = static_cast<int32_t>(*record_word(function, kArguments));
  function.deferreturn_offset = *record_word(function, kDeferReturn);
  function.start_line = old_format_ ? 0 : *record_word(function, kStartLine);
  function.kind = kind_of(release_, static_cast<uint8_t>(*last));
  const auto flags = static_cast<uint8_t>(*last >> 8);
  function.top_frame = (flags & kTopFrame) != 0;
  function.sp_write = (flags & kSpWrite) != 0;
  function.assembly = (flags & kAssembly) != 0;
  return function;
}

std::optional<uint32_t> LineTable::record_word(const Function& function, uint64_t offset) const {
  return word_at(functions_, function.record + offset);
}

std::string_view LineTable::text_at(Bytes table, uint64_t offset) const {
  if (offset >= table.size()) return {};
  const Bytes rest = table.subspan(offset, std::min(table.size() - offset, kMaxNameLength));
  return ByteReader(rest).read_c_string().value_or(std::string_view{});
}

std::optional<int32_t> LineTable::pc_value(const Function& function, uint32_t table, Address pc) const {
  if (table == 0 || table >= pc_values_.size()) return std::nullopt;
  ByteReader reader(pc_values_.subspan(table));
  uint32_t value = UINT32_MAX;  // −1, and sums wrap as the run-time's do
  for (Address at = function.entry(); at < function.code.end;) {
    const auto value_change = read_varint(reader);
    if (!value_change || (*value_change == 0 && at != function.entry())) return std::nullopt;
    const auto code = read_varint(reader);
    if (!code) return std::nullopt;
    value += (*value_change & 1) != 0 ? ~(*value_change >> 1) : *value_change >> 1;
    at += uint64_t{*code} * instruction_bytes_;
    if (pc < at) return static_cast<int32_t>(value);
    if (*code == 0 && *value_change == 0) return std::nullopt;  // no way forward
  }
  return std::nullopt;
}

std::optional<int64_t> LineTable::sp_delta(const Function& function, Address pc) const {
  const auto table = record_word(function, kPcSp);
  return table ? pc_value(function, *table, pc) : std::nullopt;
}

int32_t LineTable::pc_data(const Function& function, PcData which, Address pc) const {
  const auto index = static_cast<uint32_t>(which);
  const auto count = record_word(function, kPcDataCount);
  if (!count || index >= *count) return -1;
  const uint64_t first = old_format_ ? kStartLine + 4 : kStartLine + 8;
  const auto table = record_word(function, first + 4 * index);
  return table ? pc_value(function, *table, pc).value_or(-1) : -1;
}

Address LineTable::func_data(const Function& function, FuncData which) const {
  const auto index = static_cast<uint32_t>(which);
  const uint64_t ids = old_format_ ? kStartLine : kStartLine + 4;
  const auto last = record_word(function, ids);
  const auto pc_data_count = record_word(function, kPcDataCount);
  if (!last || !pc_data_count || index >= *last >> 24) return {};
  const auto offset = record_word(function, ids + 4 + 4 * uint64_t{*pc_data_count} + 4 * index);
  return offset && *offset != kNoFuncData ? module_.gofunc + *offset : Address{};
}

std::string_view LineTable::file_name(const Function& function, int32_t file) const {
  const auto unit = record_word(function, kUnit);
  if (!unit || file < 0) return "?";
  const auto offset = word_at(units_, 4 * (uint64_t{*unit} + static_cast<uint32_t>(file)));
  if (!offset || *offset == kNoFile) return "?";
  const std::string_view name = text_at(files_, *offset);
  return name.empty() ? "?" : name;
}

// A record of the tree of inlined calls. 1.18, 1.19: parent 2, funcID 1, 1, file 4, line 4, name 4, parentPc 4; later
// funcID 1, 3, name 4, parentPc 4, startLine 4.
bool LineTable::inlined_call(Address tree, int32_t index, LogicalFrame& frame, uint32_t& parent_offset) const {
  const uint64_t size = old_format_ ? 20 : 16;
  std::array<std::byte, 20> record;
  if (!memory_->copy(tree + size * static_cast<uint32_t>(index), std::span(record).first(size))) return false;
  frame.kind = kind_of(release_, load<uint8_t>(record.data() + (old_format_ ? 2 : 0)));
  frame.function = text_at(names_, load<uint32_t>(record.data() + (old_format_ ? 12 : 4)));
  frame.start_line = old_format_ ? 0 : load<uint32_t>(record.data() + 12);
  frame.inlined = true;
  parent_offset = load<uint32_t>(record.data() + (old_format_ ? 16 : 8));
  return true;
}

void LineTable::logical_frames(const Function& function, Address call_pc, std::vector<LogicalFrame>& out) const {
  const Address tree = func_data(function, FuncData::inline_tree);
  const auto files = record_word(function, kPcFile);
  const auto lines = record_word(function, kPcLine);
  for (size_t depth = 0;; ++depth) {
    LogicalFrame frame;
    frame.call_pc = call_pc;
    frame.file = file_name(function, files ? pc_value(function, *files, call_pc).value_or(-1) : -1);
    const auto line = lines ? pc_value(function, *lines, call_pc) : std::nullopt;
    if (line && *line > 0 && frame.file != "?") frame.line = static_cast<uint32_t>(*line);
    const int32_t index = tree ? pc_data(function, PcData::inline_tree_index, call_pc) : -1;
    uint32_t parent_offset = 0;
    if (index < 0 || depth >= kMaxInlineDepth || !inlined_call(tree, index, frame, parent_offset)) {
      frame.function = function.name;
      frame.kind = function.kind;
      frame.start_line = function.start_line;
      frame.inlined = false;
      out.push_back(frame);
      return;
    }
    out.push_back(frame);
    call_pc = function.entry() + parent_offset;
  }
}

Functions::Functions(const AddressSpace& memory, const Layout& layout, const std::vector<ModuleData>& modules) {
  for (const ModuleData& module : modules)
    if (auto table = LineTable::read(memory, layout, module)) tables_.push_back(std::move(*table));
}

std::optional<Function> Functions::find(Address pc) const {
  for (const LineTable& table : tables_)
    if (auto function = table.find(pc)) return function;
  return std::nullopt;
}

void Functions::logical_frames(Address call_pc, std::vector<LogicalFrame>& out) const {
  if (const auto function = find(call_pc)) function->table->logical_frames(*function, call_pc, out);
}

}  // namespace heapwalk::go
