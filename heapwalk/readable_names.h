// Type names as people write them.
//
//     std::map<std::__cxx11::basic_string<char, std::char_traits<char>, std::allocator<char> >, Session, std::less<…>, …>
//     std::map<std::string, Session>
//
// Debug info spells out every default argument. They tell nothing and hide what does. Go's names begin with the path that
// their package is imported by; its last part is what programs write:
//
//     map[string]*github.com/acme/shop/cart.Item
//     map[string]*cart.Item
//
// Output that scripts read keeps the full names.
#pragma once

#include <string>
#include <string_view>

namespace heapwalk {

std::string readable_type_name(std::string_view name);
// "/root/go/pkg/mod/example.com/shop@v1.2.0/cart.go:7" → "example.com/shop@v1.2.0/cart.go:7"; what Go itself brings, from its
// packages on: "runtime/proc.go:41".
std::string_view readable_source(std::string_view source);

}  // namespace heapwalk
