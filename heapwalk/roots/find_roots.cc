#include "heapwalk/roots/find_roots.h"

namespace heapwalk {

RootSet find_roots(const RootInputs& inputs, Diagnostics& diagnostics) {
  RootSet set;
  TypeTableBuilder unwanted;
  ModuleVariables variables(inputs.core, inputs.threads, inputs.types != nullptr ? *inputs.types : unwanted,
                            diagnostics);
  add_module_roots(inputs, variables, set);
  add_thread_roots(inputs, variables, set, diagnostics);
  set.variables = variables.typed();
  // What no module, stack, TLS block or heap claims is unknown: this part comes last.
  add_mapping_roots(inputs, set);
  return set;
}

}  // namespace heapwalk
