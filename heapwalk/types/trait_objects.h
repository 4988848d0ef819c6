// Rust's `dyn Trait`: which type a vtable is of.
//
//     Box<dyn Shape> { pointer ─► value, vtable ─► │ drop_in_place │ size │ align │ method … │ }
//                                                    fn core::ptr::drop_in_place<Circle>
//                                                                                  fn <Circle as Shape>::area
//
// Vtables have no symbols, but the functions they list do, and these name the type. The linker may have merged functions
// of equal code, so the type must also have the size that the vtable says.
// Source: rust's compiler/rustc_middle/src/ty/vtable.rs (1.95): MetadataDropInPlace, MetadataSize, MetadataAlign, methods.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "dump/core_dump.h"
#include "heapwalk/types/erased_types.h"

namespace heapwalk {

class TraitObjects {
 public:
  // Both outlive this.
  TraitObjects(const CoreDump& dump, const TypeTable& types) : dump_(&dump), types_(&types), erased_(dump, types) {}

  // For std::function and std::any, what the function at `vtable` manages; else …
  // what a pointer to `target` (`dyn Shape`, RcInner<dyn Shape>) really leads to; kNoType when the vtable does not say.
  // Computed once per vtable. Not thread-safe.
  TypeId type_of(Address vtable, TypeId target);

 private:
  TypeId value_type(Address vtable);
  TypeId find_type(std::string_view name, uint64_t size_bytes);

  const CoreDump* dump_;
  const TypeTable* types_;
  ErasedTypes erased_;
  std::unordered_map<uint64_t, TypeId> known_;                  // by vtable
  std::unordered_map<std::string, std::vector<TypeId>> names_;  // as symbols spell them; made when first needed
};

}  // namespace heapwalk
