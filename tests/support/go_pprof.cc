#include "tests/support/go_pprof.h"

#include <cstdlib>
#include <filesystem>

#include "tests/support/temporary_directory.h"

namespace heapwalk::test {
namespace {

// The go command, in PATH or where its installer puts it.
std::string find_go() {
  std::string path = std::getenv("PATH") == nullptr ? "" : std::getenv("PATH");
  for (size_t begin = 0; begin <= path.size();) {
    size_t end = std::min(path.find(':', begin), path.size());
    std::filesystem::path candidate = std::filesystem::path(path.substr(begin, end - begin)) / "go";
    std::error_code ignored;
    if (std::filesystem::is_regular_file(candidate, ignored)) return candidate.string();
    begin = end + 1;
  }
  std::error_code ignored;
  return std::filesystem::is_regular_file("/usr/local/go/bin/go", ignored) ? "/usr/local/go/bin/go" : "";
}

}  // namespace

CommandOutput run_go_pprof(const std::string& directory, std::vector<std::string> arguments) {
  std::vector<std::string> command = {"env",
                                      "-C",
                                      directory,
                                      "GOFLAGS=",
                                      "GOTOOLCHAIN=local",
                                      "GO111MODULE=off",
                                      "PPROF_TMPDIR=" + directory,
                                      "PPROF_BINARY_PATH=" + directory};
  // Newer versions of Go build the tool on first use, into a cache that needs a place.
  if (std::getenv("HOME") == nullptr) command.push_back("HOME=" + directory);
  command.insert(command.end(), {find_go(), "tool", "pprof"});
  for (std::string& argument : arguments) command.push_back(std::move(argument));
  return run_captured(command);
}

std::string why_no_go_pprof() {
  static const std::string reason = [] {
    if (find_go().empty()) return std::string("go is not installed, so pprof cannot read the profiles");
    TemporaryDirectory directory;
    CommandOutput help = run_go_pprof(directory.path().string(), {"-h"});
    bool works = (help.out + help.err).find("-diff_base") != std::string::npos;
    return works ? std::string() : "`go tool pprof` does not run: " + help.err.substr(0, 300);
  }();
  return reason;
}

}  // namespace heapwalk::test
