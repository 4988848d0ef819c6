#include "heapwalk/runtimes/go/go_runtime.h"
#include "heapwalk/runtimes/runtime.h"

namespace heapwalk {

std::span<const DetectRuntime> runtime_registry() {
  static constexpr DetectRuntime kRuntimes[] = {go::detect};
  return kRuntimes;
}

}  // namespace heapwalk
