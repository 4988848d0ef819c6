// What every Go type descriptor begins with (abi.Type), and the parts of arrays and structs that say how memory is laid out.
//
//     abi.Type { Size_, PtrBytes, Hash, TFlag, Kind_, GCData, Str, PtrToThis } then what the kind adds
//       Kind_   low five bits: the kind; bit 5 through 1.25: stored in an interface's word itself; bit 6 through 1.23: GCData is
//               a program that writes the mask
//       TFlag   bit 4 since 1.24: GCData is the address of a slot for the mask's address, filled when the run-time first needs it;
//               bit 5 since 1.26: stored in an interface's word itself
//
// A descriptor is read whole or not at all. Nothing in it is believed beyond what is said here.
// Source: Go 1.19, 1.20 runtime/type.go (_type); 1.21 … 1.27 internal/abi/type.go (Type).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "dump/address_space.h"
#include "heapwalk/runtimes/go/program/layout.h"

namespace heapwalk::go {

// abi.Kind's numbers, the same in all releases.
enum class GoKind : uint8_t {
  kInvalid,
  kBool,
  kInt,
  kInt8,
  kInt16,
  kInt32,
  kInt64,
  kUint,
  kUint8,
  kUint16,
  kUint32,
  kUint64,
  kUintptr,
  kFloat32,
  kFloat64,
  kComplex64,
  kComplex128,
  kArray,
  kChan,
  kFunc,
  kInterface,
  kMap,
  kPointer,
  kSlice,
  kString,
  kStruct,
  kUnsafePointer,
};

struct TypeDescriptor {
  Address address;
  uint64_t size_bytes = 0;
  uint64_t pointer_bytes = 0;  // a multiple of 8, at most size_bytes; no pointer lies behind it
  uint32_t hash = 0;
  GoKind kind = GoKind::kInvalid;  // kInvalid: the dummies that the run-time makes for masks, which have no type
  bool is_direct = false;          // an interface's data word holds the value, not its address
  bool has_uncommon = false, has_extra_star = false, is_named = false;
  bool has_program = false;       // gc_data is the program, behind its length of 32 bits
  bool is_mask_deferred = false;  // gc_data is the slot
  Address gc_data;
  int32_t name_offset = 0;  // Str: from the module's types on
};

// Null where the bytes are absent or cannot be a descriptor.
std::optional<TypeDescriptor> read_type_descriptor(const AddressSpace& memory, const Layout& layout, Address at);

struct ArrayParts {
  Address element;
  uint64_t length = 0;
};
std::optional<ArrayParts> read_array_parts(const AddressSpace& memory, const Layout& layout, Address array);

struct StructFields {  // StructType.Fields
  Address at;
  uint64_t count = 0;
};
struct StructField {
  Address name;  // its encoded name
  Address type;
  uint64_t offset_bytes = 0;
};
// Null where it cannot be a list. Its entries may still be absent.
std::optional<StructFields> read_struct_fields(const AddressSpace& memory, const Layout& layout, Address record);
std::optional<StructField> read_struct_field(const AddressSpace& memory, const Layout& layout, Address at);

// What stands behind the part that all descriptors of its kind have: UncommonType.
struct Uncommon {
  int32_t package_offset = 0;  // of the import path, from the module's types on; 0: none
  uint16_t methods = 0;
};
std::optional<Uncommon> read_uncommon(const AddressSpace& memory, const Layout& layout, const TypeDescriptor& type);

// The bytes of a descriptor and of what stands behind it, up to where the next one may begin (Go 1.27 lays them one behind the
// other). Null where a count is absent.
std::optional<uint64_t> descriptor_bytes(const AddressSpace& memory, const Layout& layout, const TypeDescriptor& type);

// The parameters and results of a function type, in order; no more than it has. `results` says where the results begin.
std::vector<Address> read_function_parts(const AddressSpace& memory, const Layout& layout, const TypeDescriptor& type,
                                         size_t& results, bool& is_variadic);

}  // namespace heapwalk::go
