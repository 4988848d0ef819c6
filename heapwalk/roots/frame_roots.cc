#include "heapwalk/roots/frame_roots.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "heapwalk/roots/word_scan.h"

namespace heapwalk {
namespace {

constexpr int kMaxNesting = 64;
constexpr size_t kMaxFields = 4096;                    // looked at for a part of a record
constexpr uint64_t kMaxVariables = uint64_t{1} << 25;  // of all frames of all threads

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
    const auto fields = types.fields(type);
    for (const Field& field : fields.first(std::min(fields.size(), kMaxFields))) {
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
  FramePlaceFinder(const RootInputs& inputs, ModuleVariables& variables, std::span<const AddressRange> stack,
                   const std::vector<Frame>& frames)
      : inputs_(inputs), variables_(variables), stack_(stack), frames_(frames) {
    for (const AddressRange& part : stack_)
      for_each_heap_word(inputs_, part, [&](Address at) { words_.push_back(at); });
  }

  std::vector<FramePlace> find(uint64_t& looked_at, uint64_t& skipped) {
    for (size_t i = 0; i < frames_.size(); ++i) {
      const FrameFunction* function = refers_to_heap(i) ? function_of(frames_[i]) : nullptr;
      if (function == nullptr) continue;
      if (looked_at >= kMaxVariables) {
        ++skipped;
        continue;
      }
      looked_at += function->variables.size();
      add_frame(i, *function);
    }
    for (FramePlace& place : elsewhere_) add_memory(std::move(place));
    std::vector<FramePlace> places;
    for (auto& [begin, place] : in_memory_) places.push_back(std::move(place));
    for (FramePlace& place : in_registers_) places.push_back(std::move(place));
    return places;
  }

 private:
  // Empty when nothing is known of where the frame ends. The innermost one has the red zone below it.
  AddressRange range_of(size_t frame) const {
    if (!frames_[frame].cfa) return {};
    const Address end{*frames_[frame].cfa};
    if (frame > 0) return {frames_[frame].cfa_or_sp, end};
    const AddressRange* part = part_around(frames_[frame].cfa_or_sp);
    return {part == nullptr ? frames_[frame].cfa_or_sp : part->begin, end};
  }
  const AddressRange* part_around(Address address) const {
    auto part = std::ranges::find_if(stack_, [&](const AddressRange& each) { return each.contains(address); });
    return part == stack_.end() ? nullptr : &*part;
  }

  // A word of its stack, or a register: else the debug info of its module need not be read.
  bool refers_to_heap(size_t frame) {
    bool refers = false;
    for (unsigned number = 0; number < FrameRegisters::kCount && !refers; ++number) {
      auto value = frames_[frame].registers.get(number);
      refers = value && inputs_.objects->find_used(Address{*value});
    }
    return refers || holds_reference(range_of(frame));
  }

  const FrameFunction* function_of(const Frame& frame) const {
    const Module* module = inputs_.dump->find_module(frame.lookup_pc);
    return module == nullptr ? nullptr : variables_.frames_of(*module).find(module->to_link(frame.lookup_pc));
  }

  void add_frame(size_t i, const FrameFunction& function) {
    const Frame& frame = frames_[i];
    const FrameContext context{.memory = &inputs_.dump->memory,
                               .registers = &frame.registers,
                               .cfa = frame.cfa,
                               .frame_base = &function.frame_base,
                               .bias = inputs_.dump->find_module(frame.lookup_pc)->bias};
    for (const FrameVariable& variable : function.variables) {
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
      const AddressRange* part = part_around(memory->begin);
      if (part == nullptr) return;  // a static, an object behind a reference: roots or objects anyway
      place.memory = memory->intersect(*part);
      if (!holds_reference(place.memory)) return;
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
    return part_around(saved) != nullptr ? std::optional(AddressRange::of(saved, 8)) : std::nullopt;
  }

  bool holds_reference(AddressRange memory) const {
    auto word = std::ranges::lower_bound(words_, memory.begin);
    return word != words_.end() && *word < memory.end && memory.end - *word >= 8;
  }

  void add_memory(FramePlace place) {
    auto after = in_memory_.lower_bound(place.memory.begin);
    if (after != in_memory_.end() && after->second.memory.overlaps(place.memory)) return;
    if (after != in_memory_.begin() && std::prev(after)->second.memory.overlaps(place.memory)) return;
    in_memory_.emplace_hint(after, place.memory.begin, std::move(place));
  }

  const RootInputs& inputs_;
  ModuleVariables& variables_;
  std::span<const AddressRange> stack_;
  const std::vector<Frame>& frames_;
  std::vector<Address> words_;  // of the stack that refer to the heap, ascending
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

const FrameFunction* FramePlaces::function_at(Address pc) const {
  const Module* module = inputs_.dump->find_module(pc);
  return module == nullptr ? nullptr : variables_.frames_of(*module).find(module->to_link(pc));
}

std::vector<FramePlace> FramePlaces::find(std::span<const AddressRange> stack, const std::vector<Frame>& frames) {
  if (inputs_.types == nullptr) return {};
  return FramePlaceFinder(inputs_, variables_, stack, frames).find(looked_at_, skipped_);
}

}  // namespace heapwalk
