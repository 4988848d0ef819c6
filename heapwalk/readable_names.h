// Type names as people write them.
//
//     std::map<std::__cxx11::basic_string<char, std::char_traits<char>, std::allocator<char> >, Session, std::less<…>, …>
//     std::map<std::string, Session>
//
// Debug info spells out every default argument. They tell nothing and hide what does. Output that scripts read keeps the
// full names.
#pragma once

#include <string>
#include <string_view>

namespace heapwalk {

std::string readable_type_name(std::string_view name);

}  // namespace heapwalk
