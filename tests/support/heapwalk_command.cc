#include "tests/support/heapwalk_command.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

#include "tests/support/temporary_directory.h"

namespace heapwalk::test {
namespace {

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

}  // namespace

CommandOutput run_captured(const std::vector<std::string>& command) {
  const TemporaryDirectory scratch;
  const std::string out = scratch.file("out");
  const std::string err = scratch.file("err");
  const pid_t child = ::fork();
  if (child == 0) {
    auto redirect = [](const char* path, int flags, int to) { ::dup2(::open(path, flags, 0600), to); };
    redirect("/dev/null", O_RDONLY, STDIN_FILENO);
    redirect(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, STDOUT_FILENO);
    redirect(err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, STDERR_FILENO);
    std::vector<char*> argv;
    for (const std::string& argument : command) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    ::execvp(argv[0], argv.data());
    ::_exit(127);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return {WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status), read_file(out), read_file(err)};
}

// Nothing that a test reads or leaves is the user's: its cache is a directory of this process, gone at its end.
CommandOutput run_heapwalk(const std::vector<std::string>& arguments) {
  static const TemporaryDirectory cache;
  ::setenv("HEAPWALK_CACHE_DIR", cache.path().c_str(), 1);
  std::vector<std::string> command = {HEAPWALK_BINARY};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return run_captured(command);
}

}  // namespace heapwalk::test
