// Names of instances of templates, and their arguments.
//
//     std::__2::vector<Item, A<Item> >     template_name   std::__2::vector
//                                          library_name    std::__1::vector
//                                          argument 1.0    Item
//
// Libraries keep the version of their layout in an inline namespace, which debug info spells out: absl::lts_20240722.
#pragma once

#include <string>
#include <string_view>

#include "dwarf/type_table.h"

namespace heapwalk {

// "std::vector" of "std::vector<int>"; the whole name when it is no instance of a template.
std::string_view template_name(std::string_view name);

// The template's name as the rules have it: libc++'s inline namespace is __1, absl's is left out.
std::string library_name(std::string_view name);

// "1": the second argument; "3.0": the first one of the fourth. kNoType when there is none, or it is no type.
TypeId template_argument(const TypeTable& types, TypeId record, std::string_view path);

}  // namespace heapwalk
