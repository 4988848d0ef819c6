#include "heapwalk/runtimes/go/stacks/stack_maps.h"

#include <algorithm>

#include "heapwalk/runtimes/go/program/record.h"

namespace heapwalk::go {
namespace {

constexpr uint64_t kWord = 8;
constexpr int32_t kMaxBits = 1 << 27;  // of a frame of 1 GB
constexpr uint64_t kMaxObjects = 1 << 20;
constexpr int kLastReleaseWithPrograms = 23;

bool is_reflect_stub(const Function& function) {
  return function.arguments_bytes == kArgumentsUnknown &&
         (function.name == "reflect.makeFuncStub" || function.name == "reflect.methodValueCall");
}

}  // namespace

// Reflect's stubs keep what came in registers at the top of their frame: integers, floats, then the integers again as
// pointers, then a bit for each. internal/abi.RegArgs: 9, 15, 9 words on amd64, 16, 16, 16 on arm64.
StackMaps::StackMaps(const CoreDump& dump, const Process& process)
    : memory_(dump.memory), process_(process), is_arm64_(dump.process.architecture == Architecture::aarch64) {
  const uint32_t integers = is_arm64_ ? 16 : 9, floats = is_arm64_ ? 16 : 15;
  const uint32_t words = 2 * integers + floats;
  reflect_mask_.resize((words + 7) / 8);
  for (uint32_t i = integers + floats; i < words; ++i) reflect_mask_[i / 8] |= std::byte(1U << i % 8);
  const uint32_t size = static_cast<uint32_t>((words + 1) * kWord);
  reflect_objects_.push_back(
      {-static_cast<int32_t>(size), size, static_cast<uint32_t>(words * kWord), {}, false, reflect_mask_});
}

FrameMaps StackMaps::of(const Frame& frame) {
  if (!frame.continuation) return {};
  const Function& function = frame.function();
  auto known = by_pc_.find(frame.continuation.value);
  if (known == by_pc_.end()) known = by_pc_.emplace(frame.continuation.value, read(function, frame.continuation)).first;
  FrameMaps maps = known->second.maps;
  // Before the frame is there, no local is either.
  const uint64_t smallest = is_arm64_ ? 2 * kWord : 0;
  if (frame.varp - frame.sp <= smallest || frame.varp < frame.sp) {
    maps.locals = {};
    maps.locals_unknown = false;
  }
  if (is_reflect_stub(function)) {
    const auto arguments = reflect_arguments(frame);
    maps.arguments = arguments.value_or(StackBits{});
    maps.arguments_unknown = false;
    if (arguments) maps.objects = &reflect_objects_;
  }
  return maps;
}

StackMaps::CodeMaps StackMaps::read(const Function& function, Address continuation) {
  const LineTable& table = *function.table;
  CodeMaps result;
  if (continuation != function.entry())
    result.index = std::max(0, table.pc_data(function, PcData::stack_map_index, continuation - 1));
  FrameMaps& maps = result.maps;
  maps.locals_unknown = !read_bits(table.func_data(function, FuncData::locals_pointers), result.index, maps.locals);
  if (function.arguments_bytes > 0) {
    const Address map = table.func_data(function, FuncData::arguments_pointers);
    maps.arguments_unknown = !read_bits(map, result.index, maps.arguments);
  }
  maps.objects = objects_of(function);
  return result;
}

// runtime.stackmap: the number of maps and the bits of each, 4 bytes both, then the maps, each in whole bytes.
bool StackMaps::read_bits(Address map, int32_t index, StackBits& bits) const {
  if (!map) return false;
  const auto maps = memory_.read<int32_t>(map);
  const auto count = memory_.read<int32_t>(map + 4);
  if (!maps || !count || *maps <= 0 || *count < 0 || *count > kMaxBits) return false;
  if (*count == 0) return true;
  if (index >= *maps) return false;
  const uint64_t size_bytes = (static_cast<uint64_t>(*count) + 7) / 8;
  bits.bits = memory_.read_exactly(map + 8 + static_cast<uint64_t>(index) * size_bytes, size_bytes);
  if (bits.bits.empty()) return false;
  bits.count = static_cast<uint32_t>(*count);
  return true;
}

const std::vector<StackObject>* StackMaps::objects_of(const Function& function) {
  const auto known = by_entry_.find(function.entry().value);
  if (known != by_entry_.end()) return known->second.empty() ? nullptr : &known->second;
  std::vector<StackObject>& objects = by_entry_[function.entry().value];
  const Address list = function.table->func_data(function, FuncData::stack_objects);
  const auto count = list ? memory_.read_word(list) : std::nullopt;
  if (!count || *count > kMaxObjects) return nullptr;
  const uint64_t size = process_.layout.offset(Field::stackObjectRecord_sizeof);
  for (uint64_t i = 0; i < *count; ++i) {
    const Record record(memory_, process_.layout, list + kWord + i * size);
    const auto offset = record.read<int32_t>(Field::stackObjectRecord_off);
    const auto bytes = record.read<int32_t>(Field::stackObjectRecord_size);
    const auto pointers = record.read<int32_t>(Field::stackObjectRecord_ptrBytes);
    const auto mask = record.read<uint32_t>(Field::stackObjectRecord_gcdataoff);
    if (!offset || !bytes || !pointers || !mask || *bytes <= 0) break;
    // Through 1.23 a negative number says that the mask is a program.
    const bool is_program = *pointers < 0 && process_.layout.minor() <= kLastReleaseWithPrograms;
    const int64_t pointer_bytes = is_program ? -int64_t{*pointers} : *pointers;
    if (pointer_bytes < 0 || pointer_bytes > *bytes) break;
    objects.push_back({*offset,
                       static_cast<uint32_t>(*bytes),
                       static_cast<uint32_t>(pointer_bytes),
                       function.table->module().rodata + *mask,
                       is_program,
                       {}});
  }
  return objects.empty() ? nullptr : &objects;
}

// The word at the bottom of the frame points to {entry of the stub, bit vector of arguments and results, bytes of the
// arguments}; the fifth word there says whether the results are already set.
std::optional<StackBits> StackMaps::reflect_arguments(const Frame& frame) const {
  const Address first = frame.sp + (is_arm64_ ? kWord : 0);
  if (first >= frame.fp - (is_arm64_ ? 0 : kWord)) return std::nullopt;  // a goroutine that has not begun
  const auto method = memory_.read_pointer(first);
  const auto results_set = memory_.read<uint8_t>(first + 4 * kWord);
  if (!method || !results_set || memory_.read_pointer(*method) != frame.function().entry()) return std::nullopt;
  const auto vector = memory_.read_pointer(*method + kWord);
  const auto argument_bytes = memory_.read_word(*method + 2 * kWord);
  if (!vector || !argument_bytes) return std::nullopt;
  const Record bits(memory_, process_.layout, *vector);
  const auto count = bits.read<int32_t>(Field::bitvector_n);
  const auto data = bits.pointer(Field::bitvector_bytedata);
  if (!count || !data || *count < 0 || *count > kMaxBits) return std::nullopt;
  StackBits result;
  result.count = static_cast<uint32_t>(*count);
  if (*results_set == 0)
    result.count = static_cast<uint32_t>(std::min<uint64_t>(result.count, *argument_bytes / kWord));
  result.bits = memory_.read_exactly(*data, (uint64_t{result.count} + 7) / 8);
  if (result.bits.empty()) result.count = 0;
  return result;
}

uint64_t StackMaps::argument_bytes(const Frame& frame) const {
  const Function& function = frame.function();
  if (function.arguments_bytes != kArgumentsUnknown)
    return static_cast<uint64_t>(std::max(0, function.arguments_bytes));
  const auto arguments = is_reflect_stub(function) ? reflect_arguments(frame) : std::nullopt;
  return arguments ? arguments->count * kWord : 0;
}

}  // namespace heapwalk::go
