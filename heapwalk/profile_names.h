// Type names as a profile shows them: short, and the same from build to build.
//
//     ns::Map<ns::detail::Key, std::vector<ns::Value, std::allocator<ns::Value> > >
//     ns::Map<Key, vector<Value, allocator<Value> > >
//
// A template argument's namespaces rarely tell things apart and make a flame graph unreadable, so they are dropped; the
// name's own namespaces stay. Where that makes two different names equal, both keep their full form.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace heapwalk {

// The name without the namespaces inside its template arguments.
std::string shorten_type_name(std::string_view name);

// By position: each name shortened, or as it was where shortening would make two different names equal.
std::vector<std::string> profile_type_names(std::span<const std::string_view> names);

}  // namespace heapwalk
