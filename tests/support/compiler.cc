#include "tests/support/compiler.h"

#include "tests/support/run_program.h"

namespace heapwalk::test {
namespace {

std::string compile(std::string_view compiler, std::string_view extension, const TemporaryDirectory& directory,
                    std::string_view name, std::string_view source, const std::vector<std::string>& flags) {
  std::string source_name = directory.write(std::string(name) + std::string(extension), source);
  std::string output = directory.file(name);
  std::vector<std::string> arguments = {std::string(compiler), source_name, "-o", output};
  arguments.insert(arguments.end(), flags.begin(), flags.end());
  return run_tool(arguments) ? output : "";
}

}  // namespace

std::string why_no_compiler() {
  static const std::string why = [] {
    bool found = run_command({"cc", "--version"}).status == 0 && run_command({"c++", "--version"}).status == 0 &&
                 run_command({"objcopy", "--version"}).status == 0;
    return found ? "" : "cc, c++ and objcopy are needed to make the files under test";
  }();
  return why;
}

std::string compile_c(const TemporaryDirectory& directory, std::string_view name, std::string_view source,
                      const std::vector<std::string>& flags) {
  return compile("cc", ".c", directory, name, source, flags);
}

std::string compile_cxx(const TemporaryDirectory& directory, std::string_view name, std::string_view source,
                        const std::vector<std::string>& flags) {
  return compile("c++", ".cc", directory, name, source, flags);
}

bool run_tool(const std::vector<std::string>& arguments) {
  CommandResult result = run_command(arguments);
  if (result.status == 0) return true;
  std::string command;
  for (const std::string& argument : arguments) command += argument + " ";
  ADD_FAILURE() << command << "exited with " << result.status << ":\n" << result.output;
  return false;
}

}  // namespace heapwalk::test
