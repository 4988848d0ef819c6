#include "heapwalk/roots/find_roots.h"

#include "heapwalk/roots/frame_roots.h"

namespace heapwalk {

RootSet find_roots(const RootInputs& inputs, Diagnostics& diagnostics) {
  RootSet set;
  TypeTableBuilder unwanted;
  Result<Unwinder> unwinder = Unwinder::create(*inputs.dump);
  if (!unwinder) diagnostics.add("no_unwinding", unwinder.error().message + "; stacks are roots without frame names");
  std::map<const Module*, std::vector<uint64_t>> pcs;
  if (unwinder && inputs.types != nullptr) pcs = pcs_of_frames(*inputs.dump, *unwinder);
  for (const auto& runtime : inputs.runtimes)
    for (Address pc : runtime->frame_pcs())
      if (const Module* module = inputs.dump->find_module(pc)) pcs[module].push_back(module->to_link(pc));
  ModuleVariables variables(inputs.core, inputs.threads, inputs.types != nullptr ? *inputs.types : unwanted,
                            diagnostics, std::move(pcs));
  add_module_roots(inputs, variables, set);
  FramePlaces places(inputs, variables);
  for (const auto& runtime : inputs.runtimes) runtime->add_roots(inputs, places, set);
  add_thread_roots(inputs, places, variables, unwinder ? &*unwinder : nullptr, set, diagnostics);
  if (places.skipped() > 0)
    diagnostics.add("frames_cut_short", "frames whose locals were not looked at: there are too many in all",
                    places.skipped());
  set.variables = variables.typed();
  // What no module, stack, TLS block or heap claims is unknown: this part comes last.
  add_mapping_roots(inputs, set);
  return set;
}

}  // namespace heapwalk
