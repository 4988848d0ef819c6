#include "heapwalk/runtimes/go/heap/specials.h"

#include <algorithm>
#include <unordered_set>

namespace heapwalk::go {
namespace {

constexpr uint64_t kMaxNotes = uint64_t{1} << 26;   // in all
constexpr uint64_t kMaxNotesOfOne = 64;             // one of each kind and a few
constexpr uint64_t kMaxBlocks = uint64_t{1} << 20;  // of queued finalizers or cleanups
constexpr uint64_t kBlockBytes = 4096;              // of both: finBlockSize, cleanupBlockSize

SpecialKind kind_of(const Layout& layout, uint8_t number) {
  constexpr std::pair<Field, SpecialKind> kKinds[] = {
      {Field::KindSpecialFinalizer, SpecialKind::finalizer},
      {Field::KindSpecialWeakHandle, SpecialKind::weak_handle},
      {Field::KindSpecialProfile, SpecialKind::profile},
      {Field::KindSpecialCleanup, SpecialKind::cleanup},
  };
  for (auto [field, kind] : kKinds)
    if (layout.has(field) && layout.offset(field) == number) return kind;
  return SpecialKind::other;
}

std::optional<uint64_t> read_offset(const AddressSpace& memory, Address at, bool wide) {
  if (wide) return memory.read<uint64_t>(at);
  return memory.read<uint16_t>(at);
}

class Handles {
 public:
  Handles(const Heap& heap, Diagnostics& diagnostics)
      : memory_(heap.dump().memory), process_(heap.process()), layout_(process_.layout), diagnostics_(diagnostics) {}

  void add(const Special& special) {
    switch (special.kind) {
      case SpecialKind::finalizer:
        add_note("finalizer", special.address + layout_.offset(Field::specialfinalizer_fn), 1);
        result_.push_back({"finalizer", special.object, {}});
        break;
      case SpecialKind::weak_handle:
        add_note("weak handle", special.address + layout_.offset(Field::specialWeakHandle_handle), 1);
        break;
      case SpecialKind::cleanup:
        if (layout_.has(Field::specialCleanup_cleanup)) {
          const Address function = special.address + layout_.offset(Field::specialCleanup_cleanup);
          add_note("cleanup", function + layout_.offset(Field::cleanupFn_fn), 2);  // fn, arg
        } else if (layout_.has(Field::specialCleanup_fn)) {
          add_note("cleanup", special.address + layout_.offset(Field::specialCleanup_fn), 1);
        }
        break;
      case SpecialKind::profile:
      case SpecialKind::other:
        break;
    }
  }

  // Finalizers that are due: fn, arg, nret, fint, ot.
  void add_queued_finalizers() {
    const auto head = process_.variable("runtime.allfin");
    if (!head) return diagnostics_.add("go_roots_unknown", "queued finalizers: runtime.allfin was not found");
    const uint32_t first = layout_.offset(Field::finBlock_fin);
    const uint32_t stride = layout_.offset(Field::finalizer_size);
    walk_blocks(*head, Field::finBlock_alllink, [&](Address block) {
      Handle handle{"queued finalizer", {block + first, block + first}, {}};
      const uint64_t count = memory_.read<uint32_t>(block + layout_.offset(Field::finBlock_cnt)).value_or(0);
      for (uint64_t i = 0; i < std::min(count, (kBlockBytes - first) / stride); ++i) {
        const Address note = block + first + i * stride;
        for (Field field : {Field::finalizer_fn, Field::finalizer_arg, Field::finalizer_fint, Field::finalizer_ot})
          handle.pointers.push_back(note + layout_.offset(field));
        handle.location.end = note + stride;
      }
      keep(std::move(handle));
    });
  }

