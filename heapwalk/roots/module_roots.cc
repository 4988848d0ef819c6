// Module data as roots: every writable segment of every module, word by word.
//
// A word that refers to the heap belongs to the variable that covers it. Who says so, best first: a DWARF variable
// (qualified name and source line), an object symbol (demangled), or nobody: then the word is a root of its own,
// named by section and offset ("libfoo.so .bss+0x1a40"), which stays the same from run to run of one build.
// RELRO is scanned too: the loader writes to it after malloc has become usable.
#include <algorithm>
#include <string>

#include "heapwalk/roots/find_roots.h"
#include "heapwalk/roots/static_values.h"
#include "heapwalk/roots/word_scan.h"

namespace heapwalk {
namespace {

// A stripped module with more unnamed heap words than this gets one root per 4 KiB of a section instead of per word.
constexpr size_t kMaxUnnamedWords = 65'536;

struct Place {
  AddressRange range;
  std::string name;
  std::string stable_name;
  std::string source;
  TypeId type = kNoType;  // of what begins where the range does
};

// The section or else the segment that the address lies in, as a name.
std::string_view section_name(const Module& module, Address address, AddressRange& range) {
  for (const ModuleSection& section : module.sections) {
    if (!section.range.contains(address)) continue;
    range = section.range;
    return section.name;
  }
  for (const ModuleSegment& segment : module.segments) {
    if (!segment.range.contains(address)) continue;
    range = segment.file_backed.contains(address) ? segment.file_backed
                                                  : AddressRange{segment.file_backed.end, segment.range.end};
    return segment.file_backed.contains(address) ? ".data" : ".bss";
  }
  range = module.range;
  return "data";
}

// A variable never owns the bytes of a segment that it does not lie in, whatever its debug info claims.
AddressRange clip(const Module& module, AddressRange range, Address address) {
  for (const ModuleSegment& segment : module.segments)
    if (segment.range.contains(address)) return range.intersect(segment.range);
  return range.intersect(module.range);
}

TypeId type_at(const Variable& variable, Address begin) {
  return variable.address == begin ? variable.type : kNoType;
}

Place name_place(const Module& module, const VariableTable& variables, Address address, bool by_word) {
  if (const Variable* variable = variables.find(address)) {
    AddressRange range = clip(module, AddressRange::of(variable->address, variable->size_bytes), address);
    return {range, variable->name, variable->name, variable->source, type_at(*variable, range.begin)};
  }
  const Symbol* symbol = module.find_symbol(address);
  if (symbol != nullptr && symbol->kind == SymbolKind::object) {
    AddressRange range =
        clip(module, AddressRange::of(module.to_runtime(symbol->link_address), symbol->size_bytes), address);
    std::string name = demangle(symbol->name);
    if (range.contains(address)) return {range, name, name, {}};
  }
  AddressRange section;
  std::string stable = fmt::format("{} {}", module.name, section_name(module, address, section));
  AddressRange range = AddressRange::of(by_word ? address : address.align_down(4096), by_word ? 8 : 4096);
  range = range.intersect(section);
  return {range, fmt::format("{}+{:#x}", stable, range.begin - section.begin), stable, {}};
}

std::vector<Address> heap_words(const RootInputs& inputs, const Module& module) {
  std::vector<Address> words;
  for (const ModuleSegment& segment : module.segments) {
    if (!segment.writable && !segment.relro) continue;
    // A corrupt or lying module must not claim the heap.
    for (AddressRange part : subtract(segment.range, inputs.heap_ranges))
      for_each_heap_word(inputs, part, [&](Address word) { words.push_back(word); });
  }
  std::ranges::sort(words);
  words.erase(std::ranges::unique(words).begin(), words.end());
  return words;
}

// By what leads to them.
void name_values(const RootInputs& inputs, const Module& module, const VariableTable& variables, size_t first_root,
                 RootSet& set) {
  if (inputs.types == nullptr) return;
  StaticValues values(inputs.dump->memory, module, variables, *inputs.types);
  for (Root& root : std::span(set.roots).subspan(first_root)) {
    if (root.type != kNoType || !is_nameless_value(root.name)) continue;
    const StaticValues::Value& value = values.at(root.location);
    if (value.name.empty()) continue;
    root.name = root.stable_name = value.name;
    root.source = value.source;
    root.type = value.type;
  }
}

void add_module(const RootInputs& inputs, const Module& module, ModuleVariables& debug_info, RootSet& set) {
  std::vector<Address> words = heap_words(inputs, module);
  if (words.empty()) return;
  const VariableTable& variables = debug_info.of(module);
  const auto owner = static_cast<uint32_t>(set.owners.size());
  set.owners.push_back({OwnerKind::module, kNoOwner, module.name});
  const size_t first_root = set.roots.size();
  Address end_of_last{};
  for (Address word : words) {
    if (word < end_of_last) continue;  // the same variable as the word before
    Place place = name_place(module, variables, word, words.size() <= kMaxUnnamedWords);
    if (place.range.begin < end_of_last) {  // overlapping variables share no byte
      place.range.begin = end_of_last;
      place.type = kNoType;
    }
    place.range.end = std::max(place.range.end, word + 8);
    end_of_last = place.range.end;
    set.roots.push_back({.kind = RootKind::global,
                         .owner = owner,
                         .name = std::move(place.name),
                         .stable_name = std::move(place.stable_name),
                         .source = std::move(place.source),
                         .type = place.type,
                         .location = place.range});
  }
  name_values(inputs, module, variables, first_root, set);
}

}  // namespace

void add_module_roots(const RootInputs& inputs, ModuleVariables& variables, RootSet& set) {
  std::vector<AddressRange> ranges;
  for (const Module& module : inputs.dump->modules) {
    for (const ModuleSegment& segment : module.segments)
      if (segment.writable) ranges.push_back(segment.range);
    add_module(inputs, module, variables, set);
  }
  set.module_ranges = merged(std::move(ranges));
}

}  // namespace heapwalk
