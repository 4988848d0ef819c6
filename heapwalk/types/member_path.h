// Where a member is that lies somewhere inside a record: its bases and implementation records are searched too.
//
//     "_M_finish"             the member of that name, the outermost first
//     "__end_cap_|__cap_"     as one version of the library calls it, or as another does
//     "__l.__size_"           of a member `__l`, the member `__size_`
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "dwarf/type_table.h"

namespace heapwalk {

struct Member {
  TypeId type = kNoType;
  uint64_t offset_bytes = 0;  // from the start of the record
};

// Nothing when the record has no such member.
std::optional<Member> find_member(const TypeTable& types, TypeId record, std::string_view path);

// Whether the name is one of "a|b".
bool is_one_of(std::string_view name, std::string_view names);

}  // namespace heapwalk
