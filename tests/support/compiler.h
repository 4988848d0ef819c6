// Small programs and libraries for tests, made by this machine's C compiler and binutils.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "tests/support/temporary_directory.h"

namespace heapwalk::test {

// Why nothing can be compiled here; empty: it can.
std::string why_no_compiler();

// Compiles `source` (C) with the flags into a file of the directory; the full name, or "" and a test failure.
std::string compile_c(const TemporaryDirectory& directory, std::string_view name, std::string_view source,
                      const std::vector<std::string>& flags);
std::string compile_cxx(const TemporaryDirectory& directory, std::string_view name, std::string_view source,
                        const std::vector<std::string>& flags);

// Runs a tool such as objcopy; a failure to run or to succeed fails the test.
bool run_tool(const std::vector<std::string>& arguments);

}  // namespace heapwalk::test

#define HEAPWALK_NEEDS_COMPILER()                                                               \
  do {                                                                                          \
    if (std::string why = heapwalk::test::why_no_compiler(); !why.empty()) GTEST_SKIP() << why; \
  } while (false)
