// What a language's run-time knows about its process, as the analysis asks for it.
//
// detect() looks for one run-time and reads what it needs; null when it is not in this process. A run-time with a heap of
// its own brings that heap's decoder (an allocator like any other) and says where references into it are.
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "heapwalk/allocators/allocator.h"
#include "heapwalk/managed_heap.h"
#include "heapwalk/root_set.h"
#include "heapwalk/sampled_objects.h"
#include "heapwalk/types/runtime_types.h"

namespace heapwalk {

class FramePlaces;
struct RootInputs;

class Runtime {
 public:
  virtual ~Runtime() = default;

  virtual std::string_view name() const = 0;
  // Where nothing but the run-time's is: its heap, idle memory included, and stacks. Any order.
  virtual std::span<const AddressRange> memory() const = 0;
  // Of its heap; null when the run-time has none. Borrows from the run-time.
  virtual std::unique_ptr<HeapDecoder> make_heap_decoder() const = 0;
  // Where references into its heap are: to be asked once, before any root is looked for.
  virtual ManagedHeap find_pointers(Diagnostics& diagnostics) = 0;
  // What the frames of its own threads are doing, and functions whose variables it wants to know: addresses of instructions,
  // in any order.
  virtual std::vector<Address> frame_pcs() const = 0;
  // The places of the run-time itself: goroutines and their frames, handles. Package variables come with the modules.
  virtual void add_roots(const RootInputs& inputs, FramePlaces& places, RootSet& set) = 0;
  // What its objects are; types that are not there yet are added to `types`. `managed`: as find_pointers() returned it.
  virtual RuntimeTypes type_objects(const ObjectIndex& objects, const RootSet& roots, const ManagedHeap& managed,
                                    TypeTableBuilder& types, size_t threads, Diagnostics& diagnostics) const = 0;
  // The objects that it sampled when it allocated them; after find_pointers(). Error: there are none, and why.
  virtual Result<SampledObjects> sampled_objects(Diagnostics& diagnostics) const = 0;
};

using DetectRuntime = std::unique_ptr<Runtime> (*)(const CoreDump&, Diagnostics&);

// runtimes/registry.cc: the plain table of all run-times, in the order of detection.
std::span<const DetectRuntime> runtime_registry();

}  // namespace heapwalk
