#include "heapwalk/runtimes/go/go_runtime.h"

#include <algorithm>

#include "heapwalk/roots/find_roots.h"
#include "heapwalk/roots/word_scan.h"
#include "heapwalk/runtimes/go/heap/heap_counters.h"
#include "heapwalk/runtimes/go/heap/heap_decoder.h"
#include "heapwalk/runtimes/go/heap/heap_pointers.h"
#include "heapwalk/runtimes/go/heap/specials.h"
#include "heapwalk/runtimes/go/profiles/allocation_samples.h"
#include "heapwalk/runtimes/go/stacks/captured_variables.h"
#include "heapwalk/runtimes/go/stacks/goroutine_roots.h"
#include "heapwalk/runtimes/go/types/object_typing.h"

namespace heapwalk::go {
namespace {

// Counters are a little behind in a process that runs, or that was in the middle of a collection.
constexpr uint64_t kCounterSlack = 256 << 10;
constexpr uint64_t kCounterShare = 64;

// The words of package variables that are pointers and not null.
void add_variable_words(const AddressSpace& memory, const MaskedRange& variables, std::vector<Address>& words) {
  const uint64_t count = std::min(variables.range.size_bytes() / 8, variables.mask_bits);
  for (uint64_t word = 0; word < count; ++word) {
    if (!variables.is_pointer(word)) continue;
    const Address at = variables.range.begin + word * 8;
    if (memory.read_word(at).value_or(0) != 0) words.push_back(at);
  }
}

class GoRuntime final : public Runtime {
 public:
  GoRuntime(const CoreDump& dump, Process process) : dump_(dump), process_(std::move(process)) {}

  // False when the heap cannot be read.
  bool read_heap(Diagnostics& diagnostics) {
    auto heap = Heap::read(dump_, process_, diagnostics);
    if (heap) heap_ = std::make_unique<const Heap>(*std::move(heap));
    return heap_ != nullptr;
  }

  std::string_view name() const override { return "go"; }
  std::span<const AddressRange> memory() const override { return heap_->arenas(); }
  std::unique_ptr<HeapDecoder> make_heap_decoder() const override { return go::make_heap_decoder(*heap_); }

  ManagedHeap find_pointers(Diagnostics& diagnostics) override {
    ManagedHeap managed;
    const auto decoder = make_heap_decoder();
    for (const HeapRegion& region : decoder->regions()) managed.ranges.push_back(region.range);
    managed.ranges = merged(std::move(managed.ranges));
    for (const ModuleData& module : process_.modules) {
      for (const MaskedRange* variables : {&module.data, &module.bss}) {
        if (variables->mask.size() * 8 < variables->mask_bits ||
            variables->mask_bits < variables->range.size_bytes() / 8)
          diagnostics.add("go_mask_absent",
                          "the pointer mask of Go's package variables is not in the core, or too short: what it leaves "
                          "out holds nothing");
        add_variable_words(dump_.memory, *variables, managed.exact_words);
      }
    }
    compare_with_counters(diagnostics);
    specials_ = read_specials(*heap_, diagnostics);
    handles_ = find_handles(*heap_, specials_, diagnostics);
    for (const Handle& handle : handles_)
      managed.exact_words.insert(managed.exact_words.end(), handle.pointers.begin(), handle.pointers.end());
    goroutines_ = std::make_unique<GoroutineRoots>(*heap_, diagnostics);
    closures_ = closure_entries(goroutines_->functions());
    goroutines_->add_words(managed);
    std::ranges::sort(managed.exact_words);
    std::ranges::sort(managed.conservative_words);
    managed.make_reader = [this] { return std::make_unique<HeapPointers>(*heap_); };
    return managed;
  }

  std::vector<Address> frame_pcs() const override {
    std::vector<Address> pcs = goroutines_->frame_pcs();
    pcs.insert(pcs.end(), closures_.begin(), closures_.end());
    return pcs;
  }

  void add_roots(const RootInputs& inputs, FramePlaces& places, RootSet& set) override {
    for (const Span& span : heap_->spans())
      if (span.state == SpanState::manual) set.stack_ranges.push_back(span.range());
    set.stack_ranges = merged(std::move(set.stack_ranges));
    goroutines_->add_roots(inputs, places, set);
    add_handles(set);
    captured_ = find_captured(closures_, places);
  }

  RuntimeTypes type_objects(const ObjectIndex& objects, const RootSet& roots, const ManagedHeap& managed,
                            TypeTableBuilder& builder, size_t threads, Diagnostics& diagnostics) const override {
    GoTypes types(dump_.memory, process_, builder);
    types.add_listed(diagnostics);
    ObjectTyping typing = go::type_objects({.dump = dump_,
                                            .heap = *heap_,
                                            .objects = objects,
                                            .roots = roots,
                                            .functions = goroutines_->functions(),
                                            .specials = specials_,
                                            .pointer_words = managed.exact_words,
                                            .captured = &captured_,
                                            .threads = threads},
                                           types, diagnostics);
    types.report(diagnostics);
    RuntimeTypes result;
    for (size_t i = 1; i < typing.kinds.size(); ++i) {
      const ObjectKind& kind = typing.kinds[i];
      result.kinds.push_back(
          {kind.element, kind.is_array, kind.has_tail, kind.header_bytes, evidence_of(kind.strength)});
    }
    result.kind_of = std::move(typing.kind_of);
    return result;
  }

  Result<SampledObjects> sampled_objects(Diagnostics& diagnostics) const override {
    return read_allocation_samples({dump_, process_, goroutines_->functions()}, specials_, diagnostics);
  }

 private:
  // The run-time counts what it allocates. Damage that a span does not show, a list of spans cut short, shows there.
  void compare_with_counters(Diagnostics& diagnostics) const {
    const auto counters = read_heap_counters(dump_, process_);
    if (!counters) {
      if (process_.has_symbols) diagnostics.add("go_counters_unread", counters.error().message);
      return;
    }
    const uint64_t found = heap_->allocated_bytes();
    const uint64_t counted = counters->allocated_bytes() - counters->freed_bytes();
    const uint64_t difference = found > counted ? found - counted : counted - found;
    if (difference > kCounterSlack + found / kCounterShare)
      diagnostics.add(
          "go_heap_differs",
          fmt::format("the Go heap has {} bytes in allocated slots, its own counters say {}", found, counted));
  }

  void add_handles(RootSet& set) const {
    if (handles_.empty()) return;
    const auto owner = static_cast<uint32_t>(set.owners.size());
    set.owners.push_back({OwnerKind::runtime, kNoOwner, "Go run-time"});
    for (const Handle& handle : handles_)
      set.roots.push_back({.kind = RootKind::handle,
                           .owner = owner,
                           .name = fmt::format("{} {:#x}", handle.what, handle.location.begin.value),
                           .stable_name = handle.what,
                           .source = {},
                           .location = handle.location});
  }

  const CoreDump& dump_;
  Process process_;
  std::unique_ptr<const Heap> heap_;
  std::vector<Special> specials_;
  std::vector<Handle> handles_;
  std::unique_ptr<GoroutineRoots> goroutines_;
  std::vector<Address> closures_;  // entries of their functions
  CapturedVariables captured_;
};

}  // namespace

std::unique_ptr<Runtime> detect(const CoreDump& dump, Diagnostics& diagnostics) {
  auto process = find_process(dump, diagnostics);
  if (!process) return nullptr;
  auto runtime = std::make_unique<GoRuntime>(dump, *std::move(process));
  if (!runtime->read_heap(diagnostics)) return nullptr;
  return runtime;
}

}  // namespace heapwalk::go