  // Cleanups that are due: a function, or (Go 1.26 …) what calls it, the function and its argument.
  void add_queued_cleanups() {
    if (!layout_.has(Field::cleanupBlock_cleanups)) return;
    const auto queue = process_.variable("runtime.gcCleanups");
    if (!queue) return diagnostics_.add("go_roots_unknown", "queued cleanups: runtime.gcCleanups was not found");
    const uint32_t first = layout_.offset(Field::cleanupBlock_cleanups);
    const bool has_arguments = layout_.has(Field::cleanupFn_fn);
    const uint32_t stride = has_arguments ? layout_.offset(Field::cleanupFn_size) : 8;
    walk_blocks(*queue + layout_.offset(Field::cleanupQueue_all), Field::cleanupBlock_alllink, [&](Address block) {
      Handle handle{"queued cleanup", {block + first, block + first}, {}};
      const uint64_t count = memory_.read<uint32_t>(block + layout_.offset(Field::cleanupBlock_n)).value_or(0);
      for (uint64_t i = 0; i < std::min(count, (kBlockBytes - first) / stride); ++i) {
        const Address note = block + first + i * stride;
        if (has_arguments) {
          handle.pointers.push_back(note + layout_.offset(Field::cleanupFn_fn));
          handle.pointers.push_back(note + layout_.offset(Field::cleanupFn_arg));
        } else {
          handle.pointers.push_back(note);
        }
        handle.location.end = note + stride;
      }
      keep(std::move(handle));
    });
  }

  std::vector<Handle> take() { return std::move(result_); }

 private:
  void add_note(const char* what, Address word, uint64_t words) {
    Handle handle{what, AddressRange::of(word, words * 8), {}};
    for (uint64_t i = 0; i < words; ++i) handle.pointers.push_back(word + i * 8);
    keep(std::move(handle));
  }
  void keep(Handle handle) {
    if (!handle.pointers.empty()) result_.push_back(std::move(handle));
  }

  template <class F>
  void walk_blocks(Address head, Field link, F f) {
    std::unordered_set<Address> seen;
    for (auto at = memory_.read_pointer(head); at && *at; at = memory_.read_pointer(*at + layout_.offset(link))) {
      if (!seen.insert(*at).second || seen.size() > kMaxBlocks)
        return diagnostics_.add("go_list_endless", "a list of the Go run-time has no end");
      if (!memory_.read_pointer(*at + layout_.offset(link)))
        return diagnostics_.add("go_roots_unknown",
                                fmt::format("what was to run at {:#x} is not in the core", at->value));
      f(*at);
    }
  }

  const AddressSpace& memory_;
  const Process& process_;
  const Layout& layout_;
  Diagnostics& diagnostics_;
  std::vector<Handle> result_;
};

}  // namespace

std::vector<Special> read_specials(const Heap& heap, Diagnostics& diagnostics) {
  std::vector<Special> specials;
  const AddressSpace& memory = heap.dump().memory;
  const Layout& layout = heap.process().layout;
  const bool wide = layout.width(Field::special_offset) == 8;  // two bytes before Go 1.24
  uint64_t broken = 0;
  for (const Span& span : heap.spans()) {
    if (span.state != SpanState::in_use) continue;
    Address last;
    std::vector<Address> of_one_object;
    for (Address at = span.specials; at;) {
      const auto next = memory.read_pointer(at + layout.offset(Field::special_next));
      const std::optional<uint64_t> offset = read_offset(memory, at + layout.offset(Field::special_offset), wide);
      const auto kind = memory.read<uint8_t>(at + layout.offset(Field::special_kind));
      // The list is sorted by object: what goes back is a circle.
      if (offset && last != span.begin + *offset) of_one_object.clear();
      if (!next || !offset || !kind || *offset >= span.size_bytes || span.begin + *offset < last ||
          specials.size() >= kMaxNotes || of_one_object.size() >= kMaxNotesOfOne ||
          std::ranges::find(of_one_object, at) != of_one_object.end()) {
        ++broken;
        break;
      }
      of_one_object.push_back(at);
      last = span.begin + *offset;
      if (const auto slot = span.slot_of(last)) specials.push_back({kind_of(layout, *kind), at, span.slot(*slot)});
      at = *next;
    }
  }
  if (broken > 0)
    diagnostics.add("go_specials_unread", "lists of what Go notes about objects that cannot be right", broken);
  return specials;
}

std::vector<Handle> find_handles(const Heap& heap, const std::vector<Special>& specials, Diagnostics& diagnostics) {
  Handles handles(heap, diagnostics);
  for (const Special& special : specials) handles.add(special);
  handles.add_queued_finalizers();
  handles.add_queued_cleanups();
  return handles.take();
}

}  // namespace heapwalk::go
