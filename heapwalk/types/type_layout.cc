#include "heapwalk/types/type_layout.h"

#include "heapwalk/types/type_flattener.h"

namespace heapwalk {

const TypeLayout& TypeLayouts::of(TypeId type) {
  auto [at, is_new] = layouts_.try_emplace(type);
  if (is_new) at->second = TypeFlattener(*types_, *containers_).run(type);
  return at->second;
}

}  // namespace heapwalk
