#include "heapwalk/runtimes/go/program/function.h"

namespace heapwalk::go {

std::string printed_function_name(std::string_view name) {
  const size_t open = name.find('['), close = name.rfind(']');
  if (open == std::string_view::npos || close == std::string_view::npos || close <= open) return std::string(name);
  return std::string(name.substr(0, open)) + "[...]" + std::string(name.substr(close + 1));
}

bool is_hidden_wrapper(FunctionKind kind, FunctionKind callee) {
  return kind == FunctionKind::wrapper && callee != FunctionKind::gopanic && callee != FunctionKind::sigpanic &&
         callee != FunctionKind::panicwrap;
}

}  // namespace heapwalk::go
