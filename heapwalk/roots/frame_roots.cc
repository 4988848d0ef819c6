#include "heapwalk/roots/frame_roots.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "heapwalk/roots/word_scan.h"

namespace heapwalk {
namespace {

constexpr int kMaxNesting = 64;

std::string name_of(const FrameVariable& variable) {
  return fmt::format("{}{} {}", variable.function.empty() ? "" : "inlined " + variable.function + " ",
                     variable.is_parameter ? "parameter" : "local",
                     variable.name.empty() ? "(unnamed)" : variable.name);
}

// The type of the part of a value that begins at the offset and has the size; kNoType: no field is just that.
TypeId type_of_part(const TypeTable& types, TypeId type, uint64_t offset_bytes, uint64_t size_bytes) {
  for (int depth = 0; depth < kMaxNesting && type != kNoType; ++depth) {
    const Type& here = types[type];
    if (offset_bytes == 0 && here.size_bytes == size_bytes) return type;
    if (here.kind == TypeKind::array) {
      const uint64_t each = types.size_bytes(here.target);
      if (each == 0) break;
      offset_bytes %= each;
      type = here.target;
      continue;
    }
    TypeId inner = kNoType;
    uint64_t begin = 0;
    for (const Field& field : types.fields(type)) {
      const uint64_t size = types.size_bytes(field.type);
      if (field.offset_bytes > offset_bytes || offset_bytes + size_bytes > field.offset_bytes + size) continue;
      inner = field.type;
      begin = field.offset_bytes;
    }
    type = inner;
    offset_bytes -= begin;
  }
  return kNoType;
}

class FramePlaceFinder {
 public:
  FramePlaceFinder(const RootInputs& inputs, ModuleVariables& variables, const Thread& thread,
                   const std::vector<Frame>& frames)
      : inputs_(inputs), variables_(variables), thread_(thread), frames_(frames) {}

  std::vector<FramePlace> find() {
    for (size_t i = 0; i < frames_.size(); ++i) {
      if (refers_to_heap(i)) add_frame(i);
    }
    for (FramePlace& place : elsewhere_) add_memory(std::move(place));
    std::vector<FramePlace> places;
    for (auto& [begin, place] : in_memory_) places.push_back(std::move(place));
    for (FramePlace& place : in_registers_) places.push_back(std::move(place));
    return places;
  }

 private:
  AddressRange range_of(size_t frame) const {
    const Address begin = frame == 0 ? thread_.stack.begin : frames_[frame].cfa_or_sp;
    const Address end = frames_[frame].cfa ? Address{*frames_[frame].cfa} : begin;
    return AddressRange{begin, end}.intersect(thread_.stack);
  }

  // A word of its stack, or a register: else the debug info of its module need not be read.
  bool refers_to_heap(size_t frame) {
    bool refers = false;
    for (unsigned number = 0; number < FrameRegisters::kCount && !refers; ++number) {
      auto value = frames_[frame].registers.get(number);
      refers = value && inputs_.objects->find_used(Address{*value});
    }
    if (!refers) for_each_heap_word(inputs_, range_of(frame), [&](Address) { refers = true; });
    return refers;
  }

  void add_frame(size_t i) {
    const Frame& frame = frames_[i];
    const Module* module = inputs_.dump->find_module(frame.lookup_pc);
    if (module == nullptr) return;
    const FrameFunction* function = variables_.frames_of(*module).find(module->to_link(frame.lookup_pc));
    if (function == nullptr) return;
    const FrameContext context{.memory = &inputs_.dump->memory,
                               .registers = &frame.registers,
                               .cfa = frame.cfa,
                               .frame_base = &function->frame_base,
                               .bias = module->bias};
    for (const FrameVariable& variable : function->variables) {
      auto pieces = locate(variable.location, context);
      if (!pieces) continue;
      for (const LocationPiece& piece : *pieces) add_piece(i, variable, piece);
    }
  }

  void add_piece(size_t frame, const FrameVariable& variable, const LocationPiece& piece) {
    const TypeTable& types = inputs_.types->table();
    FramePlace place{.frame = frame, .name = {}, .source = variable.source};
    uint64_t size_bytes = piece.size_bytes;
    if (size_bytes == 0) {
      place.type = variable.type;
      size_bytes = variable.type == kNoType ? 8 : types.size_bytes(variable.type);
    } else {
      place.type = type_of_part(types, variable.type, piece.offset_bytes, size_bytes);
    }
    if (size_bytes < 8) return;  // no room for an address
    if (auto memory = memory_of(frame, piece, size_bytes)) {
      place.memory = memory->intersect(thread_.stack);
      if (place.memory.begin != memory->begin || !holds_reference(place.memory)) return;
      place.name = name_of(variable);
      range_of(frame).contains(place.memory) ? add_memory(std::move(place)) : elsewhere_.push_back(std::move(place));
      return;
    }
    if (!inputs_.objects->find_used(Address{piece.value})) return;
    place.value = piece.value;
    if (piece.kind == LocationPiece::Kind::register_) place.number = piece.number;
    if (place.number && !taken_.insert(frame * FrameRegisters::kCount + *place.number).second) return;
    place.name = name_of(variable);
    in_registers_.push_back(std::move(place));
  }

  // Where the piece is in memory: also of a register that a callee has saved.
  std::optional<AddressRange> memory_of(size_t frame, const LocationPiece& piece, uint64_t size_bytes) const {
    if (piece.kind == LocationPiece::Kind::memory) return AddressRange::of(Address{piece.value}, size_bytes);
    if (piece.kind == LocationPiece::Kind::value) return std::nullopt;
    const Address saved{frames_[frame].registers.places[piece.number]};
    return thread_.stack.contains(saved) ? std::optional(AddressRange::of(saved, 8)) : std::nullopt;
  }

  bool holds_reference(AddressRange memory) {
    bool refers = false;
    for_each_heap_word(inputs_, memory, [&](Address) { refers = true; });
    return refers;
  }

  void add_memory(FramePlace place) {
    auto after = in_memory_.lower_bound(place.memory.begin);
    if (after != in_memory_.end() && after->second.memory.overlaps(place.memory)) return;
    if (after != in_memory_.begin() && std::prev(after)->second.memory.overlaps(place.memory)) return;
    in_memory_.emplace_hint(after, place.memory.begin, std::move(place));
  }

  const RootInputs& inputs_;
  ModuleVariables& variables_;
  const Thread& thread_;
  const std::vector<Frame>& frames_;
  std::map<Address, FramePlace> in_memory_;
  std::vector<FramePlace> elsewhere_;  // in another frame than their own
  std::vector<FramePlace> in_registers_;
  std::unordered_set<size_t> taken_;  // frames' registers
};

}  // namespace

std::map<const Module*, std::vector<uint64_t>> pcs_of_frames(const CoreDump& dump, Unwinder& unwinder) {
  std::unordered_set<Address> pcs;
  for (const Thread& thread : dump.threads) {
    for (Address pc : unwinder.lookup_pcs(thread)) pcs.insert(pc);
  }
  std::map<const Module*, std::vector<uint64_t>> result;
  for (Address pc : pcs) {
    if (const Module* module = dump.find_module(pc)) result[module].push_back(module->to_link(pc));
  }
  return result;
}

std::vector<FramePlace> find_frame_places(const RootInputs& inputs, ModuleVariables& variables, const Thread& thread,
                                          const std::vector<Frame>& frames) {
  if (inputs.types == nullptr) return {};
  return FramePlaceFinder(inputs, variables, thread, frames).find();
}

}  // namespace heapwalk
