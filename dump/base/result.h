// How a stage says that it cannot go on.
//
// A Result is a value or an Error, and an Error is one line that a person can act on:
//
//     core.1234: program header 17 at 0x3f8: wanted 56 bytes, found 12
//     ^ file     ^ reading what     ^ where   ^ wanted, found
//
// Loss that is only partial is no Error: it goes to Diagnostics and the analysis continues. Exceptions do not cross
// folders; a library that throws is caught at its door.
#pragma once

#include <expected>
#include <string>
#include <utility>

#include <fmt/format.h>

namespace heapwalk {

struct Error {
  std::string message;
};

template <class T>
using Result = std::expected<T, Error>;

// fail("{}: not an ELF file", path): the unexpected half of any Result.
template <class... Args>
std::unexpected<Error> fail(fmt::format_string<Args...> format, Args&&... args) {
  return std::unexpected(Error{fmt::format(format, std::forward<Args>(args)...)});
}

}  // namespace heapwalk
