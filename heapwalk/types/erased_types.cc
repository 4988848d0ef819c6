#include "heapwalk/types/erased_types.h"

#include <array>
#include <vector>

namespace heapwalk {
namespace {

constexpr uint64_t kMaxInsideBytes = 16;
constexpr size_t kMaxParts = 256;

struct Manager {
  std::string_view function;
  std::string_view class_template;
  size_t argument;      // the value's type
  bool may_lie_inside;  // the same function manages small values, too
};
constexpr std::array<Manager, 3> kManagers = {{
    {"_M_manager", "std::_Function_handler", 1, true},
    {"_S_manage", "std::any::_Manager_external", 0, false},
    {"__handle", "std::__1::__any_imp::_LargeHandler", 0, false},
}};

}  // namespace

TypeId ErasedTypes::type_of(Address manager) const {
  const Module* module = dump_->find_module(manager);
  const Symbol* symbol = module == nullptr ? nullptr : module->find_symbol(manager);
  if (symbol == nullptr || module->to_runtime(symbol->link_address) != manager) return kNoType;
  for (const Manager& known : kManagers) {
    const auto record = types_->find_mangled(mangled_class(symbol->name, known.function));
    if (!record || template_name((*types_)[*record].name) != known.class_template) continue;
    const auto arguments = types_->arguments(*record);
    if (known.argument >= arguments.size()) continue;
    const TypeId value = arguments[known.argument];
    return known.may_lie_inside && lies_inside(value) ? kNoType : value;
  }
  return kNoType;
}

// libstdc++ keeps what is small inside if copying it takes no code of its own. Debug info does not say that; but members
// of the library's own (shared_ptr, say) need some.
bool ErasedTypes::lies_inside(TypeId value) const {
  if (types_->size_bytes(value) > kMaxInsideBytes) return false;
  std::vector<TypeId> parts = {value};
  for (size_t i = 0; i < parts.size() && i < kMaxParts; ++i) {
    if (parts[i] == kNoType || (*types_)[parts[i]].kind != TypeKind::record) continue;
    const std::string_view name = template_name((*types_)[parts[i]].name);
    for (const ContainerRule& rule : container_rules()) {
      if (rule.record == name) return false;
    }
    for (const Field& field : types_->fields(parts[i])) parts.push_back(field.type);
  }
  return true;
}

}  // namespace heapwalk
