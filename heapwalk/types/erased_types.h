// What std::function and std::any hold, whose own types do not say it.
//
//     std::function { _M_functor ─► value, _M_manager ─► _Function_handler<int (int), Retry>::_M_manager }
//     std::any      { _M_manager ─► any::_Manager_external<Retry>::_S_manage, _M_ptr ─► value }
//
// They keep a function that copies and destroys the value. Its symbol names a class template of the library, one of whose
// arguments is the value's type. The symbol is looked up by address, the class by the symbol (TypeTable::find_mangled):
// lambdas have a name in neither.
// Small values lie inside, where the pointer would be. libc++'s std::function keeps an object with a vtable instead.
// Sources: libstdc++ 12.2 bits/std_function.h (_Function_base::_Base_manager, __stored_locally) and <any>; libc++ 19 <any>.
#pragma once

#include <string_view>
#include <unordered_map>

#include "dump/core_dump.h"
#include "heapwalk/types/containers.h"
#include "heapwalk/types/template_names.h"

namespace heapwalk {

class ErasedTypes {
 public:
  // Both outlive this.
  ErasedTypes(const CoreDump& dump, const TypeTable& types) : dump_(&dump), types_(&types) {}

  // The type of the allocated value that the function at the address manages; kNoType when it does not say, or the
  // value is not allocated.
  TypeId type_of(Address manager) const;

 private:
  bool lies_inside(TypeId value) const;

  const CoreDump* dump_;
  const TypeTable* types_;
};

}  // namespace heapwalk
