// A type's pointer mask from its structure: the masks of its fields and elements, where they lie.
//
//     struct { n int; a [20000]*T; b struct { … } }
//     └─ field a: [20000]*T ─► one element's bits, repeated
//     └─ field b: struct    ─► … or the bits that the compiler wrote for it
//
// What lies behind what was already written, deeper than values can nest, or past the end is hostile: then there is no mask.
// Source: Go 1.24 runtime/type.go (buildGCMask).
#pragma once

#include "heapwalk/runtimes/go/heap/mask_bits.h"
#include "heapwalk/runtimes/go/program/type_descriptor.h"

namespace heapwalk::go {

// Appends the bits of one value. False, and `bits` of no use, where a part is absent or does not fit.
bool build_mask(const AddressSpace& memory, const Layout& layout, const TypeDescriptor& type, MaskBits& bits);

}  // namespace heapwalk::go
