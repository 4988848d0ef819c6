#include "dump/thread.h"

namespace heapwalk {

std::optional<uint64_t> Thread::register_value(std::string_view wanted) const {
  for (const Register& r : registers)
    if (r.name == wanted) return r.value;
  for (const Register& r : vector_registers)
    if (r.name == wanted) return r.value;
  return std::nullopt;
}

Address Thread::strip_code_pointer(uint64_t value) const {
  return Address{value & ~code_pointer_mask};
}

}  // namespace heapwalk
