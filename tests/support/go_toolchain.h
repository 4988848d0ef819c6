// Go programs of testdata/programs, built by the tests themselves: with the machine's go, and with any other release that
// HEAPWALK_GO_TOOLCHAINS names ("/opt/go1.19/bin/go:/opt/go1.22/bin/go").
#pragma once

#include <string>
#include <vector>

namespace heapwalk::test {

// "go" first, if there is one. Empty: no Go here.
std::vector<std::string> go_toolchains();

// "go1.26.8" as the toolchain calls itself; empty where it does not run.
std::string go_version(const std::string& toolchain);

// Builds the package in `directory`. Empty on success, else what the toolchain said.
std::string build_go_program(const std::string& toolchain, const std::string& directory, const std::string& output,
                             const std::string& flags = "");

}  // namespace heapwalk::test
