#include "tests/support/go_toolchain.h"

#include <cstdlib>
#include <sstream>

#include <fmt/format.h>

#include "tests/support/run_program.h"

namespace heapwalk::test {
namespace {

// Each finds its own root, and uses nothing from the network.
constexpr const char* kEnvironment = "env -u GOROOT GOTOOLCHAIN=local GOFLAGS=-buildvcs=false GOPROXY=off";

}  // namespace

std::vector<std::string> go_toolchains() {
  std::vector<std::string> toolchains;
  if (!go_version("go").empty()) toolchains.emplace_back("go");
  const char* more = getenv("HEAPWALK_GO_TOOLCHAINS");
  std::istringstream names(more == nullptr ? "" : more);
  for (std::string name; std::getline(names, name, ':');)
    if (!name.empty()) toolchains.push_back(name);
  return toolchains;
}

std::string go_version(const std::string& toolchain) {
  const CommandResult result = run_command({"sh", "-c", fmt::format("{} '{}' env GOVERSION", kEnvironment, toolchain)});
  if (result.status != 0) return "";
  return result.output.substr(0, result.output.find('\n'));
}

std::string build_go_program(const std::string& toolchain, const std::string& directory, const std::string& output,
                             const std::string& flags) {
  const CommandResult result = run_command(
      {"sh", "-c",
       fmt::format("cd '{}' && {} '{}' build -o '{}' {} .", directory, kEnvironment, toolchain, output, flags)});
  if (result.status == 0) return "";
  return result.output.empty() ? "go build failed" : result.output;
}

}  // namespace heapwalk::test
