#include "heapwalk/runtimes/go/program/process.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "heapwalk/runtimes/go/program/heap_search.h"
#include "heapwalk/runtimes/go/program/variable_search.h"

namespace heapwalk::go {
namespace {

constexpr size_t kMaxModules = 4096;  // plugins

// The release, as the linker writes it into every program: 32 bytes of header, then the version with its length in front.
// Source: Go 1.18 … 1.27 debug/buildinfo/buildinfo.go (flag 2: the strings follow inline).
std::string version_at(const AddressSpace& memory, Address build_info) {
  const Bytes header = memory.read_exactly(build_info, 34);
  constexpr std::string_view kMagic = "\xff Go buildinf:";
  if (header.size() != 34 || std::memcmp(header.data(), kMagic.data(), kMagic.size()) != 0) return {};
  if ((static_cast<uint8_t>(header[15]) & 2) == 0) return {};
  const auto length = static_cast<uint8_t>(header[32]);  // a varint; versions are shorter than 128 bytes
  if (length >= 0x80) return {};
  const Bytes text = memory.read_exactly(build_info + 33, length);
  return {reinterpret_cast<const char*>(text.data()), text.size()};
}

std::string string_at(const AddressSpace& memory, Address at, uint64_t max_bytes) {
  const auto data = memory.read_pointer(at);
  const auto length = memory.read_word(at + 8);
  if (!data || !length || *length > max_bytes) return {};
  const Bytes text = memory.read_exactly(*data, *length);
  return {reinterpret_cast<const char*>(text.data()), text.size()};
}

std::string find_version(const AddressSpace& memory, const Module& module) {
  if (auto range = module.symbol_range("runtime.buildVersion")) {
    std::string version = string_at(memory, range->begin, 256);
    if (!version.empty()) return version;
  }
  for (const ModuleSection& section : module.sections) {
    if (section.name != ".go.buildinfo") continue;
    std::string version = version_at(memory, section.range.begin);
    if (!version.empty()) return version;
  }
  if (!module.sections.empty()) return {};
  // Without the file there are no sections: the linker puts the header at the start of the writable data.
  for (const ModuleSegment& segment : module.segments) {
    if (!segment.writable && !segment.relro) continue;
    std::string version = version_at(memory, segment.range.begin);
    if (!version.empty()) return version;
  }
  return {};
}

// "go1.26.8", "go1.27rc1", "devel go1.28-0123456": 26, 27, 28.
std::optional<int> minor_of(std::string_view version) {
  const size_t at = version.find("go1.");
  if (at == std::string_view::npos) return std::nullopt;
  int minor = 0;
  const char* begin = version.data() + at + 4;
  const auto [end, error] = std::from_chars(begin, version.data() + version.size(), minor);
  if (error != std::errc{} || minor < 0) return std::nullopt;
  return minor;
}

// A line table begins with one of these: Go 1.18, 1.20.
bool is_line_table(const AddressSpace& memory, Address at) {
  const auto magic = memory.read<uint32_t>(at);
  return magic && (*magic == 0xfffffff0 || *magic == 0xfffffff1);
}

// Of a program without symbols: the first word in its data that holds the address of a line table and begins something
// that reads as a moduledata.
std::optional<Address> search_module_data(const AddressSpace& memory, const Module& module, const Layout& layout) {
  for (const ModuleSegment& segment : module.segments) {
    if (!segment.writable && !segment.relro) continue;
    const Bytes bytes = memory.read(segment.range.begin, segment.range.size_bytes());
    for (size_t offset = 0; offset + 8 <= bytes.size(); offset += 8) {
      const Address value{load<uint64_t>(bytes.data() + offset)};
      if (!module.range.contains(value) || !is_line_table(memory, value)) continue;
      const Address at = segment.range.begin + offset;
      if (read_module_data(memory, layout, at, nullptr)) return at;
    }
  }
  return std::nullopt;
}

std::vector<ModuleData> read_modules(const AddressSpace& memory, const Layout& layout, Address first,
                                     Diagnostics& diagnostics) {
  std::vector<ModuleData> modules;
  for (Address at = first, next; at && modules.size() < kMaxModules; at = next) {
    auto data = read_module_data(memory, layout, at, &next);
    const bool is_known = std::ranges::find(modules, at, &ModuleData::address) != modules.end();
    if (!data || is_known) {
      diagnostics.add("go_module_unread", fmt::format("the Go module data at {:#x} {}", at.value,
                                                      is_known ? "is in the list twice" : "could not be read"));
      break;
    }
    modules.push_back(*data);
  }
  return modules;
}

void search_others(const CoreDump& dump, Process& process, Diagnostics& diagnostics) {
  VariableSearch search = search_variables(dump, process);
  process.found = std::move(search.found);
  if (!search.has_code)
    diagnostics.add(
        "go_variable_unknown",
        fmt::format("{}: stripped of its symbols, and neither core nor file has its machine code: variables of "
                    "the run-time cannot be found",
                    process.module->name));
  if (!search.unknown.empty())
    diagnostics.add("go_variable_unknown", fmt::format("{}: stripped of its symbols, and not found otherwise: {}",
                                                       process.module->name, fmt::join(search.unknown, ", ")));
}

std::optional<Process> read_process(const CoreDump& dump, const Module& module, std::string version,
                                    Diagnostics& diagnostics) {
  const std::optional<int> minor = minor_of(version);
  const std::optional<Layout> layout = minor ? Layout::of(*minor, dump.process.architecture) : std::nullopt;
  if (!layout) {
    diagnostics.add("go_release_unknown",
                    fmt::format("{} was built with {}: its heap is not decoded (known: Go 1.{} to 1.{})", module.name,
                                version, kFirstMinor, kLastMinor));
    return std::nullopt;
  }
  if (layout->is_guess())
    diagnostics.add("go_release_new",
                    fmt::format("{} was built with {}, read as if with Go 1.{}", module.name, version, kLastMinor));
  const auto symbol = module.symbol_range("runtime.firstmoduledata");
  const auto first = symbol ? std::optional(symbol->begin) : search_module_data(dump.memory, module, *layout);
  if (!first) {
    diagnostics.add("go_module_unread", fmt::format("{}: no module data of Go was found", module.name));
    return std::nullopt;
  }
  Process process{&module, std::move(version), *layout, {}, {}, false, {}};
  process.modules = read_modules(dump.memory, *layout, *first, diagnostics);
  if (process.modules.empty()) return std::nullopt;
  process.has_symbols = module.symbol_range("runtime.mheap_").has_value();
  const std::optional<Address> heap = process.has_symbols ? process.variable("runtime.mheap_")
                                                          : search_heap(dump.memory, *layout, process.modules.front());
  if (!heap) {
    diagnostics.add("go_heap_not_found", fmt::format("{}: the heap of {} was not found", module.name, process.version));
    return std::nullopt;
  }
  process.mheap = *heap;
  if (!process.has_symbols) search_others(dump, process, diagnostics);
  return process;
}

}  // namespace

std::optional<Address> FoundVariables::find(std::string_view name) const {
  const auto at = std::ranges::find(variables_, name, &std::pair<std::string, Address>::first);
  return at == variables_.end() ? std::nullopt : std::optional(at->second);
}

std::optional<Address> Process::variable(std::string_view name) const {
  if (auto range = module->symbol_range(name)) return range->begin;
  return found.find(name);
}

const ModuleData* Process::module_of_text(Address pc) const {
  const auto at = std::ranges::find_if(modules, [&](const ModuleData& data) { return data.text.contains(pc); });
  return at == modules.end() ? nullptr : &*at;
}

const ModuleData* Process::module_of_type(Address type) const {
  const auto at = std::ranges::find_if(modules, [&](const ModuleData& data) { return data.types.contains(type); });
  return at == modules.end() ? nullptr : &*at;
}

std::optional<Process> find_process(const CoreDump& dump, Diagnostics& diagnostics) {
  for (const Module& module : dump.modules) {
    std::string version = find_version(dump.memory, module);
    if (version.empty()) continue;
    if (auto process = read_process(dump, module, std::move(version), diagnostics)) return process;
  }
  return std::nullopt;
}

}  // namespace heapwalk::go
